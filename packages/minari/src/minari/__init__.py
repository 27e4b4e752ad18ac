"""Minari: offline reinforcement-learning data of Gymnasium environments.

Everything that is documented is here, by name; it comes from the packages ``minari_core``
(the format, reading and local datasets), ``minari_collect`` (recording) and ``minari_hub``
(remote datasets).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# First, because measured: numpy takes 35 ms longer where the modules below import it.
import minari_core  # noqa: F401
from minari._version import __version__
from minari.data_collector import DataCollector
from minari.dataset.step_data import StepData
from minari.storage.local import load_dataset
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
    DatasetDetails,
    EpisodeBuffer,
    EpisodeData,
    EpisodeMetadata,
    MinariDataset,
    MinariDatasetSpec,
    MinariWarning,
    combine_datasets,
    create_dataset_from_buffers,
    create_namespace,
    delete_dataset,
    delete_namespace,
    get_namespace_metadata,
    get_normalized_score,
    list_local_datasets,
    list_local_namespaces,
    split_dataset,
    update_namespace_metadata,
)
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
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
    SamplingError,
    SpaceError,
    UntrustedEnvironmentError,
    UntrustedNameError,
)

if TYPE_CHECKING:
    from minari_collect import CollectProgress, VectorDataCollector, collect_dataset
    from minari_core import (
        VerificationProblem,
        VerificationReport,
        convert_dataset,
        create_dataset_from_arrays,
        import_flat_hdf5,
        verify_dataset,
    )
    from minari_hub import download_dataset, list_remote_datasets, upload_dataset

__all__ = [
    "CollectProgress",
    "DataCollector",
    "DataCollectorV0",
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
    "EpisodeMetadataCallback",
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
    "RecoverableRecording",
    "RemoteAccessError",
    "RemoteError",
    "RemoteObjectExistsError",
    "RemoteObjectNotFoundError",
    "RemoteUrlError",
    "SamplingError",
    "SpaceError",
    "StepData",
    "StepDataCallback",
    "UntrustedEnvironmentError",
    "UntrustedNameError",
    "VectorDataCollector",
    "VerificationProblem",
    "VerificationReport",
    "__version__",
    "collect_dataset",
    "combine_datasets",
    "convert_dataset",
    "create_dataset_from_arrays",
    "create_dataset_from_buffers",
    "create_dataset_from_collector_env",
    "create_namespace",
    "delete_dataset",
    "delete_namespace",
    "discard",
    "download_dataset",
    "get_namespace_metadata",
    "get_normalized_score",
    "import_flat_hdf5",
    "list_local_datasets",
    "list_local_namespaces",
    "list_recoverable",
    "list_remote_datasets",
    "load_dataset",
    "recover",
    "split_dataset",
    "update_namespace_metadata",
    "upload_dataset",
    "verify_dataset",
]

if not TYPE_CHECKING:
    _LOADED_WHEN_USED = {
        "CollectProgress": "minari_collect",
        "VectorDataCollector": "minari_collect",
        "VerificationProblem": "minari_core",
        "VerificationReport": "minari_core",
        "collect_dataset": "minari_collect",
        "convert_dataset": "minari_core",
        "create_dataset_from_arrays": "minari_core",
        "download_dataset": "minari_hub",
        "import_flat_hdf5": "minari_core",
        "list_remote_datasets": "minari_hub",
        "upload_dataset": "minari_hub",
        "verify_dataset": "minari_core",
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
