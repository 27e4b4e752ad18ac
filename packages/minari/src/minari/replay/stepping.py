"""Step a recorded episode through its environment, and compare every observation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from minari_core import EpisodeData
from minari_core.leaves import join_path

_TOLERANCE = 1e-5
_GROUP = "observations"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the observation of a replay and the recorded one."""

    row: int
    """The observation, from 0, which is that of the reset."""
    sentence: str
    """What differs."""
    amount: float | None = None
    """The largest absolute difference; None if it is not one of numbers."""
    is_rounding: bool = False
    """Whether it is as small as what other processors and libraries make of the same floats."""


def replay_rows(
    episode: EpisodeData, env: gymnasium.Env[Any, Any], shift: int = 0
) -> Iterator[tuple[int, Difference | None]]:
    """Reset with the recorded seed and options, and step the recorded actions.

    The environment stands at a row while it is yielded. No row comes after one that differs by
    more than rounding, nor after the last one whose observation is known.

    Args:
        episode: The episode; it has a seed.
        env: The environment.
        shift: Number of steps by which each action is taken earlier than recorded.

    Yields:
        The row, and the difference of its observation; None if it is exactly the recorded one.
    """
    observation, _ = env.reset(seed=episode.seed, options=episode.options)
    rows = len(episode) + episode.final_observation_known
    for row in range(rows):
        difference = compare(take_row(episode.observations, row), observation, row)
        yield row, difference
        if row + 1 == rows or (difference is not None and not difference.is_rounding):
            return
        step = min(max(row + shift, 0), len(episode) - 1)
        observation, _, terminated, truncated, _ = env.step(take_row(episode.actions, step))
        if (terminated or truncated) and row + 2 < rows:
            yield row + 1, Difference(row + 1, "the episode ends, and the recorded one goes on")
            return


def take_row(value: Any, row: int) -> Any:
    """Take one row of a column group, as the environment takes or gives it.

    Example:
        >>> take_row({"x": [1, 2], "y": ([3, 4],)}, 1)
        {'x': 2, 'y': (4,)}
    """
    if isinstance(value, dict):
        return {key: take_row(inner, row) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(take_row(inner, row) for inner in value)
    return value[row]


def compare(recorded: object, replayed: object, row: int) -> Difference | None:
    """Compare two observations, of which the replayed one may have more keys.

    Args:
        recorded: The recorded one.
        replayed: That of the replay.
        row: Their row.

    Returns:
        The largest difference; None if there is none.

    Example:
        >>> compare({"x": 1.0}, {"x": 1.5, "y": 0}, row=3)
        Difference(row=3, sentence='observations/x differs by 0.5', amount=0.5, is_rounding=False)
    """
    found = list(_find_differences(recorded, replayed, row, ()))
    return max(found, key=_rank, default=None)


def _rank(difference: Difference) -> tuple[bool, float]:
    return not difference.is_rounding, difference.amount or 0.0


def _find_differences(
    recorded: object, replayed: object, row: int, keys: tuple[str | int, ...]
) -> Iterator[Difference]:
    if isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
        for key, inner in recorded.items():
            if key in replayed:
                yield from _find_differences(inner, replayed[key], row, (*keys, key))
            else:
                yield Difference(row, f"{join_path(_GROUP, (*keys, key))} is not in the replay")
    elif isinstance(recorded, tuple) and isinstance(replayed, tuple | list):
        if len(recorded) != len(replayed):
            yield Difference(
                row,
                f"{join_path(_GROUP, keys)} has the length {len(replayed)}, not {len(recorded)}",
            )
            return
        for index, inner in enumerate(recorded):
            yield from _find_differences(inner, replayed[index], row, (*keys, index))
    else:
        yield from _compare_leaves(recorded, replayed, row, join_path(_GROUP, keys))


def _compare_leaves(recorded: Any, replayed: Any, row: int, path: str) -> Iterator[Difference]:
    wanted, found = np.asarray(recorded), np.asarray(replayed)
    if wanted.shape != found.shape:
        yield Difference(row, f"{path} has the shape {found.shape}, not {wanted.shape}")
    elif wanted.dtype.kind not in "biuf" or found.dtype.kind not in "biuf":
        if not np.array_equal(wanted, found):
            yield Difference(row, f"{path} differs")
    elif not np.array_equal(wanted, found, equal_nan=True):
        wide = wanted.astype(np.float64), found.astype(np.float64)
        is_same = (wide[0] == wide[1]) | (np.isnan(wide[0]) & np.isnan(wide[1]))
        apart = np.subtract(*wide, out=np.zeros(wide[0].shape), where=~is_same)
        amount = float(np.max(np.nan_to_num(np.abs(apart), nan=np.inf)))
        is_rounding = "f" in (wanted.dtype.kind, found.dtype.kind) and np.allclose(
            *wide, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True
        )
        yield Difference(row, f"{path} differs by {amount:.3g}", amount, bool(is_rounding))
