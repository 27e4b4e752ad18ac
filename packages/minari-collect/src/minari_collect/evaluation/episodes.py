"""Run the episodes of an evaluation, in one environment or in many side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import gymnasium
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate

from minari_collect.workers.messages import derive_seeds
from minari_collect.workers.policies import (
    Policy,
    PolicyRunner,
    VectorPolicyRunner,
    batch_values,
)
from minari_core.errors import DataError
from minari_core.messages import format_value


class Actor(Protocol):
    """A policy that acts in all environments at once."""

    def reset(self, seeds: Mapping[int, int]) -> None:
        """Begin an episode in some environments, with a seed of each."""
        ...

    def __call__(self, observations: Sequence[Any]) -> Iterable[Any]:
        """Choose an action for each environment."""
        ...


class SingleActor:
    """A policy that takes one observation."""

    def __init__(self, policy: Policy | None, action_space: spaces.Space[Any]) -> None:
        self._runner = PolicyRunner(policy, action_space)

    def reset(self, seeds: Mapping[int, int]) -> None:
        """Begin an episode."""
        for seed in seeds.values():
            self._runner.reset(seed)

    def __call__(self, observations: Sequence[Any]) -> Iterable[Any]:
        """Choose an action."""
        return [self._runner(observation) for observation in observations]


class BatchActor:
    """A policy that takes a batch of observations."""

    def __init__(self, policy: Policy | None, env: gymnasium.Env[Any, Any], num_envs: int) -> None:
        self._runner = VectorPolicyRunner(policy, env.action_space, num_envs)
        self._observation_space = env.observation_space
        self._actions_space = batch_space(env.action_space, num_envs)

    def reset(self, seeds: Mapping[int, int]) -> None:
        """Begin episodes of some environments."""
        self._runner.reset(seeds)

    def __call__(self, observations: Sequence[Any]) -> Iterable[Any]:
        """Choose an action for each environment."""
        batch = batch_values(self._observation_space, list(observations))
        return iterate(self._actions_space, self._runner(batch))


class Lane:
    """An environment, and the episodes that it runs one after another."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        seeds: Sequence[int],
        options: Mapping[str, Any] | None,
    ) -> None:
        """Prepare to run an episode for each seed.

        Args:
            env: The environment.
            seeds: What it is reset with for each episode.
            options: The options of each reset.
        """
        self.returns: list[float] = []
        """The return of each episode so far."""
        self.lengths: list[int] = []
        """The number of its steps."""
        self.observation: Any = None
        """The last observation."""
        self._env = env
        self._seeds = seeds
        self._options = options

    def begin(self) -> int | None:
        """Begin the next episode, and return the seed of the policy; None if there is none."""
        if len(self.lengths) == len(self._seeds):
            return None
        seed = self._seeds[len(self.lengths)]
        options = None if self._options is None else dict(self._options)
        self.observation, _ = self._env.reset(seed=seed, options=options)
        self.returns.append(0.0)
        self.lengths.append(0)
        # Of the environment's seed alone, so that it is all that must be known to repeat this.
        return derive_seeds(seed, 0)[1]

    def step(self, action: Any) -> bool:
        """Step the environment, and return whether the episode is over.

        Raises:
            DataError: The reward is no number.
        """
        self.observation, reward, terminated, truncated, _ = self._env.step(action)
        try:
            self.returns[-1] += float(reward)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"the environment's reward is {format_value(reward)}, and a return is a sum of "
                "numbers; wrap the environment so that it gives one number a step"
            ) from error
        self.lengths[-1] += 1
        return bool(terminated or truncated)


def run_episodes(lanes: Sequence[Lane], actor: Actor) -> None:
    """Run all episodes of all lanes.

    Lanes that have no episodes left show the policy their last observation, so that it gets batches
    of one size; their environments are left alone.
    """
    actor.reset(dict(_begin(lanes, range(len(lanes)))))
    running = list(range(len(lanes)))
    while running:
        actions = list(actor([lane.observation for lane in lanes]))
        over = [number for number in running if lanes[number].step(actions[number])]
        if over:
            begun = dict(_begin(lanes, over))
            if begun:
                actor.reset(begun)
            running = [number for number in running if number not in over or number in begun]


def _begin(lanes: Sequence[Lane], numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Begin the next episode of some lanes, and yield those that have one, with its seed."""
    for number in numbers:
        seed = lanes[number].begin()
        if seed is not None:
            yield number, seed
