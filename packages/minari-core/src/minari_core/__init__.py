"""The Minari dataset format, and reading and writing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minari_core import errors
from minari_core._version import __version__
from minari_core.errors import *  # noqa: F403  # they are in its `__all__`
from minari_core.lazy_names import load_lazily

if TYPE_CHECKING:
    from minari_core.datasets.combining import combine_datasets, split_dataset
    from minari_core.datasets.converting import convert_dataset
    from minari_core.datasets.creation import create_dataset_from_buffers
    from minari_core.datasets.dataset import MinariDataset, MinariDatasetSpec
    from minari_core.datasets.details import DatasetDetails
    from minari_core.datasets.flat import (
        create_dataset_from_arrays,
        create_dataset_from_table,
        import_flat_hdf5,
    )
    from minari_core.datasets.local import delete_dataset, list_local_datasets, load_dataset
    from minari_core.datasets.scores import get_normalized_score
    from minari_core.datasets.source import EpisodeSource
    from minari_core.episodes.episode import EpisodeBuffer, EpisodeData, EpisodeMetadata
    from minari_core.formats.verification.report import VerificationProblem, VerificationReport
    from minari_core.local.leftovers.leftover import Leftover
    from minari_core.local.leftovers.listing import list_leftovers, remove_leftovers
    from minari_core.local.namespaces import (
        create_namespace,
        delete_namespace,
        get_namespace_metadata,
        list_local_namespaces,
        update_namespace_metadata,
    )
    from minari_core.local.verifying import verify_dataset
    from minari_core.messages import MinariWarning
    from minari_core.mixtures.mixture import DatasetMixture, mix_datasets
    from minari_core.ranges.statistics import StreamStatistics
    from minari_core.streaming.opening import open_stream

__all__ = [
    "DatasetDetails",
    "DatasetMixture",
    "EpisodeBuffer",
    "EpisodeData",
    "EpisodeMetadata",
    "EpisodeSource",
    "Leftover",
    "MinariDataset",
    "MinariDatasetSpec",
    "MinariWarning",
    "StreamStatistics",
    "VerificationProblem",
    "VerificationReport",
    "__version__",
    "combine_datasets",
    "convert_dataset",
    "create_dataset_from_arrays",
    "create_dataset_from_buffers",
    "create_dataset_from_table",
    "create_namespace",
    "delete_dataset",
    "delete_namespace",
    "get_namespace_metadata",
    "get_normalized_score",
    "import_flat_hdf5",
    "list_leftovers",
    "list_local_datasets",
    "list_local_namespaces",
    "load_dataset",
    "mix_datasets",
    "open_stream",
    "remove_leftovers",
    "split_dataset",
    "update_namespace_metadata",
    "verify_dataset",
]
__all__ += errors.__all__

if not TYPE_CHECKING:
    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "minari_core.datasets.combining": ("combine_datasets", "split_dataset"),
            "minari_core.datasets.converting": ("convert_dataset",),
            "minari_core.datasets.creation": ("create_dataset_from_buffers",),
            "minari_core.datasets.dataset": ("MinariDataset", "MinariDatasetSpec"),
            "minari_core.datasets.details": ("DatasetDetails",),
            "minari_core.datasets.flat": (
                "create_dataset_from_arrays",
                "create_dataset_from_table",
                "import_flat_hdf5",
            ),
            "minari_core.datasets.local": ("delete_dataset", "list_local_datasets", "load_dataset"),
            "minari_core.datasets.scores": ("get_normalized_score",),
            "minari_core.datasets.source": ("EpisodeSource",),
            "minari_core.streaming.opening": ("open_stream",),
            "minari_core.episodes.episode": ("EpisodeBuffer", "EpisodeData", "EpisodeMetadata"),
            "minari_core.formats.verification.report": (
                "VerificationProblem",
                "VerificationReport",
            ),
            "minari_core.local.leftovers.leftover": ("Leftover",),
            "minari_core.local.leftovers.listing": ("list_leftovers", "remove_leftovers"),
            "minari_core.local.namespaces": (
                "create_namespace",
                "delete_namespace",
                "get_namespace_metadata",
                "list_local_namespaces",
                "update_namespace_metadata",
            ),
            "minari_core.local.verifying": ("verify_dataset",),
            "minari_core.messages": ("MinariWarning",),
            "minari_core.mixtures.mixture": ("DatasetMixture", "mix_datasets"),
            "minari_core.ranges.statistics": ("StreamStatistics",),
        },
    )
