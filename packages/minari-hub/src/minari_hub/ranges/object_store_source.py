"""Byte ranges of objects in buckets, with obstore."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from minari_core.errors import (
    DatasetChangedError,
    MinariError,
    RemoteAccessError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.ranges.source import ObjectVersion
from minari_hub.ranges.ends import END_NBYTES, Ends
from minari_hub.ranges.object_stores import has_suffixes, open_store
from minari_hub.remotes.base import GIVE_TOKEN
from minari_hub.remotes.setting import find_token
from minari_hub.transfer.causes import describe_error

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ObjectStore

_AT_ONCE = 32
_LONGEST_END = 1.0
# What obstore says of a server that ignores ranges.
_IGNORED = "non-partial response"

Result = TypeVar("Result")


class ObjectStoreSource:
    """A data folder in S3 or Azure as a `RangeSource`.

    One thread waits for all requests, of which 32 are under way at most.
    """

    range_nbytes = 1 << 20

    def __init__(self, url: str, token: str | None = None) -> None:
        """Send nothing yet.

        Args:
            url: The address of the folder, as `open_store` takes it.
            token: The credentials; see `open_store`.

        Raises:
            RemoteUrlError: The URL names nothing that can be opened, or the token is not for it.
            MissingDependencyError: obstore is not installed.
        """
        self._url = url.rstrip("/")
        self._token = token
        self._store = open_store(self._url, token)
        self._lock = threading.Lock()
        self._loop: _Loop | None = None
        self._ends = Ends()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the address; whoever unpickles it has credentials of their own."""
        return _open_again, (self._url,)

    @property
    def url(self) -> str:
        """The address of the folder."""
        return self._url

    def version(self, name: str) -> ObjectVersion:
        """Return the version of an object; see `RangeSource.version`."""
        return self._run(self._look(name)).result()

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of an object; see `RangeSource.read_ranges`."""
        left: list[tuple[int, tuple[int, int]]] = []
        for index, (start, stop) in enumerate(ranges):
            content = self._ends.take(name, version, start, stop)
            if content is None:
                left.append((index, (start, stop)))
            else:
                yield index, content
        arrived: SimpleQueue[tuple[int, bytes] | Exception] = SimpleQueue()
        reading = self._run(self._read_all(name, left, version, arrived.put))
        try:
            for _ in left:
                found = arrived.get()
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            reading.cancel()

    def close(self) -> None:
        """End the thread and the connections; what is under way fails."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.stop()
                self._store = open_store(self._url, self._token)

    def _run(self, work: Coroutine[object, object, Result]) -> Future[Result]:
        with self._lock:
            try:
                _check_process(self._url)
                if self._loop is None:
                    self._loop = _Loop()
                return self._loop.run(work)
            except BaseException:
                work.close()
                raise

    async def _look(self, name: str) -> ObjectVersion:
        """Ask for the version of an object, and keep the end that comes with it."""
        import obstore

        options: GetOptions = {"range": {"suffix": END_NBYTES}}

        async def ask(store: ObjectStore) -> tuple[ObjectMeta, bytes]:
            if not has_suffixes(self._url):
                return await obstore.head_async(store, name), b""
            try:
                answer = await obstore.get_async(store, name, options=options)
            except Exception as error:
                # An empty object has no end: S3 refuses the range, and others ignore it.
                if not any(text in str(error) for text in (" 416 ", _IGNORED)):
                    raise
                return await obstore.head_async(store, name), b""
            return answer.meta, bytes(await answer.bytes_async())

        said, content = await self._ask(name, ask)
        version = self._describe(said)
        if content:
            self._ends.keep(name, version, content)
        return version

    async def _read_all(
        self,
        name: str,
        ranges: Sequence[tuple[int, tuple[int, int]]],
        version: ObjectVersion,
        put: Callable[[tuple[int, bytes] | Exception], None],
    ) -> None:
        waiting = iter(ranges)

        async def read_some() -> None:
            for index, (start, stop) in waiting:
                put((index, await self._read(name, start, stop, version)))

        tasks = [asyncio.ensure_future(read_some()) for _ in range(min(len(ranges), _AT_ONCE))]
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            # Nobody waits any more, or the source was closed, which must not be waited for.
            put(RemoteError(f"{self._url} was closed while {name!r} was being read"))
            raise
        except Exception as error:
            put(error)
        finally:
            for task in tasks:
                task.cancel()

    async def _read(self, name: str, start: int, stop: int, version: ObjectVersion) -> bytes:
        import obstore

        options: GetOptions = {"range": (start, stop)}
        # A weak tag matches nothing that is asked for.
        if version.tag and not version.tag.startswith("W/"):
            options["if_match"] = version.tag

        async def ask(store: ObjectStore) -> tuple[ObjectVersion, tuple[int, int], bytes]:
            # The status, and that the answer says which bytes it has, are checked by obstore.
            answer = await obstore.get_async(store, name, options=options)
            found = self._describe(answer.meta)
            if found != version:
                # Not waiting for a body that is of no use.
                return found, answer.range, b""
            return found, answer.range, bytes(await answer.bytes_async())

        try:
            found, sent, content = await self._ask(name, ask)
        except RemoteError as error:
            # Who has become shorter may not have what was asked for.
            if type(error) is not RemoteError or " 416 " not in str(error):
                raise
            if await self._look(name) == version:
                raise
            raise self._build_changed_error(name) from None
        if found != version:
            raise self._build_changed_error(name)
        if tuple(sent) != (start, stop) or len(content) != stop - start:
            raise RemoteError(
                f"{self._url}/{name}: {len(content)} bytes came, where bytes {start} to {stop} "
                "were asked for"
            )
        return content

    async def _ask(
        self, name: str, ask: Callable[[ObjectStore], Coroutine[object, object, Result]]
    ) -> Result:
        """Send a request, with obstore's own retries, when fewer than 32 are under way."""
        loop = self._loop
        if loop is None:
            raise RemoteError(f"{self._url} was closed while {name!r} was being read")
        try:
            async with loop.free:
                return await ask(self._store)
        except MinariError:
            raise
        except Exception as error:
            raised = self._translate(error, name)
        # Not from the other one, in whose text the signature of a URL may be.
        raise raised

    def _translate(self, error: Exception, name: str) -> MinariError:
        from obstore import exceptions

        if isinstance(error, exceptions.PreconditionError):
            return self._build_changed_error(name)
        if isinstance(error, FileNotFoundError):
            return RemoteObjectNotFoundError(
                f"{self._url} has no object {name!r}, or only for others"
            )
        # What follows is for those who debug obstore.
        said = describe_error(type(error)(str(error).partition("\n\nDebug source")[0]))
        problem = f"could not read {self._url}/{name}: {said}"
        if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
            hint = GIVE_TOKEN if self._token is None else "the credentials may lack the permission"
            return RemoteAccessError(f"{problem}; {hint}")
        if _IGNORED in said:
            return RemoteError(f"{problem}; the server ignores ranges: download the dataset")
        return RemoteError(problem)

    def _build_changed_error(self, name: str) -> DatasetChangedError:
        return DatasetChangedError(
            f"{self._url}/{name} was changed while it was being read; load the dataset again"
        )

    def _describe(self, said: ObjectMeta) -> ObjectVersion:
        return ObjectVersion(said["size"], said["e_tag"] or None)


class _Loop:
    """An event loop in a thread that neither an interrupt nor the interpreter's end waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.free = asyncio.Semaphore(_AT_ONCE)
        self._thread = threading.Thread(target=self._serve, name="minari-stream", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def run(self, work: Coroutine[object, object, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        atexit.unregister(self._end)
        self._loop.call_soon_threadsafe(self._cancel_all)

    def _end(self) -> None:
        # obstore's threads must have let go of Python's objects before the interpreter ends, which
        # they would abort otherwise.
        self.stop()
        self._thread.join(_LONGEST_END)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        ended = asyncio.gather(*tasks, return_exceptions=True)
        ended.add_done_callback(lambda _: self._loop.stop())


# obstore's threads are those of the process that used it first; without them it waits for ever.
_used_in: int | None = None


def _check_process(url: str) -> None:
    global _used_in
    if _used_in is None:
        _used_in = os.getpid()
    elif _used_in != os.getpid():
        raise RemoteError(
            f"{url} cannot be streamed in a process that was forked from one that streams; start "
            'it with "spawn" or "forkserver", as multiprocessing_context="spawn" of a DataLoader '
            "does"
        )


def _open_again(url: str) -> ObjectStoreSource:
    return ObjectStoreSource(url, find_token(url))
