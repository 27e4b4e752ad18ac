"""Collectors of the workers, which record into a folder of shards that is one task output."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces

from minari_collect.collectors.base import EpisodeCollector
from minari_collect.collectors.single import DataCollectorV0
from minari_collect.collectors.vector import VectorDataCollector
from minari_collect.staging.collector_staging import CollectorStaging
from minari_collect.workers.messages import INCOMPLETE_PREFIX, TaskOutput
from minari_collect.workers.transport import wrap_write_errors
from minari_core.files import sync_file
from minari_core.formats.columnar.manifest import Manifest, write_manifest
from minari_core.formats.columnar.shard_folder import ShardFolder

ALWAYS_NONE_KEY = "infos_always_none"
"""The key of a task output's metadata with the names of infos that were always None."""


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

    def _make_folder(self) -> None:
        folder = self._parent / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}"
        folder.mkdir()
        self._folder = folder
        self._storage = self._make_storage()

    def clear(self) -> None:
        """Remove all that is staged."""
        folder = self._folder
        self._start_afresh()
        if folder != Path():
            shutil.rmtree(folder, ignore_errors=True)

    def note_always_none(self, names: Sequence[str]) -> None:
        """Note the keys of infos that were always None, for who makes the dataset to warn of."""
        self._metadata[ALWAYS_NONE_KEY] = list(names)

    def complete(self, first: int, indices: Sequence[int]) -> tuple[TaskOutput, Path]:
        """Complete an output that has some of the episodes, in a hidden folder.

        Args:
            first: The number of the first episode.
            indices: Indices of the recorded episodes, in the order of their numbers.

        Returns:
            The output, and its folder.

        Raises:
            DatasetWriteError: The file system refused.
        """
        storage, folder = self._storage, self._folder
        with wrap_write_errors(folder):
            if list(indices) != list(range(storage.total_episodes)):
                # What was cut short by an error, or did not count, is left out.
                selected = ShardFolder(
                    folder, Manifest(self._metadata, self._make_storage().snapshot)
                )
                selected.append_storage(storage, indices)
                kept = {entry.file for entry in selected.snapshot.shards}
                for entry in storage.snapshot.shards:
                    if entry.file not in kept:
                        (folder / entry.file).unlink(missing_ok=True)
                storage = selected
            write_manifest(folder, Manifest(self._metadata, storage.snapshot))
            for entry in storage.snapshot.shards:
                sync_file(folder / entry.file)
        return TaskOutput(first, first + len(indices), storage.total_steps), folder


class _OutputCollector(EpisodeCollector):
    """Records into a task output."""

    _parent: Path
    _staging: OutputStaging

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> OutputStaging:
        return OutputStaging(observation_space, action_space, env_spec, self._parent)

    def finish_output(self) -> OutputStaging:
        """Finish what was recorded, to complete an output from it."""
        self._finish_episodes()
        self._staging.note_always_none(self._recorder.list_always_none())
        return self._staging


class TaskCollector(_OutputCollector, DataCollectorV0):
    """Records one environment into a task output."""

    def __init__(self, env: gymnasium.Env[Any, Any], parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(env, **arguments)


class VectorTaskCollector(_OutputCollector, VectorDataCollector):
    """Records many environments into a task output."""

    def __init__(self, envs: Any, parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(envs, **arguments)
