"""Local datasets to a remote."""

from __future__ import annotations


def upload_dataset(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: str | None = None,
    token: str | None = None,
    data_format: str | None = None,
    progress: bool = True,
) -> None:
    """Upload a local dataset to a remote."""
    raise NotImplementedError
