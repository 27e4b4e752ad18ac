"""The options of samplers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Literal, TypeAlias, cast, get_args

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError

Padding: TypeAlias = Literal["after", "before"]
Goals: TypeAlias = Literal["future", "uniform", "geometric", "final", "current", "random"]
GoalMixture: TypeAlias = tuple[tuple[Goals, float], ...]
"""Strategies and their weights."""
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
    goals: Goals | GoalMixture | None = None
    """The strategy to choose goals by, or several with their weights; ``"future"`` becomes its
    older name ``"uniform"``."""
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
        object.__setattr__(self, "goals", normalize_goals(self.goals))

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


def normalize_goals(goals: object) -> Goals | GoalMixture | None:
    """Return the strategy that goals are chosen by, or several with weights, as options keep them.

    Raises:
        SamplingError: It is none.
    """
    if goals is None or isinstance(goals, str):
        return None if goals is None else _check_name(goals)
    given = goals.items() if isinstance(goals, Mapping) else goals
    try:
        pairs = [(name, float(weight)) for name, weight in given]  # type: ignore[attr-defined]  # anything may come from a caller
    except (TypeError, ValueError):
        pairs = []
    weights = [weight for _, weight in pairs]
    if not isfinite(sum(weights)) or min(weights, default=0) < 0 or sum(weights) == 0:
        raise SamplingError(
            f"goals is {goals!r}; give a strategy, or a dict of strategies and weights that "
            "are finite, not negative, and not all 0"
        )
    return tuple((_check_name(name), weight) for name, weight in pairs)


def _check_name(name: object) -> Goals:
    """Return a strategy by its name; ``"future"`` becomes its older name."""
    if not isinstance(name, str) or name not in get_args(Goals):
        raise SamplingError(
            f"goals is {name!r}; give 'future' (or 'uniform', the same), 'geometric', 'final', "
            "'current' or 'random'"
        )
    return cast("Goals", "uniform" if name == "future" else name)


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
