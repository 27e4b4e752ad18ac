"""`EpisodeData` under the public Minari's module path."""

from __future__ import annotations

from minari_core import EpisodeData

__all__ = ["EpisodeData"]
