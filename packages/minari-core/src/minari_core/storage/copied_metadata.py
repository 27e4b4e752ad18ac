"""What of a dataset's metadata goes into a copy of it."""

from __future__ import annotations

from minari_core._version import __version__
from minari_core.environments.space_json import space_to_json
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage

# They describe the old storage, or are counted anew.
_NOT_COPIED = frozenset(
    {"dataset_id", "data_format", "total_episodes", "total_steps", "dataset_size", "jpeg_encoding"}
)


def metadata_for_copy(source: Storage) -> dict[str, JsonValue]:
    """Return the metadata of a dataset for a copy of it in whatever format.

    Args:
        source: The dataset's storage.

    Returns:
        Its metadata without what describes one storage: its id, its totals, and how it stores
        images.
    """
    metadata: dict[str, JsonValue] = {
        key: value for key, value in source.metadata.items() if key not in _NOT_COPIED
    }
    metadata["minari_version"] = __version__
    for name in ("observation_space", "action_space"):
        if name not in source.given_spaces:
            metadata[name] = space_to_json(getattr(source, name), name)
    return metadata
