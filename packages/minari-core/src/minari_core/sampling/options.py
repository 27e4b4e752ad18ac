"""The options of samplers, and the keywords that give them to the methods of a dataset.

An option is declared twice: its keyword with the types that callers may give, and the field of a
frozen class with its default and its meaning, where it is validated and kept in one form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, cast, get_args

import numpy.typing as npt

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.statistics.normalizer import Normalizer, Normalizers

Padding: TypeAlias = Literal["after", "before"]
Goals: TypeAlias = Literal["future", "uniform", "geometric", "final", "current", "random"]
GoalMixture: TypeAlias = tuple[tuple[Goals, float], ...]
"""Strategies and their weights."""
Order: TypeAlias = Literal["exact", "pool"]
ColumnOffsets: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Names of columns and the rows of each, counted from a step."""
RewardFunction: TypeAlias = Callable[[Any, Any, dict[str, Any]], npt.ArrayLike]
"""Rewards of shape (B,) of what was achieved, the goals, and the infos of a batch."""
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

NORMALIZED = ("observations", "actions", "infos", "extras")
"""The column groups that can be normalized."""

# No episode is longer, and a step and an offset have a sum.
_FARTHEST = 1 << 60
# The text of options is in states that earlier releases have saved, which had fewer of them.
_LATER = ("include_unknown_final", "reward_scale", "normalize")
_LATER_OF_TRANSITIONS = (*_LATER, "returns_to_go", "compute_reward")


class SamplerKeywords(TypedDict, total=False):
    """The keywords that say what to read of transitions and of windows.

    `TransitionOptions`, `SequenceOptions` and `OffsetOptions` say what each means, and its default.
    """

    discount: float | None
    returns_to_go: bool
    include_unknown_final: bool
    reward_scale: RewardScale
    normalize: Normalizer | Mapping[str, Normalizer] | None


class TransitionKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read of transitions; `TransitionOptions` explains them."""

    columns: Sequence[str] | None
    n_step: int
    stack: int
    goals: Goals | Mapping[Goals, float] | None
    goal_discount: float
    goal_column: str
    compute_reward: RewardFunction | None


class SequenceKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read of windows; `SequenceOptions` explains them."""

    columns: Sequence[str] | None
    padding: Padding | None


class OffsetKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read around steps; `OffsetOptions` explains them."""

    offsets: Mapping[str, Iterable[int]] | None


class BatchKeywords(TransitionKeywords, SequenceKeywords, OffsetKeywords, total=False):
    """The keywords that say what to read of transitions or windows, whichever are visited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionOptions:
    """The keywords of `MinariDataset.sample_transitions` that say what to read."""

    columns: tuple[str, ...] | None = None
    """The columns to read; nothing else is read. Names are ``observations``, ``actions``,
    ``rewards``, ``next_observations``, ``terminations``, ``truncations`` (all six if None),
    ``infos`` and ``extras``, and columns inside them such as ``infos/x_position`` or
    ``observations/camera``. An info is that which the step returned, or the one beside it if the
    dataset's metadata lists it in ``step_infos``; ``current_infos/…`` is always that before the
    step, and ``returned_infos/…`` that after it. ``next_actions`` are the actions of the next
    observations, in masked arrays: none follows the last step of an episode."""
    n_step: int = 1
    """The number of steps whose rewards are summed, fewer at the end of the episode; the next
    observations and the flags are then those after the last of them."""
    discount: float = 0.99
    """The discount of n-step returns and of returns-to-go."""
    stack: int = 0
    """The number of frames to stack as an observation; before the beginning of the episode the
    first frame is repeated. 0 for no axis of frames."""
    goals: Goals | GoalMixture | None = None
    """Also return goals for hindsight experience replay (HER, Andrychowicz et al., 2017):
    observations from after the step in the same episode. ``"future"`` (kept by its older name
    ``"uniform"``) gives each of them the same chance, ``"geometric"`` prefers near ones, and
    ``"final"`` takes the last. ``"current"`` takes the one before the step, ``"random"`` one after
    any step of the dataset or view. A dict of strategies and weights draws one of them for each
    transition."""
    goal_discount: float = 0.99
    """With geometric goals, the chance of going one step further."""
    goal_column: str = "observations"
    """The column of goals, such as ``observations/achieved_goal``."""
    compute_reward: RewardFunction | None = None
    """With goals: the function that gives the rewards, called once for a batch with what the steps
    achieved (the ``goal_column`` after them), the goals, and a dict of those infos that are among
    the columns, all of shape (B, …). Gymnasium-Robotics' ``env.unwrapped.compute_reward`` is
    one."""
    include_unknown_final: bool = False
    """Also read the last steps of episodes whose final observation is not known. Next observations
    (and goals) are masked arrays then."""
    returns_to_go: bool = False
    """Also return the discounted sum of rewards from each step to the end of the episode."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of their sums. ``"return_range"`` takes 1000 divided by the range
    of the undiscounted returns of these episodes, as IQL does (Kostrikov et al., 2022)."""
    normalize: Normalizers | None = None
    """What to normalize, which makes it float32: a `Normalizer` of the observations, or a dict with
    those of several columns, such as ``actions`` or ``infos/x_position``. Next observations and
    goals are normalized as the column that they are from."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        _normalize_shared(self)
        for name, smallest in (("n_step", 1), ("stack", 0)):
            _set(self, name, check_whole_number(name, getattr(self, name), smallest))
        _set(self, "goal_discount", check_fraction("goal_discount", self.goal_discount))
        if self.goal_discount == 1:
            raise SamplingError("goal_discount is 1, not below 1; give goals='future'")
        _set(self, "goals", normalize_goals(self.goals))
        if self.compute_reward is not None:
            self._check_relabelling()

    def _check_relabelling(self) -> None:
        if not callable(self.compute_reward):
            raise SamplingError(f"compute_reward is {self.compute_reward!r}, not a function")
        if self.goals is None:
            raise SamplingError("compute_reward is given, but no goals; give goals='future'")
        stored = {
            "n_step": self.n_step > 1,
            "returns_to_go": self.returns_to_go,
            "reward_scale": self.reward_scale == "return_range",
            "include_unknown_final": self.include_unknown_final,
        }
        for name in (name for name, is_given in stored.items() if is_given):
            raise SamplingError(
                f"{name} is {getattr(self, name)!r}, which is of the stored rewards or of "
                "observations that nobody knows; compute_reward goes without it"
            )

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
        _normalize_shared(self)
        _set(self, "length", check_whole_number("length", self.length, 1))
        if self.padding not in (None, "after", "before"):
            raise SamplingError(f"padding is {self.padding!r}, not 'after', 'before' or None")

    def __repr__(self) -> str:
        """Every option; of those that came later only what is not the default."""
        return _write_options(self)

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetOptions:
    """The keywords of `MinariDataset.sample_sequences` with ``offsets``."""

    offsets: ColumnOffsets
    """The rows to read of each column, counted from a step that the window is around: a dict of
    names of columns, as for `TransitionOptions`, and ranges, such as ``{"observations":
    range(-1, 1), "actions": range(16)}``. Nothing else is read. Any whole numbers will do for a
    range, in any order."""
    returns_to_go: bool = False
    """Also return the discounted sum of rewards from the step to the end of the episode."""
    discount: float = 1.0
    """The discount of returns-to-go."""
    include_unknown_final: bool = False
    """Also the last steps of episodes whose final observation is not known."""
    reward_scale: RewardScale = 1.0
    """The factor of rewards and of returns-to-go, as for `TransitionOptions`."""
    normalize: Normalizers | None = None
    """What to normalize, as for `TransitionOptions`; padding is, too."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        _set(self, "offsets", _normalize_offsets(self.offsets))
        _normalize_shared(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return tuple(name for name, _ in self.offsets)

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`."""
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": True}


AnyOptions: TypeAlias = TransitionOptions | SequenceOptions | OffsetOptions
Options = TypeVar("Options", TransitionOptions, SequenceOptions, OffsetOptions)

_KINDS: dict[type[AnyOptions], str] = {
    TransitionOptions: "transitions, not windows",
    SequenceOptions: "windows; give length too",
    OffsetOptions: "windows with offsets",
}


def make_options(kind: type[Options], keywords: Mapping[str, object], **others: object) -> Options:
    """Make options of keywords.

    Args:
        kind: Of transitions, of windows, or of windows with offsets.
        keywords: Those of a caller. What is of another kind may have its default only.
        **others: Further options.

    Raises:
        SamplingError: A value is out of its range, or of another kind.
        TypeError: There is no option of a name.
    """
    own = {item.name for item in fields(kind)} - set(others)
    foreign = {
        item.name: (item.default, whose)
        for other, whose in _KINDS.items()
        for item in fields(other)
        if item.name not in own
    }
    given: dict[str, Any] = {**others}
    for name, value in keywords.items():
        if name in own:
            given[name] = value
        elif name not in foreign or name in others:
            raise TypeError(f"unexpected keyword argument {name!r}; there are {sorted(own)}")
        elif value is not None and value != foreign[name][0]:
            raise SamplingError(f"{name}={value!r} is of {foreign[name][1]}")
    if given.get("discount", 0) is None:
        del given["discount"]
    return kind(**given)


def normalize_columns(columns: object) -> tuple[str, ...] | None:
    """Return the names of columns as options keep them.

    Raises:
        SamplingError: It is a single text, or empty, or not all items are text.
    """
    if columns is None:
        return None
    names = tuple(columns) if isinstance(columns, Iterable) and not isinstance(columns, str) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise SamplingError(f"columns is {columns!r}, not a list of names")
    return names


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


def _normalize_offsets(offsets: object) -> ColumnOffsets:
    pairs = [*offsets.items()] if isinstance(offsets, Mapping) else offsets
    if not isinstance(pairs, list | tuple) or not pairs:
        raise SamplingError(
            f"offsets is {offsets!r}, not a dict of columns and ranges such as "
            "{'observations': range(-1, 1), 'actions': range(16)}"
        )
    found = []
    for name, numbers in pairs:
        rows = numbers if isinstance(numbers, Iterable) and not isinstance(numbers, str) else ()
        checked = tuple(
            [check_whole_number(f"an offset of {name}", row, -_FARTHEST) for row in rows]
        )
        if not checked or max(checked) > _FARTHEST:
            raise SamplingError(
                f"the offsets of {name!r} are {numbers!r}; give at least one, and none beyond "
                f"{_FARTHEST}"
            )
        found.append((name, checked))
    normalize_columns([name for name, _ in found])
    return tuple(found)


def _normalize_shared(options: AnyOptions) -> None:
    # Numbers are kept as Python's own: the text of options is in the state of batches.
    if not isinstance(options, OffsetOptions):
        _set(options, "columns", normalize_columns(options.columns))
    _set(options, "reward_scale", _check_reward_scale(options.reward_scale))
    _set(options, "normalize", _check_normalizers(options.normalize))
    _set(options, "discount", check_fraction("discount", options.discount))
    for name in ("include_unknown_final", "returns_to_go"):
        _set(options, name, bool(getattr(options, name)))


def _set(options: AnyOptions, name: str, value: object) -> None:
    object.__setattr__(options, name, value)


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


def _check_normalizers(value: object) -> Normalizers | None:
    if value is None:
        return None
    given = {"observations": value} if isinstance(value, Normalizer) else value
    try:
        pairs: tuple[tuple[Any, Any], ...] = tuple(dict(given).items())  # type: ignore[call-overload]  # anything may come from a caller
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or not all(
        isinstance(normalizer, Normalizer) and str(name).partition("/")[0] in NORMALIZED
        for name, normalizer in pairs
    ):
        raise SamplingError(
            f"normalize is {value!r}; give a Normalizer of the observations, or a dict of columns "
            f"in {', '.join(NORMALIZED)} and their normalizers"
        )
    return pairs


def _write_options(options: TransitionOptions | SequenceOptions) -> str:
    later = _LATER_OF_TRANSITIONS if isinstance(options, TransitionOptions) else _LATER
    shown = [
        f"{item.name}={_write_value(getattr(options, item.name))}"
        for item in fields(options)
        if item.name not in later or getattr(options, item.name) != item.default
    ]
    return f"{type(options).__name__}({', '.join(shown)})"


def _write_value(value: object) -> str:
    # The address of a function is another one in each process.
    return (
        getattr(value, "__qualname__", type(value).__qualname__) if callable(value) else repr(value)
    )
