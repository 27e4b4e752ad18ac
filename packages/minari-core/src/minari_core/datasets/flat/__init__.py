"""Datasets out of flat arrays, one for each column, as D4RL publishes its data."""

from __future__ import annotations

from minari_core.datasets.flat.arrays import create_dataset_from_arrays
from minari_core.datasets.flat.d4rl_file import import_flat_hdf5
from minari_core.datasets.flat.table import create_dataset_from_table

__all__ = ["create_dataset_from_arrays", "create_dataset_from_table", "import_flat_hdf5"]
