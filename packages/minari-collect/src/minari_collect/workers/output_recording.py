"""Collectors of the workers, which record into a folder of shards that is one task output."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_collect.collectors.base import EpisodeCollector
from minari_collect.collectors.single import DataCollectorV0
from minari_collect.collectors.vector import VectorDataCollector
from minari_collect.staging.collector_staging import CollectorStaging
from minari_collect.staging.journal import Beginning
from minari_collect.workers.messages import INCOMPLETE_PREFIX, TaskOutput
from minari_core.episodes import ShardData
from minari_core.files import sync_file, wrap_write_errors
from minari_core.formats.columnar.manifest import Manifest, Snapshot, write_manifest
from minari_core.formats.columnar.shard_folder import ShardFolder

ALWAYS_NONE_KEY = "infos_always_none"
"""The key of a task output's metadata with the names of infos that were always None."""

WARNINGS_KEY = "warnings"
"""The key of a task output's metadata with what its worker would have warned of."""


class OutputStaging(CollectorStaging):
    """The shards of a task output, which become visible as a whole when it is complete.

    It has no journal: what is not complete is collected again.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
        parent: Path,
    ) -> None:
        """Describe what will be staged; nothing is written yet."""
        self._parent = parent
        super().__init__(observation_space, action_space, env_spec)

    def _start_afresh(self) -> None:
        super()._start_afresh()
        # How many episodes are in outputs, and the first shard of one that is going on.
        self._forgotten = 0
        self._open_from: int | None = None

    def _make_folder(self) -> None:
        self._folder = self._make_hidden_folder()
        self._storage = self._make_storage()

    def _make_hidden_folder(self) -> Path:
        folder = self._parent / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}"
        folder.mkdir()
        return folder

    def clear(self) -> None:
        """Remove all that is staged."""
        folder = self._folder
        self._start_afresh()
        if folder != Path():
            shutil.rmtree(folder, ignore_errors=True)

    def note_always_none(self, names: Sequence[str]) -> None:
        """Note the keys of infos that were always None, for the warning at the creation."""
        self._metadata[ALWAYS_NONE_KEY] = list(names)

    def note_warnings(self, messages: Sequence[str]) -> None:
        """Note warnings, which are raised by whoever creates the dataset."""
        self._metadata[WARNINGS_KEY] = list(messages)

    def write(self, data: ShardData, unfinished: Beginning | None) -> None:
        """Keep a shard; see `ShardSink.write`.

        Raises:
            DatasetWriteError: The file system refused.
        """
        shards = len(self._storage.snapshot.shards)
        super().write(data, unfinished)
        if unfinished is None:
            self._open_from = None
        elif self._open_from is None:
            self._open_from = shards

    def count_finished(self) -> int:
        """Count the recorded episodes that are in no output yet."""
        return self._list_finished().total_episodes - self._forgotten

    def complete(self, first: int, indices: Sequence[int]) -> tuple[TaskOutput, Path]:
        """Complete an output that has some of the episodes, in a hidden folder.

        Args:
            first: The number of the first episode.
            indices: Indices among the episodes that are in no output yet, in the order of their
                numbers.

        Returns:
            The output, and its folder.

        Raises:
            DatasetWriteError: The file system refused.
        """
        chosen = [self._forgotten + index for index in indices]
        storage, folder = self._storage, self._folder
        is_all = chosen == list(range(storage.total_episodes))
        with wrap_write_errors(folder):
            if is_all and self._open_from is None and not self._lanes:
                self._start_afresh()
            else:
                # What was cut short by an error, or goes on, or does not count, is left out.
                source = self._list_finished()
                folder = self._make_hidden_folder()
                storage = ShardFolder(
                    folder, Manifest(self._metadata, Snapshot(uid=uuid.uuid4().hex))
                )
                storage.append_storage(source, chosen)
            write_manifest(folder, Manifest(self._metadata, storage.snapshot))
            for entry in storage.snapshot.shards:
                sync_file(folder / entry.file)
        return TaskOutput(first, first + len(indices), storage.total_steps), folder

    def forget_finished(self) -> None:
        """Drop the episodes that have ended: those that count are in outputs."""
        if self._open_from is None:
            self._storage.truncate(0)
        self._forgotten = self._list_finished().total_episodes

    def _list_finished(self) -> ShardFolder:
        """The shards, without those of an episode that is going on."""
        if self._open_from is None:
            return self._storage
        snapshot = self._storage.snapshot
        whole = replace(snapshot, shards=snapshot.shards[: self._open_from])
        return ShardFolder(self._folder, Manifest(self._metadata, whole), keeps_dtypes=True)


class _OutputCollector(EpisodeCollector):
    """Record into a task output."""

    _parent: Path
    _staging: OutputStaging

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> OutputStaging:
        return OutputStaging(observation_space, action_space, env_spec, self._parent)

    def flush_output(self) -> OutputStaging:
        """Write what has ended, to complete outputs from it; the rest goes on."""
        self._recorder.flush()
        self._staging.note_always_none(self._recorder.list_always_none())
        return self._staging

    def finish_output(self) -> OutputStaging:
        """End and write what was recorded, to complete outputs from it."""
        self._finish_episodes()
        self._staging.note_always_none(self._recorder.list_always_none())
        return self._staging


class TaskCollector(_OutputCollector, DataCollectorV0):
    """Record one environment into a task output."""

    def __init__(self, env: gymnasium.Env[Any, Any], parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(env, **arguments)
        self._recorder.keeps_ends_apart = True
        # The run counts otherwise, and names the episode that failed.
        self._recorder.numbers_episodes = False

    @property
    def is_over(self) -> bool:
        """Whether no episode is going on; a callback may end one before its environment does."""
        return self._recorder.unfinished is None


class VectorTaskCollector(_OutputCollector, VectorDataCollector):
    """Record many environments into a task output."""

    def __init__(self, envs: Any, parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(envs, **arguments)

    def find_ends(self, over: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Find which episodes ended in the last step as it is recorded.

        Args:
            over: Which ended as the environments say, shape (envs,).
        """
        return self._recorded_ends if self._has_own_step_data else over
