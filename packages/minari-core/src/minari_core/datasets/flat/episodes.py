"""Cut flat columns into episodes.

A flat column has one row a step, and the steps of all episodes are concatenated. Row ``i``
of ``observations`` is what action ``i`` answered to; ``next_observations`` is what it led to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.episodes.episode import EpisodeBuffer
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DataError
from minari_core.leaves import find_leaves, join_path


@dataclass(frozen=True, slots=True)
class FlatColumns:
    """Columns of N rows: what gives arrays when it is sliced, or dicts and tuples of that."""

    observations: Any
    """The observations before the actions."""
    actions: Any
    """The actions."""
    rewards: Any
    """The rewards."""
    ends: npt.NDArray[np.int64]
    """The row after the last of each episode."""
    terminals: npt.NDArray[np.bool_]
    """Whether each step terminated its episode."""
    next_observations: Any = None
    """The observations after the actions, if they are known."""
    infos: Mapping[str, Any] = field(default_factory=dict)
    """Further columns; row ``i`` belongs to observation ``i``."""
    further: Sequence[str] = ()
    """Those infos that belong to steps whatever is said of others, as the costs of steps do."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What the file has besides, and why no column holds it."""
    final_rows: bool = False
    """Whether the last row of each episode has its final observation, and no step."""


def find_episode_ends(
    terminals: npt.ArrayLike, timeouts: npt.ArrayLike | None, max_episode_steps: int | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Find the ends of episodes.

    Args:
        terminals: Shape (N,), whether the step terminated its episode.
        timeouts: Shape (N,), whether the step truncated its episode.
        max_episode_steps: The number of steps after which an episode is truncated.

    Returns:
        The row after the last one of each episode, and the flags of ``terminals``.

    Raises:
        DataError: The flags are not flags, or not of one length.
    """
    ended = read_flags(terminals, "terminals")
    cut = (
        np.zeros(len(ended), dtype=np.bool_)
        if timeouts is None
        else read_flags(timeouts, "timeouts")
    )
    if len(cut) != len(ended):
        raise DataError(f"timeouts has {len(cut)} rows, but terminals {len(ended)}")
    if len(ended) == 0:
        raise DataError("there are no steps")
    if max_episode_steps is not None and max_episode_steps < 1:
        raise DataError(f"max_episode_steps is {max_episode_steps}, not at least 1")
    borders = np.append(np.flatnonzero(ended | cut) + 1, len(ended))
    ends: list[int] = []
    start = 0
    for border in np.unique(borders).tolist():
        if max_episode_steps is not None:
            ends += range(start + max_episode_steps, border, max_episode_steps)
        ends.append(border)
        start = border
    return np.array(ends, dtype=np.int64), ended


def split_episodes(columns: FlatColumns) -> Iterator[EpisodeBuffer]:
    """Yield the episodes, one by one.

    Without ``next_observations``, the final observation of an episode is not known, and the
    episode's metadata says so. An episode without a terminal ends truncated.

    Raises:
        DataError: The columns do not fit one another; the message names them.
    """
    start = 0
    for index, end in enumerate(columns.ends.tolist()):
        observations = _slice(columns.observations, start, end)
        stop = end - 1 if columns.final_rows else end
        if start == stop:
            raise DataError(f"episode {index} has one row, its final observation, and so no step")
        if columns.next_observations is not None:
            following = _slice(columns.next_observations, start, end)
            check_following(
                observations,
                following,
                f"episode {index}",
                "the steps of an episode must follow one another (leave next_observations out to "
                "ignore them)",
            )
            final = _slice(following, end - start - 1, end - start)
            observations = _concatenate(observations, final)
        terminations = np.zeros(stop - start, dtype=np.bool_)
        terminations[-1] = columns.terminals[end - 1]
        truncations = np.zeros(stop - start, dtype=np.bool_)
        truncations[-1] = not terminations[-1]
        yield EpisodeBuffer(
            observations=observations,
            actions=_slice(columns.actions, start, stop),
            rewards=np.asarray(columns.rewards[start:stop]),
            terminations=terminations,
            truncations=truncations,
            infos=_slice(columns.infos, start, end),
            metadata={
                FINAL_OBSERVATION: columns.final_rows or columns.next_observations is not None
            },
        )
        start = end


def check_row_counts(columns: FlatColumns) -> None:
    """Check that all columns have as many rows as there are steps.

    Raises:
        DataError: One has more or fewer.
    """
    steps = len(columns.terminals)
    for name in ("observations", "actions", "rewards", "next_observations", "infos"):
        column = getattr(columns, name)
        if column is None or (name == "infos" and not column):
            continue
        for keys, leaf in find_leaves(column):
            shape = getattr(leaf, "shape", ())
            if not shape or shape[0] != steps:
                found = f"{shape[0]} rows" if shape else "no rows"
                raise DataError(f"{join_path(name, keys)} has {found}, but terminals has {steps}")


def read_flags(values: npt.ArrayLike, name: str) -> npt.NDArray[np.bool_]:
    """Read whether each step is something.

    Args:
        values: Shape (N,) or (N, 1), of 0 and 1.
        name: What it is called, for an error message.

    Raises:
        DataError: The values are no flags, one a step.
    """
    flags = np.asarray(values)
    if flags.ndim == 2 and flags.shape[1] == 1:
        flags = flags[:, 0]
    if flags.ndim == 1 and flags.dtype.kind in "biuf":
        found = flags.astype(np.bool_)
        if (found == flags).all():
            return found
    raise DataError(f"{name} is {flags.dtype} of shape {flags.shape}, not one flag a step")


def _slice(column: Any, start: int, end: int) -> Any:
    if isinstance(column, Mapping):
        return {key: _slice(leaf, start, end) for key, leaf in column.items()}
    if isinstance(column, tuple):
        return tuple(_slice(leaf, start, end) for leaf in column)
    return np.asarray(column[start:end])


def _concatenate(first: Any, second: Any) -> Any:
    if isinstance(first, dict):
        return {key: _concatenate(leaf, second[key]) for key, leaf in first.items()}
    if isinstance(first, tuple):
        return tuple(_concatenate(one, other) for one, other in zip(first, second, strict=True))
    if first.dtype != second.dtype or first.shape[1:] != second.shape[1:]:
        raise DataError(
            f"next_observations is {second.dtype} of shape {second.shape[1:]} a row, but "
            f"observations {first.dtype} of shape {first.shape[1:]}"
        )
    return np.concatenate([first, second])


def check_following(observations: Any, following: Any, where: str, advice: str) -> None:
    """Check that next observations are the observations of the next steps.

    Args:
        observations: T rows or T+1, in the structure of the space.
        following: T rows, in the same way.
        where: The episode, for an error message.
        advice: What to do where they differ.

    Raises:
        DataError: They are of other columns, dtypes or shapes, or differ; the message says where.
    """
    expected, found = dict(find_leaves(observations)), dict(find_leaves(following))
    if expected.keys() != found.keys():
        name = min(join_path("next_observations", keys) for keys in expected.keys() ^ found)
        raise DataError(f"{where}: {name} is not in both observations and next_observations")
    for keys, leaf in expected.items():
        one = np.asarray(leaf)[1:]
        other = np.asarray(found[keys])[: len(one)]
        name = join_path("next_observations", keys)
        if one.dtype != other.dtype or one.shape != other.shape:
            raise DataError(
                f"{where}: {name} is {other.dtype} of shape {other.shape[1:]} a row, but "
                f"{join_path('observations', keys)} {one.dtype} of shape {one.shape[1:]}"
            )
        same = one == other
        if not same.all():
            same |= (one != one) & (other != other)
        if not same.all():
            step = int(np.argmin(same.reshape(len(same), -1).all(axis=1)))
            raise DataError(
                f"{where}: {name} of step {step} is not the observation of step {step + 1}; "
                f"{advice}"
            )
