"""The names of the data formats under the public Minari's module path."""

from __future__ import annotations

from minari_core.formats.registry import list_formats


def get_storage_keys() -> list[str]:
    """List the names of all data formats that can be written."""
    return list(list_formats())
