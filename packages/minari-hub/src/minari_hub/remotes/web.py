"""Web servers, which send the files that a dataset's manifest names, and list and take none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import NoReturn

from minari_core.errors import RemoteAccessError, RemoteError, RemoteObjectNotFoundError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.manifest import get_data_format, parse_manifest
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_hub.remotes.base import APPLICATION_DEFAULT, GIVE_TOKEN, MANIFEST_SUFFIX, Remote
from minari_hub.transfer.bounded_http import PASSING_HTTP_ERRORS
from minari_hub.transfer.bounds import ReadClock
from minari_hub.transfer.objects import DatasetEntry, RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import (
    PASSING_STATUS,
    Faults,
    Result,
    keep_trying,
    translate_errors,
)
from minari_hub.transfer.threads import run_many
from minari_hub.transfer.web_session import RangeIgnoredError, StatusError, WebSession

_LARGEST_MANIFEST = 256 << 20
_DATA_FOLDER = MANIFEST_SUFFIX.removesuffix(MANIFEST_NAME)


class WebRemote(Remote):
    """What lies below an address of a web server."""

    lists_datasets = False

    def __init__(self, url: str, token: str | None = None) -> None:
        """Name the address; nothing is sent yet.

        Args:
            url: The address.
            token: A bearer token; None, or `APPLICATION_DEFAULT`, is anonymous.
        """
        self.url = url.rstrip("/")
        self._token = None if token == APPLICATION_DEFAULT else token
        self._session = WebSession(self.url, self._token)

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the files of one dataset, as its manifest has them; see `Remote.find`.

        Raises:
            RemoteError: Something else is to be listed.
        """
        if not prefix.endswith(_DATA_FOLDER):
            self._refuse_to_list()
        name = prefix + MANIFEST_NAME
        try:
            text = self.read(name, 0, _LARGEST_MANIFEST + 1)
        except RemoteObjectNotFoundError:
            return
        manifest = parse_manifest(text, f"{self.url}/{name}")
        if get_data_format(manifest.metadata) != DEFAULT_FORMAT:
            raise RemoteError(
                f"{self.url}/{name} does not name the files of its dataset, and a web server has "
                "no list of them: only datasets of the columnar format are read from there"
            )
        sizes = {MANIFEST_NAME: len(text)}
        sizes |= {shard.file: shard.nbytes for shard in manifest.snapshot.shards}
        for file, nbytes in sizes.items():
            if file.endswith(suffix):
                yield RemoteObject(prefix + file, nbytes)

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        """Raise a `RemoteError`: there is no list."""
        self._refuse_to_list()

    def namespaces(self) -> Iterator[str]:
        """Raise a `RemoteError`: there is no list."""
        self._refuse_to_list()

    def _refuse_to_list(self) -> NoReturn:
        raise RemoteError(
            f"{self.url} is a web server, which has no list of its datasets; name one by its URL, "
            f"as {self.url}/name-v0"
        )

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of a file; see `Remote.read`."""
        clock = ReadClock(stop - start, f"{name!r} of {self.url}")
        return self._ask(
            name, lambda: b"".join(clock.watch(self._session.read_range(name, start, stop)))
        )

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack; see `Remote.download`."""
        return run_many(lambda file: self._fetch(file, stop), files, stop)

    def _fetch(self, file: PartialFile, stop: Event) -> None:
        def go_on() -> None:
            name, size = file.source.name, file.source.size
            try:
                blocks = self._session.read_range(name, file.position, size)
                file.fill(lambda: next(blocks, b""), self.url)
            except RangeIgnoredError:
                if not file.position:
                    raise
                file.restart()
                go_on()

        self._ask(file.source.name, go_on, Faults(stop))

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Raise a `RemoteAccessError`: a web server takes no files."""
        self._refuse_to_write()

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Raise a `RemoteAccessError`: a web server takes no files."""
        self._refuse_to_write()

    def _refuse_to_write(self) -> NoReturn:
        raise RemoteAccessError(
            f"{self.url} is a web server, which only sends files; upload to a folder that it "
            "serves, as file:///folder"
        )

    def _ask(self, name: str, work: Callable[[], Result], faults: Faults | None = None) -> Result:
        faults = faults or Faults()
        try:
            with translate_errors(f"read {name!r} of {self.url}", _choose_error, faults):
                return keep_trying(work, _is_passing, faults)
        except RemoteAccessError as error:
            hint = GIVE_TOKEN if self._token is None else "the token may lack the permission"
            raise RemoteAccessError(f"{error}; {hint}") from error


def open_remote(url: str, token: str | None) -> WebRemote:
    """Open ``https://host/folder``."""
    return WebRemote(url, token)


def _choose_error(error: Exception) -> type[RemoteError]:
    status = error.status if isinstance(error, StatusError) else 0
    if status == 404:
        return RemoteObjectNotFoundError
    return RemoteAccessError if status in (401, 403) else RemoteError


def _is_passing(error: Exception) -> bool:
    if isinstance(error, StatusError):
        return error.status in PASSING_STATUS
    return isinstance(error, PASSING_HTTP_ERRORS) and not isinstance(error, RemoteError)
