"""The root of local datasets, under the public Minari's module path."""

from __future__ import annotations

from pathlib import Path

from minari_core.local.locations import datasets_root


def get_dataset_path(dataset_id: str | None = None) -> Path:
    """Return the folder of a dataset or namespace, or of all; the root is created if missing."""
    root = datasets_root()
    root.mkdir(parents=True, exist_ok=True)
    return root / dataset_id if dataset_id else root
