"""Any file system that fsspec opens, as a remote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import TypeVar

import fsspec
from fsspec.core import url_to_fs

from minari_core.errors import (
    MissingDependencyError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
)
from minari_hub.remotes.base import APPLICATION_DEFAULT, Remote
from minari_hub.transfer.objects import RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import Faults, keep_trying, translate_errors
from minari_hub.transfer.threads import run_many

Result = TypeVar("Result")

_PIECE = 8 << 20
_ANONYMOUS_IS_AN_OPTION = frozenset({"s3", "s3a", "az", "abfs", "abfss", "adl"})
# Where a file's version stands in what the file systems say of it.
_VERSION_KEYS = ("etag", "ETag", "generation", "version_id", "mtime", "LastModified", "created")


class FsspecRemote(Remote):
    """A folder of a file system that fsspec opens, such as ``s3://bucket/prefix``.

    What is attached to an object is not kept. Whether two who create one object at the same
    time can both succeed depends on the file system; S3 lets one win.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        """Open the file system.

        Args:
            url: What fsspec opens.
            token: `APPLICATION_DEFAULT` for the credentials that the file system finds on this
                machine; None is anonymous where the file system makes a difference.
        """
        scheme = url.partition("://")[0]
        options: dict[str, object] = {}
        if scheme in _ANONYMOUS_IS_AN_OPTION:
            options["anon"] = token is None
        if token not in (None, APPLICATION_DEFAULT):
            raise RemoteUrlError(
                f"{scheme}:// takes its credentials from this machine: give "
                f"token={APPLICATION_DEFAULT!r}, not their text"
            )
        try:
            self._files, root = url_to_fs(url, **options)
        except ImportError as error:
            raise MissingDependencyError(f"{url}: {error}") from error
        except ValueError as error:
            known = ", ".join(sorted(fsspec.available_protocols()))
            raise RemoteUrlError(
                f"{url!r} names no remote: {error}; fsspec knows {known}"
            ) from error
        self.url = url.rstrip("/")
        self._root = str(root).rstrip("/")
        # How to ask for a file that must not be there yet.
        self._new: dict[str, object] = (
            {"overwrite": False} if scheme in ("az", "abfs", "abfss") else {"mode": "create"}
        )

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files whose names begin and end so; see `Remote.find`."""
        folder, _, _ = prefix.rpartition("/")

        def look() -> Mapping[str, Mapping[str, object]]:
            self._files.invalidate_cache()
            found = self._files.find(self._path(folder), detail=True)
            return found if isinstance(found, dict) else {}

        for path, described in self._ask(f"list {self.url}", look).items():
            name = path[len(self._root) + 1 :]
            if name.startswith(prefix) and name.endswith(suffix):
                yield RemoteObject(name, _read_size(described), _read_version(described))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        if stop <= start:
            return b""
        content = self._ask(
            f"read {name!r} of {self.url}",
            lambda: self._files.cat_file(self._path(name), start=start, end=stop),
        )
        if not isinstance(content, bytes) or len(content) > stop - start:
            raise RemoteError(f"{self.url} sends something else than the bytes of {name!r}")
        return content

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack, a piece at a time; see `Remote.download`."""
        return run_many(self._fetch, files, stop)

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Create files; see `Remote.upload`."""

        def send(upload: Upload) -> None:
            path = self._path(upload.name)
            with translate_errors(f"create {upload.name!r} on {self.url}", _choose_error):
                if self._files.exists(path):
                    raise RemoteObjectExistsError(f"{upload.name!r} exists on {self.url}")
                self._files.put_file(str(upload.path), path, **self._new)
            report(upload.size)

        return run_many(send, uploads, stop)

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one file; see `Remote.create`."""
        path = self._path(name)
        with translate_errors(f"create {name!r} on {self.url}", _choose_error):
            if self._files.exists(path):
                raise RemoteObjectExistsError(f"{name!r} exists on {self.url}")
            self._files.pipe_file(path, content, **self._new)

    def _fetch(self, file: PartialFile) -> None:
        def read() -> bytes:
            stop = min(file.position + _PIECE, file.source.size)
            return self.read(file.source.name, file.position, stop)

        file.fill(read, self.url)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _ask(self, what: str, work: Callable[[], Result]) -> Result:
        """Make an idempotent request, with retries."""
        faults = Faults()
        with translate_errors(what, _choose_error, faults):
            return keep_trying(work, _is_passing, faults)


def open_remote(url: str, token: str | None) -> FsspecRemote:
    """Open whatever fsspec knows the scheme of."""
    return FsspecRemote(url, token)


def _choose_error(error: Exception) -> type[RemoteError]:
    if isinstance(error, FileNotFoundError):
        return RemoteObjectNotFoundError
    if isinstance(error, FileExistsError):
        return RemoteObjectExistsError
    if isinstance(error, PermissionError):
        return RemoteAccessError
    return RemoteError


def _is_passing(error: Exception) -> bool:
    return isinstance(error, OSError) and _choose_error(error) is RemoteError


def _read_size(described: Mapping[str, object]) -> int:
    size = described.get("size")
    return size if isinstance(size, int) and size >= 0 else 0


def _read_version(described: Mapping[str, object]) -> str:
    return next((str(described[key]) for key in _VERSION_KEYS if described.get(key)), "")
