"""Test the contract of a source of byte ranges, and a source in memory to test with.

Example:
    >>> class TestMySource(RangeSourceConformance):
    ...     def new_source(self, tmp_path, objects):
    ...         return MemorySource(objects)
    >>> from pathlib import Path
    >>> TestMySource().test_ranges_arrive_whole_and_once(Path())
"""

from __future__ import annotations

import pickle
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minari_core.errors import DatasetChangedError, RemoteObjectNotFoundError
from minari_core.ranges.source import ObjectVersion, RangeSource
from minari_core.testing.expectations import expect, expect_raises

_CONTENT = bytes(range(256)) * 4000


class MemorySource:
    """Objects in memory as a `minari_core.ranges.source.RangeSource`, with faults on request."""

    range_nbytes = 1 << 20

    def __init__(
        self,
        objects: Mapping[str, bytes],
        *,
        url: str = "memory://dataset/data",
        latency: float = 0.0,
    ) -> None:
        """Start with some objects.

        Args:
            objects: Their contents by their names.
            url: The address to give.
            latency: The seconds that each request takes.
        """
        self.url = url
        """The address."""
        self.latency = latency
        """The seconds that each request takes."""
        self.requests: list[tuple[str, int, int]] = []
        """The name, the first byte and the last + 1 of each range that was read."""
        self.before_range: Callable[[str, int, int], object] | None = None
        """Called before each range is read; it may raise, or replace an object."""
        self._objects = {name: (content, 1) for name, content in objects.items()}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the objects without what was requested."""
        return _restore, (dict(self._objects), self.url, self.latency)

    def replace(self, name: str, content: bytes | None) -> None:
        """Give an object another content and version, or remove it.

        Args:
            name: Its name.
            content: What it has from now on; None removes it.
        """
        with self._lock:
            if content is None:
                self._objects.pop(name, None)
            else:
                _, generation = self._objects.get(name, (b"", 0))
                self._objects[name] = content, generation + 1

    def flip_bit(self, name: str, offset: int) -> None:
        """Change a bit of an object, and not its version, as a fault on its way would.

        Args:
            name: The name of the object.
            offset: The index of the byte.
        """
        with self._lock:
            content, generation = self._objects[name]
            changed = bytearray(content)
            changed[offset] ^= 1
            self._objects[name] = bytes(changed), generation

    def version(self, name: str) -> ObjectVersion:
        """Return the version of an object; see `RangeSource.version`."""
        content, version = self._find(name)
        del content
        return version

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        """Read ranges of an object, the last first; see `RangeSource.read_ranges`."""
        for index in reversed(range(len(ranges))):
            start, stop = ranges[index]
            if self.before_range is not None:
                self.before_range(name, start, stop)
            if self.latency:
                time.sleep(self.latency)
            content, found = self._find(name)
            if found != version:
                raise DatasetChangedError(f"{self.url}/{name} was changed; load the dataset again")
            with self._lock:
                self.requests.append((name, start, stop))
            yield index, content[start:stop]

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _find(self, name: str) -> tuple[bytes, ObjectVersion]:
        with self._lock:
            found = self._objects.get(name)
        if found is None:
            raise RemoteObjectNotFoundError(f"{self.url} has no object {name!r}")
        return found[0], ObjectVersion(len(found[0]), str(found[1]))


def _restore(objects: dict[str, tuple[bytes, int]], url: str, latency: float) -> MemorySource:
    source = MemorySource({}, url=url, latency=latency)
    source._objects = objects
    return source


class RangeSourceConformance(ABC):
    """The contract of `RangeSource`, for pytest to collect in a subclass."""

    @abstractmethod
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        """Make a source of some objects.

        Args:
            tmp_path: A folder of the test's own.
            objects: Their contents by their names.
        """

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        """Give an object another content, where it has its content from; override it.

        Args:
            source: What `new_source` returned.
            tmp_path: What it was given.
            name: The name of the object.
            content: Its new content.
        """
        raise NotImplementedError(f"{type(self).__name__} does not override replace")

    def test_ranges_arrive_whole_and_once(self, tmp_path: Path) -> None:
        """Each range has exactly its bytes, whatever the order in which they arrive."""
        source = self.new_source(tmp_path, {"a": _CONTENT})
        last = len(_CONTENT)
        ranges = [(0, 1), (5, 700_000), (700_000, 700_256), (last - 1, last), (0, last), (5, 9)]
        for wanted in (ranges, ranges[:1], [], [(at, at + 99) for at in range(0, 99_000, 990)]):
            read = list(source.read_ranges("a", wanted, version=source.version("a")))
            numbers = sorted(index for index, _ in read)
            expect(numbers == list(range(len(wanted))), f"the ranges {numbers} arrived")
            for index, content in read:
                start, stop = wanted[index]
                expect(type(content) is bytes, f"a range is a {type(content).__name__}")
                expect(content == _CONTENT[start:stop], f"other bytes for {start} to {stop}")
        source.close()

    def test_a_version_has_the_size_of_its_object(self, tmp_path: Path) -> None:
        """A version says how many bytes there are, of an object without any, too."""
        source = self.new_source(tmp_path, {"a": _CONTENT, "empty": b""})
        expect(source.version("a").size == len(_CONTENT), "another size")
        expect(source.version("empty").size == 0, "an empty object has another size")
        expect(source.version("a") == source.version("a"), "its version changes by itself")
        source.close()

    def test_what_is_missing_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        """An object that is not there has neither version nor ranges."""
        source = self.new_source(tmp_path, {"a": _CONTENT})
        version = source.version("a")
        for call in (
            lambda: source.version("none"),
            lambda: list(source.read_ranges("none", [(0, 9)], version=version)),
        ):
            error = expect_raises(RemoteObjectNotFoundError, call)
            expect("none" in str(error), f"the error does not name the object: {error}")
        source.close()

    def test_a_changed_object_is_an_error_and_never_a_mixture(self, tmp_path: Path) -> None:
        """Ranges of one version never come with those of another one, of equal size or not."""
        for content in (_CONTENT[::-1], _CONTENT[:99_999]):
            source = self.new_source(tmp_path, {"a": _CONTENT})
            before = source.version("a")
            list(source.read_ranges("a", [(0, 9)], version=before))
            self.replace(source, tmp_path, "a", content)
            error = expect_raises(
                DatasetChangedError,
                lambda source=source, before=before: list(  # type: ignore[misc]  # its defaults
                    source.read_ranges("a", [(0, 50_000), (100, 900)], version=before)
                ),
            )
            expect("a" in str(error), f"the error does not name the object: {error}")
            after = source.version("a")
            expect(after != before, "the version of another content is the same")
            ((_, read),) = source.read_ranges("a", [(0, 900)], version=after)
            expect(read == content[:900], "the new content is another one")
            source.close()

    def test_a_pickled_source_reads_the_same(self, tmp_path: Path) -> None:
        """A source that was used goes to another process without what it holds open."""
        source = self.new_source(tmp_path, {"a": _CONTENT})
        version = source.version("a")
        list(source.read_ranges("a", [(0, 99_999)], version=version))
        other: RangeSource = pickle.loads(pickle.dumps(source))
        expect(other.url == source.url, f"its address is {other.url}")
        expect(other.version("a") == version, "the version is another one")
        ((_, read),) = other.read_ranges("a", [(7, 99_999)], version=version)
        expect(read == _CONTENT[7:99_999], "other bytes")
        other.close()
        source.close()

    def test_many_threads_read_at_once_and_after_a_close(self, tmp_path: Path) -> None:
        """A source has no position; closing it leaves nothing behind that cannot be opened."""
        source = self.new_source(tmp_path, {"a": _CONTENT, "b": _CONTENT[::-1]})
        contents = {"a": _CONTENT, "b": _CONTENT[::-1]}

        def read(number: int) -> None:
            name = "ab"[number % 2]
            ranges = [(at + number, at + 60_000) for at in range(0, 900_000, 60_000)]
            for index, found in source.read_ranges(name, ranges, version=source.version(name)):
                start, stop = ranges[index]
                expect(found == contents[name][start:stop], f"other bytes of {name}")

        for _ in range(2):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(read, range(8)))
            source.close()

    def test_an_iterator_that_is_given_up_leaves_the_source_usable(self, tmp_path: Path) -> None:
        """Whoever wants no more of some ranges can read others at once."""
        source = self.new_source(tmp_path, {"a": _CONTENT})
        version = source.version("a")
        for _ in range(5):
            given_up = source.read_ranges(
                "a", [(at, at + 50_000) for at in range(0, 900_000, 50_000)], version=version
            )
            next(given_up)
            close = getattr(given_up, "close", None)
            if close is not None:
                close()
            ((_, read),) = source.read_ranges("a", [(3, 9)], version=version)
            expect(read == _CONTENT[3:9], "other bytes")
        source.close()
