"""What there is to know of a vector environment: its modes, its seeds, its single environments."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_core.columns import FIXED_SPACES
from minari_core.errors import DataError, RecordingError

NEXT_STEP, SAME_STEP, DISABLED = "NextStep", "SameStep", "Disabled"
_MODES = (NEXT_STEP, SAME_STEP, DISABLED)
_IS_BEFORE_1_0 = not hasattr(gymnasium.vector, "VectorWrapper")
# These are arguments of `gymnasium.make_vec`, not of a single environment.
_VECTOR_ARGUMENTS = ("num_envs", "vectorization_mode", "vector_kwargs", "wrappers")
# Of these, an int is the seed of the first environment, and the others have the next ones.
COUNTING_CLASSES = frozenset({"SyncVectorEnv", "AsyncVectorEnv", "AtariVectorEnv"})

Flags = npt.NDArray[np.bool_]

if TYPE_CHECKING:
    from gymnasium.vector import VectorWrapper

    AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
elif _IS_BEFORE_1_0:

    class AnyVectorWrapper:
        """What is needed of a wrapper: the older Gymnasium has two kinds of vector environments."""

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


def value_of(space: spaces.Space[Any], batch: Any, env: int) -> Any:
    """The value of one environment out of a batch.

    Args:
        space: The space of a single value.
        batch: A batch as Gymnasium makes it: arrays, or dicts and tuples of them.
        env: Which environment.
    """
    if isinstance(space, spaces.Dict):
        return {key: value_of(part, batch[key], env) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        pairs = zip(space.spaces, batch, strict=True)
        return tuple(value_of(part, values, env) for part, values in pairs)
    if isinstance(space, FIXED_SPACES) and not isinstance(batch, np.ndarray):
        return np.asarray(batch)[env]
    return batch[env]


def mode_of(envs: Any, given: str | None) -> str:
    """When environments reset themselves: as it is given, or as they say.

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


def mask_of(options: Mapping[str, Any] | None, num_envs: int) -> Flags | None:
    """Which environments a reset is for; all of them if None.

    Raises:
        DataError: The mask is no mask of the environments.
    """
    if options is None or options.get("reset_mask") is None:
        return None
    mask = np.array(options["reset_mask"])
    if mask.shape != (num_envs,) or mask.dtype != np.bool_:
        raise DataError(
            f"reset_mask is {mask.dtype} of shape {mask.shape}, not bool of shape ({num_envs},)"
        )
    return mask


def single_spec(envs: Any) -> EnvSpec | None:
    """The spec of one of the environments, as far as it is known."""
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
