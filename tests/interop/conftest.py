"""These tests need environments of their own: ``hatch run interop`` makes them and runs all."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "MINARI_INTEROP" in os.environ else ["test_*.py"]
# Programs, which nothing imports.
collect_ignore = ["scripts"]
