"""The check that needs the environment: replay recorded actions, and compare the results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from minari.checks.finding import Examples, Finding
from minari.replay.stepping import replay_rows
from minari_core import EpisodeData, MinariDataset

_MOST_EPISODES = 32
_MOST_SHIFTED = 2


def replay_episodes(
    dataset: MinariDataset, env: gymnasium.Env[Any, Any], seconds: float
) -> Iterator[Finding]:
    """Replay a sample of the episodes that have a seed, and compare the observations.

    Args:
        dataset: A dataset or view.
        env: The environment that it was recorded from.
        seconds: The most that this may take.

    Yields:
        What is different; and a note of how much was replayed, if that is nothing.
    """
    seeded = [entry.id for entry in dataset.iterate_episode_metadata() if entry.seed is not None]
    chosen = np.unique(
        np.linspace(0, len(seeded) - 1, min(len(seeded), _MOST_EPISODES)).astype(int)
    )
    deadline = time.monotonic() + seconds
    differing, shifted = Examples(), Examples()
    first: tuple[int, int] | None = None
    replayed = 0
    for index in chosen.tolist():
        (episode,) = dataset.iterate_episodes([seeded[index]])
        step = find_difference(episode, env, deadline)
        if time.monotonic() > deadline:
            break
        replayed += 1
        if step is None:
            continue
        if step > 0 and _is_shifted(episode, env, step, deadline):
            shifted.add([episode.id])
        else:
            differing.add([episode.id])
            first = first or (episode.id, step)
    if not replayed:
        why = "no episode has a seed" if not seeded else f"none ended within {seconds:g} seconds"
        yield Finding(check="replay", severity="note", sentence=f"nothing was replayed: {why}")
    if shifted.count:
        yield Finding(
            check="shifted-actions",
            severity="warning",
            column="actions",
            sentence=f"fit their observations when moved by a step, in {shifted.count} of "
            f"{replayed} replayed episodes",
            episodes=shifted.count,
            examples=tuple(shifted.ids),
        )
    if first is not None:
        yield Finding(
            check="replay",
            severity="warning",
            column="observations",
            sentence=f"of a replay differ in {differing.count} of {replayed} replayed episodes; in "
            f"episode {first[0]} from step {first[1]} on",
            episodes=differing.count,
            examples=tuple(differing.ids),
        )


def find_difference(
    episode: EpisodeData, env: gymnasium.Env[Any, Any], deadline: float, shift: int = 0
) -> int | None:
    """Replay an episode, and find where its observations are no longer those of the replay.

    Args:
        episode: The episode; it has a seed.
        env: The environment.
        deadline: When to stop, by `time.monotonic`.
        shift: Number of steps by which each action is taken earlier than recorded.

    Returns:
        The first row that differs by more than rounding, from 0; None if none does up to the end,
        or the deadline.
    """
    for row, difference in replay_rows(episode, env, shift):
        if difference is not None and not difference.is_rounding:
            return row
        if time.monotonic() > deadline:
            break
    return None


def _is_shifted(
    episode: EpisodeData, env: gymnasium.Env[Any, Any], step: int, deadline: float
) -> bool:
    """Return whether actions that are taken a step earlier or later lead clearly further."""
    for shift in (-1, 1):
        reached = find_difference(episode, env, deadline, shift)
        if reached is None or reached > step + _MOST_SHIFTED + len(episode) // 2:
            return True
    return False
