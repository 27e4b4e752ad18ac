"""Datasets from a remote into the local root."""

from __future__ import annotations


def download_dataset(
    dataset_name: str | None = None,
    force_download: bool = False,
    *,
    dataset_id: str | None = None,
    remote_path: str | None = None,
    token: str | None = None,
    progress: bool = True,
) -> None:
    """Download a dataset into the local root."""
    raise NotImplementedError
