"""What of a dataset's metadata goes into a copy of it."""

from __future__ import annotations

from collections.abc import Sequence

from minari_core._version import __version__
from minari_core.environments.space_json import space_to_json
from minari_core.json_values import JsonValue
from minari_core.metadata.publication import DOI
from minari_core.metadata.splits import SPLITS, cut_splits, read_splits
from minari_core.storage.base import Storage

# They describe the old storage, or are counted anew.
_NOT_COPIED = frozenset(
    {"dataset_id", "data_format", "total_episodes", "total_steps", "dataset_size", "jpeg_encoding"}
)


def metadata_for_copy(
    source: Storage, indices: Sequence[int] | None = None
) -> dict[str, JsonValue]:
    """Return the metadata of a dataset for a copy of it in whatever format.

    Args:
        source: The dataset's storage.
        indices: The indices of the episodes that are copied, in order; all of them if None.

    Returns:
        Its metadata without what describes one storage: its id, its totals, and how it stores
        images. Splits are those of the copied episodes, and a part has no DOI: it is not the thing
        that the DOI names.
    """
    metadata: dict[str, JsonValue] = {
        key: value for key, value in source.metadata.items() if key not in _NOT_COPIED
    }
    metadata["minari_version"] = __version__
    for name in ("observation_space", "action_space"):
        if name not in source.given_spaces:
            metadata[name] = space_to_json(getattr(source, name), name)
    if indices is not None and not is_whole(source, indices):
        metadata.pop(DOI, None)
    if indices is not None and SPLITS in metadata:
        metadata[SPLITS] = cut_splits(read_splits(source.metadata, source.total_episodes), indices)
    return metadata


def is_whole(source: Storage, indices: Sequence[int]) -> bool:
    """Return whether indices are those of all episodes of a dataset, in their order."""
    return list(indices) == list(range(source.total_episodes))
