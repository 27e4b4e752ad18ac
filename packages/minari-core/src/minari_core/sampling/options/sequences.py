"""The options of windows of consecutive steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.options.shared import (
    RewardScale,
    SamplerKeywords,
    SamplerOptions,
    normalize_columns,
)
from minari_core.statistics.normalizer import Normalizers

Padding: TypeAlias = Literal["after", "before"]


class SequenceKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read of windows; `SequenceOptions` explains them."""

    columns: Sequence[str] | None
    padding: Padding | None
    final_observation: bool
    is_first: bool
    across_episodes: bool


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SequenceOptions(SamplerOptions):
    """The keywords of `MinariDataset.sample_sequences` that say what to read."""

    length: int
    """The number of steps in a window, L."""
    columns: tuple[str, ...] | None = None
    """The columns to read, as for `TransitionOptions`; all but ``next_observations`` if None."""
    padding: Padding | None = None
    """``None`` for whole windows only; ``"after"`` for windows that begin at any step and are
    padded after the episode's end; ``"before"`` for windows that end at any step and are padded
    before its beginning."""
    returns_to_go: bool = False
    """Also return the discounted sum of rewards from each step to the end of the episode."""
    discount: float = 1.0
    """The discount of returns-to-go."""
    include_unknown_final: bool = False
    """Also the last steps of episodes whose final observation is not known, which else are in no
    window; returns-to-go have their rewards anyway."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of returns-to-go, as for `TransitionOptions`."""
    normalize: Normalizers | None = None
    """What to normalize, as for `TransitionOptions`; padding is, too."""

    final_observation: bool = False
    """Also read the observation after the last step of each window: observations are of shape
    (B, L + 1, …), and none is read twice."""
    is_first: bool = False
    """Also return which steps are the first of their episode."""
    across_episodes: bool = False
    """Read windows of L observations one after another, which go on with the next episode of the
    dataset or view, as world models are trained on them. Of an episode of T steps all T + 1
    observations are in windows, also the last one, after which there is no action; `is_first` and
    `is_last` are given."""

    _LATER: ClassVar[tuple[str, ...]] = (
        *SamplerOptions._LATER,
        "final_observation",
        "is_first",
        "across_episodes",
    )

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        self._set("columns", normalize_columns(self.columns))
        self._normalize()
        self._set("length", check_whole_number("length", self.length, 1))
        if self.padding not in (None, "after", "before"):
            raise SamplingError(f"padding is {self.padding!r}, not 'after', 'before' or None")
        for name in ("final_observation", "is_first", "across_episodes"):
            self._set(name, bool(getattr(self, name)))
        if self.final_observation or self.across_episodes:
            self._check_observations()

    def _check_observations(self) -> None:
        option = "across_episodes" if self.across_episodes else "final_observation"
        if self.across_episodes and (self.padding is not None or self.final_observation):
            raise SamplingError(
                "windows that go on across_episodes have no padding, and the final observation of "
                "each episode anyway; give neither padding nor final_observation"
            )
        behind = ("next_", "returned_") if self.across_episodes else ("next_observations",)
        for name in self.columns or ():
            if name.startswith(behind):
                raise SamplingError(
                    f"columns have {name!r}, which lies one row later in the windows that {option} "
                    "gives"
                )

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}
