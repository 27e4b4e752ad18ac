"""Read autoreset modes, seeds and the values of single environments off a vector environment."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_collect.collectors.beginnings import convert_seed, copy_options
from minari_collect.recording.sinks import Beginning
from minari_collect.vector_buffers.batched_infos import FINAL_OBSERVATION_KEYS, Infos
from minari_core.columns import has_fixed_values
from minari_core.errors import DataError, RecordingError

NEXT_STEP, SAME_STEP, DISABLED = "NextStep", "SameStep", "Disabled"
_MODES = (NEXT_STEP, SAME_STEP, DISABLED)
_IS_BEFORE_1_0 = not hasattr(gymnasium.vector, "VectorWrapper")
# These are arguments of `gymnasium.make_vec`, not of a single environment.
_VECTOR_ARGUMENTS = ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers")
# Of these, an int is the seed of the first environment, and the others have the next ones.
_COUNTING_CLASSES = frozenset({"SyncVectorEnv", "AsyncVectorEnv", "AtariVectorEnv"})

Flags = npt.NDArray[np.bool_]

if TYPE_CHECKING:
    from gymnasium.vector import VectorWrapper

    AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
elif _IS_BEFORE_1_0:

    class AnyVectorWrapper:
        """The interface of a wrapper: older Gymnasium has two kinds of vector environments."""

        def __init__(self, env):
            self.env = env

        def __getattr__(self, name):
            if name == "env" or name.startswith("_"):
                raise AttributeError(name)
            return getattr(self.env, name)

        @property
        def unwrapped(self):
            """The vector environment without wrappers."""
            return self.env.unwrapped

        def close(self, **kwargs):
            """Close the environments."""
            return self.env.close(**kwargs)

else:
    AnyVectorWrapper = gymnasium.vector.VectorWrapper


def select_env_value(space: spaces.Space[Any], batch: Any, env: int) -> Any:
    """Select the value of one environment from a batch.

    Args:
        space: The space of a single value.
        batch: A batch as Gymnasium makes it: arrays, or dicts and tuples of them.
        env: Which environment.
    """
    if isinstance(space, spaces.Dict):
        return {
            key: select_env_value(inner, batch[key], env) for key, inner in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        pairs = zip(space.spaces, batch, strict=True)
        return tuple(select_env_value(inner, values, env) for inner, values in pairs)
    if has_fixed_values(space) and not isinstance(batch, np.ndarray):
        return np.asarray(batch)[env]
    return batch[env]


def resolve_autoreset_mode(envs: Any, given: str | None) -> str:
    """Return the autoreset mode: the argument, else that of the environment's metadata.

    Raises:
        RecordingError: There is no such mode.
    """
    mode = given
    if mode is None:
        metadata = getattr(envs, "metadata", None) or {}
        mode = metadata.get("autoreset_mode", SAME_STEP if _IS_BEFORE_1_0 else NEXT_STEP)
    value = getattr(mode, "value", mode)
    if value not in _MODES:
        raise RecordingError(f"there is no autoreset mode {mode!r}; there are {', '.join(_MODES)}")
    return str(value)


def read_reset_mask(options: Mapping[str, Any] | None, num_envs: int) -> Flags | None:
    """Read which environments a reset is for; all of them if None.

    Raises:
        DataError: The mask is not a bool for each environment.
    """
    if options is None or options.get("reset_mask") is None:
        return None
    mask = np.array(options["reset_mask"])
    if mask.shape != (num_envs,) or mask.dtype != np.bool_:
        raise DataError(
            f"reset_mask is {mask.dtype} of shape {mask.shape}, not bool of shape ({num_envs},)"
        )
    return mask


def find_single_spec(envs: Any) -> EnvSpec | None:
    """Return the spec of one of the environments, if it is known."""
    unwrapped = getattr(envs, "unwrapped", envs)
    single = getattr(unwrapped, "envs", None)
    if isinstance(single, list | tuple) and single:
        spec = getattr(single[0], "spec", None)
        return spec if isinstance(spec, EnvSpec) else None
    spec = getattr(unwrapped, "spec", None)
    if not isinstance(spec, EnvSpec):
        return None
    arguments = {k: v for k, v in spec.kwargs.items() if k not in _VECTOR_ARGUMENTS}
    copied = copy.deepcopy(spec)
    limit = arguments.pop("max_episode_steps", None)
    copied.kwargs = arguments
    if limit is not None:
        copied.max_episode_steps = limit
    return copied


def name_environment(envs: Any) -> str:
    """Name one of the environments in a message."""
    spec = find_single_spec(envs)
    single = getattr(getattr(envs, "unwrapped", envs), "envs", None)
    example = single[0].unwrapped if isinstance(single, list | tuple) and single else envs
    return type(getattr(example, "unwrapped", example)).__name__ if spec is None else spec.id


def select_final_observation(space: spaces.Space[Any], infos: Infos, env: int) -> Any:
    """Select the last observation of an episode whose environment was reset within a step.

    Args:
        space: The space of an observation.
        infos: The infos of the step.
        env: Which environment.

    Raises:
        DataError: The infos do not have it.
    """
    for key in FINAL_OBSERVATION_KEYS:
        if not isinstance(infos, Mapping):
            if infos[env].get(key) is not None:
                return infos[env][key]
        elif key in infos:
            finals = infos[key]
            if isinstance(finals, Mapping | tuple):
                return select_env_value(space, finals, env)
            if finals[env] is not None:
                return finals[env]
    raise DataError(
        f"environment {env} was reset within the step that ended its episode, and the infos "
        f"have no {FINAL_OBSERVATION_KEYS[0]!r}, so its last observation is unknown; use "
        "another autoreset mode"
    )


def assign_beginnings(
    envs: Any, seed: Any, options: Mapping[str, Any] | None, chosen: npt.NDArray[np.int64]
) -> list[Beginning]:
    """Assign to each environment that is reset the seed and options that are recorded.

    Args:
        envs: The vector environment, without wrappers.
        seed: As `reset` takes it.
        options: As `reset` takes them.
        chosen: Which environments are reset.

    Raises:
        DataError: A seed or the options cannot be recorded.
    """
    recorded = None
    if options is not None:
        others = {key: value for key, value in options.items() if key != "reset_mask"}
        recorded = copy_options(others) if others or "reset_mask" not in options else None
    seeds: list[int | None] = [None] * len(chosen)
    if isinstance(seed, Sequence | np.ndarray):
        given = list(seed)
        if len(given) != len(chosen):
            # One for each environment, though only some are reset.
            given = [given[env] for env in chosen.tolist() if env < len(given)]
        seeds = [convert_seed(item) for item in given]
    elif seed is not None:
        first = convert_seed(seed)
        if first is not None and type(envs).__name__ in _COUNTING_CLASSES:
            # ALE counts the environments that are reset, Gymnasium counts all of them.
            counts_resets = type(envs).__name__ == "AtariVectorEnv"
            offsets = range(len(chosen)) if counts_resets else chosen.tolist()
            seeds = [convert_seed(first + offset) for offset in offsets]
    return [(item, recorded) for item in seeds]
