"""Cutting a stream of episodes into shards, and checking that they fit what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.caller_warnings import warn_caller
from minari_core.columns import Column, FixedColumn, Schema, StructColumn, TupleColumn
from minari_core.encoding import Episode, encode_episodes
from minari_core.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import DataError
from minari_core.shard_data import ShardData

TARGET_SHARD_NBYTES = 64 << 20
"""How much raw data goes into a shard, where the amount can be chosen."""

_NBYTES_OF_OBJECT = 64
_NBYTES_OF_FLAGS = 10
_STRICT_PARTS = ("observations", "actions", "rewards")


def shards_of(
    episodes: Iterable[Episode],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
) -> Iterator[ShardData]:
    """Encode a stream of episodes, about `TARGET_SHARD_NBYTES` at a time.

    Arrays of episodes that are in memory anyway, because they come in a list, do not count.

    Args:
        episodes: Any number of episodes.
        observation_space: The space of the observations.
        action_space: The space of the actions.

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
            step_nbytes = max(step_nbytes, _step_nbytes(episode, count_arrays))
        batch.append(episode)
        waiting += _steps_of(episode) * step_nbytes
        if waiting >= TARGET_SHARD_NBYTES:
            yield encode(batch, first)
            first += len(batch)
            batch, waiting, step_nbytes = [], 0.0, 0.0
    if batch:
        yield encode(batch, first)
    warn_dropped(dropped)


def warn_dropped(dropped: Mapping[str, str]) -> None:
    """Warn once of all the values that could not be kept."""
    if dropped:
        names = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        warn_caller(f"values that no column can hold were left out ({names})")


def check_shapes(
    shards: Iterable[ShardData],
    observation_space: spaces.Space[object],
    action_space: spaces.Space[object],
) -> Iterator[ShardData]:
    """Pass on shards whose rows have the shapes that their spaces give them.

    Raises:
        DataError: A column has rows of another shape.
    """
    for shard in shards:
        _check_shape(observation_space, shard.schema.parts["observations"], "observations")
        _check_shape(action_space, shard.schema.parts["actions"], "actions")
        yield shard


def _check_shape(space: spaces.Space[Any], column: Column, where: str) -> None:
    if isinstance(space, spaces.Dict) and isinstance(column, StructColumn):
        for key, part in space.spaces.items():
            _check_shape(part, column.fields[key], f"{where}[{key!r}]")
    elif isinstance(space, spaces.Tuple) and isinstance(column, TupleColumn):
        for index, part in enumerate(space.spaces):
            _check_shape(part, column.items[index], f"{where}[{index}]")
    elif isinstance(column, FixedColumn) and column.shape != tuple(space.shape or ()):
        raise DataError(f"{where} has rows of shape {column.shape}, but its space is {space}")


def check_fit(established: Schema | None, schema: Schema) -> None:
    """Raise unless a shard's observations, actions and rewards lie as in the shards before it.

    Raises:
        DataError: A column has another dtype or shape; the message names both.
    """
    if established is None:
        return
    for part in _STRICT_PARTS:
        _check_columns(established.parts[part], schema.parts[part], part)


def _check_columns(known: Column, new: Column, where: str) -> None:
    if isinstance(known, StructColumn) and isinstance(new, StructColumn):
        if known.fields.keys() != new.fields.keys():
            raise DataError(f"{where} has keys {list(new.fields)}, not {list(known.fields)}")
        for key, column in known.fields.items():
            _check_columns(column, new.fields[key], f"{where}[{key!r}]")
    elif isinstance(known, TupleColumn) and isinstance(new, TupleColumn):
        if len(known.items) != len(new.items):
            raise DataError(f"{where} has {len(new.items)} places, not {len(known.items)}")
        for index, (one, other) in enumerate(zip(known.items, new.items, strict=True)):
            _check_columns(one, other, f"{where}[{index}]")
    elif isinstance(known, FixedColumn) and isinstance(new, FixedColumn):
        if known != new:
            raise DataError(
                f"{where} is {new.dtype} of shape {new.shape} a step, but {known.dtype} of shape "
                f"{known.shape} in the dataset; convert it, or create a dataset of its own"
            )
    elif known.kind != new.kind:
        raise DataError(f"{where} is {new.kind}, but {known.kind} in the dataset")


def _step_nbytes(episode: Episode, count_arrays: bool) -> float:
    """About how much memory it takes to encode a step of an episode."""
    columns = (episode.observations, episode.actions, episode.infos, episode.extras)
    total = sum(_approximate_nbytes(column, count_arrays) for column in columns)
    return total / max(_steps_of(episode), 1) + _NBYTES_OF_FLAGS


def _steps_of(episode: Episode) -> int:
    """The steps of an episode that nobody has checked yet."""
    rewards: object = episode.rewards
    if isinstance(rewards, np.ndarray):
        return rewards.size
    return len(rewards) if isinstance(rewards, Sized) else 0


def _approximate_nbytes(value: object, count_arrays: bool) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes if count_arrays else 0
    if isinstance(value, Mapping):
        return sum(_approximate_nbytes(part, count_arrays) for part in value.values())
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Sequence):
        # One row is enough to tell a list of images from a list of numbers.
        return len(value) * (_approximate_nbytes(value[0], True) if len(value) else 0)
    return _NBYTES_OF_OBJECT
