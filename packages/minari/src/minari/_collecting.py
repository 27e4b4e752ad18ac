"""Collecting with many workers, giving `minari.MinariDataset`."""

from __future__ import annotations

import minari_collect
from minari.dataset.minari_dataset import giving_minari

collect_dataset = giving_minari(minari_collect.collect_dataset)
