"""How much, how many and how slowly: each bound to the one beyond it."""

from __future__ import annotations

import time

import pytest

from minari_core.errors import RemoteError
from minari_hub.transfer import bounds
from minari_hub.transfer.bounds import (
    ListingClock,
    PageCounter,
    ReadClock,
    bound_listing,
    build_folders_error,
    limit_listings,
)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    set_by_test = Clock()
    monkeypatch.setattr(time, "monotonic", set_by_test.monotonic)
    return set_by_test


def test_a_listing_has_as_many_objects_as_are_taken_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MOST_OBJECTS", 1500)
    assert list(bound_listing(iter(range(1500)), "gs://a")) == list(range(1500))
    items = bound_listing(iter(range(1501)), "gs://a")
    for number in range(1500):
        assert next(items) == number
    with pytest.raises(RemoteError, match=r"^could not list gs://a: it lists more than 1,500 "):
        next(items)


def test_folders_that_are_too_many_are_told_by_their_number() -> None:
    said = str(build_folders_error("gs://a"))
    assert said.startswith("could not list gs://a: it has more than 100,000 folders, the most that")


def test_a_listing_may_take_longer_for_each_of_its_pages(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LONGEST_LISTING", 10.0)
    monkeypatch.setattr(bounds, "SECONDS_PER_PAGE", 2.0)
    listing = ListingClock("gs://a")
    clock.now += 12
    listing.note_page()
    clock.now += 2
    listing.note_page()
    clock.now += 2.5
    with pytest.raises(RemoteError) as refused:
        listing.note_page()
    assert str(refused.value) == (
        "could not list gs://a: it has sent 3 pages in 16 s and is not done, and a list of so "
        "many may take 16 s; name a part of it"
    )


def test_a_listing_for_an_advice_takes_no_longer_than_that(clock: Clock) -> None:
    with limit_listings(3.0):
        listing = ListingClock("gs://a")
    later = ListingClock("gs://a")
    clock.now += 3
    listing.note_page()
    listing.note_page()
    clock.now += 1
    with pytest.raises(RemoteError, match=r"may take 3 s; name a part of it$"):
        listing.note_page()
    later.note_page()


def test_a_content_may_take_longer_by_its_size(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LONGEST_ANSWER", 10.0)
    monkeypatch.setattr(bounds, "EXPECTED_RATE", 100)
    content = ReadClock(1000, "'x' of gs://a")
    blocks = content.watch(iter([b"a", b"b", b"c"]))
    clock.now += 10
    assert next(blocks) == b"a"
    clock.now += 10
    assert next(blocks) == b"b"
    clock.now += 1
    with pytest.raises(
        RemoteError, match=r"^could not read 'x' of gs://a: not all of it has come "
    ):
        next(blocks)


def test_pages_are_counted_and_none_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_PAGES", 3)
    counter = PageCounter("gs://a", ListingClock("gs://a"))
    for token in ("one", None, "two", None):
        counter.note(token)
    with pytest.raises(
        RemoteError, match=r"in a circle, after 2 of them the token 'one' comes aga"
    ):
        counter.note("one")
    with pytest.raises(
        RemoteError, match=r"^could not list gs://a: it sends more than 3 pages, the"
    ):
        counter.note("three")


def test_pages_that_come_too_slowly_are_noticed_by_their_counter(clock: Clock) -> None:
    counter = PageCounter("gs://a", ListingClock("gs://a"))
    clock.now += bounds.LONGEST_LISTING + 2 * bounds.SECONDS_PER_PAGE
    with pytest.raises(RemoteError, match="it has sent 1 pages in 602 s"):
        counter.note(None)
