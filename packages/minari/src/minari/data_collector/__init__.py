"""Collectors and callbacks under the module paths of the public Minari."""

from __future__ import annotations

from minari.data_collector.data_collector import DataCollector
from minari_collect import DataCollectorV0, EpisodeMetadataCallback, StepDataCallback
from minari_core import EpisodeBuffer

__all__ = [
    "DataCollector",
    "DataCollectorV0",
    "EpisodeBuffer",
    "EpisodeMetadataCallback",
    "StepDataCallback",
]
