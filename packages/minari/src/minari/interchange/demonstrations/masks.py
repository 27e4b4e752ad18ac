"""Named sets of episodes: datasets of names in the group ``mask``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from minari.interchange.demonstrations.groups import File, find_group
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.metadata.splits import encode_splits

GROUP = "mask"


def read_masks(file: File, names: Sequence[str]) -> dict[str, JsonValue]:
    """Read them as splits.

    Args:
        file: The file.
        names: What its episodes are called, in order.

    Raises:
        DataError: A mask names an episode that is not there.
    """
    masks = find_group(file, GROUP)
    if masks is None:
        return {}
    places = {name: index for index, name in enumerate(names)}
    splits: dict[str, list[int]] = {}
    for name in masks:
        members = [_to_text(member) for member in masks.read(name)]
        absent = [member for member in members if member not in places]
        if absent:
            raise DataError(f"{masks.where}/{name} names {absent[0]!r}, which is no episode")
        splits[name] = [places[member] for member in members]
    return encode_splits(splits, len(names))


def write_masks(
    file: File, splits: Mapping[str, npt.NDArray[np.int64]], names: Sequence[str]
) -> None:
    """Write splits as fixed-length names, as robomimic does.

    Raises:
        DataError: The name of a split cannot be that of an HDF5 dataset.
    """
    if not splits:
        return
    group = file.create_group(GROUP)
    for name, indices in splits.items():
        if "/" in name or name == ".":
            raise DataError(f"split {name!r} cannot be the name of a mask; rename it")
        group.create_dataset(name, data=np.array([names[index] for index in indices], dtype="S"))


def _to_text(member: object) -> str:
    return member.decode("utf-8", "replace") if isinstance(member, bytes) else str(member)
