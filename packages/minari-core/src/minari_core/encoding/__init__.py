"""Whole episodes as flat columns."""

from __future__ import annotations

from minari_core.encoding.entries import Episode, check_seed, encode_entries
from minari_core.encoding.episodes import encode_episodes

__all__ = ["Episode", "check_seed", "encode_entries", "encode_episodes"]
