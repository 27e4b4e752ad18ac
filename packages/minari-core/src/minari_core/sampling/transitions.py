"""Transitions: single steps, n steps, stacks of frames, and goals from the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.messages import outline_fields
from minari_core.sampling.gathering.binding import gatherer_for
from minari_core.sampling.gathering.gatherers import Gatherer, fill_again
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.rank_index import Positions
from minari_core.sampling.steps import (
    EpisodeSteps,
    ShardsOfSteps,
    checked_positions,
    draw_positions,
)
from minari_core.sampling.weights import EpisodeWeights

Goals: TypeAlias = Literal["uniform", "geometric", "final"]

PARTS = (
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
)
"""What a batch of transitions has, unless other columns are asked for."""

# Where the columns of a part are read: the row before or after, the first or the last step, or
# the row of what the first step returned.
_BEFORE, _AFTER, _FIRST, _LAST, _RETURNED = range(5)
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
}


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Where the transitions of a batch are, kept to be looked up only if somebody asks."""

    steps: EpisodeSteps
    """The steps of the view."""
    places: Positions
    """The place of each transition's episode in the view."""
    first: Positions
    """The step of each transition, counted through the storage."""


def _place_of(batch: TransitionBatch) -> BatchPlace:
    if batch.place is None:
        raise SamplingError("the batch has not been read yet")
    return batch.place


@dataclass(slots=True, repr=False)
class TransitionBatch:
    """B transitions, as arrays of shape (B, …) in the structure of the spaces.

    A part that was not asked for is None. The types of observations and actions are Any, because
    only the spaces know them.
    """

    observations: Any = None
    """The observations before the steps; with ``stack``, of shape (B, stack, …)."""
    actions: Any = None
    """The actions of the steps."""
    rewards: Any = None
    """The rewards, float64; with ``n_step``, the discounted sums of up to n of them."""
    next_observations: Any = None
    """The observations after the steps, or after up to n of them."""
    terminations: Any = None
    """Whether the last of the steps terminated its episode; then nothing is to be bootstrapped."""
    truncations: Any = None
    """Whether the last of the steps truncated its episode; bootstrapping goes on from there."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the row after the
    step, as `step` returned it."""
    discounts: Any = None
    """With ``n_step`` above 1, beside rewards or next observations: the discount of the value of
    `next_observations`, float64 of shape (B,); 0 where the last step terminated its episode."""
    goals: Any = None
    """With ``goals``: observations from the same episodes, after the steps."""
    place: BatchPlace | None = None
    """Where the transitions are; `episode_ids` and `time_steps` show it."""

    @property
    def episode_ids(self) -> Positions:
        """The stored index of each transition's episode, int64 of shape (B,)."""
        return _place_of(self).steps.episodes.take(_place_of(self).places)

    @property
    def time_steps(self) -> Positions:
        """The number of each step in its episode, int64 of shape (B,)."""
        place = _place_of(self)
        return place.first - place.steps.first_steps.take(place.places)

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        parts = outline_fields(self, (part.name for part in fields(self) if part.name != "place"))
        return f"TransitionBatch({', '.join(parts)})"

    def __len__(self) -> int:
        """The number of transitions."""
        return len(_place_of(self).places)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionOptions:
    """What to read of each transition; the arguments of `MinariDataset.sample_transitions`."""

    columns: tuple[str, ...] | None = None
    """Parts and columns to read; `PARTS` if None."""
    n_step: int = 1
    """Over how many steps to sum rewards."""
    discount: float = 0.99
    """The discount of n-step returns."""
    stack: int = 0
    """How many frames to stack; 0 for no axis of frames."""
    goals: Goals | None = None
    """How to choose goals."""
    goal_discount: float = 0.99
    """With geometric goals, how likely each further step is."""
    goal_column: str = "observations"
    """Which column goals are taken from."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SamplingError: One makes no sense.
        """
        # Numbers are kept as Python's own: the text of options is in the state of batches.
        for name, smallest in (("n_step", 1), ("stack", 0)):
            object.__setattr__(self, name, check_whole_number(name, getattr(self, name), smallest))
        for name in ("discount", "goal_discount"):
            object.__setattr__(self, name, check_fraction(name, getattr(self, name)))
        if self.goal_discount == 1:
            raise SamplingError("goal_discount is 1, not below 1; give goals='uniform'")
        if self.goals not in (None, "uniform", "geometric", "final"):
            raise SamplingError(f"goals is {self.goals!r}, not 'uniform', 'geometric' or 'final'")


class TransitionSampler:
    """Reads transitions of a dataset or view by their positions, or at random.

    Thread-safe for `read`: it holds no position.
    """

    def __init__(
        self,
        storage: ShardedStorage,
        episodes: Positions | range,
        options: TransitionOptions,
        steps: EpisodeSteps | None = None,
    ) -> None:
        """Bind the columns.

        Args:
            storage: Where the data is.
            episodes: The view's episodes.
            options: What to read of each transition.
            steps: Their steps, if they have been laid out already.

        Raises:
            SamplingError: There is no column of a name.
        """
        self.steps = EpisodeSteps(storage, episodes) if steps is None else steps
        """The steps of the view."""
        self.options = options
        """What is read of each transition."""
        names = PARTS if options.columns is None else tuple(dict.fromkeys(options.columns))
        bound = {name: gatherer_for(storage, name) for name in names}
        self._unread = tuple(name for name in PARTS if name not in names)
        self._goals = gatherer_for(storage, options.goal_column) if options.goals else None
        self._rewards: Gatherer | None = None
        self._terminations: Gatherer | None = None
        if options.n_step > 1:
            # The returns of several steps are summed from rewards, not read as a column.
            self._rewards = bound.pop("rewards", None)
            if self._rewards is not None or "next_observations" in bound:
                self._terminations = gatherer_for(storage, "terminations")
        self._pairs = [
            (name, f"next_{name}", gatherer)
            for name, gatherer in bound.items()
            if gatherer.gains_from_pairs and bound.get(f"next_{name}") is gatherer
        ]
        paired = {name for pair in self._pairs for name in pair[:2]}
        single = [
            (name, gatherer, _WHERE[name.partition("/")[0]])
            for name, gatherer in bound.items()
            if name not in paired
        ]
        self._parts = [item for item in single if item[0] in PARTS]
        self._columns = [item for item in single if item[0] not in PARTS]
        self._column_names = tuple(name for name in bound if name not in PARTS)
        self._reads_returned = any(where == _RETURNED for _, _, where in single)

    def __len__(self) -> int:
        """The number of transitions."""
        return self.steps.total

    def sample(
        self,
        generator: np.random.Generator,
        batch_size: int,
        weights: EpisodeWeights | None = None,
        out: TransitionBatch | None = None,
    ) -> TransitionBatch:
        """Draw transitions with repetition.

        Args:
            generator: Where randomness comes from.
            batch_size: How many.
            weights: How likely each episode is; by its length if None.
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
            generator: Chooses goals, if goals are asked for.
            out: A batch of the same size to fill again.

        Raises:
            SamplingError: A position is outside, ``out`` does not fit, or goals are random and no
                generator is given.
        """
        return self._read(checked_positions(positions, self.steps.total), generator, out)

    def _read(
        self,
        positions: Positions,
        generator: np.random.Generator | None,
        out: TransitionBatch | None,
    ) -> TransitionBatch:
        steps = self.steps
        places, first = steps.locate(positions)
        rows = steps.rows(places, first)
        batch = TransitionBatch() if out is None else self._emptied(out)
        if self.options.n_step == 1:
            last, next_rows = first, rows + 1
        else:
            ends = steps.first_steps.take(places) + steps.lengths.take(places)
            last = np.minimum(first + min(self.options.n_step, _MOST_STEPS), ends) - 1
            next_rows = rows + (last - first) + 1
            self._read_returns(batch, first, last)
        shards = ShardsOfSteps(steps, places)
        self._read_columns(batch, shards, self._stacked(places, rows, next_rows), rows, first, last)
        if self._goals is not None:
            goal_rows = self._goal_rows(places, first, rows, generator)
            batch.goals = self._goals.take(Selection(goal_rows, shards), batch.goals)
        batch.place = BatchPlace(steps, places, first)
        return batch

    def _emptied(self, out: TransitionBatch) -> TransitionBatch:
        """A batch to fill again, without what this call does not read."""
        if not isinstance(out, TransitionBatch):
            raise SamplingError(
                f"out is a {type(out).__name__}, not a TransitionBatch that was returned before"
            )
        for name in self._unread:
            setattr(out, name, None)
        if out.columns:
            kept = {name: out.columns.get(name) for name in self._column_names}
            out.columns = {name: value for name, value in kept.items() if value is not None}
        if self._terminations is None:
            out.discounts = None
        if self._goals is None:
            out.goals = None
        return out

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
        # What a step returned as its info lies in the row behind it.
        selections = (
            Selection(before, shards),
            Selection(after, shards),
            of_first,
            of_first if last is first else Selection(last, shards),
            Selection(rows + 1, shards) if self._reads_returned else of_first,
        )
        for name, gatherer, where in self._parts:
            setattr(batch, name, gatherer.take(selections[where], getattr(batch, name)))
        for name, gatherer, where in self._columns:
            batch.columns[name] = gatherer.take(selections[where], batch.columns.get(name))
        adjacent = last is first and not self.options.stack
        for name, next_name, gatherer in self._pairs:
            if name == "observations":
                outs = batch.observations, batch.next_observations
            else:
                outs = batch.columns.get(name), batch.columns.get(next_name)
            value, next_value = gatherer.take_pairs(
                selections[_BEFORE], selections[_AFTER], adjacent=adjacent, outs=outs
            )
            if name == "observations":
                batch.observations, batch.next_observations = value, next_value
            else:
                batch.columns[name], batch.columns[next_name] = value, next_value

    def _read_returns(self, batch: TransitionBatch, first: Positions, last: Positions) -> None:
        """Sum the rewards of the steps from first to last, and say what comes behind counts."""
        options = self.options
        if self._rewards is not None:
            longest = int((last - first).max(initial=0)) + 1
            window = first[:, None] + np.arange(longest)
            rewards = self._rewards.take(Selection(np.minimum(window, last[:, None])))
            powers = options.discount ** np.arange(longest)
            factors = np.where(window <= last[:, None], powers, 0.0)
            # A reward that is not finite would be NaN behind the end of its episode, too.
            rewards[window > last[:, None]] = 0
            summed = np.einsum("bn...,bn->b...", rewards, factors)
            batch.rewards = summed if batch.rewards is None else fill_again(batch.rewards, summed)
        if self._terminations is not None:
            terminated = self._terminations.take(Selection(last))
            discounts = np.where(terminated, 0.0, options.discount ** (last - first + 1))
            known = batch.discounts
            batch.discounts = discounts if known is None else fill_again(known, discounts)

    def _stacked(
        self, places: Positions, rows: Positions, next_rows: Positions
    ) -> tuple[Positions, Positions]:
        """The rows of the frames up to each row; before an episode's first, that one again."""
        if not self.options.stack:
            return rows, next_rows
        steps = self.steps
        first_rows = steps.rows(places, steps.first_steps.take(places))[:, None]
        back = np.arange(self.options.stack - 1, -1, -1)
        return (
            np.maximum(rows[:, None] - back, first_rows),
            np.maximum(next_rows[:, None] - back, first_rows),
        )

    def _goal_rows(
        self,
        places: Positions,
        first: Positions,
        rows: Positions,
        generator: np.random.Generator | None,
    ) -> Positions:
        """A row after each step in the same episode (Andrychowicz et al., 2017, "future")."""
        steps, options = self.steps, self.options
        ahead = steps.first_steps.take(places) + steps.lengths.take(places) - first
        if options.goals == "final":
            return rows + ahead
        if generator is None:
            raise SamplingError(f"{options.goals} goals are random, but no generator is given")
        if options.goals == "uniform":
            return rows + generator.integers(1, ahead + 1)
        if options.goal_discount == 0:
            return rows + 1
        # The geometric distribution, cut off at the end of the episode, by inverting its
        # distribution function: P(k) = (1 - d) d^(k-1) / (1 - d^ahead).
        reach = -np.expm1(ahead * np.log(options.goal_discount))
        drawn = np.log1p(-generator.random(len(ahead)) * reach) / np.log(options.goal_discount)
        goal_rows: Positions = rows + np.clip(np.floor(drawn).astype(np.int64) + 1, 1, ahead)
        return goal_rows


def columns_of(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """The columns of a call as options keep them.

    Raises:
        SamplingError: It is a single text, empty, or has something else than names.
    """
    if columns is None:
        return None
    try:
        names = () if isinstance(columns, str) else tuple(columns)
    except TypeError:
        names = ()
    if not names or not all(isinstance(name, str) for name in names):
        raise SamplingError(f"columns is {columns!r}, not a list of names")
    return names
