"""Cutting a stream of episodes into shards, and checking that they fit what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from gymnasium import spaces

from minari_core.caller_warnings import warn_caller
from minari_core.columns import Column, FixedColumn, Schema, StructColumn, TupleColumn
from minari_core.encoding import Episode, encode_episodes
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
    batch: list[Episode] = []
    waiting = step_nbytes = 0.0
    for episode in episodes:
        count = len(batch)
        # Looking at each episode would cost more than writing it; its steps are like others'.
        if count & (count - 1) == 0:
            step_nbytes = max(step_nbytes, _step_nbytes(episode, count_arrays))
        batch.append(episode)
        waiting += len(episode) * step_nbytes
        if waiting >= TARGET_SHARD_NBYTES:
            yield encode_episodes(batch, observation_space, action_space, dropped)
            batch, waiting, step_nbytes = [], 0.0, 0.0
    if batch:
        yield encode_episodes(batch, observation_space, action_space, dropped)
    warn_dropped(dropped)


def warn_dropped(dropped: Mapping[str, str]) -> None:
    """Warn once of all the values that could not be kept."""
    if dropped:
        names = "; ".join(f"{name}: {reason}" for name, reason in dropped.items())
        warn_caller(f"values that no column can hold were left out ({names})")


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
    return total / max(len(episode), 1) + _NBYTES_OF_FLAGS


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
