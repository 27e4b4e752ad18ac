"""Local and remote datasets under the module paths of the public Minari."""

from __future__ import annotations

from minari.storage.datasets_root_dir import get_dataset_path

__all__ = ["get_dataset_path"]
