"""Record Gymnasium environments into Minari datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minari_collect._version import __version__
from minari_core.lazy_names import load_lazily

if TYPE_CHECKING:
    from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
    from minari_collect.collectors.creation import create_dataset_from_collector_env
    from minari_collect.collectors.single import DataCollectorV0
    from minari_collect.collectors.vector import VectorDataCollector
    from minari_collect.evaluation.evaluate import evaluate
    from minari_collect.evaluation.result import Evaluation
    from minari_collect.runs.collect_dataset import collect_dataset
    from minari_collect.runs.progress import CollectProgress
    from minari_collect.staging.interrupted import RecoverableRecording
    from minari_collect.staging.recovery import (
        discard,
        discard_recording,
        list_recoverable,
        recover,
        recover_recording,
    )

__all__ = [
    "CollectProgress",
    "DataCollectorV0",
    "EpisodeMetadataCallback",
    "Evaluation",
    "RecoverableRecording",
    "StepDataCallback",
    "VectorDataCollector",
    "__version__",
    "collect_dataset",
    "create_dataset_from_collector_env",
    "discard",
    "discard_recording",
    "evaluate",
    "list_recoverable",
    "recover",
    "recover_recording",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "minari_collect.callbacks": ("EpisodeMetadataCallback", "StepDataCallback"),
            "minari_collect.collectors.creation": ("create_dataset_from_collector_env",),
            "minari_collect.collectors.single": ("DataCollectorV0",),
            "minari_collect.collectors.vector": ("VectorDataCollector",),
            "minari_collect.evaluation.evaluate": ("evaluate",),
            "minari_collect.evaluation.result": ("Evaluation",),
            "minari_collect.runs.collect_dataset": ("collect_dataset",),
            "minari_collect.runs.progress": ("CollectProgress",),
            "minari_collect.staging.interrupted": ("RecoverableRecording",),
            "minari_collect.staging.recovery": (
                "discard",
                "discard_recording",
                "list_recoverable",
                "recover",
                "recover_recording",
            ),
        },
    )
