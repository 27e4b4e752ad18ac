"""Where datasets lie, under the public Minari's module path."""

from __future__ import annotations

from pathlib import Path

from minari_core.local.locations import datasets_root


def get_dataset_path(dataset_id: str | None = None) -> Path:
    """The folder of a dataset or namespace, or of all of them; the root is made if need be."""
    root = datasets_root()
    root.mkdir(parents=True, exist_ok=True)
    return root / dataset_id if dataset_id else root
