"""The folder that a task writes to, held as long as its worker lives.

Where the workers see the folder of the run, they write there. Elsewhere each has a temporary folder
for the while. A worker that is killed leaves its own: in the run's folder it goes with that, and
in the system's temporary folder with the next task of a machine.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from minari_collect.workers.messages import INCOMPLETE_PREFIX, RUN_NAME, WORKER_PREFIX, Task
from minari_core.errors import DatasetWriteError
from minari_core.files import LOCK_NAME, wrap_write_errors
from minari_core.locks import FileLock

_TEMPORARY_PREFIX = "minari-collect-"


@contextlib.contextmanager
def open_work_folder(task: Task) -> Iterator[Path]:
    """Open the folder to write to: that of the run, or a temporary one of this worker's own.

    Raises:
        DatasetWriteError: It is not there, or cannot be made.
    """
    folder = Path(task.folder)
    is_shared = task.transport == "folder"
    if is_shared and not (folder / RUN_NAME).exists():
        raise DatasetWriteError(
            f"worker {socket.gethostname()} does not see the work folder {folder} of the run; "
            "give work_dir_is_shared=False, or a remote"
        )
    with contextlib.ExitStack() as stack:
        with wrap_write_errors(folder):
            if task.folder:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_hold(folder / f"{WORKER_PREFIX}{uuid.uuid4().hex}.lock"))
            if is_shared:
                path = folder
            elif task.folder:
                path = stack.enter_context(_make_temporary(INCOMPLETE_PREFIX, folder))
            else:
                _remove_left(Path(tempfile.gettempdir()))
                path = stack.enter_context(_make_temporary(_TEMPORARY_PREFIX, None))
                stack.enter_context(_hold(path / LOCK_NAME))
        yield path


@contextlib.contextmanager
def _make_temporary(prefix: str, parent: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextlib.contextmanager
def _hold(path: Path) -> Iterator[None]:
    """Hold a lock that says that this worker is alive, where one can be had."""
    lock = FileLock(path)
    with contextlib.suppress(OSError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release(remove=True)


def _remove_left(parent: Path) -> None:
    """Remove the temporary folders of workers that were killed."""
    for folder in parent.glob(f"{_TEMPORARY_PREFIX}*"):
        # Another user's is not to be looked into, and is that user's to remove.
        with contextlib.suppress(OSError):
            lock = FileLock(folder / LOCK_NAME)
            if not folder.is_symlink() and lock.path.exists() and lock.acquire():
                try:
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    lock.release()
