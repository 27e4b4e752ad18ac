"""Goals for hindsight experience replay (HER), from the future of a transition's own episode.

Relabelling a transition with a goal that was reached later in its episode is the strategy "future"
of Andrychowicz et al. (2017, "Hindsight experience replay", section 4.5).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from minari_core.errors import SamplingError
from minari_core.sampling.rank_index import Positions

Goals: TypeAlias = Literal["future", "uniform", "geometric", "final"]


def check_goals(goals: object) -> None:
    """Validate the strategy that goals are chosen by.

    Raises:
        SamplingError: It is none.
    """
    if goals not in (None, "future", "uniform", "geometric", "final"):
        raise SamplingError(
            f"goals is {goals!r}; give 'future' (or 'uniform', the same), 'geometric' or 'final'"
        )


def choose_goal_rows(
    goals: Goals,
    discount: float,
    rows: Positions,
    ahead: Positions,
    generator: np.random.Generator | None,
) -> Positions:
    """Choose for each transition the row of a later observation of its episode.

    Args:
        goals: ``"uniform"`` gives each later row the same chance, as HER's strategy "future"
            does; ``"geometric"`` a chance that falls with its distance k as ``discount ** k``;
            ``"final"`` takes the last.
        discount: See ``"geometric"``; at least 0 and below 1.
        rows: The row before each step, int64 of shape (B,).
        ahead: The number of later rows in its episode, at least 1, of shape (B,).
        generator: Where randomness comes from.

    Raises:
        SamplingError: The goals are random, and there is no generator.
    """
    if goals == "final":
        return rows + ahead
    if generator is None:
        raise SamplingError(f"{goals} goals are random, but no generator is given")
    if goals == "uniform":
        return rows + generator.integers(1, ahead + 1)
    if discount == 0:
        return rows + 1
    # The geometric distribution, cut off at the end of the episode, by inverting its
    # distribution function: P(k) = (1 - d) d^(k-1) / (1 - d^ahead).
    reach = -np.expm1(ahead * np.log(discount))
    drawn = np.log1p(-generator.random(len(ahead)) * reach) / np.log(discount)
    goal_rows: Positions = rows + np.clip(np.floor(drawn).astype(np.int64) + 1, 1, ahead)
    return goal_rows
