"""`DataCollectorV0`: the wrapper that records an environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import spaces

from minari_collect.callbacks import (
    EpisodeMetadataCallback,
    StepDataCallback,
    check_step_data,
    get_required,
    instantiate_callback,
    select_extras,
)
from minari_collect.collectors.autoreset import SameStepAutoreset, find_autoreset
from minari_collect.collectors.base import (
    CLOSED,
    EpisodeCollector,
)
from minari_collect.collectors.beginnings import convert_seed, copy_options
from minari_collect.collectors.reused_arrays import ReusedArrayCheck
from minari_collect.collectors.vector_environment import select_env_value
from minari_collect.recording.episode_recorder import EpisodeRecorder
from minari_core.arguments import check_count_or_none
from minari_core.errors import RecordingError


class DataCollectorV0(EpisodeCollector, gymnasium.Wrapper[Any, Any, Any, Any]):
    """Record the episodes of an environment, to create or extend a dataset.

    Values are copied at once into preallocated buffers, so environments and policies may reuse
    their arrays. Full buffers go to a hidden folder under the datasets' root: memory is bounded,
    and what a killed process has collected can be recovered (`minari_collect.list_recoverable`).

    An episode ends when a step terminates or truncates it; only a reset begins another then. It is
    ended as truncated when `reset` is called before that, when a step raises, and when a dataset is
    created or extended. After the latter, and where a callback has changed the flags of the last
    step, stepping on without a reset begins a new episode at the last observation.

    An environment in Gymnasium's wrapper for autoreset resets itself: episodes end and begin there,
    and what a step returns that only resets is no step.

    A forked process begins without what its parent has recorded, which stays the parent's.

    Example:
        >>> import gymnasium
        >>> env = DataCollectorV0(gymnasium.make("CartPole-v1"))
        >>> observation, info = env.reset(seed=1)
        >>> for _ in range(3):
        ...     step = env.step(env.action_space.sample())
        >>> env.buffered_steps
        3
        >>> env.discard()
        >>> env.close()
    """

    _recorder: EpisodeRecorder

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        step_data_callback: type[StepDataCallback] | StepDataCallback = StepDataCallback,
        episode_metadata_callback: (
            type[EpisodeMetadataCallback] | EpisodeMetadataCallback
        ) = EpisodeMetadataCallback,
        record_infos: bool = False,
        max_buffer_steps: int | None = None,
        max_buffer_episodes: int | None = None,
        observation_space: spaces.Space[Any] | None = None,
        action_space: spaces.Space[Any] | None = None,
        data_format: str | None = None,
    ) -> None:
        """Wrap an environment.

        Args:
            env: The environment.
            step_data_callback: Makes what is recorded of each step; a class or an object.
            episode_metadata_callback: Makes what is stored of each episode; a class or an object.
            record_infos: Whether to record the infos, too.
            max_buffer_steps: How many steps to hold in memory before they go to a temporary file,
                also within an episode; about 64 MB worth of them if None. 1 counts as 2, because
                the newest step may still have to be marked as the last.
            max_buffer_episodes: How many finished episodes to hold in memory.
            observation_space: The space of the recorded observations, if a callback changes them.
            action_space: The space of the recorded actions, if a callback changes them.
            data_format: How a dataset made of the data is stored; ``"columnar"`` if None.

        Raises:
            DataError: A limit of the buffers is no whole number of at least 1, or a callback
                cannot be called.
            FormatError: There is no such data format.
            SpaceError: A space cannot be stored, or not in the data format.
            RecordingError: The environment resets itself, and last observations are not known.
        """
        super().__init__(env)
        self._autoreset = find_autoreset(env)
        max_steps = check_count_or_none("max_buffer_steps", max_buffer_steps)
        max_episodes = check_count_or_none("max_buffer_episodes", max_buffer_episodes)
        describe = instantiate_callback(episode_metadata_callback, "episode_metadata_callback")
        # An empty Dict or Tuple space is false.
        recorded_observations = (
            env.observation_space if observation_space is None else observation_space
        )
        recorded_actions = env.action_space if action_space is None else action_space
        self._begin(
            recorded_observations,
            recorded_actions,
            env.spec,
            step_data_callback,
            record_infos,
            data_format,
        )
        self._recorder = EpisodeRecorder(
            recorded_observations,
            recorded_actions,
            self._staging,
            describe,
            max_steps=max_steps,
            max_episodes=max_episodes,
        )
        name = type(env.unwrapped).__name__ if env.spec is None else env.spec.id
        self._reused_arrays = ReusedArrayCheck(name, sees_arrays=True)
        self._records_as_given = not self._has_own_step_data and self._autoreset is None

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment and record the step.

        Raises:
            RecordingError: There has been no reset since the last episode ended, or the collector
                is closed; the environment is not stepped.
            DataError: A value cannot be recorded as it is. The episode is recorded up to the step
                before, and only a reset begins another; likewise where the environment raises.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._recorder.unfinished is None:
            if self._is_closed:
                raise RecordingError(CLOSED)
            if self._autoreset is not None and self._autoreset.is_due:
                return self._step_into_reset(action)
            self._recorder.check_can_continue()
        try:
            result = self.env.step(action)
            if self._records_as_given:
                observation, reward, terminated, truncated, info = result
                self._recorder.add(
                    observation,
                    action,
                    reward,
                    terminated,
                    truncated,
                    info if self._record_infos else None,
                    None,
                )
            else:
                self._add_otherwise(action, result)
        except BaseException:
            self._recorder.abandon()
            raise
        return result

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and begin to record an episode.

        Args:
            seed: Goes to the environment, and is recorded with the episode.
            options: Goes to the environment, and is recorded with the episode.

        Raises:
            RecordingError: The collector is closed.
            DataError: The seed does not fit 64 bits, or the options cannot be kept as JSON; then
                the environment is not reset. Or the observation cannot be recorded; then only
                another reset begins an episode.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._is_closed:
            raise RecordingError(CLOSED)
        recorded_seed, recorded_options = convert_seed(seed), copy_options(options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
            self._begin_episode(observation, info, recorded_seed, recorded_options)
        except BaseException:
            # The environment is no longer where the episode before it was.
            self._recorder.abandon()
            raise
        return observation, info

    def _begin_episode(
        self,
        observation: Any,
        info: dict[str, Any],
        seed: int | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:
        recorded, extras = observation, None
        recorded_info: Mapping[str, Any] | None = info
        if self._has_own_step_data:
            data = check_step_data(
                self._step_data_callback(env=self.env, obs=observation, info=info)
            )
            recorded, recorded_info = get_required(data, "observation"), data.get("info")
            extras = select_extras(data)
        infos = recorded_info if self._record_infos else None
        self._recorder.begin(recorded, infos, extras, seed, options)

    def _step_into_reset(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step an environment that resets itself in this step, and begin an episode."""
        try:
            result = self.env.step(action)
            self._begin_episode(result[0], result[4])
        except BaseException:
            self._recorder.abandon()
            raise
        return result

    def _add_otherwise(
        self, action: Any, result: tuple[Any, Any, bool, bool, dict[str, Any]]
    ) -> None:
        """Record a step that a callback may change, or whose environment may reset itself."""
        observation, reward, terminated, truncated, info = result
        reset_info = None
        if isinstance(self._autoreset, SameStepAutoreset):
            split = self._autoreset.split_step(info)
            if split is not None:
                observation, info, reset_info = split
                self._reused_arrays.check(0, observation, result[0], self._find_before)
        data: Mapping[str, Any] = {
            "observation": observation,
            "action": action,
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "info": info,
        }
        if self._has_own_step_data:
            data = check_step_data(
                self._step_data_callback(
                    env=self.env,
                    obs=observation,
                    info=info,
                    action=action,
                    rew=reward,
                    terminated=terminated,
                    truncated=truncated,
                )
            )
        flags = get_required(data, "terminated"), get_required(data, "truncated")
        recorder = self._recorder
        recorder.add(
            get_required(data, "observation"),
            get_required(data, "action"),
            get_required(data, "reward"),
            *flags,
            data.get("info") if self._record_infos else None,
            select_extras(data),
        )
        if flags != (terminated, truncated):
            recorder.allow_continuing()
        if reset_info is not None:
            self._begin_episode(result[0], reset_info)
        elif self._autoreset is not None and self._autoreset.is_due:
            # An environment that resets itself ends its episode, whatever the callback says.
            recorder.end()

    def _find_before(self) -> Any:
        """Find the observation before a step; None where a callback may have changed it."""
        if self._has_own_step_data:
            return None
        row = self._recorder.read_last_observation()
        return select_env_value(self.env.observation_space, row, 0)

    def close(self) -> None:
        """Close the environment and drop what is in no dataset, with a warning that counts it.

        Closing twice is fine.
        """
        if self._is_closed:
            return
        try:
            self._end()
        finally:
            super().close()
