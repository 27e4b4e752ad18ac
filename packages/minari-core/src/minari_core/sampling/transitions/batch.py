"""A batch of transitions, and where each of them and each goal is from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.messages import list_outlines, make_html_table, outline_fields
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.steps.episode_steps import EpisodeSteps
from minari_core.sampling.steps.large_steps import LargeSteps


@dataclass(frozen=True, slots=True)
class BatchOrigin:
    """The origin of the transitions of a batch; ids are looked up only on request."""

    steps: EpisodeSteps | LargeSteps
    """The steps of the view."""
    indices: Positions
    """The index of each transition's episode in the view."""
    first: Positions
    """The step of each transition, counted through the storage."""
    goal_indices: Positions | None = None
    """The index of each goal's episode in the view."""
    goal_rows: Positions | None = None
    """The row of each goal."""


@dataclass(slots=True, repr=False)
class TransitionBatch:
    """B transitions, as arrays of shape (B, …) in the structure of the spaces.

    A field that was not asked for is None, and is typed as what it is where it was. The types of
    observations and actions are Any, because only the spaces know them.
    """

    observations: Any = None
    """The observations before the steps; with ``stack``, of shape (B, stack, …)."""
    actions: Any = None
    """The actions of the steps."""
    rewards: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """The rewards, float64; with ``n_step``, the discounted sums of up to n of them. Like
    `returns_to_go`, they are multiplied by ``reward_scale``."""
    next_observations: Any = None
    """The observations after the steps, or after up to n of them. With ``include_unknown_final``
    and episodes whose final observation is not known, masked arrays (None in lists)."""
    terminations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether the last of the steps terminated its episode; no value is bootstrapped then."""
    truncations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether the last of the steps truncated its episode; the value is bootstrapped then."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the row after the
    step, as `step` returned it, but of step infos and ``current_infos`` the one before it.
    ``next_actions`` are the actions of the steps that follow, masked (None in lists) where the
    episode ends."""
    discounts: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """With ``n_step`` above 1, beside rewards or next observations: the discount of the value of
    `next_observations`, float64 of shape (B,); 0 where the last step terminated its episode."""
    goals: Any = None
    """With ``goals``: observations that were reached; `goal_episode_ids` and `goal_time_steps`
    show where."""
    returns_to_go: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """If asked for: the discounted sum of the rewards from each step to the end of its episode,
    float64."""
    origin: BatchOrigin | None = None
    """The origin of the transitions; `episode_ids` and `time_steps` show it."""

    @property
    def episode_ids(self) -> Positions:
        """The stored index of each transition's episode, int64 of shape (B,)."""
        origin = self._get_origin()
        return origin.steps.episodes.take(origin.indices)

    @property
    def time_steps(self) -> Positions:
        """The number of each step in its episode, int64 of shape (B,)."""
        origin = self._get_origin()
        return origin.first - origin.steps.episode_starts.take(origin.indices)

    @property
    def goal_episode_ids(self) -> Positions | None:
        """The stored index of the episode of each goal, int64 of shape (B,); None without goals."""
        origin = self._get_origin()
        return (
            None if origin.goal_indices is None else origin.steps.episodes.take(origin.goal_indices)
        )

    @property
    def goal_time_steps(self) -> Positions | None:
        """The number of each goal's row in its episode, int64 of shape (B,); None without goals.

        The observation before step t is row t, so the last of an episode of T steps is row T.
        """
        origin = self._get_origin()
        if origin.goal_rows is None or origin.goal_indices is None:
            return None
        starts = origin.steps.episode_starts.take(origin.goal_indices)
        return origin.goal_rows - origin.steps.rows(origin.goal_indices, starts)

    @property
    def dataset_indices(self) -> Positions | None:
        """The dataset of each transition in a mixture, int64 of shape (B,); None of one dataset."""
        origin = self._get_origin()
        return origin.steps.find_datasets(origin.indices)

    def __repr__(self) -> str:
        """Shapes and dtypes instead of values."""
        shown = outline_fields(self, (item.name for item in fields(self) if item.name != "origin"))
        return f"TransitionBatch({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """A table of the same, for notebooks."""
        shown = (item.name for item in fields(self) if item.name != "origin")
        return make_html_table(f"{len(self)} transitions", list_outlines(self, shown))

    def __len__(self) -> int:
        """The number of transitions."""
        return len(self._get_origin().indices)

    def _get_origin(self) -> BatchOrigin:
        if self.origin is None:
            raise SamplingError("the batch has not been read yet")
        return self.origin
