"""Byte ranges of a dataset on any remote, by what each remote can do anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from threading import Event, Lock

from minari_core.errors import DatasetChangedError, RemoteError, RemoteObjectNotFoundError
from minari_core.ranges.source import ObjectVersion
from minari_hub.remotes.base import Remote
from minari_hub.remotes.setting import open_remote
from minari_hub.transfer.objects import RemoteObject
from minari_hub.transfer.threads import run_many

_AT_ONCE = 32


class RemoteSource:
    """A data folder on a remote as a `minari_core.ranges.source.RangeSource`.

    A `Remote` reads whichever version there is. So ranges are read some at a time, and given away
    after the object was found to be the same still.
    """

    range_nbytes = 8 << 20

    def __init__(self, remote: Remote, prefix: str) -> None:
        """Send nothing yet.

        Args:
            remote: The remote.
            prefix: What the names of the objects in the folder begin with, and ``/`` at its end.
        """
        self._remote = remote
        self._prefix = prefix
        self._lock = Lock()
        self._listed: dict[str, ObjectVersion] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the address; whoever unpickles it has credentials of their own."""
        return _open_again, (self._remote.url, self._prefix)

    @property
    def url(self) -> str:
        """The address of the folder."""
        return f"{self._remote.url.rstrip('/')}/{self._prefix.rstrip('/')}"

    def version(self, name: str) -> ObjectVersion:
        """Return the version of an object; see `RangeSource.version`."""
        with self._lock:
            if self._listed is None:
                # One request for all shards, whose versions are mostly asked for once.
                self._listed = {
                    found.name.removeprefix(self._prefix): _describe(found)
                    for found in self._remote.find(self._prefix)
                }
            known = self._listed.pop(name, None)
        return known or self._look(name)

    def _look(self, name: str) -> ObjectVersion:
        wanted = self._prefix + name
        for found in self._remote.find(wanted):
            if found.name == wanted:
                return _describe(found)
        raise RemoteObjectNotFoundError(f"{self.url} has no object {name!r}")

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of an object; see `RangeSource.read_ranges`."""
        for first in range(0, len(ranges), _AT_ONCE):
            some = list(enumerate(ranges))[first : first + _AT_ONCE]
            contents: dict[int, bytes] = {}

            outcomes = run_many(partial(self._read_into, contents, name), some, Event())
            errors = [error for error in outcomes if error is not None]
            if self._look(name) != version:
                raise DatasetChangedError(
                    f"{self.url}/{name} was changed while it was being read; load the dataset again"
                )
            if errors:
                raise errors[0]
            for index, (start, stop) in some:
                if len(contents[index]) != stop - start:
                    raise RemoteError(
                        f"{self.url}/{name}: {len(contents[index])} bytes came, where bytes "
                        f"{start} to {stop} were asked for"
                    )
                yield index, contents.pop(index)

    def _read_into(
        self, contents: dict[int, bytes], name: str, job: tuple[int, tuple[int, int]]
    ) -> None:
        index, (start, stop) = job
        contents[index] = self._remote.read(self._prefix + name, start, stop)

    def close(self) -> None:
        """Forget what was listed."""
        with self._lock:
            self._listed = None


def _open_again(url: str, prefix: str) -> RemoteSource:
    return RemoteSource(open_remote(url), prefix)


def _describe(found: RemoteObject) -> ObjectVersion:
    checksum = "" if found.checksum is None else str(found.checksum)
    return ObjectVersion(found.size, found.version or checksum or None)
