"""How the files of a part get from a worker to the coordinator of the run."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from minari_collect.workers.messages import Part, PartRemote, Way
from minari_core.errors import DatasetWriteError, RecordingError
from minari_core.files import sync_file

_BLOCK = 8 << 20


def send(part: Part, folder: Path, way: Way, remote: PartRemote | None, run: str) -> Part:
    """Send a part from a worker on its way.

    Args:
        part: The part.
        folder: The folder of its files; it is gone afterwards if they lie where they belong.
        way: How they travel.
        remote: What they travel through, if they do.
        run: A word that nobody else uses on the remote.

    Returns:
        The part, with what the coordinator needs to know of its files.

    Raises:
        DatasetWriteError: The file system refused.
        RemoteError: The remote did.
    """
    if way == "folder":
        with writing_to(folder.parent):
            put_in_place(folder, folder.parent / part.name)
        return part
    files = sorted(folder.iterdir())
    if remote is None:
        return replace(part, files={file.name: file.read_bytes() for file in files})
    # A part that is collected twice travels twice.
    parent = f"{run}/{part.name}-{uuid.uuid4().hex[:8]}"
    objects: dict[str, tuple[str, int]] = {}
    for file in files:
        content = file.read_bytes()
        name = f"{parent}/{file.name}"
        remote.create(name, content, {})
        objects[file.name] = (name, len(content))
    return replace(part, objects=objects)


def receive(part: Part, parent: Path, remote: PartRemote | None) -> Part:
    """Put the files of a part into the folder of the run.

    Returns:
        The part without its files.

    Raises:
        RecordingError: They are not there, or not of such names.
        DatasetWriteError: The file system refused.
        RemoteError: The remote did.
    """
    target = parent / part.name
    if part.files is None and part.objects is None:
        if not target.is_dir():
            raise RecordingError(
                f"a worker put {target} in place, which is not here: the workers see another "
                "folder; give work_dir_is_shared=False, or a remote"
            )
        return part
    folder = parent / f".part-{uuid.uuid4().hex}"
    try:
        with writing_to(folder):
            folder.mkdir()
            for name, content in (part.files or {}).items():
                _inside(folder, name).write_bytes(content)
        for name, (object_name, size) in (part.objects or {}).items():
            _fetch(remote, object_name, size, _inside(folder, name))
        with writing_to(folder):
            for path in folder.iterdir():
                sync_file(path)
            put_in_place(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return replace(part, files=None, objects=None)


def put_in_place(folder: Path, target: Path) -> None:
    """Give a complete folder its name; whoever comes first with an episode has it.

    What is in it outlives a power cut. The name may not, and then it is collected again.
    """
    try:
        os.rename(folder, target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Say of a system's error that it kept a part from being written."""
    try:
        yield
    except DatasetWriteError:
        raise
    except OSError as error:
        raise DatasetWriteError(f"{folder} could not be written: {error}") from error


def _inside(folder: Path, name: str) -> Path:
    if Path(name).name != name or name.startswith("."):
        raise RecordingError(f"a worker sent a file of the name {name!r}")
    return folder / name


def _fetch(remote: PartRemote | None, name: str, size: int, target: Path) -> None:
    if remote is None:
        raise RecordingError(f"a worker sent {name} through a remote, and there is none")
    start = 0
    while start < size:
        block = remote.read(name, start, min(start + _BLOCK, size))
        if not block:
            raise RecordingError(f"{name} ends after {start} of {size} bytes")
        with writing_to(target), open(target, "ab") as file:
            file.write(block)
        start += len(block)
