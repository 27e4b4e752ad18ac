"""Windows around steps whose columns have ranges of their own, padded at both ends.

So a policy that sees two observations and predicts sixteen actions (diffusion policy, action
chunking) reads two observations of each window and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.messages import list_outlines, make_html_table, outline_fields
from minari_core.sampling.gathering.binding import bind_step_infos, find_gatherer
from minari_core.sampling.gathering.gatherers import Gatherer
from minari_core.sampling.gathering.info_rows import is_of_current_row, read_step_infos
from minari_core.sampling.gathering.needs import Needs, find_needs
from minari_core.sampling.gathering.normalizing import normalize_batch
from minari_core.sampling.gathering.returns import ReturnsToGo
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.options.offsets import OffsetOptions
from minari_core.sampling.options.shared import BATCH_FIELDS
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.steps.episode_steps import ShardsOfSteps, bind_returns
from minari_core.sampling.windows.reader import PositionReader

_OF_STEPS = ("actions", "rewards", "terminations", "truncations")
_ZERO_IN_PADDING = ("rewards", "terminations", "truncations")


@dataclass(slots=True, repr=False)
class OffsetBatch:
    """B windows, each around a step t, as arrays of shape (B, R, …) with R rows of each column.

    Offset k of actions, rewards and flags is step t + k, and of observations the one before that
    step; so the offset of an episode's last observation is one more than that of its last step.
    Beyond the episode the nearest row is repeated, or 0 for rewards and flags, and `masks` are
    False there. A column that was not asked for is None.
    """

    observations: Any = None
    """The observations before the steps."""
    actions: Any = None
    """The actions."""
    rewards: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """The rewards, float64. Like `returns_to_go`, they are multiplied by ``reward_scale``."""
    next_observations: Any = None
    """The observations after the steps."""
    terminations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether each step terminated its episode."""
    truncations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether each step truncated its episode."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the rows after the
    steps."""
    masks: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """For each column True where the episode has the row and False for padding, of shape (B, R)."""
    time_steps: npt.NDArray[np.int64] = None  # type: ignore[assignment]  # every batch that was read has it
    """The number of step t in its episode, int64 of shape (B,)."""
    returns_to_go: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """If asked for: the discounted sum of the rewards from step t to the end of its episode,
    float64 of shape (B,)."""
    episode_ids: npt.NDArray[np.int64] = None  # type: ignore[assignment]  # every batch that was read has it
    """The stored index of each window's episode, int64 of shape (B,)."""
    dataset_indices: npt.NDArray[np.int64] | None = None
    """The dataset of each window in a mixture, int64 of shape (B,); None of one dataset."""

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        shown = outline_fields(self, (item.name for item in fields(self)))
        return f"OffsetBatch({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """A table of the same, for notebooks."""
        shown = list_outlines(self, (item.name for item in fields(self)))
        return make_html_table(f"{len(self)} windows", shown)

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.episode_ids)


class _Place(NamedTuple):
    """Where the rows of a column lie."""

    counted_by: str
    """The attribute of `EpisodeSteps` that counts the rows of each episode."""
    beyond: int
    """How many rows there are beyond that."""
    ahead: int
    """How far behind the row of its step a row lies."""
    of_steps: bool
    """Whether the column has a row for each step, and not for each observation."""


class OffsetSampler(PositionReader[OffsetOptions, OffsetBatch]):
    """Read windows around the steps of a dataset or view, by their positions or at random.

    There is a window for each step. Thread-safe for `read`: it holds no position.
    """

    def _bind(self) -> None:
        storage, options = self._storage, self.options
        marked = read_step_infos(storage.metadata)
        # Columns that are read at the same rows share their selection.
        self._columns: dict[tuple[_Place, tuple[int, ...]], list[tuple[str, Gatherer]]] = {}
        self._offsets = {offsets: np.array(offsets) for _, offsets in options.offsets}
        self._step_infos: dict[str, Gatherer] = {}
        for name, offsets in options.offsets:
            columns = self._columns.setdefault((_find_place(name, marked), offsets), [])
            columns.append((name, find_gatherer(storage, name)))
            if name == "infos":
                self._step_infos = bind_step_infos(storage, marked)
        for column, _ in options.normalize or ():
            find_gatherer(storage, column)
        self._returns: ReturnsToGo | None = None
        self._scale = 1.0
        if options.returns_to_go or options.reward_scale != 1:
            rewards = find_gatherer(storage, "rewards")
            self._returns, self._scale = bind_returns(options, rewards, self.steps)

    def find_needs(self, start: int, stop: int) -> Needs:
        """Return what the reading of neighbouring windows needs; see `PositionReader`."""
        names = [*self.options.columns, *(["rewards"] if self._returns is not None else [])]
        offsets = [offset for _, taken in self.options.offsets for offset in taken]
        return find_needs(
            self.steps,
            np.arange(start, stop),
            names,
            back=max(-min(offsets), 0),
            # Some columns are read a row later.
            ahead=max(max(offsets), 0) + 1,
        )

    def _read_bound(self, positions: Positions) -> OffsetBatch:
        steps = self.steps
        indices, step = steps.locate(positions)
        first = steps.first_steps.take(indices)
        shift = steps.rows(indices, first) - first
        shards = ShardsOfSteps(steps, indices)
        batch = OffsetBatch(
            episode_ids=steps.episodes.take(indices),
            dataset_indices=steps.find_datasets(indices),
            time_steps=step - steps.episode_starts.take(indices),
        )
        for (place, offsets), columns in self._columns.items():
            last = first + getattr(steps, place.counted_by).take(indices) - 1 + place.beyond
            wanted = step[:, None] + self._offsets[offsets]
            rows = np.minimum(np.maximum(wanted, first[:, None]), last[:, None])
            # An episode of one step has no row of some columns.
            mask = (rows == wanted) & (rows >= first[:, None])
            is_padded = not mask.all()
            are_runs = not is_padded and offsets[-1] - offsets[0] == len(offsets) - 1
            rows += place.ahead if place.of_steps else (shift + place.ahead)[:, None]
            selection = Selection(rows, shards, are_runs=are_runs)
            for name, gatherer in columns:
                value = gatherer.take(selection)
                if name == "infos":
                    current = Selection(rows - 1, shards, are_runs=are_runs)
                    for key, of_step in self._step_infos.items():
                        value[key] = of_step.take(current)
                if is_padded and name in _ZERO_IN_PADDING:
                    value[~mask] = 0
                if name in BATCH_FIELDS:
                    setattr(batch, name, value)
                else:
                    batch.columns[name] = value
                batch.masks[name] = mask
        if self._scale != 1 and batch.rewards is not None:
            batch.rewards *= self._scale
        if self._returns is not None:
            batch.returns_to_go = self._returns.read(indices, step) * self._scale
        if self.options.normalize is not None:
            normalize_batch(batch, self.options.normalize)
        return batch


def _find_place(name: str, step_infos: tuple[str, ...]) -> _Place:
    group, _, _ = name.partition("/")
    if group.startswith("previous_"):
        stored = name.removeprefix("previous_")
        raise SamplingError(f"there are no offsets of {name!r}; give {stored!r} the offset -1")
    if group in _OF_STEPS:
        return _Place("counts", 0, 0, True)
    if group == "next_actions":
        return _Place("lengths", -1, 1, True)
    if group == "observations" or is_of_current_row(name, step_infos):
        return _Place("known_lengths", 1, 0, False)
    return _Place("known_lengths" if group == "next_observations" else "counts", 0, 1, False)
