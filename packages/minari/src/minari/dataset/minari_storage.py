"""`MinariStorage`, under the path of the public Minari."""

from __future__ import annotations

from minari_core.datasets.public_storage import MinariStorage

__all__ = ["MinariStorage"]
