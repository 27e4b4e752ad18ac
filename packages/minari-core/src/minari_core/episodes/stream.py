"""Encode a stream of episodes as shards of about equal size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import groupby

import numpy as np
from gymnasium import spaces

from minari_core.episodes import Episode, encode_episodes
from minari_core.episodes.entries import EpisodeTable
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DataError
from minari_core.messages import warn_caller

TARGET_SHARD_NBYTES = 64 << 20
"""The raw size of a shard in bytes, where it can be chosen."""

_NBYTES_OF_OBJECT = 64
_NBYTES_OF_FLAGS = 10


def encode_shards(
    episodes: Iterable[Episode],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
    target_nbytes: int = TARGET_SHARD_NBYTES,
) -> Iterator[ShardData]:
    """Encode a stream of episodes, about so many bytes at a time.

    Arrays of episodes that are in memory anyway, because they come in a list, do not count.

    Args:
        episodes: Any number of episodes.
        observation_space: The space of the observations.
        action_space: The space of the actions.
        target_nbytes: The raw size of a shard in bytes.

    Raises:
        DataError: An episode does not fit its spaces.
    """
    dropped: dict[str, str] = {}
    count_arrays = not isinstance(episodes, Sequence)

    def encode(batch: Sequence[Episode], first: int) -> ShardData:
        try:
            return encode_episodes(batch, observation_space, action_space, dropped)
        except DataError as error:
            if first == 0:
                raise
            raise DataError(f"{error} (counted from the episode that is number {first})") from error

    if isinstance(episodes, EpisodeTable) and _are_few(episodes, target_nbytes):
        yield encode(episodes, 0)
        warn_dropped(dropped)
        return
    batch: list[Episode] = []
    waiting = step_nbytes = 0.0
    first = 0
    for episode in episodes:
        if not isinstance(episode, EpisodeBuffer | EpisodeData):
            raise DataError(
                f"episode {first + len(batch)} is a {type(episode).__name__}, not an "
                "EpisodeBuffer, an EpisodeData or a dict"
            )
        count = len(batch)
        # Looking at each episode would cost more than writing it; its steps are like others'.
        if count & (count - 1) == 0:
            step_nbytes = max(step_nbytes, _estimate_step_nbytes(episode, count_arrays))
        batch.append(episode)
        waiting += _count_steps(episode) * step_nbytes
        if waiting >= target_nbytes:
            yield encode(batch, first)
            first += len(batch)
            batch, waiting, step_nbytes = [], 0.0, 0.0
    if batch:
        yield encode(batch, first)
    warn_dropped(dropped)


def _are_few(episodes: EpisodeTable, target_nbytes: int) -> bool:
    """Return whether episodes of short arrays in memory are no more than one shard holds."""
    rewards = episodes.join_field("rewards") if episodes.are_known() else None
    if rewards is None:
        return False
    count = len(episodes)
    looked_at = [episodes[1 << power] for power in range(count.bit_length()) if 1 << power < count]
    largest = max(_estimate_step_nbytes(each, False) for each in (episodes[0], *looked_at))
    return rewards.array.size * largest < target_nbytes


def encode_each_dtype(
    episodes: Iterable[Episode],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
) -> Iterator[ShardData]:
    """Encode a stream of episodes as `encode_shards` does, each shard of episodes of one dtype.

    Raises:
        DataError: An episode does not fit its spaces.
    """
    for _, same in groupby(episodes, key=_list_dtypes):
        yield from encode_shards(same, observation_space, action_space)


def _list_dtypes(episode: Episode) -> list[np.dtype[np.generic] | None]:
    """List the dtypes of the observations and actions of an episode, leaf by leaf."""
    dtypes: list[np.dtype[np.generic] | None] = []
    waiting: list[object] = [getattr(episode, "observations", None)]
    waiting.append(getattr(episode, "actions", None))
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, tuple):
            waiting += value
        else:
            dtypes.append(value.dtype if isinstance(value, np.ndarray) else None)
    return dtypes


def warn_dropped(dropped: Mapping[str, str]) -> None:
    """Warn once about all values that could not be stored."""
    if dropped:
        names = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        warn_caller(f"values that no column can hold were left out ({names})")


def _estimate_step_nbytes(episode: Episode, count_arrays: bool) -> float:
    """Estimate the memory that encoding one step of an episode takes."""
    columns = (episode.observations, episode.actions, episode.infos, episode.extras)
    total = sum(_estimate_nbytes(column, count_arrays) for column in columns)
    return total / max(_count_steps(episode), 1) + _NBYTES_OF_FLAGS


def _count_steps(episode: Episode) -> int:
    """Count the steps of an episode that is not validated yet."""
    rewards: object = episode.rewards
    if isinstance(rewards, np.ndarray):
        return rewards.size
    return len(rewards) if isinstance(rewards, Sized) else 0


def _estimate_nbytes(value: object, count_arrays: bool) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes if count_arrays else 0
    if isinstance(value, Mapping):
        return sum(_estimate_nbytes(leaf, count_arrays) for leaf in value.values())
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Sequence):
        # One row is enough to tell a list of images from a list of numbers.
        return len(value) * (_estimate_nbytes(value[0], True) if len(value) else 0)
    return _NBYTES_OF_OBJECT
