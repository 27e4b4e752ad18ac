"""The functions that make datasets, giving `minari.MinariDataset`."""

from __future__ import annotations

import minari_collect
import minari_core
from minari.dataset.minari_dataset import giving_minari

convert_dataset = giving_minari(minari_core.convert_dataset)
create_dataset_from_arrays = giving_minari(minari_core.create_dataset_from_arrays)
create_dataset_from_collector_env = giving_minari(minari_collect.create_dataset_from_collector_env)
import_flat_hdf5 = giving_minari(minari_core.import_flat_hdf5)
recover = giving_minari(minari_collect.recover)
