"""The folder of a run: its arguments, the outputs that are complete, and its lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from minari_collect.runs.identity import find_conflicts, say_how_to_resume
from minari_collect.runs.schedule import Range
from minari_collect.workers.messages import (
    INCOMPLETE_PREFIX,
    RUN_NAME,
    WORKER_PREFIX,
    ShardRemote,
    TaskOutput,
)
from minari_collect.workers.transport import receive_output
from minari_core.errors import (
    DatasetBusyError,
    DatasetDamagedError,
    DatasetExistsError,
    RecordingError,
)
from minari_core.files import (
    LOCK_FILES,
    LOCK_NAME,
    make_folder,
    make_read_error,
    make_write_error,
    replace_file,
    wrap_write_errors,
)
from minari_core.formats.columnar.manifest import Manifest, Snapshot, read_manifest
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.json_values import JsonValue
from minari_core.locks import FileLock

RUN_PREFIX = "run-"
"""How the names of the folders of runs begin, where no other folder is asked for."""

_FILES = LOCK_FILES | {RUN_NAME}
_OUTPUT_FOLDER = re.compile(r"episodes-(\d{12,})-(\d{12,})")


class RunFolder:
    """The folder in which the outputs of tasks wait until all are there."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is made yet.

        Args:
            path: The folder.
        """
        self.path = path

    @contextmanager
    def hold(
        self, arguments: Mapping[str, JsonValue], *, resume: bool, same: Collection[str] = ()
    ) -> Iterator[Mapping[str, JsonValue]]:
        """Hold the folder for this run alone.

        Args:
            arguments: What the run must have in common with one that it resumes; a key that is
                None takes whatever the earlier run had.
            resume: Whether to go on where an earlier run stopped.
            same: The arguments that count as the same although they look different.

        Yields:
            The arguments, with those of the earlier run where there was one.

        Raises:
            DatasetBusyError: The run is going on elsewhere.
            DatasetExistsError: An earlier run left something, and is not to be resumed.
            RecordingError: The earlier run was another one.
            DatasetWriteError: The file system refused.
        """
        lock = FileLock(self.path / LOCK_NAME)
        try:
            make_folder(self.path)
            is_mine = lock.acquire()
        except OSError as error:
            raise make_write_error(
                f"the run cannot work in {self.path}",
                error,
                "make that a folder that can be written to, or choose another one",
            ) from error
        if not is_mine:
            raise DatasetBusyError(
                f"a run that collects into {self.path} is going on in another "
                f"process{lock.describe_holder()}; wait for it"
            )
        try:
            known = self._read_arguments()
            if known is not None and not self._list_ranges():
                # It collected nothing, so that there is nothing to be lost, or to be mixed.
                known = known if resume and not find_conflicts(known, arguments, same) else None
            if known is not None and not resume:
                raise DatasetExistsError(
                    f"{self.path} holds what an earlier run of this name has collected; pass "
                    "resume=True to go on with it, or delete the folder"
                )
            agreed = _merge_arguments(known, arguments, same, self.path)
            self.write_arguments(agreed)
            self._remove_incomplete()
            yield agreed
        finally:
            lock.release()

    def write_arguments(self, agreed: Mapping[str, JsonValue]) -> None:
        """Write the arguments of the run, for one that resumes it."""
        with wrap_write_errors(self.path):
            replace_file(self.path / RUN_NAME, json.dumps(dict(agreed)).encode())

    def list_outputs(self, within: Range | None = None) -> list[TaskOutput]:
        """List the complete outputs, each episode in one of them only.

        A worker that was given up may have completed what others then collected again.

        Args:
            within: Only those that have no other episodes than these.
        """
        outputs: list[TaskOutput] = []
        end = 0
        for first, stop in sorted(self._list_ranges(), key=lambda pair: (pair[0], -pair[1])):
            if first < end or not (within is None or within.first <= first < stop <= within.stop):
                continue
            output = TaskOutput(first, stop, 0)
            snapshot = self.open_output(output).snapshot
            if snapshot.total_episodes != stop - first:
                raise DatasetDamagedError(
                    f"{self.path / output.name} has {snapshot.total_episodes} episodes"
                )
            outputs.append(replace(output, steps=snapshot.total_steps))
            end = stop
        return outputs

    def receive(self, output: TaskOutput, remote: ShardRemote | None = None) -> TaskOutput:
        """Take in an output as its worker sent it; see `receive_output`."""
        return receive_output(output, self.path, remote)

    def open_output(self, output: TaskOutput) -> ShardFolder:
        """Open the shards of an output."""
        folder = self.path / output.name
        return ShardFolder(folder, read_manifest(folder))

    @contextmanager
    def join_outputs(self, outputs: Sequence[TaskOutput]) -> Iterator[ShardFolder]:
        """Link the shards of outputs into one folder for a while, which has one dtype a column.

        Raises:
            DatasetWriteError: The file system refused.
        """
        first = self.open_output(outputs[0])
        joined = self.path / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}"
        make_folder(joined)
        try:
            manifest = Manifest(first.metadata, Snapshot(uid=uuid.uuid4().hex))
            storage = ShardFolder(joined, manifest, keeps_dtypes=True)
            storage.append_linked(map(self.open_output, outputs))
            yield storage
        finally:
            shutil.rmtree(joined, ignore_errors=True)

    def has_outputs(self) -> bool:
        """Return whether there is a complete output."""
        return bool(self._list_ranges())

    def read_dataset_id(self) -> str:
        """Return the id of the dataset that the run collects; "" if nothing says that."""
        with suppress(DatasetDamagedError):
            return str((self._read_arguments() or {}).get("dataset_id", ""))
        return ""

    def remove(self) -> None:
        """Delete what is the run's in the folder, which is in a dataset, and then the folder."""
        with suppress(OSError):
            for path in list(self.path.iterdir()):
                name = path.name
                if _OUTPUT_FOLDER.fullmatch(name) or name.startswith(INCOMPLETE_PREFIX):
                    shutil.rmtree(path, ignore_errors=True)
                elif name in _FILES or name.startswith((f".{RUN_NAME}.", WORKER_PREFIX)):
                    path.unlink(missing_ok=True)
            # Whoever gave the folder may have other things there.
            self.path.rmdir()

    def _list_ranges(self) -> list[tuple[int, int]]:
        """List the first episode of each output, and the one after its last."""
        if not self.path.is_dir():
            return []
        return [
            (int(matched[1]), int(matched[2]))
            for folder in self.path.iterdir()
            if (matched := _OUTPUT_FOLDER.fullmatch(folder.name))
        ]

    def _read_arguments(self) -> Mapping[str, JsonValue] | None:
        try:
            known = json.loads((self.path / RUN_NAME).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise make_read_error(self.path / RUN_NAME, error) from error
        if not isinstance(known, dict):
            raise DatasetDamagedError(f"{self.path / RUN_NAME} is not an object")
        return known

    def _remove_incomplete(self) -> None:
        """Remove outputs that are not complete; nobody adds to them while the lock is held."""
        for folder in list(self.path.glob(f"{INCOMPLETE_PREFIX}*")):
            # A worker of the earlier run may live, and put in place what is half removed.
            doomed = self.path / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}"
            with suppress(OSError):
                os.rename(folder, doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _merge_arguments(
    known: Mapping[str, JsonValue] | None,
    arguments: Mapping[str, JsonValue],
    same: Collection[str],
    path: Path,
) -> dict[str, JsonValue]:
    if known is None:
        return dict(arguments)
    conflicts = find_conflicts(known, arguments, same)
    if conflicts:
        raise RecordingError(
            f"{path} was collected with {'; '.join(conflicts.values())}; resume with the same "
            f"arguments, or delete the folder{say_how_to_resume(conflicts)}"
        )
    return {key: known.get(key) if value is None else value for key, value in arguments.items()}
