"""Bound how much, and how slowly, a remote may send."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread
from typing import Generic, TypeVar

from minari_core.errors import RemoteError

MOST_OBJECTS = 1_000_000
"""The most objects of a listing."""

MOST_PAGES = 5_000
"""The most pages of a listing, however few objects they have."""

MOST_FOLDERS = 100_000
"""The most folders that a listing walks through."""

LONGEST_LISTING = 600.0
"""The most seconds that a listing may take; each of its pages adds `SECONDS_PER_PAGE`."""

SECONDS_PER_PAGE = 1.0
"""How many seconds more a listing may take for each of its pages."""

LONGEST_ANSWER = 600.0
"""The most seconds that an answer may take that is read at once, whatever its size."""

EXPECTED_RATE = 64 << 10
"""The bytes for which a content that is read at once may take a second more than that."""

LEAST_RATE = 100
"""The least bytes a second that anything must come at."""

_longest_listing: ContextVar[float | None] = ContextVar("longest listing", default=None)

Item = TypeVar("Item")
Result = TypeVar("Result")


class TooSlowError(TimeoutError):
    """A remote keeps the connection, and sends next to nothing."""


class TooLargeError(ValueError):
    """A remote sends more than what is taken of any."""


def bound_listing(items: Iterable[Item], url: str) -> Iterator[Item]:
    """Yield the items of a listing, unless they are too many.

    Args:
        items: The items.
        url: What is listed, for an error message.

    Raises:
        RemoteError: They are more than `MOST_OBJECTS`.
    """
    for count, item in enumerate(items, start=1):
        if count > MOST_OBJECTS:
            raise _build_too_many_error(url, "lists", MOST_OBJECTS, "objects")
        yield item


def build_folders_error(url: str) -> RemoteError:
    """Return the error that a listing came upon more than `MOST_FOLDERS`."""
    return _build_too_many_error(url, "has", MOST_FOLDERS, "folders")


def _build_too_many_error(url: str, verb: str, most: int, what: str) -> RemoteError:
    return RemoteError(
        f"could not list {url}: it {verb} more than {most:,} {what}, the most that are taken; "
        "name a part of it"
    )


@contextmanager
def limit_listings(seconds: float) -> Iterator[None]:
    """Let no listing that begins meanwhile take longer, because it is for an advice alone."""
    token = _longest_listing.set(seconds)
    try:
        yield
    finally:
        _longest_listing.reset(token)


class ListingClock:
    """The time that a listing takes, which must come to an end however it is spent."""

    def __init__(self, url: str) -> None:
        """Begin to measure.

        Args:
            url: What is listed, for an error message.
        """
        self._url = url
        self._started = time.monotonic()
        self._pages = 0
        self._limit = _longest_listing.get()

    def note_page(self) -> None:
        """Note that a page has come: one of a list, or the list of one folder.

        Raises:
            RemoteError: They come too slowly.
        """
        self._pages += 1
        seconds = time.monotonic() - self._started
        most = self._limit
        if most is None:
            most = LONGEST_LISTING + self._pages * SECONDS_PER_PAGE
        if seconds > most:
            raise RemoteError(
                f"could not list {self._url}: it has sent {self._pages:,} pages in {seconds:.0f} s "
                f"and is not done, and a list of so many may take {most:.0f} s; name a part of it"
            )


class ReadClock:
    """The time that a content takes which is read at once, which must come to an end."""

    def __init__(self, nbytes: int, what: str) -> None:
        """Begin to measure.

        Args:
            nbytes: How many bytes are read.
            what: What is read, for an error message.
        """
        self._what = what
        self._seconds = LONGEST_ANSWER + nbytes / EXPECTED_RATE
        self._started = time.monotonic()

    def check(self) -> None:
        """Raise if it has taken too long.

        Raises:
            RemoteError: It has.
        """
        if time.monotonic() - self._started > self._seconds:
            raise RemoteError(
                f"could not read {self._what}: not all of it has come in {self._seconds:.0f} s"
            )

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield blocks of it while it does not take too long.

        Raises:
            RemoteError: It does.
        """
        for block in blocks:
            self.check()
            yield block


class PageCounter:
    """The pages of one list, which must come to an end."""

    def __init__(self, url: str, clock: ListingClock) -> None:
        """Begin before the first page.

        Args:
            url: What is listed, for an error message.
            clock: Measures the listing that this list is a part of.
        """
        self._url = url
        self._clock = clock
        self._seen: set[str] = set()

    def note(self, token: str | None) -> None:
        """Note what a page says of the one that follows it; None for the last page.

        Raises:
            RemoteError: It has followed before, the pages are more than `MOST_PAGES`, or they come
                too slowly.
        """
        self._clock.note_page()
        if token is None:
            return
        if token in self._seen:
            raise RemoteError(
                f"could not list {self._url}: its pages go round in a circle, after "
                f"{len(self._seen):,} of them the token {token[:80]!r} comes again"
            )
        self._seen.add(token)
        if len(self._seen) >= MOST_PAGES:
            raise _build_too_many_error(self._url, "sends", MOST_PAGES, "pages")


def run_within(seconds: float, work: Callable[[], Result], what: str) -> Result:
    """Call a function that no timeout of its own bounds.

    A thread that does not come back is left alone, and does not keep the process from ending.

    Args:
        seconds: How long to wait for it.
        work: The function.
        what: What it does, for an error message.

    Raises:
        TooSlowError: It takes longer.
    """
    answer = _Answer(work)
    thread = Thread(target=answer.wait_for, name="minari-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TooSlowError(f"it took more than {seconds:g} s to {what}")
    return answer.get()


class _Answer(Generic[Result]):
    """The value that a function returned, or the error that it raised, in another thread."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._error: BaseException | None = None

    def wait_for(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # whatever it is, it belongs to who asked
            self._error = error

    def get(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._results[0]
