"""A plain folder as a remote, for instance on a file system that a cluster shares."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO
from urllib.parse import urlsplit

from minari_core.errors import (
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
    UntrustedNameError,
    advise_on_refusal,
)
from minari_hub.remotes.base import UNFINISHED, Remote, name_unfinished
from minari_hub.transfer import bounds
from minari_hub.transfer.bounds import ListingClock, bound_listing, build_folders_error
from minari_hub.transfer.objects import RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.threads import run_many
from minari_hub.transfer.upload_file import UploadFile

_BLOCK = 1 << 20
# A file that is being written is younger than this since its last block.
_SWEEP_SECONDS = 2 * 24 * 3600
# A claim lasts as long as a rename.
_CLAIM_SECONDS = 10


class FolderRemote(Remote):
    """A folder whose files are the objects.

    Hidden files and whatever is reached through a link are no objects. A file system keeps no
    checksums and nothing attached to a file.
    """

    def __init__(self, root: Path) -> None:
        """Name the folder, which need not exist before something is created in it.

        Args:
            root: The folder; this path itself may be a link.
        """
        self._root = root.absolute()
        self.url = self._root.as_uri()

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files whose names have a prefix and a suffix; see `Remote.find`."""
        folder, _, _ = prefix.rpartition("/")
        if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
            return
        for name, entry in bound_listing(self._walk(folder, prefix), self.url):
            if name.startswith(prefix) and name.endswith(suffix):
                # A file may be gone since its folder was read.
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield RemoteObject(name, status.st_size, _read_version(status))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        with self._open(name) as file:
            file.seek(start)
            return file.read(max(0, stop - start))

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Copy what files lack; see `Remote.download`."""
        return run_many(self._copy, files, stop)

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Copy files into the folder; see `Remote.upload`."""

        def copy(upload: Upload) -> None:
            with UploadFile(upload.path, report, stop) as source:
                blocks = iter(lambda: source.read(_BLOCK), b"")
                self._place(upload.name, blocks, replaces=upload.replaces_beginning)

        for folder in {self.locate(upload.name).parent for upload in uploads}:
            _sweep(folder)
        return run_many(copy, uploads, stop)

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one file; see `Remote.create`."""
        _sweep(self.locate(name).parent)
        try:
            self._place(name, iter([content]))
        except RemoteObjectExistsError:
            # Whatever program put a file there may have been cut off.
            if not self._has_beginning(name, content):
                raise
            self._place(name, iter([content]), replaces=True)

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """List the files below a folder, one folder after the other."""
        waiting, clock = [folder], ListingClock(self.url)
        for _ in range(bounds.MOST_FOLDERS):
            if not waiting:
                return
            clock.note_page()
            folder = waiting.pop()
            for entry in self._list_children(folder):
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_file(follow_symlinks=False):
                    yield name, entry
                elif entry.is_dir(follow_symlinks=False) and (
                    name.startswith(prefix) or prefix.startswith(f"{name}/")
                ):
                    waiting.append(name)
        raise build_folders_error(self.url)

    def _list_children(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError) as error:
            if folder:
                return []
            raise RemoteObjectNotFoundError(
                f"could not list {self.url}: there is no such folder"
            ) from error
        except OSError as error:
            # What others do not let anybody see is not there; a disk that fails tells nothing.
            if folder and isinstance(error, PermissionError):
                return []
            raise _translate(error, f"list {self.url}") from error

    def _copy(self, file: PartialFile) -> None:
        source = file.source
        with self._open(source.name) as remote:
            if source.version and _read_version(os.fstat(remote.fileno())) != source.version:
                raise RemoteError(f"{source.name!r} of {self.url} was changed meanwhile")
            remote.seek(file.position)
            file.fill(lambda: remote.read(_BLOCK), self.url)

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        path = self.locate(name)
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _translate(error, f"read {name!r} of {self.url}") from error
        with file:
            yield file

    def _has_beginning(self, name: str, content: bytes) -> bool:
        with suppress(RemoteObjectNotFoundError):
            there = self.read(name, 0, len(content))
            return len(there) < len(content) and content.startswith(there)
        return False

    def _place(self, name: str, blocks: Iterator[bytes], *, replaces: bool = False) -> None:
        """Write a file under a hidden name, and give it its own in a step that one can win."""
        path = self.locate(name)
        if path.exists() and not replaces:
            raise RemoteObjectExistsError(f"{name!r} exists on {self.url}")
        temporary = path.with_name(name_unfinished())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                for block in blocks:
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if replaces:
                os.replace(temporary, path)
                return
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise
            except OSError:
                _rename_without_links(temporary, path)
        except OSError as error:
            raise _translate(error, f"create {name!r} on {self.url}") from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def locate(self, name: str) -> Path:
        """Return the path of a name; neither the name nor a link leads out of the folder.

        Raises:
            UntrustedNameError: One would.
        """
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise UntrustedNameError(f"{name!r} leads out of {self.url}")
        path = self._root
        for part in parts:
            path = path / part
            if path.is_symlink():
                raise UntrustedNameError(f"{name!r} of {self.url} is reached through a link")
        return path


def open_remote(url: str, token: str | None) -> FolderRemote:
    """Open the folder of a ``file:`` URL, which takes no token.

    Raises:
        RemoteUrlError: The URL names no folder of this machine.
    """
    # It brings an HTTP client with it, which takes longer to import than the rest of the hub.
    from urllib.request import url2pathname

    split = urlsplit(url)
    if "?" in url or "#" in url:
        # Taken as a query or a fragment, it would name another folder.
        raise RemoteUrlError(
            f"remote {url!r} has a '?' or '#', which end the path of a URL; write %3F or %23 for "
            "those in a folder's name"
        )
    if split.netloc not in ("", "localhost"):
        raise RemoteUrlError(
            f"remote {url!r} names the host {split.netloc!r}; a folder here has three slashes: "
            f"file:///{split.netloc}{split.path}"
        )
    return FolderRemote(Path(url2pathname(split.path)))


def _rename_without_links(temporary: Path, path: Path) -> None:
    """Give a file a name that nothing has, on a file system without links.

    Renaming alone would replace what another has just put there, so that only who created a claim
    renames. Whoever is killed leaves none of the file, and a claim that ages.

    Raises:
        FileExistsError: Something has the name, or is just being given it.
    """
    claim = path.with_name(f".{path.name}.claim")
    # By the clock of the file system, which other machines share.
    now = temporary.stat().st_mtime
    with suppress(FileNotFoundError):
        if now - claim.stat().st_mtime > _CLAIM_SECONDS:
            claim.unlink()
    os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.replace(temporary, path)
    finally:
        claim.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove what uploads that were killed long ago left unfinished."""
    with suppress(OSError):
        for path in folder.glob(".*"):
            if UNFINISHED.fullmatch(path.name):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _SWEEP_SECONDS:
                        path.unlink()


def _read_version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _translate(error: OSError, what: str) -> RemoteError:
    if isinstance(error, RemoteError):
        return error
    advice = advise_on_refusal(error)
    message = f"could not {what}: {error.strerror or error}{advice and f'; {advice}'}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RemoteObjectNotFoundError(message)
    if isinstance(error, FileExistsError):
        return RemoteObjectExistsError(message)
    if isinstance(error, PermissionError):
        return RemoteAccessError(message)
    return RemoteError(message)
