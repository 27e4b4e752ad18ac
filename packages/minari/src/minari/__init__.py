"""Minari: offline reinforcement-learning data of Gymnasium environments.

Everything that is documented is here, by name; it comes from the packages ``minari_core``
(the format, reading and local datasets), ``minari_collect`` (recording) and ``minari_hub``
(remote datasets).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import minari_collect
import minari_core
from minari._version import __version__
from minari_core import errors
from minari_core.errors import *  # noqa: F403  # they are in its `__all__`
from minari_core.lazy_names import load_lazily

if TYPE_CHECKING:
    from minari.checks.checking import CheckReport, check_dataset
    from minari.checks.finding import Finding
    from minari.data_collector import DataCollector
    from minari.dataset.step_data import StepData
    from minari.interchange.exchange import export_dataset, import_dataset
    from minari.interchange.layout import Loss
    from minari.leftovers import list_leftovers, remove_leftovers
    from minari.rendering.rendering import EpisodeVideo, render_episode
    from minari.storage.local import list_local_datasets, load_dataset
    from minari.supported_versions import supported_dataset_versions
    from minari.utils import create_dataset_from_buffers
    from minari.viewer.page_file import dataset_page
    from minari.viewer.server import DatasetView, view_dataset
    from minari_collect import (
        CollectProgress,
        DataCollectorV0,
        EpisodeMetadataCallback,
        Evaluation,
        RecoverableRecording,
        StepDataCallback,
        VectorDataCollector,
        collect_dataset,
        create_dataset_from_collector_env,
        discard,
        discard_recording,
        evaluate,
        list_recoverable,
        recover,
        recover_recording,
    )
    from minari_core import (
        DatasetDetails,
        DatasetMixture,
        EpisodeBuffer,
        EpisodeData,
        EpisodeMetadata,
        Leftover,
        MinariDataset,
        MinariDatasetSpec,
        MinariWarning,
        VerificationProblem,
        VerificationReport,
        combine_datasets,
        convert_dataset,
        create_dataset_from_arrays,
        create_dataset_from_table,
        create_namespace,
        delete_dataset,
        delete_namespace,
        get_namespace_metadata,
        get_normalized_score,
        import_flat_hdf5,
        list_local_namespaces,
        mix_datasets,
        split_dataset,
        update_namespace_metadata,
        verify_dataset,
    )
    from minari_hub import (
        download_dataset,
        list_remote_datasets,
        upload_dataset,
        verify_remote_dataset,
    )

__all__ = [
    "CheckReport",
    "CollectProgress",
    "DataCollector",
    "DataCollectorV0",
    "DatasetDetails",
    "DatasetMixture",
    "DatasetView",
    "EpisodeBuffer",
    "EpisodeData",
    "EpisodeMetadata",
    "EpisodeMetadataCallback",
    "EpisodeVideo",
    "Evaluation",
    "Finding",
    "Leftover",
    "Loss",
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
    "check_dataset",
    "collect_dataset",
    "combine_datasets",
    "convert_dataset",
    "create_dataset_from_arrays",
    "create_dataset_from_buffers",
    "create_dataset_from_collector_env",
    "create_dataset_from_table",
    "create_namespace",
    "dataset_page",
    "delete_dataset",
    "delete_namespace",
    "discard",
    "discard_recording",
    "download_dataset",
    "evaluate",
    "export_dataset",
    "get_namespace_metadata",
    "get_normalized_score",
    "import_dataset",
    "import_flat_hdf5",
    "list_leftovers",
    "list_local_datasets",
    "list_local_namespaces",
    "list_recoverable",
    "list_remote_datasets",
    "load_dataset",
    "mix_datasets",
    "recover",
    "recover_recording",
    "remove_leftovers",
    "render_episode",
    "split_dataset",
    "supported_dataset_versions",
    "update_namespace_metadata",
    "upload_dataset",
    "verify_dataset",
    "verify_remote_dataset",
    "view_dataset",
]
__all__ += errors.__all__

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "minari_collect": minari_collect.__all__,
            "minari_core": minari_core.__all__,
            "minari_hub": (
                "download_dataset",
                "list_remote_datasets",
                "upload_dataset",
                "verify_remote_dataset",
            ),
            "minari.checks.checking": ("CheckReport", "check_dataset"),
            "minari.checks.finding": ("Finding",),
            "minari.interchange.exchange": ("export_dataset", "import_dataset"),
            "minari.interchange.layout": ("Loss",),
            # Instead of core's.
            "minari.data_collector": ("DataCollector",),
            "minari.leftovers": ("list_leftovers", "remove_leftovers"),
            "minari.dataset.step_data": ("StepData",),
            "minari.rendering.rendering": ("EpisodeVideo", "render_episode"),
            "minari.storage.local": ("list_local_datasets", "load_dataset"),
            "minari.supported_versions": ("supported_dataset_versions",),
            "minari.utils": ("create_dataset_from_buffers",),
            "minari.viewer.page_file": ("dataset_page",),
            "minari.viewer.server": ("DatasetView", "view_dataset"),
        },
        modules=(
            "cli",
            "data_collector",
            "dataset",
            "namespace",
            "serialization",
            "storage",
            "utils",
        ),
    )
