"""Check what a caller puts together before it becomes a part of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from minari_core.episodes.entries import Episode
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import DataError


def check_new_episodes(episodes: Iterable[Episode]) -> Iterable[Episode]:
    """Pass episodes on if they end where they say; a sequence gives a list.

    Episodes that are copied from another dataset do not come here: what is stored can be kept.

    Args:
        episodes: The episodes that a caller has put together.

    Raises:
        DataError: An episode goes on after a termination or truncation; when it is taken.
    """
    checked = (check_ends(episode, index) for index, episode in enumerate(episodes))
    return list(checked) if isinstance(episodes, Sequence) else checked


def check_ends(episode: Episode, index: int) -> Episode:
    """Return an episode without a termination or truncation before its last step.

    Raises:
        DataError: It has one; the message says at which step.
    """
    if isinstance(episode, EpisodeBuffer | EpisodeData):
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
    return episode


def _as_flags(given: object) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return flags as an array; an empty one if they are none, which encoding them will tell."""
    try:
        return np.asarray(given, dtype=np.bool_)
    except (TypeError, ValueError):
        return np.zeros(0, dtype=np.bool_)
