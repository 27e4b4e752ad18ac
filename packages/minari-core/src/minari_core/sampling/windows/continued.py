"""Windows of observations that go on into the next episode, for world models.

So Dreamer is trained: an episode is also seen to its last observation, after which there is no
action, and a model forgets where `is_first` says so (Hafner et al., 2023, "Mastering diverse
domains through world models").
"""

from __future__ import annotations

import numpy as np

from minari_core.errors import SamplingError
from minari_core.sampling.gathering.binding import find_gatherer
from minari_core.sampling.gathering.needs import Needs, join_runs, name_stored
from minari_core.sampling.gathering.normalizing import normalize_batch
from minari_core.sampling.gathering.returns import ReturnsToGo
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.options.shared import BATCH_FIELDS
from minari_core.sampling.orders.rank_index import Positions, RankIndex
from minari_core.sampling.steps.episode_steps import bind_returns
from minari_core.sampling.steps.neighbours import NeighbourColumns
from minari_core.sampling.windows.batch import SequenceBatch
from minari_core.sampling.windows.sequences import OF_STEPS, SequenceSampler, put_column


class ContinuedSampler(SequenceSampler):
    """Read windows of observations of a dataset or view, one episode after another.

    There is a window for each observation that at least ``length - 1`` others follow, of whatever
    episodes. Thread-safe for `read`: it holds no position.
    """

    def _bind(self) -> None:
        storage, options, steps = self._storage, self.options, self.steps
        defaults = tuple(name for name in BATCH_FIELDS if name != "next_observations")
        names = defaults if options.columns is None else tuple(dict.fromkeys(options.columns))
        self._gatherers = {name: find_gatherer(storage, name) for name in names}
        self._neighbours = NeighbourColumns(self._gatherers)
        for column, _ in options.normalize or ():
            find_gatherer(storage, column)
        self._returns: ReturnsToGo | None = None
        self._scale = 1.0
        if options.returns_to_go or options.reward_scale != 1:
            rewards = find_gatherer(storage, "rewards")
            self._returns, self._scale = bind_returns(options, rewards, steps)
        self._holders = np.flatnonzero(steps.counts)
        rows = steps.known_lengths[self._holders] + 1
        self._rank = RankIndex(rows)
        self._begins = np.cumsum(rows) - rows
        self._total = self._rank.total - options.length + 1
        if steps.total and self._total <= 0:
            raise SamplingError(
                f"windows of {options.length} observations are longer than all episodes together, "
                f"which have {self._rank.total}; ask for shorter ones"
            )
        self.counts, self.starts = np.zeros((2, len(steps.counts)), dtype=np.int64)
        self.counts[self._holders] = np.clip(self._total - self._begins, 0, rows)
        self.starts[self._holders] = self._begins

    def __len__(self) -> int:
        """The number of windows."""
        return max(self._total, 0)

    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring windows needs; see `PositionReader`."""
        indices, numbers = self._locate(np.arange(start, stop + self.options.length - 1))
        steps = self.steps
        first = steps.first_steps.take(indices)
        rows = steps.rows(indices, first) + numbers
        read = first + np.minimum(numbers, steps.lengths.take(indices) - 1)
        names = [*self._gatherers, *self._neighbours]
        if self._returns is not None:
            names.append("rewards")
        return Needs(
            tuple(dict.fromkeys(map(name_stored, names))),
            join_runs(rows, rows + 1),
            join_runs(np.maximum(read - self._neighbours.back, first), read + 1),
        )

    def _locate(self, observations: Positions) -> tuple[Positions, Positions]:
        """Return the index in the view of each observation's episode, and its number there."""
        held = self._rank.runs(observations)
        return self._holders.take(held), observations - self._begins.take(held)

    def _read_bound(self, positions: Positions) -> SequenceBatch:
        steps, shape = self.steps, (len(positions), self.options.length)
        flat = (positions[:, None] + np.arange(self.options.length)).reshape(-1)
        indices, numbers = self._locate(flat)
        first = steps.first_steps.take(indices)
        step = first + np.minimum(numbers, steps.lengths.take(indices) - 1)
        batch = SequenceBatch(
            mask=(numbers < steps.counts.take(indices)).reshape(shape),
            is_first=(numbers == 0).reshape(shape),
            is_last=(numbers == steps.known_lengths.take(indices)).reshape(shape),
            time_steps=(first - steps.episode_starts.take(indices) + numbers).reshape(shape),
            episode_ids=steps.episodes.take(indices).reshape(shape),
        )
        datasets = steps.find_datasets(indices)
        batch.dataset_indices = None if datasets is None else datasets.reshape(shape)
        without = None if batch.mask.all() else ~batch.mask
        of_rows = Selection((steps.rows(indices, first) + numbers).reshape(shape))
        of_steps = Selection(step.reshape(shape))
        for name, gatherer in self._gatherers.items():
            group = name.partition("/")[0]
            value = gatherer.take(of_steps if group in OF_STEPS else of_rows)
            if without is not None and group in OF_STEPS and group != "actions":
                value[without] = 0
            put_column(batch, name, value)
        if self._neighbours:
            # Behind the last step, the one before is that step itself.
            reached = (first + numbers).reshape(shape)
            owners = indices.reshape(shape)
            self._neighbours.read(batch.columns, steps, owners, reached, reached, None, self._scale)
        if self._scale != 1 and batch.rewards is not None:
            batch.rewards *= self._scale
        if self._returns is not None:
            returns = self._returns.read(indices, step) * self._scale
            batch.returns_to_go = returns.reshape(*shape, *returns.shape[1:])
            if without is not None:
                batch.returns_to_go[without] = 0
        if self.options.normalize is not None:
            normalize_batch(batch, self.options.normalize)
        return batch
