"""Make the records of single environments out of what a vector environment returned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import gymnasium
import numpy as np

from minari_collect.callbacks import (
    StepDataCallback,
    check_step_data,
    get_required,
    select_extras,
)
from minari_collect.collectors.reused_arrays import ReusedArrayCheck
from minari_collect.collectors.vector_environment import (
    SAME_STEP,
    Flags,
    name_environment,
    select_env_value,
    select_final_observation,
)
from minari_collect.recording.vector_recorder import Final
from minari_collect.vector_buffers.batched_infos import (
    Infos,
    drop_final,
    find_final_info,
    select_env_info,
)


class SingleRecords:
    """Select what belongs to one environment, and call the step data callback with it."""

    def __init__(
        self,
        envs: gymnasium.vector.VectorEnv[Any, Any, Any],
        callback: StepDataCallback | None,
        statistics_keys: Collection[str],
        mode: str,
        read_last: Callable[[int], object],
        *,
        record_infos: bool,
    ) -> None:
        """Prepare to make records.

        Args:
            envs: The environments.
            callback: The user's own callback; None where nothing is to be called.
            statistics_keys: The keys of infos that wrappers add with the last step of an episode.
            mode: When environments are reset.
            read_last: Reads the row of an environment's observation that was recorded last.
            record_infos: Whether infos are recorded.
        """
        self._envs = envs
        self._num_envs = int(envs.num_envs)
        self._observations: Any = envs.single_observation_space
        self._actions: Any = envs.single_action_space
        self._callback = callback
        self._statistics_keys = statistics_keys
        self._resets_within_step = mode == SAME_STEP
        self._record_infos = record_infos
        self._read_last = read_last
        self._observations_before: Any = None
        sees_arrays = isinstance(envs, gymnasium.vector.SyncVectorEnv)
        self._reused_arrays = ReusedArrayCheck(name_environment(envs), sees_arrays=sees_arrays)

    def list_finals(self, observations: Any, infos: Infos, over: Flags) -> list[Final]:
        """List what ended the episodes of environments that were reset within the step."""
        finals: list[Final] = []
        for env in np.flatnonzero(over).tolist():
            observation = self._select_final(observations, infos, env)
            info = self._find_final_info(infos, env) if self._record_infos else None
            finals.append((env, observation, info, None))
        return finals

    def record_reset(
        self, observations: Any, infos: Any, env: int
    ) -> tuple[Any, Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Make the record of the reset of one environment: observation, info, extras."""
        observation = select_env_value(self._observations, observations, env)
        info = self._select_info(infos, env)
        if self._callback is None:
            return observation, info if self._record_infos else None, None
        data = check_step_data(
            self._callback(env=self._find_single_env(env), obs=observation, info=info)
        )
        recorded_info = data.get("info") if self._record_infos else None
        return get_required(data, "observation"), recorded_info, select_extras(data)

    def record_step(
        self, actions: Any, result: tuple[Any, ...], env: int, *, is_final: bool
    ) -> Mapping[str, Any]:
        """Call the callback with the step of one environment, and return what it returned.

        Args:
            actions: The actions of all environments.
            result: What they returned.
            env: The index of the environment.
            is_final: Whether it was reset within the step.

        Raises:
            RecordingError: It is not a dict.
        """
        observations, rewards, terminated, truncated, infos = result
        if is_final:
            observation = self._select_final(observations, infos, env)
            info = self._find_final_info(infos, env) or {}
        else:
            observation = select_env_value(self._observations, observations, env)
            info = self._select_info(infos, env)
        callback = self._callback or StepDataCallback()
        return check_step_data(
            callback(
                env=self._find_single_env(env),
                obs=observation,
                info=info,
                action=select_env_value(self._actions, actions, env),
                rew=rewards[env],
                terminated=bool(terminated[env]),
                truncated=bool(truncated[env]),
            )
        )

    def _select_final(self, observations: Any, infos: Infos, env: int) -> Any:
        observation = select_final_observation(self._observations, infos, env)
        first = select_env_value(self._observations, observations, env)
        self._reused_arrays.check(env, observation, first, lambda: self._find_before(env))
        return observation

    def keep(self, observations: Any) -> None:
        """Keep what was returned before a step, where a callback may have it recorded otherwise."""
        if not self._reused_arrays.is_settled:
            self._observations_before = copy.deepcopy(observations)

    def _find_before(self, env: int) -> Any:
        if self._observations_before is None:
            return select_env_value(self._observations, self._read_last(env), 0)
        return select_env_value(self._observations, self._observations_before, env)

    def _select_info(self, infos: Infos, env: int) -> dict[str, Any]:
        others = drop_final(infos) if self._resets_within_step else infos
        return select_env_info(others, env, self._num_envs)

    def _find_final_info(self, infos: Infos, env: int) -> dict[str, Any] | None:
        return find_final_info(infos, env, self._num_envs, self._statistics_keys)

    def _find_single_env(self, env: int) -> Any:
        """Return the single environment, or the vector environment if it is in another process."""
        single = getattr(self._envs.unwrapped, "envs", None)
        return single[env] if isinstance(single, list | tuple) else self._envs
