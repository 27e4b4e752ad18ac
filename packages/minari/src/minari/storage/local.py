"""Local datasets under the public Minari's module path."""

from __future__ import annotations

from minari._loading import load_dataset
from minari_core import delete_dataset, list_local_datasets

__all__ = ["delete_dataset", "list_local_datasets", "load_dataset"]
