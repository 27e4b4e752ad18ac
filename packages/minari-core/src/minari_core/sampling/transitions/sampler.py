"""Transitions: single steps, n steps, stacks of frames, and goals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetChangedError, SamplingError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.sampling.gathering.binding import bind_step_infos, find_gatherer
from minari_core.sampling.gathering.gatherers import Gatherer, fill_again
from minari_core.sampling.gathering.hiding import bare_arrays, hide_rows
from minari_core.sampling.gathering.info_rows import is_of_current_row, read_step_infos
from minari_core.sampling.gathering.needs import Needs, find_needs
from minari_core.sampling.gathering.normalizing import normalize_batch
from minari_core.sampling.gathering.returns import ReturnsToGo
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.gathering.streamed import ReadTogether
from minari_core.sampling.options.shared import BATCH_FIELDS
from minari_core.sampling.options.transitions import TransitionOptions
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.weights import EpisodeWeights
from minari_core.sampling.steps.episode_steps import (
    EpisodeSteps,
    ShardsOfSteps,
    bind_returns,
    check_positions,
    draw_positions,
)
from minari_core.sampling.steps.large_steps import LargeSteps, are_large
from minari_core.sampling.steps.neighbours import NeighbourColumns
from minari_core.sampling.transitions.batch import BatchOrigin, TransitionBatch
from minari_core.sampling.transitions.goals import choose_goals, find_achieved, relabel_rewards
from minari_core.sampling.transitions.n_steps import find_discounts, sum_rewards

# Where the columns of a group are read: the row before or after, the first or the last step, or
# the row of what the first step returned.
_BEFORE, _AFTER, _FIRST, _LAST, _RETURNED, _CURRENT = range(6)
# No episode is longer, and no sum with a step of it overflows.
_MOST_STEPS = 1 << 62
_WHERE = {
    "observations": _BEFORE,
    "next_observations": _AFTER,
    "actions": _FIRST,
    "rewards": _FIRST,
    "terminations": _LAST,
    "truncations": _LAST,
    "infos": _RETURNED,
    "extras": _RETURNED,
    "returned_infos": _RETURNED,
    "returned_extras": _RETURNED,
    "current_infos": _CURRENT,
    "current_extras": _CURRENT,
}


class TransitionSampler:
    """Read transitions of a dataset or view by their positions, or at random.

    Thread-safe for `read`: it holds no position.
    """

    def __init__(
        self,
        storage: ShardedStorage,
        episodes: Positions | range,
        options: TransitionOptions,
        steps: EpisodeSteps | LargeSteps | None = None,
    ) -> None:
        """Bind the columns.

        Args:
            storage: The storage to read from.
            episodes: The stored indices of the view's episodes.
            options: What to read of each transition.
            steps: The steps of these episodes, if they have been laid out already.

        Raises:
            SamplingError: There is no column of a name.
        """
        self._storage = storage
        self._episodes = episodes
        self.options = options
        """The options of each transition."""
        self._bind(steps)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what was given, and nothing that was read."""
        return type(self), (self._storage, self._episodes, self.options)

    def _bind(self, steps: EpisodeSteps | LargeSteps | None) -> None:
        storage, options = self._storage, self.options
        if steps is None:
            layout = options.layout
            is_large = not any(layout.values()) and are_large(storage, self._episodes)
            steps = (
                LargeSteps(storage) if is_large else EpisodeSteps(storage, self._episodes, **layout)
            )
        self.steps = steps
        """The steps of the view."""
        names = BATCH_FIELDS if options.columns is None else tuple(dict.fromkeys(options.columns))
        bound = {name: find_gatherer(storage, name) for name in names}
        if options.compute_reward is not None:
            bound.pop("rewards", None)
        self._column_names = tuple(name for name in bound if name not in BATCH_FIELDS)
        self._neighbours = NeighbourColumns(bound)
        for column, _ in options.normalize or ():
            find_gatherer(storage, column)
        marked = read_step_infos(storage.metadata)
        self._unread = tuple(name for name in BATCH_FIELDS if name not in names)
        self._goals = find_gatherer(storage, options.goal_column) if options.goals else None
        self._rewards: Gatherer | None = None
        self._terminations: Gatherer | None = None
        if options.n_step > 1:
            # The returns of several steps are summed from rewards, not read as a column.
            self._rewards = bound.pop("rewards", None)
            if self._rewards is not None or "next_observations" in bound:
                self._terminations = find_gatherer(storage, "terminations")
        self._returns: ReturnsToGo | None = None
        self._scale = 1.0
        if options.returns_to_go or options.reward_scale != 1:
            rewards = find_gatherer(storage, "rewards")
            self._returns, self._scale = bind_returns(options, rewards, self.steps)
        self._pairs = [
            (name, f"next_{name}", gatherer)
            for name, gatherer in bound.items()
            if gatherer.gains_from_pairs and bound.get(f"next_{name}") is gatherer
        ]
        paired = {name for pair in self._pairs for name in pair[:2]}
        single = [
            (
                name,
                gatherer,
                _CURRENT if is_of_current_row(name, marked) else _WHERE[name.partition("/")[0]],
            )
            for name, gatherer in bound.items()
            if name not in paired
        ]
        self._step_infos = bind_step_infos(storage, marked) if "infos" in bound else {}
        self._fields = [item for item in single if item[0] in BATCH_FIELDS]
        self._columns = [item for item in single if item[0] not in BATCH_FIELDS]
        places = [(where, pair[2]) for pair in self._pairs for where in (_BEFORE, _AFTER)]
        self._together = ReadTogether([*places, *((where, each) for _, each, where in single)])
        self._reads_returned = any(where == _RETURNED for _, _, where in single)
        self._reads_current = bool(self._step_infos) or any(row == _CURRENT for _, _, row in single)
        # What of a batch may be of a row that stands for an observation that nobody knows.
        self._is_hiding = self.steps.counts is not self.steps.known_lengths
        self._hidden = [name for name in bound if name.partition("/")[0] == "next_observations"]
        self._hides_goals = options.goal_column.partition("/")[0] == "observations"

    @property
    def is_random(self) -> bool:
        """Whether `read` needs a source of randomness, because goals are drawn."""
        return self.options.goals not in (None, "final", "current")

    def __len__(self) -> int:
        """The number of transitions."""
        return self.steps.total

    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring positions needs, so that it can be fetched.

        Args:
            start: The first position.
            stop: The last position + 1.
        """
        options = self.options
        names = list(BATCH_FIELDS if options.columns is None else options.columns)
        if self._terminations is not None:
            names += ["rewards", "terminations"]
        elif self._returns is not None:
            names.append("rewards")
        return find_needs(
            self.steps,
            np.arange(start, stop),
            names,
            back=max(options.stack - 1, self._neighbours.back),
            ahead=min(options.n_step, _MOST_STEPS) - 1 + self._neighbours.ahead,
        )

    def sample(
        self,
        generator: np.random.Generator,
        batch_size: int,
        weights: EpisodeWeights | None = None,
        out: TransitionBatch | None = None,
    ) -> TransitionBatch:
        """Draw transitions uniformly, or by weights, with replacement.

        Args:
            generator: The source of randomness.
            batch_size: The number of transitions.
            weights: The probabilities of the episodes; in proportion to their lengths if None.
            out: A batch of the same size to fill again.

        Raises:
            SamplingError: There is nothing to sample, or ``out`` does not fit.
        """
        positions = draw_positions(generator, self.steps.total, batch_size, weights)
        return self._read(positions, generator, out)

    def read(
        self,
        positions: npt.ArrayLike,
        generator: np.random.Generator | None = None,
        out: TransitionBatch | None = None,
    ) -> TransitionBatch:
        """Read transitions by their positions.

        Args:
            positions: Steps of the view, from 0 to ``len(self) - 1``, shape (B,).
            generator: The source of randomness for goals, if they are asked for.
            out: A batch of the same size to fill again.

        Raises:
            SamplingError: A position is outside, ``out`` does not fit, or goals are random and no
                generator is given.
        """
        return self._read(check_positions(positions, self.steps.total), generator, out)

    def _read(
        self,
        positions: Positions,
        generator: np.random.Generator | None,
        out: TransitionBatch | None,
    ) -> TransitionBatch:
        try:
            return self._read_bound(positions, generator, out)
        except DatasetChangedError:
            # One of many shards was joined with others before it was opened; steps keep their
            # numbers through that.
            if not self._storage.refresh():
                raise
            self._storage.read_current(lambda: self._bind(None))
            return self._read_bound(positions, generator, out)

    def _read_bound(
        self,
        positions: Positions,
        generator: np.random.Generator | None,
        out: TransitionBatch | None,
    ) -> TransitionBatch:
        steps = self.steps
        indices, first = steps.locate(positions)
        rows = steps.rows(indices, first)
        batch = TransitionBatch() if out is None else self._clear(out)
        if self.options.n_step == 1:
            last, next_rows = first, rows + 1
        else:
            ends = steps.first_steps.take(indices) + steps.counts.take(indices)
            last = np.minimum(first + min(self.options.n_step, _MOST_STEPS), ends) - 1
            next_rows = rows + (last - first) + 1
            discount = self.options.discount
            if self._rewards is not None:
                summed = sum_rewards(self._rewards, first, last, discount)
                batch.rewards = _fill(batch.rewards, summed)
            if self._terminations is not None:
                discounts = find_discounts(self._terminations, first, last, discount)
                batch.discounts = _fill(batch.discounts, discounts)
        shards = ShardsOfSteps(steps, indices)
        observed = self._stack_rows(indices, rows, next_rows)
        self._read_columns(batch, shards, observed, rows, first, last)
        if self._scale != 1 and "rewards" not in self._unread and not self.options.compute_reward:
            batch.rewards *= self._scale
        if self._returns is not None:
            returns = self._returns.read(indices, first) * self._scale
            batch.returns_to_go = _fill(batch.returns_to_go, returns)
        if self._neighbours:
            self._neighbours.read(batch.columns, steps, indices, first, last, shards, self._scale)
        if self._is_hiding:
            self._hide_unknown(batch, indices, observed[1])
        if self._goals is not None and self.options.goals is not None:
            goals, discount = self.options.goals, self.options.goal_discount
            chosen = choose_goals(goals, discount, steps, indices, first, generator)
            if chosen[0] is not indices:
                shards = ShardsOfSteps(steps, chosen[0])
            batch.goals = self._goals.take(Selection(chosen[1], shards), batch.goals)
            if self.options.compute_reward is not None:
                achieved = None
                if not self.options.stack and not self._is_hiding:
                    achieved = find_achieved(batch, self.options.goal_column)
                if achieved is None:
                    achieved = self._goals.take(Selection(next_rows, ShardsOfSteps(steps, indices)))
                batch.rewards = self._scale * relabel_rewards(
                    self.options.compute_reward,
                    achieved,
                    batch.goals,
                    batch.columns,
                    len(first),
                )
            if self._is_hiding and self._hides_goals:
                batch.goals = hide_rows(batch.goals, chosen[1] > steps.last_known_rows(chosen[0]))
            batch.origin = BatchOrigin(steps, indices, first, *chosen)
        else:
            batch.origin = BatchOrigin(steps, indices, first)
        if self.options.normalize is not None:
            normalize_batch(batch, self.options.normalize, self.options.goal_column)
        return batch

    def _clear(self, out: TransitionBatch) -> TransitionBatch:
        """Remove from a batch that is to be filled again what this call does not read."""
        if not isinstance(out, TransitionBatch):
            raise SamplingError(
                f"out is a {type(out).__name__}, not a TransitionBatch that was returned before"
            )
        asked = {
            "discounts": self._terminations is not None,
            "goals": self._goals is not None,
            "returns_to_go": self._returns is not None,
        }
        for name in [*self._unread, *(name for name, is_read in asked.items() if not is_read)]:
            setattr(out, name, None)
        if out.columns:
            known = {name: out.columns.get(name) for name in self._column_names}
            out.columns = {name: value for name, value in known.items() if value is not None}
        if self.options.normalize is not None:
            # Their arrays are of another type than those that are read.
            out.observations = out.actions = out.next_observations = out.goals = None
            out.columns = {}
        if self._is_hiding:
            out.next_observations = bare_arrays(out.next_observations)
            out.goals = bare_arrays(out.goals) if self._hides_goals else out.goals
            for name in self._hidden:
                if name in out.columns:
                    out.columns[name] = bare_arrays(out.columns[name])
        return out

    def _hide_unknown(self, batch: TransitionBatch, indices: Positions, after: Positions) -> None:
        """Hide the observations after the steps that nobody knows."""
        last = self.steps.last_known_rows(indices)
        hidden = after > last.reshape(-1, *(1,) * (after.ndim - 1))
        for name in self._hidden:
            if name in BATCH_FIELDS:
                batch.next_observations = hide_rows(batch.next_observations, hidden)
            else:
                batch.columns[name] = hide_rows(batch.columns[name], hidden)

    def _read_columns(
        self,
        batch: TransitionBatch,
        shards: ShardsOfSteps,
        observed: tuple[Positions, Positions],
        rows: Positions,
        first: Positions,
        last: Positions,
    ) -> None:
        """Read the columns, each at the row or step before or after its transition."""
        before, after = observed
        of_first = Selection(first, shards)
        # What a step returned as its info lies in the row after it.
        selections = (
            Selection(before, shards),
            Selection(after, shards),
            of_first,
            of_first if last is first else Selection(last, shards),
            Selection(rows + 1, shards) if self._reads_returned else of_first,
            Selection(rows, shards) if self._reads_current else of_first,
        )
        self._together.fetch(selections)
        for name, gatherer, where in self._fields:
            setattr(batch, name, gatherer.take(selections[where], getattr(batch, name)))
        for name, gatherer, where in self._columns:
            batch.columns[name] = gatherer.take(selections[where], batch.columns.get(name))
        for key, gatherer in self._step_infos.items():
            infos = batch.columns["infos"]
            infos[key] = gatherer.take(selections[_CURRENT], infos[key])
        for name, next_name, gatherer in self._pairs:
            if name == "observations":
                outs = batch.observations, batch.next_observations
            else:
                outs = batch.columns.get(name), batch.columns.get(next_name)
            value, next_value = gatherer.take_pairs(
                selections[_BEFORE], selections[_AFTER], outs=outs
            )
            if name == "observations":
                batch.observations, batch.next_observations = value, next_value
            else:
                batch.columns[name], batch.columns[next_name] = value, next_value

    def _stack_rows(
        self, indices: Positions, rows: Positions, next_rows: Positions
    ) -> tuple[Positions, Positions]:
        """Return the rows of each stack of frames; the first row of an episode is repeated."""
        if not self.options.stack:
            return rows, next_rows
        steps = self.steps
        first_rows = steps.rows(indices, steps.first_steps.take(indices))[:, None]
        back = np.arange(self.options.stack - 1, -1, -1)
        return (
            np.maximum(rows[:, None] - back, first_rows),
            np.maximum(next_rows[:, None] - back, first_rows),
        )


def _fill(out: Any, value: npt.NDArray[np.float64]) -> Any:
    return value if out is None else fill_again(out, value)
