"""The Minari dataset format, and reading and writing it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minari_core._version import __version__
from minari_core.datasets.combining import combine_datasets, split_dataset
from minari_core.datasets.creation import create_dataset_from_buffers
from minari_core.datasets.dataset import MinariDataset, MinariDatasetSpec
from minari_core.datasets.details import DatasetDetails
from minari_core.datasets.local import delete_dataset, list_local_datasets, load_dataset
from minari_core.datasets.scores import get_normalized_score
from minari_core.datasets.source import EpisodeSource
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData, EpisodeMetadata
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
    NamespaceError,
    RecordingError,
    SamplingError,
    SpaceError,
    UntrustedEnvironmentError,
)
from minari_core.local.namespaces import (
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    update_namespace_metadata,
)
from minari_core.messages import MinariWarning

if TYPE_CHECKING:
    from minari_core.datasets.converting import convert_dataset
    from minari_core.datasets.flat import create_dataset_from_arrays, import_flat_hdf5
    from minari_core.formats.verification.report import VerificationProblem, VerificationReport
    from minari_core.local.verifying import verify_dataset

__all__ = [
    "DataError",
    "DatasetBusyError",
    "DatasetChangedError",
    "DatasetDamagedError",
    "DatasetDetails",
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
    "NamespaceError",
    "RecordingError",
    "SamplingError",
    "SpaceError",
    "UntrustedEnvironmentError",
    "VerificationProblem",
    "VerificationReport",
    "__version__",
    "combine_datasets",
    "convert_dataset",
    "create_dataset_from_arrays",
    "create_dataset_from_buffers",
    "create_namespace",
    "delete_dataset",
    "delete_namespace",
    "get_namespace_metadata",
    "get_normalized_score",
    "import_flat_hdf5",
    "list_local_datasets",
    "list_local_namespaces",
    "load_dataset",
    "split_dataset",
    "update_namespace_metadata",
    "verify_dataset",
]

if not TYPE_CHECKING:
    _LOADED_WHEN_USED = {
        "VerificationProblem": "minari_core.formats.verification.report",
        "VerificationReport": "minari_core.formats.verification.report",
        "convert_dataset": "minari_core.datasets.converting",
        "create_dataset_from_arrays": "minari_core.datasets.flat",
        "import_flat_hdf5": "minari_core.datasets.flat",
        "verify_dataset": "minari_core.local.verifying",
    }

    def __getattr__(name: str) -> object:
        """Load what not every program uses when it is first asked for."""
        if name not in _LOADED_WHEN_USED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(_LOADED_WHEN_USED[name]), name)
        return globals()[name]

    def __dir__() -> list[str]:
        """Every name, loaded or not."""
        return sorted({*globals(), *__all__})
