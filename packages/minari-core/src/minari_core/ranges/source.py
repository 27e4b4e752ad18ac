"""The interface of a `RangeSource`: byte ranges of the objects of one remote dataset.

This package has no network code; whoever has some supplies a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """The content of an object, as far as its remote tells it from others of the same name."""

    size: int
    """Its size in bytes."""
    tag: str | None = None
    """Text that changes whenever the content changes, such as a generation, an ETag or a commit;
    None where the remote has none, so that the size alone is compared."""


@runtime_checkable
class RangeSource(Protocol):
    """Byte ranges of the objects of one dataset, by names relative to its data folder.

    All methods may be called from several threads at once, and again after `close`. A source is
    pickled without its connections and threads, and opens others after a fork. Credentials are in
    no ``repr``, pickle, message or log. A request that fails in passing is tried again in here;
    what is raised after that is a `minari_core.errors.RemoteError`.
    """

    @property
    def url(self) -> str:
        """The address of the data folder, without credentials and without ``/`` at its end."""
        ...

    @property
    def range_nbytes(self) -> int:
        """The size up to which a range costs hardly more time than a smaller one."""
        ...

    def version(self, name: str) -> ObjectVersion:
        """Return the version of an object as it is now.

        Args:
            name: The name of the object, such as ``metadata.json``.

        Raises:
            RemoteObjectNotFoundError: There is no such object.
            RemoteAccessError: The remote refuses.
            RemoteError: The remote cannot be reached, or its answers are not what they should be.
        """
        ...

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of one version of an object, several at a time.

        Closing the iterator early ends what is still under way.

        Args:
            name: The name of the object.
            ranges: The first byte of each range, and the last + 1; none is empty or reaches
                beyond the size.
            version: What `version` returned.

        Yields:
            The index of a range and all of its bytes, each range once, in the order in which they
            arrive.

        Raises:
            DatasetChangedError: The object has another version by now.
            RemoteObjectNotFoundError: The object is gone.
            RemoteAccessError: The remote refuses.
            RemoteError: The remote cannot be reached, or its answers are not what they should be.
        """
        ...

    def close(self) -> None:
        """End all connections and threads."""
        ...
