"""Minari: offline reinforcement-learning data of Gymnasium environments.

Everything that is documented is here, by name; it comes from the packages ``minari_core``
(the format, reading and local datasets), ``minari_collect`` (recording) and ``minari_hub``
(remote datasets).
"""

from __future__ import annotations

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
    discard_recording,
    list_recoverable,
    recover,
    recover_recording,
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
    errors,
    get_namespace_metadata,
    get_normalized_score,
    list_local_datasets,
    list_local_namespaces,
    split_dataset,
    update_namespace_metadata,
)
from minari_core.errors import *  # noqa: F403  # they are in its `__all__`
from minari_core.lazy_names import load_lazily

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
    from minari_hub import (
        download_dataset,
        list_remote_datasets,
        upload_dataset,
        verify_remote_dataset,
    )

__all__ = [
    "CollectProgress",
    "DataCollector",
    "DataCollectorV0",
    "DatasetDetails",
    "EpisodeBuffer",
    "EpisodeData",
    "EpisodeMetadata",
    "EpisodeMetadataCallback",
    "MinariDataset",
    "MinariDatasetSpec",
    "MinariWarning",
    "RecoverableRecording",
    "StepData",
    "StepDataCallback",
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
    "discard_recording",
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
    "recover_recording",
    "split_dataset",
    "update_namespace_metadata",
    "upload_dataset",
    "verify_dataset",
    "verify_remote_dataset",
]
__all__ += errors.__all__

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
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
            "verify_remote_dataset": "minari_hub",
            "verify_dataset": "minari_core",
        },
    )
