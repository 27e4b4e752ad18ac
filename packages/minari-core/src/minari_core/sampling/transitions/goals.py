"""Goals for hindsight experience replay (HER): observations to relabel transitions with.

Relabelling a transition with a goal that was reached later in its episode is the strategy "future"
of Andrychowicz et al. (2017, "Hindsight experience replay", section 4.5); "final" and "random" are
from there, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from minari_core.errors import SamplingError
from minari_core.sampling.options.goals import GoalMixture, Goals, RewardFunction
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.steps.episode_steps import EpisodeSteps
from minari_core.sampling.steps.large_steps import LargeSteps
from minari_core.sampling.transitions.batch import TransitionBatch


def choose_goals(
    goals: Goals | GoalMixture,
    discount: float,
    steps: EpisodeSteps | LargeSteps,
    indices: Positions,
    first: Positions,
    generator: np.random.Generator | None,
) -> tuple[Positions, Positions]:
    """Choose a goal for each transition: the episode that it is from, and its row.

    Args:
        goals: ``"current"`` takes the observation before the step, and ``"random"`` that after
            any step of the view, each with the same chance; see `choose_goal_rows` for the others.
            Of several, each transition draws one by their weights.
        discount: See `choose_goal_rows`.
        steps: The steps of the view.
        indices: The index in the view of each transition's episode, shape (B,).
        first: The step of each transition, counted through the storage, shape (B,).
        generator: Where randomness comes from.

    Returns:
        The index in the view of each goal's episode, and its row; the indices that were given
        where all goals are from the episodes of their transitions.

    Raises:
        SamplingError: The goals are random, and there is no generator.
    """
    rows = steps.rows(indices, first)
    if goals == "current":
        return indices, rows
    if generator is None and goals != "final":
        kind = goals if isinstance(goals, str) else "mixed"
        raise SamplingError(f"{kind} goals are random, but no generator is given")
    if goals == "random":
        drawn = cast("np.random.Generator", generator).integers(0, steps.total, len(rows))
        found, led_there = steps.locate(drawn)
        return found, steps.rows(found, led_there) + 1
    if isinstance(goals, str):
        ahead = steps.first_steps.take(indices) + steps.known_lengths.take(indices) - first
        if steps.counts is not steps.known_lengths:
            # After a step that led to nobody knows what, the goal is not known either.
            ahead = np.maximum(ahead, 1)
        return indices, choose_goal_rows(goals, discount, rows, ahead, generator)
    borders = np.cumsum([weight for _, weight in goals])
    share = cast("np.random.Generator", generator).random(len(rows)) * borders[-1]
    chosen = np.searchsorted(borders[:-1], share, side="right")
    goal_indices = indices.copy()
    for number, (name, _) in enumerate(goals):
        at = np.flatnonzero(chosen == number)
        goal_indices[at], rows[at] = choose_goals(
            name, discount, steps, indices[at], first[at], generator
        )
    return goal_indices, rows


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
        # A number below 1 times a whole number below 2⁵³ is below that.
        return rows + 1 + (generator.random(len(ahead)) * ahead).astype(np.int64)
    if discount == 0:
        return rows + 1
    # The geometric distribution, cut off at the end of the episode, by inverting its
    # distribution function: P(k) = (1 - d) d^(k-1) / (1 - d^ahead).
    reach = -np.expm1(ahead * np.log(discount))
    drawn = np.log1p(-generator.random(len(ahead)) * reach) / np.log(discount)
    goal_rows: Positions = rows + np.clip(np.floor(drawn).astype(np.int64) + 1, 1, ahead)
    return goal_rows


def find_achieved(batch: TransitionBatch, goal_column: str) -> Any:
    """Return what the steps achieved, if the batch has it as its next observations; else None.

    Args:
        batch: A batch that was read.
        goal_column: The column of goals.
    """
    group, *keys = goal_column.split("/")
    # Escaped keys are those of a dict no more.
    is_found = group == "observations" and "%" not in goal_column
    value = batch.next_observations if is_found else None
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def relabel_rewards(
    compute_reward: RewardFunction,
    achieved: Any,
    goals: Any,
    columns: Mapping[str, Any],
    count: int,
) -> npt.NDArray[np.float64]:
    """Return the rewards of a batch whose goals were replaced (HER, algorithm 1).

    Args:
        compute_reward: See `RewardFunction`.
        achieved: What the steps achieved.
        goals: The goals.
        columns: The further columns of the batch, of which the infos are given on.
        count: The number of transitions.

    Raises:
        SamplingError: They are no numbers of shape (count,).
    """
    infos = dict(columns.get("infos", {}))
    for name, value in columns.items():
        group, _, path = name.partition("/")
        if group == "infos" and path:
            infos[path] = value
    rewards = np.asarray(compute_reward(achieved, goals, infos))
    if rewards.shape != (count,) or rewards.dtype.kind not in "biuf":
        raise SamplingError(
            f"compute_reward gave {rewards.dtype} of shape {rewards.shape} for {count} "
            f"transitions, not numbers of shape ({count},)"
        )
    return rewards.astype(np.float64)
