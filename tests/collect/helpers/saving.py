"""What a collector has recorded, as the dataset that it becomes."""

from __future__ import annotations

from minari_collect import (
    DataCollectorV0,
    VectorDataCollector,
    create_dataset_from_collector_env,
)
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.local import load_dataset


def saved(
    collector: DataCollectorV0 | VectorDataCollector, dataset_id: str = "tests/callbacks-v0"
) -> MinariDataset:
    create_dataset_from_collector_env(dataset_id, collector)
    collector.close()
    return load_dataset(dataset_id)
