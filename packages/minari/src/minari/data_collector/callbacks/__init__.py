"""Callbacks under the public Minari's module path."""

from __future__ import annotations

from minari_collect import EpisodeMetadataCallback, StepDataCallback

__all__ = ["EpisodeMetadataCallback", "StepDataCallback"]
