"""Windows of consecutive steps of one episode, for sequence models and recurrent learners."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from minari_core.errors import DatasetChangedError, SamplingError
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.messages import list_outlines, make_html_table, outline_fields
from minari_core.sampling.gathering.binding import bind_step_infos, find_gatherer
from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.hiding import hide_rows
from minari_core.sampling.gathering.info_rows import is_of_current_row, read_step_infos
from minari_core.sampling.gathering.needs import Needs, find_needs
from minari_core.sampling.gathering.normalizing import normalize_batch
from minari_core.sampling.gathering.returns import ReturnsToGo
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.options import BATCH_FIELDS, OffsetOptions, SequenceOptions
from minari_core.sampling.orders.rank_index import Positions, RankIndex
from minari_core.sampling.orders.weights import EpisodeWeights
from minari_core.sampling.steps import (
    EpisodeSteps,
    ShardsOfSteps,
    bind_returns,
    check_positions,
    draw_positions,
    find_following,
)

Options = TypeVar("Options", SequenceOptions, OffsetOptions)
Batch = TypeVar("Batch")

_OF_STEPS = ("actions", "rewards", "terminations", "truncations")


@dataclass(slots=True, repr=False)
class SequenceBatch:
    """B windows of L steps, as arrays of shape (B, L, …) in the structure of the spaces.

    A field that was not asked for is None. Where `mask` is False, a value is padding: it repeats
    the nearest value of its episode and has no meaning, except that rewards, terminations and
    truncations are 0 there.
    """

    observations: Any = None
    """The observations before the steps."""
    actions: Any = None
    """The actions."""
    rewards: Any = None
    """The rewards, float64. Like `returns_to_go`, they are multiplied by ``reward_scale``."""
    next_observations: Any = None
    """The observations after the steps. With ``include_unknown_final`` and episodes whose final
    observation is not known, masked arrays (None in lists)."""
    terminations: Any = None
    """Whether each step terminated its episode."""
    truncations: Any = None
    """Whether each step truncated its episode."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the rows after the
    steps. ``next_actions`` are the actions of the steps that follow, masked (None in lists) where
    the episode ends."""
    mask: Any = None
    """True for the steps of the episode and False for padding, bool of shape (B, L)."""
    time_steps: Any = None
    """The number of each step in its episode, int64 of shape (B, L); 0 for padding."""
    returns_to_go: Any = None
    """If asked for: the discounted sum of the rewards from each step to the end of its episode,
    float64; 0 for padding."""
    episode_ids: Any = None
    """The stored index of each window's episode, int64 of shape (B,)."""

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        shown = outline_fields(self, (item.name for item in fields(self)))
        return f"SequenceBatch({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """A table of the same, for notebooks."""
        shown = list_outlines(self, (item.name for item in fields(self)))
        return make_html_table(f"{len(self)} windows", shown)

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.episode_ids)


class PositionReader(ABC, Generic[Options, Batch]):
    """Read windows of a dataset or view by their positions, or at random.

    Thread-safe for `read`: it holds no position.
    """

    is_random = False
    """Whether `read` needs a source of randomness."""
    counts: Positions
    """The number of windows of each episode of the view, shape (episodes,)."""
    starts: Positions
    """The first window of each episode of the view."""

    def __init__(
        self,
        storage: ShardedStorage,
        episodes: Positions | range,
        options: Options,
        steps: EpisodeSteps | None = None,
    ) -> None:
        """Bind the columns.

        Args:
            storage: The storage to read from.
            episodes: The stored indices of the view's episodes.
            options: What to read of each window.
            steps: The steps of these episodes, if they have been laid out already.

        Raises:
            SamplingError: There is no column of a name, or every episode is shorter than a
                window that is not padded.
        """
        self._storage = storage
        self._episodes = episodes
        self.options: Options = options
        """The options of each window."""
        self._lay_out(steps)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what was given, and nothing that was read."""
        return type(self), (self._storage, self._episodes, self.options)

    def _lay_out(self, steps: EpisodeSteps | None) -> None:
        if steps is None:
            steps = EpisodeSteps(self._storage, self._episodes, **self.options.layout)
        self.steps = steps
        """The steps of the view."""
        self.counts, self.starts = steps.counts, steps.view_starts
        self._bind()

    def __len__(self) -> int:
        """The number of windows."""
        return self.steps.total

    def sample(
        self,
        generator: np.random.Generator,
        batch_size: int,
        weights: EpisodeWeights | None = None,
    ) -> Batch:
        """Draw windows uniformly, or by weights, with replacement.

        Args:
            generator: The source of randomness.
            batch_size: The number of windows.
            weights: The probabilities of the episodes; in proportion to their windows if None.

        Raises:
            SamplingError: There is nothing to sample.
        """
        return self._read(draw_positions(generator, len(self), batch_size, weights))

    def read(self, positions: npt.ArrayLike, generator: np.random.Generator | None = None) -> Batch:
        """Read windows by their positions.

        Args:
            positions: From 0 to ``len(self) - 1``, shape (B,).
            generator: Not used: nothing of a window is random.

        Raises:
            SamplingError: A position is outside.
        """
        return self._read(check_positions(positions, len(self)))

    def _read(self, positions: Positions) -> Batch:
        try:
            return self._read_bound(positions)
        except DatasetChangedError:
            # As for transitions.
            if not self._storage.refresh():
                raise
            self._storage.read_current(lambda: self._lay_out(None))
            return self._read_bound(positions)

    @abstractmethod
    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring windows needs, so that it can be fetched.

        Args:
            start: The first position.
            stop: The last position + 1.
        """

    @abstractmethod
    def _bind(self) -> None:
        """Find what reads the columns; the steps are laid out."""

    @abstractmethod
    def _read_bound(self, positions: Positions) -> Batch:
        """Read windows by valid positions."""


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
        self._next_actions = [
            (name, self._gatherers.pop(name))
            for name in names
            if name.partition("/")[0] == "next_actions"
        ]
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
        names = [*self._gatherers, *(name for name, _ in self._next_actions)]
        if self._rewards is not None:
            names.append("rewards")
        others = self.options.length - 1
        is_before = self.options.padding == "before"
        return find_needs(
            self.steps,
            positions,
            names,
            back=others if is_before else 0,
            ahead=(0 if is_before else others) + bool(self._next_actions),
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
        batch = SequenceBatch(episode_ids=steps.episodes.take(indices))
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
        self._read_columns(batch, window, shift, shards, padded)
        if self._next_actions:
            following, is_last = find_following(steps, indices, window)
            selection = Selection(following, shards)
            for name, gatherer in self._next_actions:
                batch.columns[name] = hide_rows(gatherer.take(selection), is_last)
        if self._is_hiding:
            hidden = window + shift[:, None] + 1 > steps.last_known_rows(indices)[:, None]
            for name in self._gatherers:
                if name == "next_observations":
                    batch.next_observations = hide_rows(batch.next_observations, hidden)
                elif name.startswith("next_observations/"):
                    batch.columns[name] = hide_rows(batch.columns[name], hidden)
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
        shift: Positions,
        shards: ShardsOfSteps,
        padded: npt.NDArray[np.bool_] | None,
    ) -> None:
        are_runs = self._whole is not None
        of_steps = Selection(window, shards, are_runs=are_runs)
        rows = window + shift[:, None]
        before = Selection(rows, shards, are_runs=are_runs)
        after = Selection(rows + 1, shards, are_runs=are_runs)
        for name, gatherer in self._gatherers.items():
            if name in self._paired:
                continue
            group = name.partition("/")[0]
            if group in _OF_STEPS:
                value = gatherer.take(of_steps)
                if padded is not None and group != "actions":
                    value[padded] = 0
            else:
                is_before = group == "observations" or name in self._current
                value = gatherer.take(before if is_before else after)
            _put(batch, name, value)
        for key, gatherer in self._step_infos.items():
            batch.columns["infos"][key] = gatherer.take(before)
        for name, next_name, gatherer in self._pairs:
            value, next_value = gatherer.take_pairs(before, after)
            _put(batch, name, value)
            _put(batch, next_name, next_value)

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


def _put(batch: SequenceBatch, name: str, value: Any) -> None:
    if name in BATCH_FIELDS:
        setattr(batch, name, value)
    else:
        batch.columns[name] = value
