"""`VectorDataCollector`: the wrapper that records vector environments."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NoReturn

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.callbacks import (
    EpisodeMetadataCallback,
    StepDataCallback,
    get_required,
    instantiate_callback,
    select_extras,
)
from minari_collect.collectors.base import (
    CLOSED,
    EpisodeCollector,
)
from minari_collect.collectors.episode_statistics import find_statistics_keys
from minari_collect.collectors.outer_wrappers import check_finals_are_changed
from minari_collect.collectors.single_records import SingleRecords
from minari_collect.collectors.vector_environment import (
    DISABLED,
    NEXT_STEP,
    SAME_STEP,
    AnyVectorWrapper,
    Flags,
    assign_beginnings,
    find_single_spec,
    read_reset_mask,
    resolve_autoreset_mode,
)
from minari_collect.recording.sinks import Beginning
from minari_collect.recording.vector_recorder import Final, VectorRecorder
from minari_collect.vector_buffers.batched_infos import (
    Infos,
    drop_final,
)
from minari_core.arguments import check_count_or_none
from minari_core.errors import RecordingError


class VectorDataCollector(EpisodeCollector, AnyVectorWrapper):
    """Record the episodes of a vector environment, to create or extend a dataset.

    The episodes are those that single environments with the same seeds and actions would give:
    the last observation of an episode is the one before its reset, and what an environment is
    given and returns while it resets itself is no step. They are stored in the order in which
    they end. As with `DataCollectorV0`, values are copied at once, memory is bounded, an episode
    that is cut by a reset or by the creation of a dataset is ended as truncated, and what a
    killed process has collected can be recovered.

    Example:
        >>> import gymnasium
        >>> envs = VectorDataCollector(gymnasium.make_vec("CartPole-v1", num_envs=4))
        >>> observations, infos = envs.reset(seed=1)
        >>> for _ in range(3):
        ...     step = envs.step(envs.action_space.sample())
        >>> envs.buffered_steps
        12
        >>> envs.discard()
        >>> envs.close()
    """

    _recorder: VectorRecorder

    def __init__(
        self,
        envs: gymnasium.vector.VectorEnv[Any, Any, Any],
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
        *,
        autoreset_mode: str | None = None,
    ) -> None:
        """Wrap a vector environment.

        Args:
            envs: The environments.
            step_data_callback: Makes what is recorded of each step; a class or an object. It is
                called for each environment on its own, with single values, after all of them
                have stepped, and gets the single environment where there is one in this process.
                The default one costs nothing.
            episode_metadata_callback: Makes what is stored of each episode; a class or an object.
            record_infos: Whether to record the infos, too.
            max_buffer_steps: How many steps of all environments together to hold in memory
                before they go to a temporary file, also within an episode; at least 3 of each
                environment, and 64 to 256 MB worth of them if None.
            max_buffer_episodes: How many finished episodes to hold in memory.
            observation_space: The space of one recorded observation, if a callback changes them.
            action_space: The space of one recorded action, if a callback changes them.
            data_format: How a dataset made of the data is stored; ``"columnar"`` if None.
            autoreset_mode: When an environment resets itself: ``"NextStep"``, ``"SameStep"`` or
                ``"Disabled"``; what ``envs.metadata`` says if None.

        Raises:
            DataError: A limit of the buffers is no whole number of at least 1, or a callback
                cannot be called.
            FormatError: There is no such data format.
            SpaceError: A space cannot be stored, or not in the data format.
            RecordingError: There is no such mode; or environments are reset within a step, inside a
                wrapper that does not change their last observations like others.
        """
        super().__init__(envs)
        max_steps = check_count_or_none("max_buffer_steps", max_buffer_steps)
        max_episodes = check_count_or_none("max_buffer_episodes", max_buffer_episodes)
        describe = instantiate_callback(episode_metadata_callback, "episode_metadata_callback")
        self._mode = resolve_autoreset_mode(envs, autoreset_mode)
        self._num_envs = int(envs.num_envs)
        single_observations = envs.single_observation_space
        single_actions = envs.single_action_space
        recorded_observations = (
            single_observations if observation_space is None else observation_space
        )
        recorded_actions = single_actions if action_space is None else action_space
        self._begin(
            recorded_observations,
            recorded_actions,
            find_single_spec(envs),
            step_data_callback,
            record_infos,
            data_format,
        )
        self._recorder = VectorRecorder(
            self._num_envs,
            recorded_observations,
            recorded_actions,
            self._staging,
            describe,
            max_steps=max_steps,
            max_episodes=max_episodes,
        )
        # Which environments are reset by the next step.
        self._resets: Flags = np.zeros(self._num_envs, dtype=bool)
        # Which environments must be reset before the next step, if any.
        self._due: Flags | None = None
        # Which episodes the callback ended in the last step, if there is one.
        self._recorded_ends: Flags = np.zeros(self._num_envs, dtype=bool)
        self._statistics_keys = find_statistics_keys(envs)
        self._records = SingleRecords(
            envs,
            self._step_data_callback if self._has_own_step_data else None,
            self._statistics_keys,
            self._mode,
            self._recorder.read_last_observation,
            record_infos=record_infos,
        )
        if self._mode == SAME_STEP:
            check_finals_are_changed(envs)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments and record the step.

        Raises:
            RecordingError: There has been no reset, an environment has ended its episode and does
                not reset itself, or the collector is closed; no environment is stepped.
            DataError: A value cannot be recorded as it is. All episodes are recorded up to the
                step before, and only a reset begins others; likewise where an environment raises.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._due is not None or not self._recorder.can_go_on:
            self._refuse_step()
        # An environment may change the array in place.
        given = actions if not self._has_own_step_data else copy.deepcopy(actions)
        try:
            result = self.env.step(actions)
            if self._has_own_step_data:
                self._add_own(given, result)
            else:
                self._add(actions, result)
            self._recorder.bound()
        except BaseException:
            self._recorder.abandon()
            raise
        return result

    def _refuse_step(self) -> NoReturn:
        if self._is_closed:
            raise RecordingError(CLOSED)
        self._recorder.check_can_go_on()
        due = [] if self._due is None else np.flatnonzero(self._due).tolist()
        raise RecordingError(
            f"step was called after the episodes of environments {due} had ended; they do not "
            "reset themselves, so call envs.reset(options={'reset_mask': terminated | truncated})"
        )

    def _add(self, actions: Any, result: tuple[Any, Any, Any, Any, dict[str, Any]]) -> None:
        observations, rewards, terminated, truncated, infos = result
        recorded_infos: Infos | None = infos if self._record_infos else None
        recorder = self._recorder
        if self._mode == NEXT_STEP:
            recorder.add(
                observations,
                actions,
                rewards,
                terminated,
                truncated,
                recorded_infos,
                None,
                self._resets,
            )
            self._resets = np.logical_or(terminated, truncated)
            return
        over = np.logical_or(terminated, truncated)
        finals: list[Final] = []
        has_ends = bool(over.any())
        if self._mode == DISABLED:
            if has_ends:
                self._due = over
        else:
            if has_ends:
                finals = self._records.list_finals(observations, infos, over)
            if recorded_infos:
                keys = self._statistics_keys if has_ends else ()
                recorded_infos = drop_final(recorded_infos, keys)
        recorder.add(
            observations,
            actions,
            rewards,
            terminated,
            truncated,
            recorded_infos,
            None,
            None,
            None,
            finals,
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | npt.NDArray[Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Reset environments and begin to record an episode of each.

        Args:
            seed: Goes to the environments; where each has a seed of its own, it is recorded
                with the episode. (One seed for all of a natively vectorised environment would
                not give any of the episodes again.)
            options: Go to the environments, and are recorded with the episodes, except for
                ``reset_mask``, which says which environments are reset.

        Raises:
            RecordingError: The collector is closed.
            DataError: A seed does not fit 64 bits, or the options cannot be kept as JSON; then
                no environment is reset. Or an observation cannot be recorded; then only
                another reset begins episodes.
            DatasetWriteError: A full buffer cannot be written; likewise.
        """
        if self._is_closed:
            raise RecordingError(CLOSED)
        mask = read_reset_mask(options, self._num_envs)
        chosen = np.arange(self._num_envs) if mask is None else np.flatnonzero(mask)
        beginnings = assign_beginnings(self.unwrapped, seed, options, chosen)
        try:
            given: Any = seed
            observations, infos = self.env.reset(seed=given, options=options)
            if mask is None or mask.all():
                self._begin_all(observations, infos, beginnings)
            else:
                self._begin_some(mask, observations, infos, beginnings)
        except BaseException:
            # The environments are no longer where their episodes were.
            self._recorder.abandon()
            raise
        self._resets = np.zeros_like(self._resets) if mask is None else self._resets & ~mask
        due = None if mask is None or self._due is None else self._due & ~mask
        self._due = due if due is not None and due.any() else None
        return observations, infos

    def _begin_all(self, observations: Any, infos: Any, beginnings: list[Beginning]) -> None:
        if not self._has_own_step_data:
            self._recorder.begin(
                observations, infos if self._record_infos else None, None, beginnings
            )
            return
        if self._mode == SAME_STEP:
            self._records.keep(observations)
        records = [
            self._records.record_reset(observations, infos, e) for e in range(self._num_envs)
        ]
        self._recorder.begin(
            [record[0] for record in records],
            [record[1] or {} for record in records],
            [record[2] or {} for record in records],
            beginnings,
            one_by_one=True,
        )

    def _begin_some(
        self, mask: Flags, observations: Any, infos: Any, beginnings: list[Beginning]
    ) -> None:
        envs = np.flatnonzero(mask).tolist()
        records = [self._records.record_reset(observations, infos, env) for env in envs]
        self._recorder.begin_some(
            mask,
            [record[0] for record in records],
            [record[1] for record in records],
            [record[2] for record in records],
            beginnings,
        )

    def _add_own(self, actions: Any, result: tuple[Any, Any, Any, Any, dict[str, Any]]) -> None:
        """Record what the callback returns for the step of each environment."""
        observations, _, terminated, truncated, infos = result
        count = self._num_envs
        over = np.logical_or(terminated, truncated)
        resets = self._resets if self._mode == NEXT_STEP else np.zeros(count, dtype=bool)
        columns: tuple[list[Any], ...] = ([], [], [], [], [])
        flags = np.zeros((2, count), dtype=bool)
        finals: list[Final] = []
        reset_infos: Infos = infos
        if self._mode == SAME_STEP and over.any():
            reset_infos = drop_final(infos, self._statistics_keys)
        for env in range(count):
            if resets[env]:
                observation, info, extras = self._records.record_reset(observations, infos, env)
                record = (observation, None, None, info or {}, extras or {})
            else:
                is_final = self._mode == SAME_STEP and bool(over[env])
                data = self._records.record_step(actions, result, env, is_final=is_final)
                observation = get_required(data, "observation")
                info = data.get("info") if self._record_infos else None
                flags[0, env] = get_required(data, "terminated")
                flags[1, env] = get_required(data, "truncated")
                values = (get_required(data, "action"), get_required(data, "reward"))
                extras = select_extras(data)
                if is_final:
                    finals.append((env, observation, info, extras))
                    observation, info, extras = self._records.record_reset(
                        observations, reset_infos, env
                    )
                record = (observation, *values, info or {}, extras or {})
            for column, value in zip(columns, record, strict=True):
                column.append(value)
        if self._mode == SAME_STEP:
            self._records.keep(observations)
        self._recorded_ends = np.logical_or(flags[0], flags[1])
        recorded, actions_recorded, rewards_recorded, infos_recorded, extras_recorded = columns
        self._recorder.add(
            recorded,
            actions_recorded,
            rewards_recorded,
            flags[0],
            flags[1],
            infos_recorded if self._record_infos else None,
            extras_recorded,
            resets,
            # An environment that resets itself ends its episode, whatever the callback says.
            None if self._mode == DISABLED else over & ~resets,
            finals,
            one_by_one=True,
        )
        if self._mode == NEXT_STEP:
            self._resets = over & ~resets
        elif self._mode == DISABLED:
            # Where the callback has changed the flags, stepping on begins another episode.
            due = over & (flags[0] == terminated) & (flags[1] == truncated)
            self._due = due if due.any() else None

    def close(self, **kwargs: Any) -> None:
        """Close the environments and drop what is in no dataset, with a warning that counts it.

        Closing twice is fine.
        """
        if self._is_closed:
            return
        try:
            self._end()
        finally:
            super().close(**kwargs)
