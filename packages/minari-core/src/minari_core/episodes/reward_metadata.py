"""The metadata that the default callback stores of an episode's rewards, computed and recomputed.

Rewards that are relabelled make it untrue, while a key of the same name that somebody else wrote
means something else. An episode that is read remembers which rewards it was read with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.errors import MinariError
from minari_core.json_values import JsonValue

_TOLERANCE = 1e-6


def describe_rewards(rewards: npt.ArrayLike) -> dict[str, float]:
    """Return the sum, mean, standard deviation, maximum and minimum of an episode's rewards.

    ``minari_collect.recording.reward_statistics`` computes the same for many episodes at once.

    Args:
        rewards: Shape (T,), or (T, k) for vector rewards.
    """
    given = np.asarray(rewards)
    # Infinite rewards are data: their mean is infinite or NaN, which is no mistake.
    with np.errstate(invalid="ignore", over="ignore"):
        return {
            "rewards_sum": float(given.sum()),
            "rewards_mean": float(given.mean()),
            "rewards_std": float(given.std()),
            "rewards_max": float(given.max()),
            "rewards_min": float(given.min()),
        }


_KEYS = frozenset(describe_rewards([0.0]))


def find_return(episode: EpisodeMetadata) -> float | None:
    """Return the return that the default callback recorded of an episode; None if it did not."""
    total, mean = (episode.metadata.get(f"rewards_{name}") for name in ("sum", "mean"))
    if not isinstance(total, int | float) or not isinstance(mean, int | float):
        return None
    # Somebody else's callback may mean a discounted sum, say, by the name.
    is_sum = math.isclose(total, mean * episode.total_steps, rel_tol=1e-6, abs_tol=1e-9)
    return float(total) if is_sum else None


class _Reader(Protocol):
    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset."""
        ...

    def read_episodes(self, indices: Iterable[int], *, copy: bool = ...) -> Iterator[EpisodeData]:
        """Read episodes; see `minari_core.storage.base.Storage`."""
        ...


class ReadMetadata(dict[str, Any]):
    """The metadata of an episode that was read, and where; copies of it are plain dicts."""

    __slots__ = ("number", "storage")
    number: int
    storage: _Reader

    def __reduce__(self) -> tuple[object, ...]:
        """Copy and pickle as a plain dict."""
        return dict, (dict(self),)

    def describe_rewards(self) -> Mapping[str, float] | None:
        """Return what the default callback says of the rewards that it was read with.

        They are read again, because arrays that were read may be changed; None if they are gone.
        """
        try:
            (episode,) = self.storage.read_episodes([self.number], copy=False)
        except MinariError:
            return None
        return describe_rewards(np.asarray(episode.rewards, dtype=np.float64))


def remember_storage(
    episodes: Iterable[EpisodeData], storage: _Reader, *, always: bool = False
) -> Iterator[EpisodeData]:
    """Note in episodes that describe their rewards the storage that they were read from.

    Args:
        episodes: The episodes, as they are read.
        storage: The storage.
        always: Note it in all of them.
    """
    for episode in episodes:
        if always or (episode.metadata and not _KEYS.isdisjoint(episode.metadata)):
            metadata = ReadMetadata(episode.metadata)
            metadata.number, metadata.storage = episode.id, storage
            # It is nobody else's yet, and `dataclasses.replace` takes longer than reading it.
            object.__setattr__(episode, "metadata", metadata)
        yield episode


def renew_reward_metadata(
    metadata: Mapping[str, object], rewards: npt.ArrayLike
) -> Mapping[str, object]:
    """Return the metadata of an episode with what the default callback said computed anew.

    A key that was true of the rewards that the episode was read with is the default callback's.
    Where that is not known, all of its keys must be there, and fit one another.

    Args:
        metadata: The metadata; all other keys stay, and none is added.
        rewards: The rewards of the episode, at least one.
    """
    given = {key: metadata[key] for key in _KEYS.intersection(metadata)}
    numbers = {key: float(value) for key, value in given.items() if _is_number(value)}  # type: ignore[arg-type]  # as asked
    found = describe_rewards(rewards)
    stale = [key for key, value in numbers.items() if not _is_same(value, found[key])]
    if not stale:
        return metadata
    before = metadata.describe_rewards() if isinstance(metadata, ReadMetadata) else None
    if before is not None:
        slack = _TOLERANCE * max(abs(before["rewards_max"]), abs(before["rewards_min"]))
        stale = [
            key
            for key in stale
            if np.isclose(numbers[key], before[key], _TOLERANCE, slack, equal_nan=True)
        ]
    elif not _fit_one_another(numbers):
        return metadata
    return {key: found[key] if key in stale else value for key, value in metadata.items()}


def _fit_one_another(numbers: Mapping[str, float]) -> bool:
    """Return whether there are rewards of which all this is true."""
    if numbers.keys() != _KEYS or not np.isfinite(list(numbers.values())).all():
        return False
    scale = max(abs(numbers["rewards_max"]), abs(numbers["rewards_min"])) or 1.0
    total, mean, deviation, largest, smallest = (
        numbers[f"rewards_{name}"] / scale for name in ("sum", "mean", "std", "max", "min")
    )
    steps = round(total / mean) if abs(mean) > _TOLERANCE else 0
    return (
        steps * _TOLERANCE < 1
        and abs(total - steps * mean) <= _TOLERANCE * max(steps, 1)
        and smallest - _TOLERANCE <= mean <= largest + _TOLERANCE
        # The largest variance that is possible (Bhatia and Davis, 2000).
        and deviation * deviation <= (largest - mean) * (mean - smallest) + _TOLERANCE
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)
