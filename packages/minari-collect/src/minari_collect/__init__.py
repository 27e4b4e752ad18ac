"""Recording Gymnasium environments into Minari datasets."""

from __future__ import annotations

from minari_collect._version import __version__
from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.collect_progress import CollectProgress
from minari_collect.collecting import collect_dataset
from minari_collect.creation import create_dataset_from_collector_env
from minari_collect.data_collector import DataCollectorV0
from minari_collect.recovery import RecoverableRecording, discard, list_recoverable, recover
from minari_collect.vector_collector import VectorDataCollector

__all__ = [
    "CollectProgress",
    "DataCollectorV0",
    "EpisodeMetadataCallback",
    "RecoverableRecording",
    "StepDataCallback",
    "VectorDataCollector",
    "__version__",
    "collect_dataset",
    "create_dataset_from_collector_env",
    "discard",
    "list_recoverable",
    "recover",
]
