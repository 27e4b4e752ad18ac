"""Prepare episodes that a caller has assembled, before they are added to a dataset."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.episodes.entries import Episode, EpisodeTable
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.final_observation import FINAL_OBSERVATION, count_rows
from minari_core.episodes.reward_metadata import renew_reward_metadata
from minari_core.errors import DataError
from minari_core.messages import warn_caller


def prepare_new_episodes(
    episodes: Iterable[Episode | Mapping[str, Any]], observation_space: spaces.Space[Any]
) -> Iterable[Episode]:
    """Check that episodes end where they say, and describe them anew.

    Rewards of an episode that was read and relabelled are no longer those that its metadata
    describes, so what `EpisodeMetadataCallback` had written of them is computed again. Keys of
    the same names that mean something else stay.
    Where there are as many observations as steps, the metadata gets the key which says that the
    final observation is not known, and a warning names the first such episode.

    Episodes that are copied from another dataset do not come here: what is stored can be kept.

    Args:
        episodes: The episodes that a caller has put together, also as dicts.
        observation_space: The space of their observations.

    Raises:
        DataError: An episode goes on after a termination or truncation, or a dict has a key that no
            episode has; when it is taken.
    """
    if isinstance(episodes, Sequence):
        table = EpisodeTable(episodes)
        if _are_ready(table, observation_space):
            return table
    prepared = _prepare_all(episodes, observation_space)
    # What is in memory anyway is written in one go.
    return list(prepared) if isinstance(episodes, Sequence) else prepared


def _are_ready(episodes: EpisodeTable, space: spaces.Space[Any]) -> bool:
    """Return whether episodes have nothing to prepare, as nearly all have, by one look at all."""
    if not episodes.are_known() or any(episodes.list_field("metadata")):
        return False
    lengths: list[int] = []
    for name in ("terminations", "truncations"):
        joined = episodes.join_field(name)
        if joined is None or joined.array.ndim != 1 or min(joined.counts) == 0:
            return False
        flags, lengths = joined
        if np.count_nonzero(flags) != np.count_nonzero(flags[np.cumsum(lengths) - 1]):
            return False
    joined = episodes.join_field("observations")
    rows: Sequence[int | None] = (
        joined.counts
        if joined is not None
        else [count_rows(space, block) for block in episodes.list_field("observations")]
    )
    return not any(map(operator.eq, rows, lengths))


def _prepare_all(
    episodes: Iterable[Episode | Mapping[str, Any]], space: spaces.Space[Any]
) -> Iterator[Episode]:
    has_warned = False
    for index, item in enumerate(episodes):
        episode = _read_episode(item, index)
        if not issubclass(type(episode), EpisodeBuffer | EpisodeData):
            yield episode  # what encodes it says what is wrong
            continue
        _check_ends(episode, index)
        episode = _renew_metadata(episode)
        if _lacks_final_observation(episode, space):
            if not has_warned:
                warn_caller(
                    f"episode {index} has {len(episode)} observations for {len(episode)} steps, so "
                    "nobody knows what its last action led to, and samplers leave its last step "
                    "out (as of every such episode); give the final observation as well, or "
                    f"metadata={{{FINAL_OBSERVATION!r}: False}} if there is none"
                )
                has_warned = True
            metadata = {**(episode.metadata or {}), FINAL_OBSERVATION: False}
            episode = replace(episode, metadata=metadata)
        yield episode


def _read_episode(item: Episode | Mapping[str, Any], index: int) -> Episode:
    if not isinstance(item, Mapping):
        return item
    known = set(EpisodeBuffer.__dataclass_fields__)
    if not set(item) <= known:
        raise DataError(
            f"episode {index} has keys {sorted(set(item) - known)}, which are none of "
            f"{sorted(known)}"
        )
    return EpisodeBuffer(**item)


def _lacks_final_observation(episode: Episode, space: spaces.Space[Any]) -> bool:
    """Return whether an episode has as many observations as steps, and says nothing about it."""
    metadata: object = episode.metadata or {}
    if not isinstance(metadata, Mapping) or FINAL_OBSERVATION in metadata:
        return False
    rewards: object = episode.rewards
    if not isinstance(rewards, np.ndarray | list | tuple) or np.ndim(rewards) == 0:
        return False
    return count_rows(space, episode.observations) == len(rewards)


def _renew_metadata(episode: Episode) -> Episode:
    if not isinstance(episode.metadata, Mapping):
        return episode
    try:
        rewards = np.asarray(episode.rewards, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        return episode  # what encodes it says what is wrong
    if rewards.size == 0:
        return episode
    renewed = renew_reward_metadata(episode.metadata, rewards)
    return episode if renewed is episode.metadata else replace(episode, metadata=dict(renewed))


def _check_ends(episode: Episode, index: int) -> None:
    for name in ("terminations", "truncations"):
        given: object = getattr(episode, name)
        flags = given if isinstance(given, np.ndarray) else _as_flags(given)
        # Nearly every episode of nearly every dataset is sound, and this is all it takes.
        if flags.ndim == 1 and np.count_nonzero(flags[:-1]):
            step = int(np.flatnonzero(flags)[0])
            raise DataError(
                f"episode {index} goes on after step {step} of {len(flags)}, although its "
                f"{name} say that it ended there; cut it there: give the steps up to {step}, "
                "and those after it as an episode of their own"
            )


def _as_flags(given: object) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return flags as an array; an empty one if they are none, which encoding them will tell."""
    try:
        return np.asarray(given, dtype=np.bool_)
    except (TypeError, ValueError, RuntimeError):
        return np.zeros(0, dtype=np.bool_)
