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
from minari_collect.collectors.base import (
    CLOSED,
    EpisodeCollector,
)
from minari_collect.collectors.beginnings import convert_seed, copy_options
from minari_collect.recording.episode_recorder import EpisodeRecorder
from minari_core.arguments import check_count_or_none
from minari_core.errors import RecordingError


class DataCollectorV0(EpisodeCollector, gymnasium.Wrapper[Any, Any, Any, Any]):
    """Records the episodes of an environment, for a dataset to be made of them.

    Values are copied at once into preallocated buffers, so environments and policies may reuse
    their arrays. Full buffers go to a hidden folder under the datasets' root: memory is bounded,
    and what a killed process has collected can be recovered (`minari_collect.list_recoverable`).

    An episode ends when a step terminates or truncates it. It is ended as truncated when `reset`
    is called before that, and when a dataset is created or extended. Stepping on without a reset
    then begins a new episode at the last observation.

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
            SpaceError: A space cannot be stored.
        """
        super().__init__(env)
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

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment and record the step.

        Raises:
            RecordingError: There has been no reset, or the collector is closed.
            DataError: A value cannot be recorded as it is; the episode is recorded up to the step
                before, and goes on with the next reset.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._is_closed:
            raise RecordingError(CLOSED)
        result = self.env.step(action)
        observation, reward, terminated, truncated, info = result
        try:
            if self._has_own_step_data:
                self._add_own(action, result)
            else:
                self._recorder.add(
                    observation,
                    action,
                    reward,
                    terminated,
                    truncated,
                    info if self._record_infos else None,
                    None,
                )
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
            recorded, extras = observation, None
            recorded_info: Mapping[str, Any] | None = info
            if self._has_own_step_data:
                data = check_step_data(
                    self._step_data_callback(env=self.env, obs=observation, info=info)
                )
                recorded, recorded_info = get_required(data, "observation"), data.get("info")
                extras = select_extras(data)
            infos = recorded_info if self._record_infos else None
            self._recorder.begin(recorded, infos, extras, recorded_seed, recorded_options)
        except BaseException:
            # The environment is no longer where the episode before it was.
            self._recorder.abandon()
            raise
        return observation, info

    def _add_own(self, action: Any, result: tuple[Any, Any, bool, bool, dict[str, Any]]) -> None:
        observation, reward, terminated, truncated, info = result
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
        self._recorder.add(
            get_required(data, "observation"),
            get_required(data, "action"),
            get_required(data, "reward"),
            get_required(data, "terminated"),
            get_required(data, "truncated"),
            data.get("info") if self._record_infos else None,
            select_extras(data),
        )

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
