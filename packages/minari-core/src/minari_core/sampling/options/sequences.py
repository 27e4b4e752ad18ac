"""The options of windows of consecutive steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

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

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}
