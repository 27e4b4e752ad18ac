"""Which goals transitions are relabelled with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy.typing as npt

from minari_core.errors import SamplingError

Goals: TypeAlias = Literal["future", "uniform", "geometric", "final", "current", "random"]
GoalMixture: TypeAlias = tuple[tuple[Goals, float], ...]
"""Strategies and their weights."""
RewardFunction: TypeAlias = Callable[[Any, Any, dict[str, Any]], npt.ArrayLike]
"""Rewards of shape (B,) of what was achieved, the goals, and the infos of a batch."""


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
