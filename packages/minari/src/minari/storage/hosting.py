"""Remote datasets under the public Minari's module path."""

from __future__ import annotations

from minari_hub import download_dataset, list_remote_datasets, upload_dataset

__all__ = ["download_dataset", "list_remote_datasets", "upload_dataset"]
