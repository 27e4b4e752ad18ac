"""The wrapper that records an environment while somebody steps it."""

from __future__ import annotations

import operator
import os
import weakref
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import spaces

from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.episode_recorder import EpisodeRecorder
from minari_collect.staging import CollectorStaging
from minari_core.caller_warnings import warn_caller
from minari_core.encoding import check_seed
from minari_core.errors import DataError, MetadataError, RecordingError
from minari_core.formats import check_format
from minari_core.gymnasium_compat import env_spec_to_json
from minari_core.json_values import from_json_text, to_json_text
from minari_core.storage import Storage

STEP_KEYS = ("observation", "action", "reward", "terminated", "truncated", "info")


class DataCollectorV0(gymnasium.Wrapper[Any, Any, Any, Any]):
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
            ValueError: A limit of the buffers is not positive.
            FormatError: There is no such data format.
            SpaceError: A space cannot be stored.
        """
        super().__init__(env)
        for name, limit in (
            ("max_buffer_steps", max_buffer_steps),
            ("max_buffer_episodes", max_buffer_episodes),
        ):
            if limit is not None and limit < 1:
                raise RecordingError(f"{name} is {limit}; a buffer holds at least 1, or None")
        self.data_format = check_format(data_format)
        self._step_data_callback = made(step_data_callback)
        self._has_own_step_data = type(self._step_data_callback) is not StepDataCallback
        self._record_infos = record_infos
        # An empty Dict or Tuple space is false.
        recorded_observations = (
            env.observation_space if observation_space is None else observation_space
        )
        recorded_actions = env.action_space if action_space is None else action_space
        self._staging = self._new_staging(recorded_observations, recorded_actions, _spec_json(env))
        self._recorder = EpisodeRecorder(
            recorded_observations,
            recorded_actions,
            self._staging,
            made(episode_metadata_callback),
            max_steps=max_buffer_steps,
            max_episodes=max_buffer_episodes,
        )
        self._is_closed = False
        _collectors.add(self)

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> CollectorStaging:
        """Where full buffers go; a subclass may choose another place."""
        return CollectorStaging(observation_space, action_space, env_spec)

    @property
    def buffered_steps(self) -> int:
        """How many recorded steps are in memory."""
        return self._recorder.buffered_steps

    @property
    def unsaved_episodes(self) -> int:
        """How many recorded episodes are in no dataset yet, the one that is going on included."""
        return self._staging.storage.total_episodes + self._recorder.episodes

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment and record the step.

        Raises:
            RecordingError: There has been no reset, or the collector is closed.
            DataError: A value cannot be recorded as it is; the episode is recorded up to the step
                before, and goes on with the next reset.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._is_closed:
            raise RecordingError("this collector is closed; wrap the environment anew to go on")
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
            raise RecordingError("this collector is closed; wrap the environment anew to go on")
        recorded_seed, recorded_options = checked_seed(seed), copied_options(options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
            recorded, recorded_info, extras = observation, info, None
            if self._has_own_step_data:
                data = self._step_data_callback(env=self.env, obs=observation, info=info)
                recorded, recorded_info = required(data, "observation"), data.get("info")
                extras = {key: value for key, value in data.items() if key not in STEP_KEYS}
            infos = recorded_info if self._record_infos else None
            self._recorder.begin(recorded, infos, extras, recorded_seed, recorded_options)
        except BaseException:
            # The environment is no longer where the episode before it was.
            self._recorder.abandon()
            raise
        return observation, info

    def _add_own(self, action: Any, result: tuple[Any, Any, bool, bool, dict[str, Any]]) -> None:
        observation, reward, terminated, truncated, info = result
        data = self._step_data_callback(
            env=self.env,
            obs=observation,
            info=info,
            action=action,
            rew=reward,
            terminated=terminated,
            truncated=truncated,
        )
        self._recorder.add(
            required(data, "observation"),
            required(data, "action"),
            required(data, "reward"),
            required(data, "terminated"),
            required(data, "truncated"),
            data.get("info") if self._record_infos else None,
            {key: value for key, value in data.items() if key not in STEP_KEYS},
        )

    def finished_episodes(self) -> Storage:
        """All episodes that are in no dataset yet; see `minari_core.EpisodeSource`.

        Raises:
            RecordingError: The collector is closed.
            DatasetWriteError: They could not be staged; nothing is lost.
        """
        if self._is_closed:
            raise RecordingError("this collector is closed; what it had recorded is gone")
        self._recorder.end()
        self._recorder.flush()
        return self._staging.storage

    def forget_episodes(self) -> None:
        """Drop what `finished_episodes` returned: it is committed."""
        self._staging.clear()

    def discard(self) -> None:
        """Drop everything that is recorded and in no dataset yet."""
        self._recorder.clear()
        self._staging.clear()

    def close(self) -> None:
        """Close the environment and drop what is in no dataset, with a warning that counts it.

        Closing twice is fine.
        """
        if self._is_closed:
            return
        unsaved = self.unsaved_episodes
        self._is_closed = True
        try:
            if unsaved:
                warn_caller(
                    f"closed with {unsaved} recorded episodes that are in no dataset; "
                    "they are dropped"
                )
        finally:
            self.discard()
            super().close()

    def _leave_to_parent(self) -> None:
        """Begin anew in a forked process."""
        self._recorder.clear()
        self._staging.leave()


_collectors: weakref.WeakSet[DataCollectorV0] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for collector in list(_collectors):
        collector._leave_to_parent()


# Systems without fork have no such function.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def made(callback: Any) -> Any:
    """An object of a callback that is given as a class or as an object."""
    return callback() if isinstance(callback, type) else callback


def checked_seed(seed: Any) -> int | None:
    """A seed as it is recorded.

    Raises:
        DataError: It is no whole number of 64 bits.
    """
    if seed is None:
        return None
    try:
        # A numpy integer is as good, but no JSON.
        number = operator.index(seed)
    except TypeError as error:
        raise DataError(f"seed {seed!r} is not a whole number, so it cannot be recorded") from error
    check_seed(number)
    return int(number)


def copied_options(options: object) -> dict[str, object] | None:
    """The options of a reset as they are recorded.

    Raises:
        DataError: They cannot be kept as JSON.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise DataError(f"options {options!r} is no dict, so it cannot be recorded")
    copied = from_json_text(to_json_text(options, "options"))
    return copied if isinstance(copied, dict) else None


def required(data: Mapping[str, Any], key: str) -> Any:
    """What a callback has to return.

    Raises:
        RecordingError: It did not.
    """
    if key not in data:
        raise RecordingError(
            f"the step_data_callback returned the keys {sorted(data)}, without {key!r}; call "
            "super().__call__ and change what it returns"
        )
    return data[key]


def _spec_json(env: gymnasium.Env[Any, Any]) -> str | None:
    if env.spec is None:
        return None
    try:
        return env_spec_to_json(env.spec)
    except MetadataError:
        # The functions that create a dataset warn about it.
        return None
