"""Recording into parts: folders of shards that become visible as a whole."""

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
from minari_collect.workers.messages import Part
from minari_collect.workers.transport import writing_to
from minari_core.files import sync_file
from minari_core.formats.columnar.manifest import Manifest, write_manifest
from minari_core.formats.columnar.shard_folder import ShardFolder


class PartStaging(CollectorStaging):
    """Shards of a part, which become visible as a whole when it is complete."""

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
        folder = self._parent / f".part-{uuid.uuid4().hex}"
        folder.mkdir()
        self._folder = folder
        self._storage = self._make_storage()

    def clear(self) -> None:
        """Remove all that is staged."""
        folder = self._folder
        made = folder != Path()
        self._start_afresh()
        if made:
            shutil.rmtree(folder, ignore_errors=True)

    def completed(self, first: int, places: Sequence[int]) -> tuple[Part, Path]:
        """Make a part of some of the episodes, and leave it in a hidden folder.

        Args:
            first: The number of the first episode.
            places: Which of the recorded episodes, in the order of their numbers.

        Returns:
            The part, and its folder.

        Raises:
            DatasetWriteError: The file system refused.
        """
        storage, folder = self._storage, self._folder
        with writing_to(folder):
            if list(places) != list(range(storage.total_episodes)):
                # What was cut short by an error, or did not count, is left out.
                whole = ShardFolder(folder, Manifest(self._metadata, self._make_storage().snapshot))
                whole.append_storage(storage, places)
                kept = {entry.file for entry in whole.snapshot.shards}
                for entry in storage.snapshot.shards:
                    if entry.file not in kept:
                        (folder / entry.file).unlink()
                storage = whole
            write_manifest(folder, Manifest(self._metadata, storage.snapshot))
            for entry in storage.snapshot.shards:
                sync_file(folder / entry.file)
        return Part(first, first + len(places), storage.total_steps), folder


class _IntoPart(EpisodeCollector):
    """Records into a part."""

    _parent: Path
    _staging: PartStaging

    def _new_staging(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        env_spec: str | None,
    ) -> PartStaging:
        return PartStaging(observation_space, action_space, env_spec, self._parent)

    @property
    def part(self) -> PartStaging:
        """What was recorded, complete up to here."""
        self.finished_episodes()
        return self._staging


class PartCollector(_IntoPart, DataCollectorV0):
    """Records one environment into a part."""

    def __init__(self, env: gymnasium.Env[Any, Any], parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(env, **arguments)


class VectorPartCollector(_IntoPart, VectorDataCollector):
    """Records many environments into a part."""

    def __init__(self, envs: Any, parent: Path, **arguments: Any) -> None:
        self._parent = parent
        super().__init__(envs, **arguments)
