"""Windows of consecutive steps of one episode, for sequence models and recurrent learners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.gathering import Gatherer, Selection, gatherer_for
from minari_core.sampling.rank_index import Positions, RankIndex
from minari_core.sampling.steps import EpisodeSteps, EpisodeWeights, draw_positions
from minari_core.sampling.transitions import PARTS
from minari_core.sharded_storage import ShardedStorage

Padding: TypeAlias = Literal["after", "before"]

_OF_STEPS = ("actions", "rewards", "terminations", "truncations")


@dataclass(slots=True)
class SequenceBatch:
    """B windows of L steps, as arrays of shape (B, L, …) in the structure of the spaces.

    A part that was not asked for is None. Where `mask` is False, a value is padding: it repeats
    the nearest value of its episode and has no meaning, except that rewards, terminations and
    truncations are 0 there.
    """

    observations: Any = None
    """The observations before the steps."""
    actions: Any = None
    """The actions."""
    rewards: Any = None
    """The rewards, float64."""
    next_observations: Any = None
    """The observations after the steps."""
    terminations: Any = None
    """Whether each step terminated its episode."""
    truncations: Any = None
    """Whether each step truncated its episode."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the rows after the
    steps."""
    mask: Any = None
    """True for the steps of the episode and False for padding, bool of shape (B, L)."""
    time_steps: Any = None
    """The number of each step in its episode, int64 of shape (B, L); 0 for padding."""
    returns_to_go: Any = None
    """If asked for: the discounted sum of the rewards from each step to the end of its episode,
    float64; 0 for padding."""
    episode_ids: Any = None
    """The stored index of each window's episode, int64 of shape (B,)."""

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.episode_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOptions:
    """What to read of each window; the arguments of `MinariDataset.sample_sequences`."""

    length: int
    """Steps in a window."""
    columns: tuple[str, ...] | None = None
    """Parts and columns to read; all parts but `next_observations` if None."""
    padding: Padding | None = None
    """Where windows are padded that reach beyond an episode; None for whole windows only."""
    returns_to_go: bool = False
    """Whether to compute returns-to-go."""
    discount: float = 1.0
    """The discount of returns-to-go."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            SamplingError: One makes no sense.
        """
        if self.length < 1:
            raise SamplingError(f"length is {self.length}; a window has at least 1 step")
        if self.padding not in (None, "after", "before"):
            raise SamplingError(f"padding is {self.padding!r}, not 'after', 'before' or None")
        if not 0 <= self.discount <= 1:
            raise SamplingError(f"discount is {self.discount}, not between 0 and 1")


class SequenceSampler:
    """Reads windows of a dataset or view by their positions, or at random.

    With padding there is a window for each step: it begins there (padded after the end), or ends
    there (padded before the beginning). Without, there is one for each step that at least
    ``length - 1`` others follow in its episode.

    Thread-safe for `read`: it holds no position.
    """

    def __init__(
        self, storage: ShardedStorage, episodes: Positions | range, options: SequenceOptions
    ) -> None:
        """Bind the columns.

        Args:
            storage: Where the data is.
            episodes: The view's episodes.
            options: What to read of each window.

        Raises:
            SamplingError: There is no column of a name, or every episode is shorter than a
                window that is not padded.
        """
        self.steps = EpisodeSteps(storage, episodes)
        """The steps of the view."""
        self.options = options
        """What is read of each window."""
        defaults = tuple(name for name in PARTS if name != "next_observations")
        names = defaults if options.columns is None else options.columns
        self._gatherers = {name: _gatherer(storage, name) for name in names}
        self._rewards = gatherer_for(storage, "rewards")
        self._whole: RankIndex | None = None
        if options.padding is None:
            counts = np.maximum(self.steps.lengths - options.length + 1, 0)
            self._holders = np.flatnonzero(counts)
            if self.steps.total and not len(self._holders):
                raise SamplingError(
                    f"windows of {options.length} steps are longer than every episode (the longest "
                    f"has {int(self.steps.lengths.max())} steps); ask for padding or shorter ones"
                )
            self._whole = RankIndex(counts[self._holders])
            self._skipped = self.steps.view_starts[self._holders] - (
                np.cumsum(counts[self._holders]) - counts[self._holders]
            )

    def __len__(self) -> int:
        """The number of windows."""
        return self.steps.total if self._whole is None else self._whole.total

    def sample(
        self,
        generator: np.random.Generator,
        batch_size: int,
        weights: EpisodeWeights | None = None,
    ) -> SequenceBatch:
        """Draw windows with repetition.

        Args:
            generator: Where randomness comes from.
            batch_size: How many.
            weights: How likely each episode is; by its number of windows if None.
        """
        if weights is not None and self._whole is not None:
            raise SamplingError(
                "weights need padding='after' or 'before', so that all episodes fit"
            )
        if weights is not None or self._whole is None:
            return self.read(draw_positions(generator, self.steps, batch_size, weights))
        draw_positions(generator, self.steps, batch_size, None) if not len(self) else None
        return self.read(generator.integers(0, len(self), size=batch_size))

    def read(self, positions: Positions) -> SequenceBatch:
        """Read windows by their positions.

        Args:
            positions: From 0 to ``len(self) - 1``, shape (B,).
        """
        steps, length = self.steps, self.options.length
        if self._whole is not None:
            positions = positions + self._skipped.take(self._whole.runs(positions))
        places, anchor = steps.locate(positions)
        offsets = np.arange(length)
        if self.options.padding == "before":
            offsets = offsets - (length - 1)
        wanted = anchor[:, None] + offsets
        first = steps.first_steps.take(places)
        last = first + steps.lengths.take(places) - 1
        batch = SequenceBatch(episode_ids=steps.episodes.take(places))
        window = wanted
        if self._whole is None:
            window = np.clip(wanted, first[:, None], last[:, None])
        batch.mask = window == wanted
        padded = None if self._whole is not None or batch.mask.all() else ~batch.mask
        batch.time_steps = window - first[:, None]
        self._read_columns(batch, window, steps.rows(places, first) - first, padded)
        if self.options.returns_to_go:
            batch.returns_to_go = self._returns_to_go(window, last, padded)
        if padded is not None:
            batch.time_steps[padded] = 0
        return batch

    def _read_columns(
        self,
        batch: SequenceBatch,
        window: Positions,
        shift: Positions,
        padded: npt.NDArray[np.bool_] | None,
    ) -> None:
        of_steps = Selection(window)
        rows = window + shift[:, None]
        before, after = Selection(rows), Selection(rows + 1)
        for name, gatherer in self._gatherers.items():
            part, _, rest = name.partition("/")
            if part in _OF_STEPS:
                value = gatherer.take(of_steps)
                if padded is not None and part != "actions":
                    value[padded] = 0
            else:
                value = gatherer.take(before if part == "observations" else after)
            if rest or part not in PARTS:
                batch.columns[name] = value
            else:
                setattr(batch, name, value)

    def _returns_to_go(
        self, window: Positions, last: Positions, padded: npt.NDArray[np.bool_] | None
    ) -> npt.NDArray[np.float64]:
        """Sums of rewards to the end of the episode (Chen et al., 2021, section 3)."""
        discount = self.options.discount
        rewards = self._rewards.take(Selection(window))
        if padded is not None:
            rewards[padded] = 0
        # What lies behind each window is summed first; then the sums run backwards through it.
        ends = window[:, -1]
        going_on = np.zeros_like(rewards[:, 0])
        for place in np.flatnonzero(ends < last).tolist():
            behind = np.arange(ends[place] + 1, last[place] + 1)
            values = self._rewards.take(Selection(behind))
            powers = discount ** np.arange(len(behind))
            going_on[place] = np.tensordot(powers, values, axes=1)
        returns: npt.NDArray[np.float64] = np.empty_like(rewards)
        for place in range(self.options.length - 1, -1, -1):
            summed = rewards[:, place] + discount * going_on
            if padded is not None:
                # Padding passes on what lies behind it, undiscounted.
                gap = padded[:, place].reshape(-1, *(1,) * (summed.ndim - 1))
                summed = np.where(gap, going_on, summed)
            going_on = returns[:, place] = summed
        if padded is not None:
            returns[padded] = 0
        return returns


def _gatherer(storage: ShardedStorage, name: str) -> Gatherer:
    part, slash, rest = name.partition("/")
    stored = "observations" if part == "next_observations" else part
    return gatherer_for(storage, stored + slash + rest)
