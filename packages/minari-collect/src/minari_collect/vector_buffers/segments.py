"""Find the cells of a time-major buffer that are whole episodes: flags in, indices out, no loops.

Row ``r`` holds an observation of each environment and step ``s`` leads from row ``s`` to row
``s + 1``. A step is a *gap* if the environment was reset in it, and an *end* if it is the last
of its episode. Gaps lie only between episodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Segments:
    """The whole episodes of a buffer in the order in which they ended, and what goes on."""

    envs: Indices
    """The environment of each episode."""
    first: Indices
    """Its first step, which is also its first row."""
    last: Indices
    """Its last step."""
    going_on: Indices
    """For each environment, the first row of the unfinished episode, shape (envs,)."""

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self.envs)

    def select(self, start: int, stop: int) -> Segments:
        """Select some of the episodes."""
        chosen = slice(start, stop)
        return Segments(self.envs[chosen], self.first[chosen], self.last[chosen], self.going_on)


def find_segments(
    ends: npt.NDArray[np.bool_],
    gaps: npt.NDArray[np.bool_],
    cuts: npt.NDArray[np.bool_],
    start: Indices,
) -> Segments:
    """Find the episodes.

    Args:
        ends: Which steps end an episode, shape (steps, envs).
        gaps: Which steps are resets, shape (steps, envs).
        cuts: Which of the ends were decided after the step, shape (steps, envs).
        start: The first row of each environment that has not been written, shape (envs,).
    """
    steps, num_envs = ends.shape
    environments = np.arange(num_envs)
    ended = ends & (np.arange(steps)[:, None] >= start)
    envs, last = np.nonzero(ended.T)
    first = np.empty_like(last)
    first[1:] = last[:-1] + 1
    begins = np.ones(len(envs), dtype=bool)
    begins[1:] = envs[1:] != envs[:-1]
    first[begins] = start[envs[begins]]
    first = _skip_gaps(first, envs, gaps)
    going_on = start.copy()
    # Later episodes of an environment come after the earlier ones, so the last one stays.
    going_on[envs] = last + 1
    order = np.lexsort((envs, cuts[last, envs], last))
    return Segments(
        envs[order], first[order], last[order], _skip_gaps(going_on, environments, gaps)
    )


def list_step_cells(found: Segments, num_envs: int) -> Indices:
    """List the cells of the steps of some episodes, concatenated."""
    lengths = found.last - found.first + 1
    return _list_strided(found.first * num_envs + found.envs, lengths, num_envs)


def list_row_cells(found: Segments, num_envs: int) -> Indices:
    """List the cells of the rows of some episodes: one more than steps an episode."""
    lengths = found.last - found.first + 2
    return _list_strided(found.first * num_envs + found.envs, lengths, num_envs)


def _list_strided(starts: Indices, counts: Indices, stride: int) -> Indices:
    """List a number of indices from each start, one stride apart."""
    indices = np.full(int(counts.sum()), stride, dtype=np.int64)
    if len(counts) == 0:
        return indices
    begins = np.cumsum(counts[:-1])
    indices[0] = starts[0]
    indices[begins] = starts[1:] - (starts[:-1] + (counts[:-1] - 1) * stride)
    return np.cumsum(indices)


def _skip_gaps(indices: Indices, envs: Indices, gaps: npt.NDArray[np.bool_]) -> Indices:
    """Move each index on to the first that is no gap; there are few gaps in a row."""
    steps = len(gaps)
    while len(indices) and steps:
        in_gap = gaps[np.minimum(indices, steps - 1), envs] & (indices < steps)
        if not in_gap.any():
            break
        indices = indices + in_gap
    return indices
