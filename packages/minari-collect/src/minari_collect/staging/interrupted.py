"""Recordings that were interrupted: what a killed process left, as shards that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minari_collect.staging.journal import Journal, StagedShards, read_journal
from minari_core.columns import Array, Column, Schema
from minari_core.environments.env_specs import env_spec_from_json
from minari_core.episodes import ShardData, encode_entries
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.shard_folder import ShardFolder


@dataclass(frozen=True, slots=True)
class RecoverableRecording:
    """Episodes that a collector had written to its staging folder when its process ended."""

    id: str
    """The argument of `recover_recording` and `discard_recording`."""
    started: str
    """The time at which the first of its buffers was written, in ISO 8601."""
    env_id: str | None
    """The environment that was recorded."""
    total_episodes: int
    """Number of its episodes, the last one perhaps cut short."""
    total_steps: int
    """Number of their steps."""
    nbytes: int
    """Its size on the disk in bytes."""


class InterruptedShards:
    """Shards whose last steps may be of an episode without an entry."""

    def __init__(self, folder: Path, journal: Journal, staged: StagedShards) -> None:
        """Open some of the shards of a recording.

        Args:
            folder: The folder of the recording.
            journal: Its journal.
            staged: Which of its shards.
        """
        self._unfinished = staged.unfinished
        snapshot = Snapshot(tuple(staged.schemas), tuple(staged.entries), journal.uid)
        manifest = Manifest(journal.metadata, snapshot)
        self.storage = ShardFolder(folder, manifest, keeps_dtypes=True)
        """The shards."""

    def count_unfinished_steps(self) -> int:
        """Count the steps after those of the finished episodes."""
        finished = 0
        for number, (_, _, episodes) in enumerate(self.storage.shard_counts()):
            if episodes:
                entries = self.storage.shard(number).readers(copy=False)["episodes"](0, episodes)
                if isinstance(entries, dict):
                    finished += int(np.sum(entries["length"]))
        return self.storage.total_steps - finished

    def finish_episode(self) -> None:
        """Add an entry for the unfinished episode, if it has a step, so that it can be read."""
        steps = self.count_unfinished_steps()
        if steps == 0:
            return
        seed, options = self._unfinished
        options = options if isinstance(options, Mapping) else None
        entries, pieces = encode_entries([steps], [seed], [options], [None], {})
        groups: dict[str, Column] = dict(self.storage.snapshot.schemas[-1].groups)
        arrays: list[list[Array]] = []
        for name, column in groups.items():
            if name == "episodes":
                arrays += pieces
            else:
                arrays += [[array] for array in column.encode([], name)]
        groups["episodes"] = entries
        self.storage.add([ShardData(Schema(groups), arrays, rows=0, steps=0, episodes=1)])


class InterruptedRecording:
    """A recording whose collector is gone."""

    def __init__(self, folder: Path) -> None:
        """Read its journal.

        Raises:
            DatasetDamagedError: The journal cannot be read.
        """
        self._name = folder.name
        self.journal = read_journal(folder)
        """Its journal."""
        self.shards = InterruptedShards(folder, self.journal, self.journal.shards)
        """All but the lanes."""
        lanes = [InterruptedShards(folder, self.journal, lane) for lane in self.journal.lanes]
        self.lanes = [lane for lane in lanes if lane.count_unfinished_steps()]
        """Episodes of a vector environment that were going on beside those that ended."""

    def summarize(self) -> RecoverableRecording:
        """Summarize what there is to recover."""
        spec = self.journal.metadata.get("env_spec")
        snapshots = [each.storage.snapshot for each in (self.shards, *self.lanes)]
        unfinished = (self.shards.count_unfinished_steps() > 0) + len(self.lanes)
        return RecoverableRecording(
            id=self._name,
            started=self.journal.started,
            env_id=env_spec_from_json(spec).id if isinstance(spec, str) else None,
            total_episodes=snapshots[0].total_episodes + unfinished,
            total_steps=sum(snapshot.total_steps for snapshot in snapshots),
            nbytes=sum(shard.nbytes for snapshot in snapshots for shard in snapshot.shards),
        )
