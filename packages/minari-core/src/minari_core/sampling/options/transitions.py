"""The options of transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from minari_core.arguments import check_fraction, check_whole_number
from minari_core.errors import SamplingError
from minari_core.sampling.gathering.info_rows import is_of_neighbour
from minari_core.sampling.options.goals import (
    GoalMixture,
    Goals,
    RewardFunction,
    normalize_goals,
)
from minari_core.sampling.options.shared import (
    RewardScale,
    SamplerKeywords,
    SamplerOptions,
    normalize_columns,
)
from minari_core.statistics.normalizer import Normalizers


class TransitionKeywords(SamplerKeywords, total=False):
    """The keywords that say what to read of transitions; `TransitionOptions` explains them."""

    columns: Sequence[str] | None
    n_step: int
    stack: int
    goals: Goals | Mapping[Goals, float] | None
    goal_discount: float
    goal_column: str
    compute_reward: RewardFunction | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TransitionOptions(SamplerOptions):
    """The keywords of `MinariDataset.sample_transitions` that say what to read."""

    columns: tuple[str, ...] | None = None
    """The columns to read; nothing else is read. Names are ``observations``, ``actions``,
    ``rewards``, ``next_observations``, ``terminations``, ``truncations`` (all six if None),
    ``infos`` and ``extras``, and columns inside them such as ``infos/x_position`` or
    ``observations/camera``. An info is that which the step returned, or the one beside it if the
    dataset's metadata lists it in ``step_infos``; ``current_infos/…`` is always that before the
    step, and ``returned_infos/…`` that after it. ``next_actions`` are the actions of the next
    observations, in masked arrays: none follows the last step of an episode. ``previous_actions``,
    ``previous_rewards`` and so on are of the step that led to the observation: masked actions, and
    rewards and flags of 0, at the first step of an episode."""
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

    _LATER: ClassVar[tuple[str, ...]] = (*SamplerOptions._LATER, "returns_to_go", "compute_reward")

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            SamplingError: A value is out of its range.
        """
        self._set("columns", normalize_columns(self.columns))
        self._normalize()
        for name, smallest in (("n_step", 1), ("stack", 0)):
            self._set(name, check_whole_number(name, getattr(self, name), smallest))
        self._set("goal_discount", check_fraction("goal_discount", self.goal_discount))
        if self.goal_discount == 1:
            raise SamplingError("goal_discount is 1, not below 1; give goals='future'")
        self._set("goals", normalize_goals(self.goals))
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

    @property
    def layout(self) -> Mapping[str, bool]:
        """The arguments of `EpisodeSteps`; where a step is all that is read, ends do not matter."""
        reaches_on = any(map(is_of_neighbour, self.columns or ()))
        cuts = (
            self.n_step > 1
            or self.stack > 1
            or self.goals is not None
            or self.returns_to_go
            or self.reward_scale == "return_range"
            or reaches_on
        )
        return {"include_unknown_final": self.include_unknown_final, "cut_at_ends": cuts}
