"""Buckets of Google Cloud Storage, through its client library."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from threading import Event, Lock

from google.api_core import exceptions as api_exceptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth_exceptions
from google.cloud import storage
from google.cloud.storage import exceptions as storage_exceptions
from google.cloud.storage import transfer_manager

from minari_core.errors import (
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectExistsError,
    RemoteObjectNotFoundError,
)
from minari_hub.remotes.base import GIVE_TOKEN, Remote
from minari_hub.remotes.gcs_credentials import load_credentials
from minari_hub.transfer.bounded_http import PASSING_HTTP_ERRORS, TIMEOUT, mount_bounds
from minari_hub.transfer.bounds import (
    ListingClock,
    PageCounter,
    ReadClock,
    TooLargeError,
    bound_listing,
)
from minari_hub.transfer.causes import describe_error
from minari_hub.transfer.checksums import Checksum, start_hasher
from minari_hub.transfer.objects import RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile
from minari_hub.transfer.retrying import PASSING_STATUS, Faults, Patience
from minari_hub.transfer.threads import WORKERS, run_in_background, run_many
from minari_hub.transfer.upload_file import UploadFile

_FIELDS = "items(name,size,generation,crc32c,metadata),nextPageToken"
# Larger files are sent in pieces of this size, each held in memory while it is under way.
_PIECE = 8 << 20


class GcsRemote(Remote):
    """A bucket, or what lies below a prefix in it."""

    def __init__(self, bucket: str, prefix: str = "", token: str | None = None) -> None:
        """Name the bucket; nothing is sent yet.

        Args:
            bucket: Its name.
            prefix: The path of the remote's root in it, without slashes at its ends.
            token: The path of a credentials file, `APPLICATION_DEFAULT`, or an OAuth2 access
                token; None is anonymous.
        """
        self.url = f"gs://{bucket}/{prefix}".rstrip("/")
        self._bucket_name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._token = token
        self._lock = Lock()
        self._client: storage.Client | None = None

    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the objects whose names have a prefix and a suffix; see `Remote.find`."""
        yield from bound_listing(self._find(self._prefix + prefix, suffix), self.url)

    def _find(self, start: str, suffix: str) -> Iterator[RemoteObject]:
        faults = Faults()
        try:
            with self._translate_errors(f"list {self.url}", faults):
                blobs = self._connect().list_blobs(
                    self._bucket_name,
                    prefix=start or None,
                    # Servers that do not know it send everything.
                    match_glob=f"**{suffix}" if suffix else None,
                    fields=_FIELDS,
                    retry=_make_retry(faults),
                    timeout=TIMEOUT,
                )
                counter = PageCounter(self.url, ListingClock(self.url))
                for page in blobs.pages:
                    counter.note(blobs.next_page_token)
                    for blob in page:
                        if blob.name.startswith(start) and blob.name.endswith(suffix):
                            yield self._to_object(blob)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            if isinstance(error, MinariError):
                raise
            raise RemoteError(
                f"could not list {self.url}: it sends something else than a list "
                f"({describe_error(error)})"
            ) from error

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of an object; see `Remote.read`."""
        if stop <= start:
            return b""
        faults = Faults()
        clock = ReadClock(stop - start, f"{name!r} of {self.url}")
        content = _Bounded(stop - start, name, clock)
        with self._translate_errors(f"read {name!r} of {self.url}", faults):
            try:
                self._blob(name).download_to_file(
                    content,
                    start=start,
                    end=stop - 1,
                    raw_download=True,
                    checksum=None,
                    retry=_make_retry(faults),
                    timeout=TIMEOUT,
                )
            except api_exceptions.RequestRangeNotSatisfiable:
                return b""
        return content.getvalue()

    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Fetch what files lack; see `Remote.download`."""
        by_start: dict[int, list[int]] = {}
        for index, file in enumerate(files):
            by_start.setdefault(file.position, []).append(index)
        outcomes: list[Exception | None] = [None] * len(files)

        def fetch(start: int) -> None:
            indices = by_start[start]
            found = self._fetch_from(start, [files[index] for index in indices], stop)
            for index, outcome in zip(indices, found, strict=True):
                outcomes[index] = outcome

        # Most begin at 0; those that go on begin each elsewhere.
        errors = run_many(fetch, sorted(by_start), stop)
        for start, error in zip(sorted(by_start), errors, strict=True):
            for index in by_start[start] if error else ():
                outcomes[index] = error
        return outcomes

    def _fetch_from(
        self, start: int, files: Sequence[PartialFile], stop: Event
    ) -> list[Exception | None]:
        """Fetch what files lack that resume at the same offset.

        The transfer manager makes range requests for one start at a time. It checks no checksum
        of a range; the file has its own.
        """
        faults = Faults(stop)
        results = transfer_manager.download_many(
            [(self._blob(file.source.name, file.source.version), file) for file in files],
            download_kwargs={
                "start": start or None,
                "raw_download": True,
                "checksum": None,
                "retry": _make_retry(faults),
                "timeout": TIMEOUT,
            },
            worker_type=transfer_manager.THREAD,
            max_workers=min(WORKERS, len(files)),
        )
        return [
            self._to_outcome(result, f"read {file.source.name!r} of {self.url}", faults)
            for file, result in zip(files, results, strict=True)
        ]

    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Create objects from files; see `Remote.upload`."""
        large = [index for index, upload in enumerate(uploads) if upload.size > _PIECE]
        small = [index for index, upload in enumerate(uploads) if upload.size <= _PIECE]
        outcomes: list[Exception | None] = [None] * len(uploads)

        def send(index: int) -> None:
            with UploadFile(uploads[index].path, report, stop) as source:
                self._send_at_once(uploads[index], source, Faults(stop))

        for index, error in zip(small, run_many(send, small, stop), strict=True):
            outcomes[index] = error
        for first in range(0, len(large), 4 * WORKERS):
            batch = large[first : first + 4 * WORKERS]
            with ExitStack() as open_files:
                sources = [
                    open_files.enter_context(UploadFile(uploads[index].path, report, stop))
                    for index in batch
                ]
                self._upload_batch(uploads, batch, sources, outcomes, stop)
        return outcomes

    def _send_at_once(self, upload: Upload, source: UploadFile, faults: Faults) -> None:
        """Create an object from a small file, in one request."""
        with self._translate_errors(f"create {upload.name!r} on {self.url}", faults):
            self._blob(upload.name).upload_from_file(
                source, size=upload.size, **_make_upload_options(faults)
            )

    def _upload_batch(
        self,
        uploads: Sequence[Upload],
        batch: Sequence[int],
        sources: Sequence[UploadFile],
        outcomes: list[Exception | None],
        stop: Event,
    ) -> None:
        faults = Faults(stop)
        pairs = []
        for index, source in zip(batch, sources, strict=True):
            blob = self._blob(uploads[index].name)
            blob.chunk_size = _PIECE
            pairs.append((source, blob))
        results = run_in_background(
            functools.partial(
                transfer_manager.upload_many,
                pairs,
                upload_kwargs=_make_upload_options(faults),
                worker_type=transfer_manager.THREAD,
                max_workers=WORKERS,
            ),
            stop,
        )
        for index, result in zip(batch, results, strict=True):
            what = f"create {uploads[index].name!r} on {self.url}"
            outcomes[index] = self._to_outcome(result, what, faults)

    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one object; see `Remote.create`."""
        faults = Faults()
        blob = self._blob(name)
        blob.metadata = dict(metadata)
        try:
            with self._translate_errors(f"create {name!r} on {self.url}", faults):
                blob.upload_from_string(
                    content,
                    content_type="application/json",
                    if_generation_match=0,
                    checksum="crc32c",
                    retry=_make_retry(faults),
                    timeout=TIMEOUT,
                )
        except RemoteObjectExistsError:
            # An earlier try may have succeeded without the answer reaching us.
            hasher = start_hasher("crc32c", len(content))
            hasher.update(content)
            written = Checksum("crc32c", hasher.hexdigest())
            found = [each for each in self.find(name) if each.name == name]
            if not faults.count or not found or found[0].checksum != written:
                raise

    def _connect(self) -> storage.Client:
        with self._lock:
            if self._client is None:
                # Without a project the library would look for one on this machine.
                self._client = storage.Client(
                    project="none", credentials=load_credentials(self._token, self.url)
                )
                # Newer clients ask for the bucket's own metadata in the background, only to
                # annotate traces with it: a request that not everybody is allowed to make.
                self._client._bucket_metadata_cache = None
                # With a certificate of the machine's, the library has an adapter of its own.
                if not self._client._http.is_mtls:
                    mount_bounds(self._client._http)
            return self._client

    def _blob(self, name: str, version: str = "") -> storage.Blob:
        generation = int(version) if version else None
        return (
            self._connect()
            .bucket(self._bucket_name)
            .blob(self._prefix + name, generation=generation)
        )

    def _to_object(self, blob: storage.Blob) -> RemoteObject:
        """Convert what the server says of an object; what is malformed raises a built-in error."""
        checksum = None
        if blob.crc32c:
            checksum = Checksum("crc32c", base64.b64decode(blob.crc32c).hex())
        size, generation = int(blob.size or 0), int(blob.generation or 0)
        if size < 0:
            raise ValueError(f"{blob.name!r} has {size} bytes")
        return RemoteObject(
            name=blob.name[len(self._prefix) :],
            size=size,
            version=str(generation) if generation else "",
            checksum=checksum,
            metadata={str(key): str(value) for key, value in (blob.metadata or {}).items()},
        )

    def _to_outcome(self, result: object, what: str, faults: Faults) -> Exception | None:
        if not isinstance(result, Exception):
            return None
        return self._translate(result, what, faults) or result

    @contextmanager
    def _translate_errors(self, what: str, faults: Faults) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            translated = self._translate(error, what, faults)
            if translated is None:
                raise
            raise translated from error

    def _translate(self, error: Exception, what: str, faults: Faults) -> RemoteError | None:
        """Return this project's error for one of the client library, or None for any other."""
        if isinstance(error, api_exceptions.RetryError) and isinstance(error.cause, Exception):
            error = error.cause
        tried = faults.describe(error)
        message = f"could not {what}: {describe_error(error)}{tried}"
        if isinstance(error, RemoteError):
            return error
        if isinstance(error, api_exceptions.NotFound):
            return RemoteObjectNotFoundError(f"{message}; it is not there, or only for others")
        if isinstance(error, api_exceptions.PreconditionFailed):
            return RemoteObjectExistsError(f"{message}; it exists already")
        if isinstance(error, api_exceptions.Unauthorized | api_exceptions.Forbidden):
            hint = GIVE_TOKEN if self._token is None else "the token may lack the permission"
            return RemoteAccessError(f"{message}; {hint}")
        if isinstance(error, auth_exceptions.InvalidOperation) and self._token is None:
            # What the library says of a 401 when it has nothing to prove who asks with.
            return RemoteAccessError(
                f"could not {what}: 401, it is not for everybody{tried}; {GIVE_TOKEN}"
            )
        if isinstance(error, auth_exceptions.RefreshError):
            # It asks for a fresh access token after a 401, and otherwise when one is too old.
            return RemoteAccessError(
                f"{message}; the access token is refused or expired, and gives no other"
            )
        if isinstance(error, auth_exceptions.GoogleAuthError):
            return RemoteAccessError(message)
        if isinstance(error, api_exceptions.GoogleAPIError | storage_exceptions.InvalidResponse):
            return RemoteError(message)
        if isinstance(
            error, (storage_exceptions.DataCorruption, TooLargeError, *PASSING_HTTP_ERRORS)
        ):
            return RemoteError(message)
        return None


def open_remote(url: str, token: str | None) -> GcsRemote:
    """Open ``gs://bucket/prefix``."""
    bucket, *prefix = [part for part in url.partition("://")[2].split("/") if part]
    return GcsRemote(bucket, "/".join(prefix), token)


class _Bounded(io.BytesIO):
    """Bytes in memory, however many a server sends, and however long it takes."""

    def __init__(self, most: int, name: str, clock: ReadClock) -> None:
        super().__init__()
        self._clock = clock
        self._most = most
        self._name = name

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # the client writes bytes
        self._clock.check()
        if self.tell() + len(data) > self._most:
            raise RemoteError(f"the remote sends more of {self._name!r} than was asked for")
        return super().write(data)


def _make_upload_options(faults: Faults) -> dict[str, object]:
    return {
        "if_generation_match": 0,
        "checksum": "crc32c",
        "content_type": "application/octet-stream",
        "retry": _make_retry(faults),
        "timeout": TIMEOUT,
    }


def _make_retry(faults: Faults) -> Retry:
    patience = Patience.from_environment()
    return Retry(
        predicate=lambda error: _is_passing(error) and not faults.is_over(error),
        initial=patience.first_wait,
        maximum=patience.longest_wait,
        multiplier=2.0,
        timeout=patience.give_up_after,
        on_error=faults.note,
    )


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, RemoteError):
        return False
    if isinstance(error, api_exceptions.GoogleAPICallError):
        return error.code in PASSING_STATUS
    if isinstance(error, storage_exceptions.InvalidResponse):
        return error.response.status_code in PASSING_STATUS
    return isinstance(error, (auth_exceptions.TransportError, *PASSING_HTTP_ERRORS))
