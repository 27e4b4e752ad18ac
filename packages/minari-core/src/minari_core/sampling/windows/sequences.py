"""Windows of consecutive steps of one episode, for sequence models and recurrent learners."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.gathering.binding import bind_step_infos, find_gatherer
from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.hiding import hide_rows
from minari_core.sampling.gathering.info_rows import is_of_current_row, read_step_infos
from minari_core.sampling.gathering.needs import Needs, find_needs
from minari_core.sampling.gathering.normalizing import normalize_batch
from minari_core.sampling.gathering.returns import ReturnsToGo
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.options.sequences import SequenceOptions
from minari_core.sampling.options.shared import BATCH_FIELDS
from minari_core.sampling.orders.rank_index import Positions, RankIndex
from minari_core.sampling.steps.episode_steps import (
    ShardsOfSteps,
    bind_returns,
)
from minari_core.sampling.steps.neighbours import NeighbourColumns
from minari_core.sampling.windows.batch import SequenceBatch
from minari_core.sampling.windows.reader import PositionReader

OF_STEPS = ("actions", "rewards", "terminations", "truncations")


class SequenceSampler(PositionReader[SequenceOptions, SequenceBatch]):
    """Read windows of a dataset or view by their positions, or at random.

    With padding there is a window for each step: it begins there (padded after the end), or ends
    there (padded before the beginning). Without, there is one for each step that at least
    ``length - 1`` others follow in its episode.

    Thread-safe for `read`: it holds no position.
    """

    def _bind(self) -> None:
        storage, options = self._storage, self.options
        defaults = tuple(name for name in BATCH_FIELDS if name != "next_observations")
        names = defaults if options.columns is None else tuple(dict.fromkeys(options.columns))
        self._gatherers = {name: find_gatherer(storage, name) for name in names}
        self._neighbours = NeighbourColumns(self._gatherers)
        for column, _ in options.normalize or ():
            find_gatherer(storage, column)
        marked = read_step_infos(storage.metadata)
        self._current = {name for name in names if is_of_current_row(name, marked)}
        self._step_infos = bind_step_infos(storage, marked) if "infos" in names else {}
        self._pairs = [
            (name, f"next_{name}", gatherer)
            for name, gatherer in self._gatherers.items()
            if gatherer.gains_from_pairs and self._gatherers.get(f"next_{name}") is gatherer
        ]
        self._paired = {name for pair in self._pairs for name in pair[:2]}
        self._rewards: Gatherer | None = None
        self._returns: ReturnsToGo | None = None
        self._scale = 1.0
        if options.returns_to_go or options.reward_scale != 1:
            self._rewards = find_gatherer(storage, "rewards")
            self._returns, self._scale = bind_returns(options, self._rewards, self.steps)
        self._hidden = "observations" if options.final_observation else "next_observations"
        self._is_hiding = self.steps.counts is not self.steps.known_lengths
        self._whole: RankIndex | None = None
        if options.padding is None:
            self.counts = np.maximum(self.steps.counts - options.length + 1, 0)
            self.starts = np.cumsum(self.counts) - self.counts
            holders = np.flatnonzero(self.counts)
            if self.steps.total and not len(holders):
                raise SamplingError(
                    f"windows of {options.length} steps are longer than every episode (the longest "
                    f"has {int(self.steps.counts.max())} steps); ask for padding or shorter ones"
                )
            self._whole = RankIndex(self.counts[holders])
            self._skipped = self.steps.view_starts[holders] - self.starts[holders]

    def __len__(self) -> int:
        """The number of windows."""
        return self.steps.total if self._whole is None else self._whole.total

    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring windows needs; see `PositionReader`."""
        positions = np.arange(start, stop)
        if self._whole is not None:
            positions = positions + self._skipped.take(self._whole.runs(positions))
        names = [*self._gatherers, *self._neighbours]
        if self._rewards is not None:
            names.append("rewards")
        others = self.options.length - 1
        is_before = self.options.padding == "before"
        return find_needs(
            self.steps,
            positions,
            names,
            back=(others if is_before else 0) + self._neighbours.back,
            ahead=(0 if is_before else others) + self._neighbours.ahead,
        )

    def _read_bound(self, positions: Positions) -> SequenceBatch:
        steps, length = self.steps, self.options.length
        if self._whole is not None:
            positions = positions + self._skipped.take(self._whole.runs(positions))
        indices, anchor = steps.locate(positions)
        offsets = np.arange(length)
        if self.options.padding == "before":
            offsets = offsets - (length - 1)
        window = anchor[:, None] + offsets
        first = steps.first_steps.take(indices)
        batch = SequenceBatch(
            episode_ids=steps.episodes.take(indices), dataset_indices=steps.find_datasets(indices)
        )
        padded = None
        if self._whole is None:
            wanted, last = window, first + steps.counts.take(indices) - 1
            window = np.clip(wanted, first[:, None], last[:, None])
            batch.mask = window == wanted
            padded = None if batch.mask.all() else ~batch.mask
        else:
            batch.mask = np.ones(window.shape, dtype=bool)
        begun = steps.episode_starts.take(indices)
        batch.time_steps = window - begun[:, None]
        shift = steps.rows(indices, first) - first
        shards = ShardsOfSteps(steps, indices)
        observed = window
        if self.options.final_observation:
            observed = anchor[:, None] + np.append(offsets, offsets[-1] + 1)
            if self._whole is None:
                ends = first + steps.counts.take(indices)
                observed = np.clip(observed, first[:, None], ends[:, None])
        self._read_columns(batch, window, observed, shift, shards, padded)
        if self.options.is_first:
            batch.is_first = (window == first[:, None]) & batch.mask
        if self._neighbours:
            self._neighbours.read(
                batch.columns, steps, indices, window, window, shards, self._scale
            )
        if self._is_hiding:
            after = observed if self.options.final_observation else window + 1
            hidden = after + shift[:, None] > steps.last_known_rows(indices)[:, None]
            for name in self._gatherers:
                if name.partition("/")[0] == self._hidden:
                    put_column(batch, name, hide_rows(_get(batch, name), hidden))
        if self._scale != 1 and batch.rewards is not None:
            batch.rewards *= self._scale
        if self._rewards is not None and self._returns is not None:
            rewards = self._rewards.take(Selection(window))
            going_on = self._returns.read(indices, window[:, -1] + 1)
            batch.returns_to_go = self._sum_to_go(rewards, going_on, padded)
            batch.returns_to_go *= self._scale
        if padded is not None:
            batch.time_steps[padded] = 0
        if self.options.normalize is not None:
            normalize_batch(batch, self.options.normalize)
        return batch

    def _read_columns(
        self,
        batch: SequenceBatch,
        window: Positions,
        observed: Positions,
        shift: Positions,
        shards: ShardsOfSteps,
        padded: npt.NDArray[np.bool_] | None,
    ) -> None:
        are_runs = self._whole is not None
        of_steps = Selection(window, shards, are_runs=are_runs)
        rows = window + shift[:, None]
        before = Selection(rows, shards, are_runs=are_runs)
        after = Selection(rows + 1, shards, are_runs=are_runs)
        seen = before
        if observed is not window:
            seen = Selection(observed + shift[:, None], shards, are_runs=are_runs)
        for name, gatherer in self._gatherers.items():
            if name in self._paired:
                continue
            group = name.partition("/")[0]
            if group in OF_STEPS:
                value = gatherer.take(of_steps)
                if padded is not None and group != "actions":
                    value[padded] = 0
            else:
                rows_of = before if name in self._current else after
                value = gatherer.take(seen if group == "observations" else rows_of)
            put_column(batch, name, value)
        for key, gatherer in self._step_infos.items():
            batch.columns["infos"][key] = gatherer.take(before)
        for name, next_name, gatherer in self._pairs:
            value, next_value = gatherer.take_pairs(before, after)
            put_column(batch, name, value)
            put_column(batch, next_name, next_value)

    def _sum_to_go(
        self,
        rewards: npt.NDArray[np.float64],
        going_on: npt.NDArray[np.float64],
        padded: npt.NDArray[np.bool_] | None,
    ) -> npt.NDArray[np.float64]:
        """Sum discounted rewards backwards through windows (Chen et al., 2021, section 3).

        Args:
            rewards: Those of the windows.
            going_on: The sums of what follows each window.
            padded: Which steps are padding, if any are.
        """
        discount = self.options.discount
        if padded is not None:
            rewards[padded] = 0
        returns = np.empty_like(rewards)
        for step in range(self.options.length - 1, -1, -1):
            summed = rewards[:, step] + discount * going_on
            if padded is not None:
                # Padding passes on what follows it, undiscounted.
                gap = padded[:, step].reshape(-1, *(1,) * (summed.ndim - 1))
                summed = np.where(gap, going_on, summed)
            going_on = returns[:, step] = summed
        if padded is not None:
            returns[padded] = 0
        return returns


def _get(batch: SequenceBatch, name: str) -> Any:
    return getattr(batch, name) if name in BATCH_FIELDS else batch.columns[name]


def put_column(batch: SequenceBatch, name: str, value: Any) -> None:
    """Put what was read of a column into its place in a batch."""
    if name in BATCH_FIELDS:
        setattr(batch, name, value)
    else:
        batch.columns[name] = value
