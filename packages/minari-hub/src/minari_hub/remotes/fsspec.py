"""Any file system that fsspec opens, as a remote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import TypeVar

import fsspec
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from minari_core.errors import (
    MissingDependencyError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteUrlError,
)
from minari_hub.remotes.base import (
    APPLICATION_DEFAULT,
    TOKEN_VARIABLE,
    UNFINISHED,
    Remote,
    name_unfinished,
)
from minari_hub.remotes.fsspec_answers import (
    Entry,
    Progress,
    choose_error,
    is_hidden,
    is_passing,
    read_size,
    read_time,
    read_version,
)
from minari_hub.transfer import bounds
from minari_hub.transfer.bounds import (
    ListingClock,
    ReadClock,
    bound_listing,
    build_folders_error,
    run_within,
)
from minari_hub.transfer.causes import describe_error
from minari_hub.transfer.objects import RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import Faults, keep_trying, translate_errors
from minari_hub.transfer.threads import run_many

Result = TypeVar("Result")

# A piece is what arrives in about a second; whatever its size, it may not take much longer.
_SMALLEST_PIECE = 128 << 10
_LARGEST_PIECE = 8 << 20
_LONGEST_READ_SECONDS = 120.0
_LONGEST_LIST_SECONDS = 600.0
# A file that is being written is younger than this.
_SWEEP_SECONDS = 2 * 24 * 3600
_ANONYMOUS_IS_AN_OPTION = frozenset({"s3", "s3a", "az", "abfs", "abfss", "adl"})
# Objects that appear when they are whole, and need no folders.
_BUCKETS = _ANONYMOUS_IS_AN_OPTION | {"gcs", "obs", "oci", "oss", "tos"}


class FsspecRemote(Remote):
    """A folder of a file system that fsspec opens, such as ``s3://bucket/prefix``.

    What is attached to an object is not kept; hidden files and links are no objects. Whether two
    who create one object at the same time can both succeed depends on the file system; S3 lets
    one win.
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
        self._is_anonymous = options.get("anon") is True
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
        except OSError as error:  # some connect at once
            raise choose_error(error)(f"could not open {url}: {describe_error(error)}") from error
        self.url = url.rstrip("/")
        self._root = str(root).rstrip("/")
        self._is_bucket = scheme in _BUCKETS
        # How to ask a bucket for an object that must not be there yet.
        self._new: dict[str, object] = (
            {"overwrite": False} if scheme in ("az", "abfs", "abfss") else {"mode": "create"}
        )

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files whose names have a prefix and a suffix; see `Remote.find`."""
        folder, _, _ = prefix.rpartition("/")
        listed = self._list_below(folder) if self._is_bucket else self._walk(folder, prefix)
        for name, entry in bound_listing(listed, self.url):
            if name.startswith(prefix) and name.endswith(suffix) and not is_hidden(name):
                yield RemoteObject(name, read_size(entry), read_version(entry))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        clock = ReadClock(stop - start, f"{name!r} of {self.url}")
        return b"".join(clock.watch(self._read_pieces(name, start, stop)))

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack, a piece at a time; see `Remote.download`."""

        def fetch(file: PartialFile) -> None:
            pieces = self._read_pieces(file.source.name, file.position, file.source.size, stop)
            file.fill(lambda: next(pieces, b""), self.url)

        return run_many(fetch, files, stop)

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Create files; see `Remote.upload`."""

        def send(upload: Upload) -> None:
            progress = Progress(report, stop)

            def put(path: str, options: Mapping[str, object]) -> None:
                progress.restart()
                self._files.put_file(str(upload.path), path, callback=progress, **options)

            self._place(upload.name, put, Faults(stop), replaces=upload.replaces_beginning)
            progress.finish(upload.size)

        if not self._is_bucket:
            for folder in {upload.name.rpartition("/")[0] for upload in uploads}:
                self._sweep(folder)
        return run_many(send, uploads, stop)

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one file; see `Remote.create`."""

        def put(path: str, options: Mapping[str, object]) -> None:
            self._files.pipe_file(path, content, **options)

        faults = Faults()
        try:
            self._place(name, put, faults)
        except RemoteObjectExistsError:
            there = self.read(name, 0, len(content) + 1)
            if there == content and faults.count:
                # An earlier try succeeded without the answer reaching us.
                return
            # The connection, or the process, may have come to an end while it was created.
            if len(there) >= len(content) or not content.startswith(there):
                raise
            self._place(name, put, faults, replaces=True)

    def _place(
        self,
        name: str,
        put: Callable[[str, Mapping[str, object]], None],
        faults: Faults,
        *,
        replaces: bool = False,
    ) -> None:
        """Create a file that nobody sees before it is whole, with retries.

        Args:
            name: Its name.
            put: Writes its content to a path, with options for the file system.
            faults: Counts the faults.
            replaces: Whether to replace what has the name.
        """
        path = self._path(name)

        def put_in_place() -> None:
            there = self._describe(path)
            if there is not None and not replaces:
                raise RemoteObjectExistsError(f"{name!r} exists on {self.url}")
            if self._is_bucket:
                put(path, {} if replaces else self._new)
                return
            folder, _, _ = path.rpartition("/")
            self._files.makedirs(folder, exist_ok=True)
            temporary = f"{folder}/{name_unfinished()}"
            try:
                put(temporary, {})
                if not replaces and self._describe(path) is not None:
                    raise RemoteObjectExistsError(f"{name!r} exists on {self.url}")
                self._rename(temporary, path)
            except BaseException:
                # What cannot be removed now is swept by a later upload.
                with suppress(Exception):
                    self._files.rm_file(temporary)
                raise

        self._ask(f"create {name!r} on {self.url}", put_in_place, faults)

    def _rename(self, old: str, new: str) -> None:
        if type(self._files).mv is AbstractFileSystem.mv:
            # It would take the names for patterns.
            self._files.cp_file(old, new)
            self._files.rm_file(old)
        else:
            self._files.mv(old, new)

    def _describe(self, path: str) -> Entry | None:
        """Return what the file system says of a file; None where there is none."""
        self._files.invalidate_cache()
        try:
            entry: Entry = self._files.info(path)
        except FileNotFoundError:
            return None
        return entry if entry.get("type") != "directory" else None

    def _sweep(self, folder: str) -> None:
        """Remove what uploads that were killed long ago left unfinished."""
        with suppress(Exception):
            for entry in self._files.ls(self._path(folder), detail=True):
                path = str(entry["name"])
                age = time.time() - read_time(entry)
                if UNFINISHED.fullmatch(path.rpartition("/")[2]) and age > _SWEEP_SECONDS:
                    self._files.rm_file(path)

    def _list_below(self, folder: str) -> Iterator[tuple[str, Entry]]:
        """List the files of a bucket, which takes one request for many."""

        def look() -> Mapping[str, Entry]:
            self._files.invalidate_cache()
            found = self._files.find(self._path(folder), detail=True)
            return found if isinstance(found, dict) else {}

        for path, entry in self._list(look).items():
            yield path[len(self._root) + 1 :], entry

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, Entry]]:
        """List the files below a folder, one folder after the other."""

        def look() -> Sequence[Entry]:
            self._files.invalidate_cache()
            try:
                return list(self._files.ls(path, detail=True))
            except FileNotFoundError:
                return []

        waiting, clock = [folder], ListingClock(self.url)
        for _ in range(bounds.MOST_FOLDERS):
            if not waiting:
                return
            path = self._path(waiting.pop())
            listed = self._list(look)
            clock.note_page()
            for entry in listed:
                below = str(entry.get("name", "")).rstrip("/")
                name = below[len(self._root) + 1 :]
                if not below.startswith(f"{path}/") or is_hidden(name) or entry.get("islink"):
                    continue
                if entry.get("type") != "directory":
                    yield name, entry
                elif name.startswith(prefix) or prefix.startswith(f"{name}/"):
                    waiting.append(name)
        raise build_folders_error(self.url)

    def _read_pieces(
        self, name: str, start: int, stop: int, interrupt: Event | None = None
    ) -> Iterator[bytes]:
        """Read a range of a file in pieces of which each arrives in about a second."""
        path, what = self._path(name), f"read {name!r} of {self.url}"
        nbytes = _SMALLEST_PIECE
        while start < stop:
            end = min(start + nbytes, stop)
            began = time.monotonic()
            content = self._ask(what, self._plan_read(path, start, end), Faults(interrupt))
            if not isinstance(content, bytes) or len(content) > end - start:
                raise RemoteError(f"{self.url} sends something else than the bytes of {name!r}")
            yield content
            if len(content) < end - start:
                return
            if start == 0 and end < stop:
                # Some refuse to read where nothing is.
                there = self._ask(what, lambda: self._describe(path))
                stop = min(stop, read_size(there or {}))
            start = end
            seconds = time.monotonic() - began
            if seconds < 1:
                nbytes = min(2 * nbytes, _LARGEST_PIECE)
            elif seconds > 4:
                nbytes = max(nbytes // 2, _SMALLEST_PIECE)

    def _plan_read(self, path: str, start: int, end: int) -> Callable[[], object]:
        return lambda: run_within(
            _LONGEST_READ_SECONDS,
            lambda: self._files.cat_file(path, start=start, end=end),
            f"send {end - start:,} bytes",
        )

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _list(self, look: Callable[[], Result]) -> Result:
        return self._ask(
            f"list {self.url}", lambda: run_within(_LONGEST_LIST_SECONDS, look, "send the list")
        )

    def _ask(self, what: str, work: Callable[[], Result], faults: Faults | None = None) -> Result:
        """Make an idempotent request, with retries."""
        faults = faults or Faults()
        try:
            with translate_errors(what, choose_error, faults):
                return keep_trying(work, is_passing, faults)
        except RemoteAccessError as error:
            if not self._is_anonymous:
                raise
            raise RemoteAccessError(
                f"{error}; give token={APPLICATION_DEFAULT!r}, or set {TOKEN_VARIABLE} to that"
            ) from error


def open_remote(url: str, token: str | None) -> FsspecRemote:
    """Open whatever fsspec knows the scheme of."""
    return FsspecRemote(url, token)
