"""What datasets a remote has."""

from __future__ import annotations

from minari_core.columns import JsonValue


def list_remote_datasets(
    remote_path: str | None = None,
    prefix: str | None = None,
    latest_version: bool = False,
    compatible_minari_version: bool = False,
    token: str | None = None,
) -> dict[str, dict[str, JsonValue]]:
    """List the datasets of a remote."""
    raise NotImplementedError


def get_remote_metadata(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    remote_path: str | None = None,
    token: str | None = None,
) -> dict[str, JsonValue]:
    """The metadata of one dataset on a remote."""
    raise NotImplementedError
