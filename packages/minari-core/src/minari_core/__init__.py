"""The Minari dataset format, and reading and writing it."""

from __future__ import annotations

from minari_core._version import __version__
from minari_core.caller_warnings import MinariWarning
from minari_core.combining import combine_datasets, split_dataset
from minari_core.creation import create_dataset_from_buffers
from minari_core.dataset import MinariDataset, MinariDatasetSpec
from minari_core.episode import EpisodeBuffer, EpisodeData, EpisodeMetadata
from minari_core.episode_source import EpisodeSource
from minari_core.errors import (
    DataError,
    DatasetBusyError,
    DatasetChangedError,
    DatasetDamagedError,
    DatasetExistsError,
    DatasetIdError,
    DatasetNotFoundError,
    DatasetWriteError,
    EnvironmentNotRecoverableError,
    EpisodeIndexError,
    FormatError,
    IncompatibleDatasetsError,
    MetadataError,
    MinariError,
    MissingDependencyError,
    RecordingError,
    SamplingError,
    SpaceError,
    UntrustedEnvironmentError,
)
from minari_core.local_datasets import delete_dataset, list_local_datasets, load_dataset
from minari_core.scores import get_normalized_score
from minari_core.verification import VerificationProblem, VerificationReport, verify_dataset

__all__ = [
    "DataError",
    "DatasetBusyError",
    "DatasetChangedError",
    "DatasetDamagedError",
    "DatasetExistsError",
    "DatasetIdError",
    "DatasetNotFoundError",
    "DatasetWriteError",
    "EnvironmentNotRecoverableError",
    "EpisodeBuffer",
    "EpisodeData",
    "EpisodeIndexError",
    "EpisodeMetadata",
    "EpisodeSource",
    "FormatError",
    "IncompatibleDatasetsError",
    "MetadataError",
    "MinariDataset",
    "MinariDatasetSpec",
    "MinariError",
    "MinariWarning",
    "MissingDependencyError",
    "RecordingError",
    "SamplingError",
    "SpaceError",
    "UntrustedEnvironmentError",
    "VerificationProblem",
    "VerificationReport",
    "__version__",
    "combine_datasets",
    "create_dataset_from_buffers",
    "delete_dataset",
    "get_normalized_score",
    "list_local_datasets",
    "load_dataset",
    "split_dataset",
    "verify_dataset",
]
