"""`EpisodeBuffer` under the public Minari's module path."""

from __future__ import annotations

from minari_core import EpisodeBuffer

__all__ = ["EpisodeBuffer"]
