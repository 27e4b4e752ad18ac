"""Episodes in blocks, so that checks cost little for each of many short episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core import EpisodeData, MinariDataset
from minari_core.leaves import find_leaves, join_path
from minari_core.messages import Progress

_STEPS_A_BLOCK = 4096
_GROUPS = ("observations", "actions", "infos")


@dataclass(frozen=True, slots=True)
class Column:
    """The rows of one leaf of all episodes of a block, one after another."""

    rows: npt.NDArray[Any]
    """The rows, at least one."""
    counts: npt.NDArray[np.int64]
    """How many each episode has, at least one, shape (episodes,)."""
    low: npt.NDArray[Any] | None
    """The smallest value of each element, NaN if one is; None of what has no order or elements."""
    high: npt.NDArray[Any] | None
    """The largest."""

    @property
    def is_finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        extremes = [each for each in (self.low, self.high) if each is not None]
        return bool(np.isfinite(extremes).all())


@dataclass(frozen=True, slots=True)
class EpisodeBlock:
    """Some consecutive episodes of a dataset or view, at least one."""

    episodes: tuple[EpisodeData, ...]
    """The episodes."""
    ids: npt.NDArray[np.int64]
    """Their ids, shape (episodes,)."""
    lengths: npt.NDArray[np.int64]
    """Their steps, shape (episodes,)."""
    rewards: npt.NDArray[np.float64]
    """Their rewards one after another, shape (steps,) or (steps, k)."""
    columns: dict[str, Column]
    """By its path, each leaf of observations, actions and infos that is an array in all of the
    episodes."""

    def find_episodes(
        self, flags: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]
    ) -> list[int]:
        """Return the ids of the episodes that have a flag in any element of any row.

        Args:
            flags: Shape (rows, …).
            counts: The rows of each episode, at least one, shape (episodes,).
        """
        starts = np.cumsum(counts) - counts
        having = np.logical_or.reduceat(flags, starts, axis=0).reshape(len(starts), -1).any(axis=1)
        return [int(each) for each in self.ids[having]]


def read_blocks(dataset: MinariDataset, progress: Progress) -> Iterator[EpisodeBlock]:
    """Read all episodes once, in blocks of some thousand steps.

    Args:
        dataset: A dataset or view.
        progress: Called with the steps that were read, and all steps.
    """
    total, done, waiting = dataset.total_steps, 0, 0
    episodes: list[EpisodeData] = []
    for episode in dataset.iterate_episodes(copy=False):
        episodes.append(episode)
        waiting += len(episode)
        if waiting >= _STEPS_A_BLOCK:
            yield _join(episodes)
            done += waiting
            progress(done, total)
            episodes, waiting = [], 0
    if episodes:
        yield _join(episodes)
    progress(total, total)


def _join(episodes: list[EpisodeData]) -> EpisodeBlock:
    leaves: dict[str, list[npt.NDArray[Any]]] = {}
    for episode in episodes:
        for group in _GROUPS:
            for keys, leaf in find_leaves(getattr(episode, group)):
                if isinstance(leaf, np.ndarray):
                    leaves.setdefault(join_path(group, keys), []).append(leaf)
    columns = {
        path: _make_column(path, rows)
        for path, rows in leaves.items()
        if len(rows) == len(episodes) and len({each.shape[1:] for each in rows}) == 1
    }
    return EpisodeBlock(
        episodes=tuple(episodes),
        ids=np.array([episode.id for episode in episodes], dtype=np.int64),
        lengths=np.array(list(map(len, episodes)), dtype=np.int64),
        rewards=_concatenate([episode.rewards for episode in episodes]),
        columns=columns,
    )


def _make_column(path: str, rows: list[npt.NDArray[Any]]) -> Column:
    joined = _concatenate(rows)
    low = high = None
    # Of infos no check asks for the extremes.
    if joined.size and joined.dtype.kind in "biuf" and not path.startswith("infos"):
        low, high = joined.min(axis=0), joined.max(axis=0)
    return Column(joined, np.array(list(map(len, rows)), dtype=np.int64), low, high)


def _concatenate(rows: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    if len(rows) == 1:
        return rows[0]
    is_masked = any(isinstance(each, np.ma.MaskedArray) for each in rows)
    joined: npt.NDArray[Any] = np.ma.concatenate(rows) if is_masked else np.concatenate(rows)
    return joined
