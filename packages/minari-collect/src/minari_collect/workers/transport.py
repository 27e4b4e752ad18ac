"""Transport of the outputs of tasks from a worker to the coordinator of the run."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from minari_collect.workers.messages import INCOMPLETE_PREFIX, ShardRemote, TaskOutput, Transport
from minari_core.errors import RecordingError
from minari_core.files import sync_file, wrap_write_errors

_BLOCK = 8 << 20


def send_output(
    output: TaskOutput, folder: Path, transport: Transport, remote: ShardRemote | None, run: str
) -> TaskOutput:
    """Send an output from a worker to the coordinator.

    Args:
        output: The output.
        folder: The folder of its files; it is gone afterwards if they lie where they belong.
        transport: How they travel.
        remote: What they travel through, if they do.
        run: A name that nobody else uses on the remote.

    Returns:
        The output, with what the coordinator needs to know of its files.

    Raises:
        DatasetWriteError: The file system refused.
        RemoteError: The remote did.
    """
    if transport == "folder":
        with wrap_write_errors(folder.parent):
            put_in_place(folder, folder.parent / output.name)
        return output
    files = sorted(folder.iterdir())
    if remote is None:
        return replace(output, files={file.name: file.read_bytes() for file in files})
    # An output that is collected twice travels twice.
    parent = f"{run}/{output.name}-{uuid.uuid4().hex[:8]}"
    objects: dict[str, tuple[str, int]] = {}
    for file in files:
        content = file.read_bytes()
        name = f"{parent}/{file.name}"
        remote.create(name, content, {})
        objects[file.name] = (name, len(content))
    return replace(output, objects=objects)


def receive_output(output: TaskOutput, parent: Path, remote: ShardRemote | None) -> TaskOutput:
    """Put the files of an output into the folder of the run.

    Returns:
        The output without its files.

    Raises:
        RecordingError: They are not there, or not of such names.
        DatasetWriteError: The file system refused.
        RemoteError: The remote did.
    """
    target = parent / output.name
    if output.files is None and output.objects is None:
        if not target.is_dir():
            raise RecordingError(
                f"a worker put {target} in place, which is not here: the workers see another "
                "folder; give work_dir_is_shared=False, or a remote"
            )
        return output
    folder = parent / f"{INCOMPLETE_PREFIX}{uuid.uuid4().hex}"
    try:
        with wrap_write_errors(folder):
            folder.mkdir()
            for name, content in (output.files or {}).items():
                _resolve_file(folder, name).write_bytes(content)
        for name, (object_name, size) in (output.objects or {}).items():
            _fetch(remote, object_name, size, _resolve_file(folder, name))
        with wrap_write_errors(folder):
            for path in folder.iterdir():
                sync_file(path)
            put_in_place(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return replace(output, files=None, objects=None)


def put_in_place(folder: Path, target: Path) -> None:
    """Give a complete folder its name, unless another has it already.

    What is in it outlives a power cut. The name may not, and then it is collected again.
    """
    try:
        os.rename(folder, target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _resolve_file(folder: Path, name: str) -> Path:
    if Path(name).name != name or name.startswith("."):
        raise RecordingError(f"a worker sent a file of the name {name!r}")
    return folder / name


def _fetch(remote: ShardRemote | None, name: str, size: int, target: Path) -> None:
    if remote is None:
        raise RecordingError(f"a worker sent {name} through a remote, and there is none")
    start = 0
    while start < size:
        block = remote.read(name, start, min(start + _BLOCK, size))
        if not block:
            raise RecordingError(f"{name} ends after {start} of {size} bytes")
        with wrap_write_errors(target), open(target, "ab") as file:
            file.write(block)
        start += len(block)
