"""Splits: named sets of episodes, stored as ranges of their indices.

In a dataset's metadata ``splits`` is ``{"train": [[0, 80]], "test": [[80, 100]]}``: the second
number of a range is that after its last episode. Adding episodes and compacting leave it as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetDamagedError, MetadataError
from minari_core.json_values import JsonValue
from minari_core.messages import format_value

SPLITS = "splits"
"""The key of a dataset's metadata that holds its splits."""

Indices = npt.NDArray[np.int64]


def encode_splits(splits: Mapping[str, Iterable[int]], total: int) -> dict[str, JsonValue]:
    """Write splits as ranges.

    Args:
        splits: The indices of the stored episodes of each, in any order.
        total: The number of stored episodes.

    Raises:
        MetadataError: A name is empty, or an index no stored episode.
    """
    encoded: dict[str, JsonValue] = {}
    for name, given in splits.items():
        if not str(name).strip():
            raise MetadataError(f"a split is called {format_value(name)}; give it a name")
        indices = np.unique(np.fromiter((_read_index(name, one) for one in given), np.int64))
        if len(indices) and not 0 <= indices[0] <= indices[-1] < total:
            wrong = indices[0] if indices[0] < 0 else indices[-1]
            raise MetadataError(
                f"split {name!r} has episode {wrong}, and there are episodes 0 to {total - 1}"
            )
        encoded[name] = _to_ranges(indices)
    return encoded


def read_splits(metadata: Mapping[str, JsonValue], total: int) -> dict[str, Indices]:
    """Read splits from the metadata of a dataset.

    Args:
        metadata: The metadata.
        total: The number of stored episodes.

    Returns:
        The ascending indices of the stored episodes of each split.

    Raises:
        DatasetDamagedError: They are no ranges of stored episodes; the message names the split.
    """
    said = metadata.get(SPLITS)
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        raise DatasetDamagedError(f"metadata {SPLITS!r} is {format_value(said)}, not an object")
    return {name: _from_ranges(name, ranges, total) for name, ranges in said.items()}


def cut_splits(splits: Mapping[str, Indices], chosen: Sequence[int]) -> dict[str, JsonValue]:
    """Return the splits of a copy of some episodes; those of which none is left are gone.

    Args:
        splits: The splits of the dataset.
        chosen: The indices of the episodes that are copied, in the order of the copy.
    """
    indices = np.asarray(chosen, dtype=np.int64)
    members = {name: np.flatnonzero(np.isin(indices, split)) for name, split in splits.items()}
    return {name: _to_ranges(member) for name, member in members.items() if len(member)}


def join_splits(parts: Sequence[tuple[Mapping[str, JsonValue], int]]) -> dict[str, JsonValue]:
    """Return the splits of datasets that are concatenated; those of one name become one.

    Args:
        parts: The splits of each dataset as `cut_splits` gives them, and how many episodes it has.
    """
    joined: dict[str, list[Indices]] = {}
    offset = 0
    for splits, total in parts:
        for name, ranges in splits.items():
            joined.setdefault(name, []).append(_from_ranges(name, ranges, total) + offset)
        offset += total
    return {name: _to_ranges(np.concatenate(indices)) for name, indices in joined.items()}


def _read_index(name: str, value: object) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, SupportsIndex):
        raise MetadataError(
            f"split {name!r} has {format_value(value)}, which is no index of an episode"
        )
    return index(value)


def _to_ranges(indices: Indices) -> JsonValue:
    """Write ascending indices as ranges."""
    if not len(indices):
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = indices[np.concatenate([[0], breaks])]
    stops = indices[np.concatenate([breaks - 1, [len(indices) - 1]])] + 1
    return [[start, stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]


def _from_ranges(name: str, ranges: JsonValue, total: int) -> Indices:
    indices = [np.zeros(0, dtype=np.int64)]
    last = 0
    for pair in ranges if isinstance(ranges, list) else [ranges]:
        match pair:
            case [int(start), int(stop)] if last <= start < stop <= total:
                indices.append(np.arange(start, stop, dtype=np.int64))
                last = stop
            case _:
                raise DatasetDamagedError(
                    f"split {name!r} has {format_value(pair)}, which is no range of the {total} "
                    "episodes, or not after the range before it"
                )
    return np.concatenate(indices)
