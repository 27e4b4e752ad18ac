"""The folder of a run: its description, the parts that are complete, and its lock."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minari_collect.workers.messages import RUN_NAME, Part, PartRemote
from minari_collect.workers.transport import receive
from minari_core.errors import (
    DatasetBusyError,
    DatasetDamagedError,
    DatasetExistsError,
    RecordingError,
)
from minari_core.files import LOCK_NAME, replace_file
from minari_core.formats.columnar.manifest import read_manifest
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.json_values import JsonValue

_PART = re.compile(r"episodes-(\d{12,})-(\d{12,})")


class RunFolder:
    """Where the parts of a run wait until all are there."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is made yet.

        Args:
            path: The folder.
        """
        self.path = path

    @contextmanager
    def opened(
        self, described: Mapping[str, JsonValue], *, resume: bool
    ) -> Iterator[Mapping[str, JsonValue]]:
        """Hold the folder for this run alone.

        Args:
            described: What the run is; a key that is None takes whatever an earlier run had.
            resume: Whether to go on where an earlier run stopped.

        Yields:
            What the run is, with what the earlier one had.

        Raises:
            DatasetBusyError: The run is going on elsewhere.
            DatasetExistsError: An earlier run left something, and is not to be resumed.
            RecordingError: The earlier run was another one.
        """
        from filelock import FileLock, Timeout  # only who writes needs it

        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / LOCK_NAME, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise DatasetBusyError(
                f"a run that collects into {self.path} is going on; wait for it"
            ) from error
        try:
            known = self._known()
            if known is not None and not self._numbers():
                # It collected nothing, so that there is nothing to be lost, or to be mixed.
                known = known if resume and not _conflicts(known, described) else None
            if known is not None and not resume:
                raise DatasetExistsError(
                    f"{self.path} holds what an earlier run of this name has collected; pass "
                    "resume=True to go on with it, or delete the folder"
                )
            agreed = _agreed(known, described, self.path)
            self.settle(agreed)
            self._sweep()
            yield agreed
        finally:
            lock.release()

    def settle(self, agreed: Mapping[str, JsonValue]) -> None:
        """Write down what the run is, for the one that may have to go on with it."""
        replace_file(self.path / RUN_NAME, json.dumps(dict(agreed)).encode())

    def parts(self) -> list[Part]:
        """The complete parts that are there, each episode in one of them only.

        A worker that was given up may have completed what others then collected again.
        """
        found: list[Part] = []
        end = 0
        for first, stop in sorted(self._numbers(), key=lambda pair: (pair[0], -pair[1])):
            if first < end:
                continue
            part = Part(first, stop, 0)
            snapshot = self.storage(part).snapshot
            if snapshot.total_episodes != stop - first:
                raise DatasetDamagedError(
                    f"{self.path / part.name} has {snapshot.total_episodes} episodes"
                )
            found.append(replace(part, steps=snapshot.total_steps))
            end = stop
        return found

    def receive(self, part: Part, remote: PartRemote | None = None) -> Part:
        """Take in a part as its worker sent it; see `minari_collect.workers.transport.receive`."""
        return receive(part, self.path, remote)

    def storage(self, part: Part) -> ShardFolder:
        """The shards of a part."""
        folder = self.path / part.name
        return ShardFolder(folder, read_manifest(folder))

    def remove(self) -> None:
        """Drop the folder: everything in it is in a dataset."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _numbers(self) -> list[tuple[int, int]]:
        """The first episode of each part that is there, and the one behind its last."""
        if not self.path.is_dir():
            return []
        return [
            (int(matched[1]), int(matched[2]))
            for folder in self.path.iterdir()
            if (matched := _PART.fullmatch(folder.name))
        ]

    def _known(self) -> Mapping[str, JsonValue] | None:
        try:
            known = json.loads((self.path / RUN_NAME).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DatasetDamagedError(f"{self.path / RUN_NAME} cannot be read: {error}") from error
        if not isinstance(known, dict):
            raise DatasetDamagedError(f"{self.path / RUN_NAME} is not an object")
        return known

    def _sweep(self) -> None:
        """Remove parts that are not complete; nobody adds to them while the lock is held."""
        for folder in self.path.glob(".part-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _agreed(
    known: Mapping[str, JsonValue] | None, described: Mapping[str, JsonValue], path: Path
) -> dict[str, JsonValue]:
    if known is None:
        return dict(described)
    for key in _conflicts(known, described):
        raise RecordingError(
            f"{path} was collected with {key} {known[key]!r}, not {described[key]!r}; resume with "
            "the same arguments, or delete the folder"
        )
    return {key: known.get(key) if value is None else value for key, value in described.items()}


def _conflicts(known: Mapping[str, JsonValue], described: Mapping[str, JsonValue]) -> list[str]:
    return [
        key
        for key, value in described.items()
        if value is not None and known.get(key) is not None and value != known[key]
    ]
