"""The folder of a run: its description, the parts that are complete, and its lock."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from minari_collect.collect_task import Part, put_in_place
from minari_core.columnar_storage import LOCK_NAME
from minari_core.columns import JsonValue
from minari_core.errors import (
    DatasetBusyError,
    DatasetDamagedError,
    DatasetExistsError,
    RecordingError,
)
from minari_core.manifest import read_manifest, replace_file
from minari_core.shard_folder import ShardFolder

RUN_NAME = "run.json"
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
        """The complete parts that are there."""
        found: list[Part] = []
        for folder in sorted(self.path.iterdir()):
            matched = _PART.fullmatch(folder.name)
            if matched is None:
                continue
            layout = read_manifest(folder).layout
            part = Part(int(matched[1]), int(matched[2]), layout.total_steps)
            if layout.total_episodes != part.stop - part.first:
                raise DatasetDamagedError(f"{folder} has {layout.total_episodes} episodes")
            found.append(part)
        return found

    def receive(self, part: Part) -> Part:
        """Write the files of a part that came with its result."""
        if part.files is None:
            return part
        folder = self.path / f".part-{uuid.uuid4().hex}"
        folder.mkdir()
        try:
            for name, content in part.files.items():
                if Path(name).name != name or name.startswith("."):
                    raise RecordingError(f"a worker sent a file of the name {name!r}")
                (folder / name).write_bytes(content)
            put_in_place(folder, self.path / part.name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Part(part.first, part.stop, part.steps)

    def storage(self, part: Part) -> ShardFolder:
        """The shards of a part."""
        folder = self.path / part.name
        return ShardFolder(folder, read_manifest(folder))

    def remove(self) -> None:
        """Drop the folder: everything in it is in a dataset."""
        shutil.rmtree(self.path, ignore_errors=True)

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
    agreed: dict[str, JsonValue] = {}
    for key, value in described.items():
        before = known.get(key)
        if value is not None and before is not None and value != before:
            raise RecordingError(
                f"{path} was collected with {key} {before!r}, not {value!r}; resume with the same "
                "arguments, or delete the folder"
            )
        agreed[key] = before if value is None else value
    return agreed
