"""A batch of windows of consecutive steps."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.messages import list_outlines, make_html_table, outline_fields


@dataclass(slots=True, repr=False)
class SequenceBatch:
    """B windows of L steps, as arrays of shape (B, L, …) in the structure of the spaces.

    A field that was not asked for is None. Where `mask` is False, a value is padding: it repeats
    the nearest value of its episode and has no meaning, except that rewards, terminations and
    truncations are 0 there.
    """

    observations: Any = None
    """The observations before the steps; with ``final_observation``, of shape (B, L + 1, …)."""
    actions: Any = None
    """The actions."""
    rewards: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """The rewards, float64. Like `returns_to_go`, they are multiplied by ``reward_scale``."""
    next_observations: Any = None
    """The observations after the steps. With ``include_unknown_final`` and episodes whose final
    observation is not known, masked arrays (None in lists)."""
    terminations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether each step terminated its episode."""
    truncations: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Whether each step truncated its episode."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns by the names that were asked for; of infos and extras the rows after the
    steps. ``next_actions`` are the actions of the steps that follow, masked (None in lists) where
    the episode ends; ``previous_actions`` and so on are those of the steps before."""
    mask: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # every batch that was read has it
    """True for the steps of the episode and False for padding, bool of shape (B, L). In windows
    that go on into the next episode, False beside an observation after which there is no step."""
    time_steps: npt.NDArray[np.int64] = None  # type: ignore[assignment]  # every batch that was read has it
    """The number of each step in its episode, int64 of shape (B, L); 0 for padding."""
    is_first: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """If asked for: True for the first step of an episode, bool of shape (B, L)."""
    is_last: npt.NDArray[np.bool_] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """Of windows that go on into the next episode: True for the last observation of one that is
    known, bool of shape (B, L)."""
    returns_to_go: npt.NDArray[np.float64] = None  # type: ignore[assignment]  # where it is asked for, it is there
    """If asked for: the discounted sum of the rewards from each step to the end of its episode,
    float64; 0 for padding."""
    episode_ids: npt.NDArray[np.int64] = None  # type: ignore[assignment]  # every batch that was read has it
    """The stored index of each window's episode, int64 of shape (B,); of shape (B, L) in windows
    that go on into the next episode."""
    dataset_indices: npt.NDArray[np.int64] | None = None
    """The dataset of each window in a mixture, int64 of the shape of `episode_ids`; None of one
    dataset."""

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
