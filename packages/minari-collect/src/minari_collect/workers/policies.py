"""Policies, of any kind that can be called, and their state during an episode."""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.errors import DataError, RecordingError

Policy: TypeAlias = Callable[..., Any]
"""Takes an observation and returns an action.

One that takes a second argument has a state: it gets None first, then what it returned last, and
returns an action and a state. If there is a ``reset`` method, it is called before each episode,
with ``seed=`` if it takes that.

For vector environments, observations and actions are batches, and episodes begin at different
times. ``mask`` says which begin, bool of shape (num_envs,), and ``seeds`` has a seed of each, int64
of shape (num_envs,). The policy, its ``reset``, or both are given them by name if they take them. A
``reset`` must take ``mask``, and so must a policy that has a state, which may call it
``episode_start``.
"""

_MASK, _SEEDS = "mask", "seeds"
# The second is what stable-baselines3 calls it.
_MASK_NAMES = (_MASK, "episode_start")


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
        self._named = [] if policy is None else _list_taken(policy, (*_MASK_NAMES, _SEEDS))
        self._named_by_reset: list[str] = []
        if callable(self._reset):
            self._named_by_reset = [n for n in (_MASK, _SEEDS) if _takes(self._reset, n)]
        self._state: Any = None
        self._begins: npt.NDArray[np.bool_] = np.zeros(num_envs, dtype=bool)
        self._seeds: npt.NDArray[np.int64] = np.zeros(num_envs, dtype=np.int64)

    def reset(self, seeds: Mapping[int, int]) -> None:
        """Begin episodes of some environments.

        Args:
            seeds: The seed of each of them.
        """
        if self._policy is None:
            for env, seed in seeds.items():
                self._spaces[env].seed(seed)
            return
        self._begins[list(seeds)] = True
        self._seeds[list(seeds)] = list(seeds.values())
        if callable(self._reset):
            self._reset(**self._give(self._named_by_reset))

    def __call__(self, observations: Any) -> Any:
        """Choose an action for each environment."""
        if self._policy is None:
            return batch_values(self._single, [space.sample() for space in self._spaces])
        given = (observations, self._state) if self._has_state else (observations,)
        chosen = self._policy(*given, **self._give(self._named))
        self._begins[:] = False
        if self._has_state:
            chosen, self._state = chosen
        return chosen

    def _give(self, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
        """Copy what is given by name, for a policy may keep it."""
        return {name: (self._seeds if name == _SEEDS else self._begins).copy() for name in names}


def check_takes_mask(policy: Policy | None) -> None:
    """Check that a policy of batches can be told which episodes begin, if it must be.

    Raises:
        DataError: It cannot, so that what it keeps of an episode would go on into the next one.
    """
    if policy is None:
        return
    reset = getattr(policy, "reset", None)
    remedy = "which says whose episodes begin, or leave num_envs at 1"
    if callable(reset) and not _takes(reset, _MASK):
        raise DataError(
            f"the reset of {describe_policy(policy)} takes no mask, and with num_envs above 1 "
            f"episodes begin at different times; let reset take mask, {remedy}"
        )
    if _is_stateful(policy) and not _list_taken(policy, _MASK_NAMES):
        raise DataError(
            f"{describe_policy(policy)} has a state and takes no mask, and with num_envs above 1 "
            "the state would go on from one episode into the next; let its call take mask beside "
            f"the state, {remedy}"
        )


def describe_policy(policy: Policy) -> str:
    """Name a policy in a message."""
    return f"policy {getattr(policy, '__qualname__', type(policy).__qualname__)}"


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
    named = {*_MASK_NAMES, _SEEDS}
    needed = [
        parameter
        for parameter in _list_parameters(policy)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.name not in named
    ]
    return len(needed) >= 2 and (needed[1].default is needed[1].empty or needed[1].name == "state")


def _list_taken(function: Callable[..., Any], names: Sequence[str]) -> list[str]:
    """List those of some names that a function has parameters of."""
    own = {parameter.name for parameter in _list_parameters(function)}
    return [name for name in names if name in own]


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function can be given an argument by name."""
    parameters = _list_parameters(function)
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def _list_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
