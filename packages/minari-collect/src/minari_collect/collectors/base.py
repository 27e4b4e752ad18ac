"""The base of the collectors of one environment and of many: how they begin, save and end."""

from __future__ import annotations

import os
import weakref
from typing import Any, NoReturn, Protocol

from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_collect.callbacks import StepDataCallback, instantiate_callback
from minari_collect.recording.column_warnings import RecordingWarnings
from minari_collect.staging.collector_staging import CollectorStaging
from minari_core.environments.env_specs import drop_unstorable_arguments, env_spec_to_json
from minari_core.errors import MetadataError, RecordingError
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.registry import check_format, check_format_holds
from minari_core.messages import warn_caller

CLOSED = "this collector is closed; wrap the environment anew to go on"


class Recorder(Protocol):
    """The interface of the recorders, as far as it does not depend on how many environments."""

    @property
    def buffered_steps(self) -> int:
        """Number of steps held in memory."""
        ...

    @property
    def episodes(self) -> int:
        """Number of episodes in memory that have at least one step."""
        ...

    def end(self) -> None:
        """End unfinished episodes as truncated, if they have a step."""
        ...

    def flush(self) -> None:
        """Write all finished episodes."""
        ...

    def list_always_none(self) -> list[str]:
        """List the keys of infos that were None wherever they were given."""
        ...

    def clear(self) -> None:
        """Drop all that is in memory."""
        ...


class EpisodeCollector:
    """The base of a collector, which does not depend on how many environments it steps.

    It is a `minari_core.EpisodeSource`.
    """

    data_format: str
    """The data format of a dataset that is created from the data."""
    recorded_spec: EnvSpec | None
    """The spec of a single environment, if it is known."""
    _recorder: Recorder

    def _begin(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        spec: EnvSpec | None,
        step_data_callback: type[StepDataCallback] | StepDataCallback,
        record_infos: bool,
        data_format: str | None,
    ) -> None:
        """Set up all but the recorder.

        Raises:
            DataError: The callback cannot be called.
            FormatError: There is no such data format.
            SpaceError: A space cannot be stored, or not in the data format.
        """
        self.data_format = check_format(data_format)
        check_format_holds(self.data_format, observation_space, action_space)
        self.recorded_spec = spec
        self._step_data_callback = instantiate_callback(step_data_callback, "step_data_callback")
        self._has_own_step_data = type(self._step_data_callback) is not StepDataCallback
        self._record_infos = record_infos
        self._staging = self._new_staging(observation_space, action_space, _spec_json(spec))
        self._warnings = RecordingWarnings()
        self._is_closed = False
        _collectors.add(self)

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> CollectorStaging:
        """Make the staging folder for full buffers; a subclass may choose another."""
        return CollectorStaging(observation_space, action_space, env_spec)

    @property
    def buffered_steps(self) -> int:
        """Number of recorded steps held in memory."""
        return self._recorder.buffered_steps

    @property
    def unsaved_episodes(self) -> int:
        """Number of recorded episodes that are in no dataset yet, unfinished ones included."""
        return self._staging.storage.total_episodes + self._recorder.episodes

    def finished_episodes(self) -> ShardFolder:
        """Finish all episodes that are in no dataset yet; see `minari_core.EpisodeSource`.

        Raises:
            RecordingError: The collector is closed.
            DatasetWriteError: They could not be staged; nothing is lost.
        """
        storage = self._finish_episodes()
        self._warnings.warn_always_none(self._recorder.list_always_none())
        return storage

    def _finish_episodes(self) -> ShardFolder:
        """Finish all episodes, without a word about what is in none of them."""
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

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            RecordingError: Always: two collectors would save the same episodes.
        """
        raise RecordingError(
            f"a {type(self).__name__} cannot be copied or pickled, because its episodes would be "
            "saved twice; wrap another environment in one where it is needed"
        )

    def _end(self) -> None:
        """Close, and drop what is in no dataset, with a warning that counts it."""
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

    def _leave_to_parent(self) -> None:
        """Start afresh in a forked process."""
        self._recorder.clear()
        self._staging.leave()


_collectors: weakref.WeakSet[EpisodeCollector] = weakref.WeakSet()


def _leave_all_to_parent() -> None:
    for collector in list(_collectors):
        collector._leave_to_parent()


# Systems without fork have no such function.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def _spec_json(spec: EnvSpec | None) -> str | None:
    if spec is None:
        return None
    try:
        return env_spec_to_json(drop_unstorable_arguments(spec)[0])
    except MetadataError:
        # The functions that create a dataset warn about it.
        return None
