"""Prepare what a caller has put together, before it becomes a part of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from minari_core.episodes.entries import Episode
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.reward_metadata import renew_reward_metadata
from minari_core.errors import DataError


def prepare_new_episodes(episodes: Iterable[Episode]) -> Iterable[Episode]:
    """Check that episodes end where they say, and describe their rewards anew.

    Rewards of an episode that was read and relabelled are no longer those that its metadata
    describes, so the keys that `EpisodeMetadataCallback` writes by default are computed again.

    Episodes that are copied from another dataset do not come here: what is stored can be kept.

    Args:
        episodes: The episodes that a caller has put together.

    Raises:
        DataError: An episode goes on after a termination or truncation; when it is taken.
    """
    if isinstance(episodes, Sequence) and _are_ready(episodes):
        return episodes
    prepared = (_prepare(episode, index) for index, episode in enumerate(episodes))
    return list(prepared) if isinstance(episodes, Sequence) else prepared


def _are_ready(episodes: Sequence[Episode]) -> bool:
    """Return whether episodes have nothing to prepare, as nearly all have, by one look at all."""
    if not episodes or not set(map(type, episodes)) <= {EpisodeBuffer, EpisodeData}:
        return False
    if any(episode.metadata for episode in episodes):
        return False
    for name in ("terminations", "truncations"):
        flags = [getattr(episode, name) for episode in episodes]
        if set(map(type, flags)) != {np.ndarray} or {array.ndim for array in flags} != {1}:
            return False
        joined, lengths = np.concatenate(flags), [len(array) for array in flags]
        if min(lengths) == 0:
            return False
        if np.count_nonzero(joined) != np.count_nonzero(joined[np.cumsum(lengths) - 1]):
            return False
    return True


def _prepare(episode: Episode, index: int) -> Episode:
    if not issubclass(type(episode), EpisodeBuffer | EpisodeData):
        return episode  # what encodes it says what is wrong
    _check_ends(episode, index)
    if not isinstance(episode.metadata, Mapping):
        return episode
    try:
        rewards = np.asarray(episode.rewards, dtype=np.float64)
    except (TypeError, ValueError):
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
    except (TypeError, ValueError):
        return np.zeros(0, dtype=np.bool_)
