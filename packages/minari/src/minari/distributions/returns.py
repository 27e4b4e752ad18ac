"""Returns and lengths of the episodes of a local dataset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core import MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.episodes.reward_metadata import find_return
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.messages import Progress
from minari_core.storage.base import Storage

_STEPS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class EpisodeStatistics:
    """Length and return of every episode."""

    lengths: npt.NDArray[np.int64]
    """The steps of each episode, shape (episodes,)."""
    returns: npt.NDArray[np.float64] | None
    """The undiscounted returns, shape (episodes,), or (episodes, k) for vector rewards; None
    if they could not be had."""


def compute_statistics(dataset: MinariDataset, progress: Progress) -> EpisodeStatistics:
    """Compute lengths and returns of a dataset's episodes, reading nothing else if possible.

    Args:
        dataset: A whole dataset.
        progress: Called with the steps that were read, and all steps.

    Raises:
        DatasetDamagedError: What is stored cannot be read.
    """
    storage = get_raw_storage(dataset)
    lengths = storage.episode_lengths()
    if isinstance(storage, ShardedStorage):
        return EpisodeStatistics(lengths, _sum_shards(storage, lengths, progress))
    return EpisodeStatistics(lengths, _sum_episodes(storage, lengths, progress))


def sum_runs(
    rewards: npt.NDArray[np.float64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Sum each run of rewards.

    Args:
        rewards: Shape (steps,) or (steps, k).
        lengths: The rows of each run, at least 1, shape (runs,); the runs are consecutive.
    """
    starts = np.zeros(len(lengths), dtype=np.int64)
    np.cumsum(lengths[:-1], out=starts[1:])
    return np.add.reduceat(rewards, starts, axis=0, dtype=np.float64)


def _sum_shards(
    storage: ShardedStorage, lengths: npt.NDArray[np.int64], progress: Progress
) -> npt.NDArray[np.float64]:
    """Sum the flat columns of rewards, a block of steps at a time."""
    ends = storage.index.starts[1:]
    returns: npt.NDArray[np.float64] | None = None
    done = 0
    total = int(ends[-1]) if len(ends) else 0
    for number, (_, steps, _) in enumerate(storage.shard_counts()):
        read = storage.shard(number).readers(copy=False)["rewards"]
        for start in range(0, steps, _STEPS_AT_ONCE):
            block = np.asarray(read(start, min(start + _STEPS_AT_ONCE, steps)), dtype=np.float64)
            if returns is None:
                returns = np.zeros((len(lengths), *block.shape[1:]))
            # An episode may begin in an earlier block, and go on in a later one.
            first = int(np.searchsorted(ends, done, side="right"))
            last = int(np.searchsorted(ends, done + len(block) - 1, side="right"))
            inside = np.clip(ends[first : last + 1], done, done + len(block)) - done
            returns[first : last + 1] += sum_runs(block, np.diff(inside, prepend=0))
            done += len(block)
            progress(done, total)
    return np.zeros(0) if returns is None else returns


def _sum_episodes(
    storage: Storage, lengths: npt.NDArray[np.int64], progress: Progress
) -> npt.NDArray[np.float64]:
    """Take the sums that were recorded, or else read every episode."""
    everything = range(storage.total_episodes)
    recorded = [find_return(episode) for episode in storage.read_episode_metadata(everything)]
    done, total = 0, int(lengths.sum())
    if recorded and None not in recorded:
        progress(total, total)
        return np.array(recorded, dtype=np.float64)
    returns: list[npt.NDArray[np.float64]] = []
    for episode in storage.read_episodes(everything, copy=False):
        returns.append(np.asarray(episode.rewards, dtype=np.float64).sum(axis=0))
        done += len(episode)
        progress(done, total)
    return np.array(returns, dtype=np.float64)
