"""Policies, of any kind that can be called, and their state during an episode."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.errors import RecordingError

Policy: TypeAlias = Callable[..., Any]
"""Takes an observation and returns an action.

One that takes a second argument has a state: it gets None first, then what it returned last, and
returns an action and a state. If there is a ``reset`` method, it is called before each episode,
with ``seed=`` if it takes that. For vector environments, observations and actions are batches.
"""


def load_policy(text: str) -> Policy:
    """Load a policy that is given as ``module:callable``.

    Raises:
        RecordingError: There is none.
    """
    module_name, colon, path = text.partition(":")
    if not colon or not module_name or not path:
        raise RecordingError(f"policy {text!r} is not written as module:callable")
    try:
        target: Any = importlib.import_module(module_name)
        for name in path.split("."):
            target = getattr(target, name)
    except (ImportError, AttributeError) as error:
        raise RecordingError(f"policy {text!r} cannot be found: {error}") from error
    # A class is a factory of policies; an instance is the policy.
    policy: Any = target() if isinstance(target, type) else target
    if not callable(policy):
        raise RecordingError(f"policy {text!r} is a {type(policy).__name__}, which is no callable")
    chosen: Policy = policy
    return chosen


class PolicyRunner:
    """A policy and its state, for one environment."""

    def __init__(self, policy: Policy | None, action_space: spaces.Space[Any]) -> None:
        """Prepare to call a policy.

        Args:
            policy: The policy; None for random actions.
            action_space: The space of the actions.
        """
        self._policy = policy
        self._space = copy.deepcopy(action_space)
        self._has_state = policy is not None and _is_stateful(policy)
        self._reset = getattr(policy, "reset", None)
        self._takes_seed = callable(self._reset) and _takes(self._reset, "seed")
        self._state: Any = None

    def reset(self, seed: int) -> None:
        """Begin an episode."""
        self._state = None
        if self._policy is None:
            self._space.seed(seed)
        elif callable(self._reset):
            if self._takes_seed:
                self._reset(seed=seed)
            else:
                self._reset()

    def __call__(self, observation: Any) -> Any:
        """Choose an action."""
        if self._policy is None:
            return self._space.sample()
        if self._has_state:
            action, self._state = self._policy(observation, self._state)
            return action
        return self._policy(observation)


class VectorPolicyRunner:
    """A policy and its state, for many environments whose episodes begin at different times."""

    def __init__(
        self, policy: Policy | None, single_space: spaces.Space[Any], num_envs: int
    ) -> None:
        """Prepare to call a policy with batches.

        Args:
            policy: The policy; None for random actions.
            single_space: The space of the actions of one environment.
            num_envs: How many there are.
        """
        self._policy = policy
        self._spaces = [copy.deepcopy(single_space) for _ in range(num_envs)]
        self._single = single_space
        self._has_state = policy is not None and _is_stateful(policy)
        self._reset = getattr(policy, "reset", None)
        self._takes_mask = callable(self._reset) and _takes(self._reset, "mask")
        self._state: Any = None

    def reset(self, seeds: dict[int, int], num_envs: int) -> None:
        """Begin episodes of some environments.

        Args:
            seeds: The seed of each of them.
            num_envs: How many there are in all.
        """
        if self._policy is None:
            for env, seed in seeds.items():
                self._spaces[env].seed(seed)
            return
        if callable(self._reset):
            mask: npt.NDArray[np.bool_] = np.zeros(num_envs, dtype=bool)
            mask[list(seeds)] = True
            if self._takes_mask:
                self._reset(mask=mask)
            else:
                self._reset()

    def __call__(self, observations: Any) -> Any:
        """Choose an action for each environment."""
        if self._policy is None:
            return batch_values(self._single, [space.sample() for space in self._spaces])
        if self._has_state:
            actions, self._state = self._policy(observations, self._state)
            return actions
        return self._policy(observations)


def batch_values(space: spaces.Space[Any], values: list[Any]) -> Any:
    """Batch single values of a space, as Gymnasium does."""
    if isinstance(space, spaces.Dict):
        return {key: batch_values(s, [value[key] for value in values]) for key, s in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(batch_values(s, [v[i] for v in values]) for i, s in enumerate(space.spaces))
    if isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        return np.stack([np.asarray(value) for value in values])
    return tuple(values)


def _is_stateful(policy: Policy) -> bool:
    """Return whether a policy has a second argument that must be given."""
    try:
        parameters = list(inspect.signature(policy).parameters.values())
    except (TypeError, ValueError):
        return False
    needed = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) >= 2 and (needed[1].default is needed[1].empty or needed[1].name == "state")


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
