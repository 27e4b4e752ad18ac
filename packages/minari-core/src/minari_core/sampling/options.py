"""The options of samplers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal, TypeAlias

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.goals import Goals, check_goals

Padding: TypeAlias = Literal["after", "before"]
RewardScale: TypeAlias = float | Literal["return_range"]

BATCH_FIELDS = (
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
)
"""The fields of a batch of transitions, which are read unless other columns are asked for."""

# The text of options is in states that earlier releases have saved, which had fewer of them.
_LATER = ("include_unknown_final", "reward_scale")
_LATER_OF_TRANSITIONS = (*_LATER, "returns_to_go")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionOptions:
    """The arguments of `MinariDataset.sample_transitions` that say what to read."""

    columns: tuple[str, ...] | None = None
    """The columns to read; those of `BATCH_FIELDS` if None."""
    n_step: int = 1
    """The number of steps over which rewards are summed."""
    discount: float = 0.99
    """The discount of n-step returns and of returns-to-go."""
    stack: int = 0
    """The number of frames to stack; 0 for no axis of frames."""
    goals: Goals | None = None
    """The strategy to choose goals by; ``"future"`` becomes its older name ``"uniform"``."""
    goal_discount: float = 0.99
    """With geometric goals, the chance of going one step further."""
    goal_column: str = "observations"
    """The column that goals are taken from."""
    include_unknown_final: bool = False
    """Whether to also read the steps whose next observation nobody knows."""
    returns_to_go: bool = False
    """Whether to compute returns-to-go."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of their sums."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        # Numbers are kept as Python's own: the text of options is in the state of batches.
        object.__setattr__(self, "reward_scale", _check_reward_scale(self.reward_scale))
        for name, smallest in (("n_step", 1), ("stack", 0)):
            object.__setattr__(self, name, check_whole_number(name, getattr(self, name), smallest))
        for name in ("discount", "goal_discount"):
            object.__setattr__(self, name, check_fraction(name, getattr(self, name)))
        if self.goal_discount == 1:
            raise SamplingError("goal_discount is 1, not below 1; give goals='future'")
        check_goals(self.goals)
        if self.goals == "future":
            object.__setattr__(self, "goals", "uniform")

    def __repr__(self) -> str:
        """Every option; of those that came later only what is not the default."""
        return _write_options(self)

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`; where a step is all that is read, ends do not matter."""
        reaches_on = any(name.partition("/")[0] == "next_actions" for name in self.columns or ())
        cuts = (
            self.n_step > 1
            or self.stack > 1
            or self.goals is not None
            or self.returns_to_go
            or self.reward_scale == "return_range"
            or reaches_on
        )
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": cuts}


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceOptions:
    """The arguments of `MinariDataset.sample_sequences` that say what to read."""

    length: int
    """The number of steps in a window."""
    columns: tuple[str, ...] | None = None
    """The columns to read; those of `BATCH_FIELDS` but `next_observations` if None."""
    padding: Padding | None = None
    """The side to pad windows on that reach beyond an episode; None for whole windows only."""
    returns_to_go: bool = False
    """Whether to compute returns-to-go."""
    discount: float = 1.0
    """The discount of returns-to-go."""
    include_unknown_final: bool = False
    """Whether to also read the steps whose next observation nobody knows."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of returns-to-go."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        # Numbers are kept as Python's own: the text of options is in the state of batches.
        object.__setattr__(self, "reward_scale", _check_reward_scale(self.reward_scale))
        object.__setattr__(self, "length", check_whole_number("length", self.length, 1))
        object.__setattr__(self, "discount", check_fraction("discount", self.discount))
        if self.padding not in (None, "after", "before"):
            raise SamplingError(f"padding is {self.padding!r}, not 'after', 'before' or None")

    def __repr__(self) -> str:
        """Every option; of those that came later only what is not the default."""
        return _write_options(self)

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}


def _check_reward_scale(value: object) -> RewardScale:
    if isinstance(value, str) and value == "return_range":
        return "return_range"
    if not isinstance(value, bool | str):
        try:
            scale = float(value)  # type: ignore[arg-type]  # anything may come from a caller
        except (TypeError, ValueError):
            scale = 0.0
        if isfinite(scale) and scale > 0:
            return scale
    raise SamplingError(
        f"reward_scale is {value!r}, neither a finite number above 0 nor 'return_range'"
    )


def _write_options(options: TransitionOptions | SequenceOptions) -> str:
    later = _LATER_OF_TRANSITIONS if isinstance(options, TransitionOptions) else _LATER
    shown = [
        f"{item.name}={getattr(options, item.name)!r}"
        for item in fields(options)
        if item.name not in later or getattr(options, item.name) != item.default
    ]
    return f"{type(options).__name__}({', '.join(shown)})"
