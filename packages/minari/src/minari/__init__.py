"""Minari: offline reinforcement-learning data of Gymnasium environments.

Everything that is documented is here, by name; it comes from the packages ``minari_core``
(the format, reading and local datasets), ``minari_collect`` (recording) and ``minari_hub``
(remote datasets).
"""

from __future__ import annotations

from minari._version import __version__
from minari_collect import (
    DataCollectorV0,
    EpisodeMetadataCallback,
    RecoverableRecording,
    StepDataCallback,
    create_dataset_from_collector_env,
    discard,
    list_recoverable,
    recover,
)
from minari_core import (
    EpisodeBuffer,
    EpisodeData,
    EpisodeMetadata,
    MinariDataset,
    MinariDatasetSpec,
    MinariWarning,
    combine_datasets,
    create_dataset_from_buffers,
    delete_dataset,
    get_normalized_score,
    list_local_datasets,
    load_dataset,
    split_dataset,
)

__all__ = [
    "DataCollectorV0",
    "EpisodeBuffer",
    "EpisodeData",
    "EpisodeMetadata",
    "EpisodeMetadataCallback",
    "MinariDataset",
    "MinariDatasetSpec",
    "MinariWarning",
    "RecoverableRecording",
    "StepDataCallback",
    "__version__",
    "combine_datasets",
    "create_dataset_from_buffers",
    "create_dataset_from_collector_env",
    "delete_dataset",
    "discard",
    "get_normalized_score",
    "list_local_datasets",
    "list_recoverable",
    "load_dataset",
    "recover",
    "split_dataset",
]
