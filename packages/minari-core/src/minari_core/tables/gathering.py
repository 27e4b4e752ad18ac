"""Gather the leaves of many episodes into columns of one row a step, or one row an episode."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DataError
from minari_core.json_values import to_json_text
from minari_core.leaves import Keys, find_leaves
from minari_core.storage.base import Storage, slice_rows

Leaf: TypeAlias = npt.NDArray[Any] | list[object]
"""An array of N rows, masked where a row is missing, or a list of N values, None where missing."""

Columns: TypeAlias = dict[str, Leaf]
"""Leaves of N rows each, by the names of their columns."""

_CHUNK_NBYTES = 1 << 26
_MOST_EPISODES = 4096
_SCALARS = {"rewards": "reward", "terminations": "terminated", "truncations": "truncated"}
_ROWS = {"observations": "observation", "actions": "action"}
_EXTRA_ROWS = {"infos": "info", "extras": "extra"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Steps ``start`` to ``stop - 1`` of an episode."""

    episode: EpisodeData
    """The episode, with the rows of these steps and one more where there is one."""
    start: int
    """The first step."""
    stop: int
    """The last step + 1."""


def iterate_pieces(storage: Storage, indices: Sequence[int]) -> Iterator[list[Piece]]:
    """Read episodes in lists that take some dozens of megabytes, long episodes piece by piece.

    Args:
        storage: The storage.
        indices: The indices of the episodes, in order.

    Yields:
        Pieces, whose arrays may be read-only views of the storage.
    """
    lengths = storage.episode_lengths()
    most_steps = _count_steps_of_chunk(storage, indices)
    waiting: list[int] = []
    steps = 0
    for index in indices:
        length = int(lengths[index])
        if waiting and (steps + length > most_steps or len(waiting) == _MOST_EPISODES):
            yield _read_whole(storage, waiting)
            waiting, steps = [], 0
        if length > most_steps:
            for start in range(0, length, most_steps):
                stop = min(start + most_steps, length)
                yield [Piece(_read_some(storage, index, start, stop), start, stop)]
        else:
            waiting.append(index)
            steps += length
    if waiting:
        yield _read_whole(storage, waiting)


def gather_steps(
    pieces: Sequence[Piece], step_infos: Sequence[str] = (), *, next_observations: bool = False
) -> Columns:
    """Gather the steps of pieces of episodes.

    Args:
        pieces: The pieces.
        step_infos: The infos whose row t belongs to step t, not to what it returned.
        next_observations: Also gather the observations after the steps.

    Returns:
        Columns of one row a step: ``episode_id``, ``step``, ``observation…``, ``action…``,
        ``reward``, ``terminated``, ``truncated``, ``info.…`` (of what the step returned) and
        ``extra.…``; keys of dicts and indices of tuples follow after a dot.

    Raises:
        DataError: Some episodes have a column that others have not; the message names both.
    """
    counts = [piece.stop - piece.start for piece in pieces]
    columns: Columns = {
        "episode_id": np.repeat([piece.episode.id for piece in pieces], counts).astype(np.int64),
        "step": np.concatenate([np.arange(piece.start, piece.stop) for piece in pieces]),
    }
    parts: dict[str, list[Leaf]] = {}

    def collect(name: str, keys: Keys, leaf: Leaf) -> None:
        parts.setdefault(join_name(name, keys), []).append(leaf)

    for number, piece in enumerate(pieces):
        episode, count = piece.episode, counts[number]
        for group, name in _ROWS.items():
            for keys, leaf in find_leaves(getattr(episode, group)):
                collect(name, keys, _take(leaf, 0, count))
        if next_observations:
            for keys, leaf in find_leaves(episode.observations):
                collect("next_observation", keys, _take(leaf, 1, count))
        for group, name in _SCALARS.items():
            collect(name, (), _take(getattr(episode, group), 0, count))
        for group, name in _EXTRA_ROWS.items():
            for keys, leaf in find_leaves(getattr(episode, group)):
                is_current = group == "infos" and keys[0] in step_infos
                collect(name, keys, _take(leaf, 0 if is_current else 1, count))
        for column, leaves in parts.items():
            if len(leaves) != number + 1:
                raise DataError(
                    f"episode {episode.id} has no column {column!r} that others have; convert the "
                    "dataset to data_format='columnar' first"
                )
    columns.update({name: _join(leaves) for name, leaves in parts.items()})
    return columns


def gather_episodes(
    storage: Storage, indices: Sequence[int], step_infos: Sequence[str] = ()
) -> Iterator[Columns]:
    """Gather what is known of whole episodes, some episodes at a time.

    Args:
        storage: The storage.
        indices: The indices of the episodes, in order.
        step_infos: The infos whose row t belongs to step t, not to what it returned.

    Yields:
        Columns of one row an episode: ``episode_id``, ``length``, ``return`` (the sum of the
        rewards), ``seed``, ``options`` and ``metadata`` (JSON text), ``final_observation…``,
        missing where it is not known, and the rows of infos and extra columns that no step has:
        ``reset_info.…`` and ``reset_extra.…``, or ``final_info.…`` of infos of steps.
    """
    entries = storage.read_episode_metadata(indices)
    for pieces in iterate_pieces(storage, indices):
        begun = [piece for piece in pieces if piece.start == 0]
        if not begun:  # a long episode has been gathered with its first piece
            continue
        ends = [_read_end(storage, piece) for piece in begun]
        known = [next(entries) for _ in begun]
        columns: Columns = {
            "episode_id": np.array([entry.id for entry in known], dtype=np.int64),
            "length": np.array([entry.total_steps for entry in known], dtype=np.int64),
            "return": _join([end.rewards.sum(axis=0)[None] for end in ends]),
            "seed": [entry.seed for entry in known],
            "options": [_to_json(entry.options, f"options of {entry.id}") for entry in known],
            "metadata": [_to_json(entry.metadata, f"metadata of {entry.id}") for entry in known],
        }
        parts: dict[str, list[Leaf]] = {}
        for piece, end in zip(begun, ends, strict=True):
            for keys, leaf in find_leaves(end.observations):
                name = join_name("final_observation", keys)
                parts.setdefault(name, []).append(_take(leaf, 0, 1))
            for group, name in _EXTRA_ROWS.items():
                for keys, leaf in find_leaves(getattr(piece.episode, group)):
                    if not (group == "infos" and keys[0] in step_infos):
                        column = join_name(f"reset_{name}", keys)
                        parts.setdefault(column, []).append(_take(leaf, 0, 1))
            for keys, leaf in find_leaves(end.infos):
                if keys[0] in step_infos:
                    parts.setdefault(join_name("final_info", keys), []).append(_take(leaf, 0, 1))
        columns.update({name: _join(leaves) for name, leaves in parts.items()})
        yield columns


def join_name(name: str, keys: Keys) -> str:
    r"""Return the name of a leaf's column; dots in keys are escaped.

    Example:
        >>> print(join_name("info", ("position", "x.y", 0)))
        info.position.x\.y.0
    """
    if not keys:
        return name
    return ".".join([name, *(re.sub(r"([.\\])", r"\\\1", str(key)) for key in keys)])


def split_name(column: str) -> list[str]:
    """Split the name of a column at the dots that are not escaped.

    Example:
        >>> split_name(join_name("info", ("position", "x.y", 0)))
        ['info', 'position', 'x.y', '0']
    """
    parts = re.findall(r"(?:^|\.)((?:[^.\\]|\\.)*)", column)
    return [re.sub(r"\\(.)", r"\1", part) for part in parts]


def concatenate_columns(chunks: Sequence[Columns]) -> Columns:
    """Concatenate the rows of columns."""
    names = list(dict.fromkeys(name for chunk in chunks for name in chunk))
    return {name: _join([chunk[name] for chunk in chunks]) for name in names}


@dataclass(frozen=True, slots=True)
class _End:
    """The last row of an episode, and all of its rewards."""

    observations: Any
    infos: Any
    rewards: npt.NDArray[np.float64]


def _read_end(storage: Storage, piece: Piece) -> _End:
    episode, length = piece.episode, int(storage.episode_lengths()[piece.episode.id])
    if piece.stop == length:
        final = slice(length, length + 1)
        return _End(
            observations=slice_rows(episode.observations, final),
            infos=slice_rows(episode.infos, final),
            rewards=episode.rewards,
        )
    rewards: Any = storage.read_rows(episode.id, "rewards", 0, length)
    return _End(
        observations=storage.read_rows(episode.id, "observations", length, length + 1),
        infos=storage.read_rows(episode.id, "infos", length, length + 1),
        rewards=rewards,
    )


def _count_steps_of_chunk(storage: Storage, indices: Sequence[int]) -> int:
    """Return how many steps take some dozens of megabytes, judged by the first of an episode."""
    if not indices:
        return 1
    nbytes = 64
    for group in (*_ROWS, *_EXTRA_ROWS):
        for _, leaf in find_leaves(storage.read_rows(indices[0], group, 0, 1, copy=False)):
            nbytes += leaf.nbytes if isinstance(leaf, np.ndarray) else 64
    return max(_CHUNK_NBYTES // nbytes, 1)


def _read_whole(storage: Storage, indices: Sequence[int]) -> list[Piece]:
    episodes = storage.read_episodes(indices, copy=False)
    return [Piece(episode, 0, len(episode)) for episode in episodes]


def _read_some(storage: Storage, index: int, start: int, stop: int) -> EpisodeData:
    """Read the rows of some steps of an episode, as an episode of these steps."""

    def read(group: str, end: int) -> Any:
        return storage.read_rows(index, group, start, end, copy=False)

    return EpisodeData(
        id=index,
        observations=read("observations", stop + 1),
        actions=read("actions", stop),
        rewards=read("rewards", stop),
        terminations=read("terminations", stop),
        truncations=read("truncations", stop),
        infos=read("infos", stop + 1),
        extras=read("extras", stop + 1),
    )


def _take(leaf: object, start: int, count: int) -> Leaf:
    """Take ``count`` rows; the last one is missing where the final observation is not known."""
    if isinstance(leaf, np.ndarray):
        rows = leaf[start : start + count]
        missing = count - len(rows)
        if not missing:
            return rows
        mask = np.zeros((count, *leaf.shape[1:]), dtype=bool)
        mask[len(rows) :] = True
        padding = np.zeros((missing, *leaf.shape[1:]), dtype=leaf.dtype)
        return np.ma.MaskedArray(np.ma.concatenate([rows, padding]), mask | _pad(rows, missing))
    values = list(leaf[start : start + count])  # type: ignore[index]  # a leaf is a list, then
    return values + [None] * (count - len(values))


def _pad(rows: npt.NDArray[Any], missing: int) -> npt.NDArray[np.bool_]:
    mask = np.ma.getmaskarray(rows)
    return np.concatenate([mask, np.zeros((missing, *rows.shape[1:]), dtype=bool)])


def _join(leaves: Sequence[Leaf]) -> Leaf:
    """Concatenate rows; a list where they have different dtypes or shapes."""
    arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray)]
    kinds = {(array.dtype, array.shape[1:]) for array in arrays}
    if len(kinds) > 1 or len(arrays) < len(leaves):
        return list(chain.from_iterable(map(_list_values, leaves)))
    if len(arrays) == 1:
        return arrays[0]
    if any(isinstance(array, np.ma.MaskedArray) for array in arrays):
        joined: npt.NDArray[Any] = np.ma.concatenate(arrays)
        return joined
    return np.concatenate(arrays)


def _list_values(leaf: Leaf) -> Iterator[object]:
    if isinstance(leaf, np.ma.MaskedArray):
        missing = np.asarray(np.ma.getmaskarray(leaf).reshape(len(leaf), -1).all(axis=1))
        rows = zip(missing.tolist(), np.ma.getdata(leaf), strict=True)
        return (None if is_missing else row for is_missing, row in rows)
    return iter(leaf)


def _to_json(value: Mapping[str, object] | None, where: str) -> str | None:
    return None if value is None else to_json_text(value, where)
