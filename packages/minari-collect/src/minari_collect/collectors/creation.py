"""Create a dataset from what a collector has recorded."""

from __future__ import annotations

from typing_extensions import Unpack

from minari_collect.collectors.base import EpisodeCollector
from minari_collect.collectors.single import DataCollectorV0
from minari_collect.collectors.vector import VectorDataCollector
from minari_core import DatasetDetails, MinariDataset
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.creation import create_dataset_from_source
from minari_core.datasets.details import list_details
from minari_core.datasets.source import check_source
from minari_core.errors import RecordingError
from minari_core.local.dataset_id import choose_id
from minari_core.messages import format_value


@list_details
def create_dataset_from_collector_env(
    dataset_name: str | None = None,
    collector_env: DataCollectorV0 | VectorDataCollector | None = None,
    *,
    dataset_id: str | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset from the episodes that a collector has recorded.

    The data is moved, not copied. The collector's buffers are cleared once the dataset is
    complete and durable, and not before; it can go on collecting for
    `MinariDataset.update_dataset_from_collector_env`. An episode that is still going on is ended
    as truncated.

    Args:
        dataset_name: The id of the new dataset, ``(namespace/…)name-vN``.
        collector_env: The collector, of one environment or of many.
        dataset_id: Another name of ``dataset_name``.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DatasetIdError: The id is malformed, or given twice.
        DatasetExistsError: The id is taken.
        DataError: Nothing was recorded.
        MetadataError: Some metadata is not JSON, or of the wrong type.
        RecordingError: No collector is given, or it is closed.
        DatasetWriteError: The file system refused. As with every error, the collector still has
            its episodes, no dataset is left behind, and trying again is safe.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    card = DatasetCard(**details)
    new_id = choose_id(dataset_name, dataset_id)
    collector = check_source(collector_env)
    if not isinstance(collector, EpisodeCollector):
        raise RecordingError(
            f"collector_env is {format_value(collector)}, not an environment wrapped in "
            "DataCollectorV0 or environments wrapped in VectorDataCollector"
        )
    return create_dataset_from_source(
        new_id, collector, collector.recorded_spec, card, collector.data_format
    )
