"""The cache of streams is kept within its bound, and nothing goes from it that need not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from minari_core.cache.entries import list_entries, pin_entry
from minari_core.cache.settings import cache_root
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.cache_folder import KIND, CacheFolder, open_cache_folder
from minari_core.ranges.cached_objects import copy_cached_object, read_once
from minari_core.ranges.segments import measure_segments
from minari_core.ranges.source import ObjectVersion

posix = pytest.mark.skipif(os.name != "posix", reason="measures what sparse files take")
CONTENT = np.random.default_rng(0).bytes(BLOCK_NBYTES)
HOUR = 3600.0


def open_folder(uid: str, limit: int) -> CacheFolder:
    folder = open_cache_folder(uid, f"memory://{uid}", limit)
    assert folder is not None
    return folder


def fill(folder: CacheFolder, name: str, age: float = 0.0, blocks: int = 1) -> None:
    """Store blocks of an object, which were last used so many seconds ago."""
    segment = folder.open(name, ObjectVersion(blocks * BLOCK_NBYTES, "one"))
    assert segment is not None
    for block in range(blocks):
        segment.store(block, CONTENT)
    os.utime(segment.path, (time.time() - age,) * 2)


def list_names() -> list[str]:
    """The objects that have a segment."""
    return sorted(path.stem for path in cache_root().glob(f"{KIND}/*/contents/*.blocks"))


def measure() -> int:
    return sum(
        size
        for folder in cache_root().glob(f"{KIND}/*/contents")
        for size, _ in measure_segments(folder).values()
    )


@posix
def test_room_is_made_only_where_there_is_none_and_only_for_what_is_needed() -> None:
    other = open_folder("other", 10**9)
    for age in range(8):
        fill(other, f"{age}", 10 * HOUR + age)
    stored = measure()
    assert stored >= 8 * BLOCK_NBYTES
    del other

    exact = open_folder("own", stored + 100)
    assert exact.reserve(100)
    assert len(list_names()) == 8
    # A byte more than there is room for: what was used least recently goes, with some to spare.
    assert open_folder("own", stored + 100).reserve(101)
    assert list_names() == [f"{age}" for age in range(7)]
    small = open_folder("own", 4 * BLOCK_NBYTES)
    assert small.reserve(BLOCK_NBYTES)
    # Of 4 blocks a sixteenth is left free, so that one more does not fit beside two others.
    assert list_names() == ["0", "1"]
    assert measure() == 2 * stored // 8


@posix
def test_own_segments_go_last_and_not_within_an_hour() -> None:
    own = open_folder("own", 10**9)
    for name, age in (("old", 2 * HOUR), ("older", 3 * HOUR), ("new", HOUR - 60)):
        fill(own, name, age)
    other = open_folder("other", 10**9)
    fill(other, "others", 2 * HOUR - 60)
    limit = measure() + 10
    del other

    own = open_folder("own", limit)
    assert own.reserve(11)
    assert list_names() == ["new", "old", "older"]
    own = open_folder("own", measure() + 10)
    assert own.reserve(11)
    assert list_names() == ["new", "old"]
    own = open_folder("own", BLOCK_NBYTES)
    assert not own.reserve(BLOCK_NBYTES)
    assert list_names() == ["new"]


@posix
def test_datasets_that_are_in_use_or_pinned_stay() -> None:
    folders = {uid: open_folder(uid, 10**9) for uid in ("pinned", "used", "unused", "stale")}
    for uid, folder in folders.items():
        fill(folder, uid, 2 * HOUR if uid == "stale" else 60)
    (entry,) = (each for each in list_entries() if each.what == "blocks of memory://pinned")
    pin_entry(entry)
    del folders["pinned"], folders["unused"], folder

    own = open_folder("own", BLOCK_NBYTES)
    assert not own.reserve(BLOCK_NBYTES)
    # Whoever has it open and used nothing of it for an hour is not in the way.
    assert list_names() == ["pinned", "used"]


@posix
def test_a_full_cache_is_measured_again_after_a_part_of_its_bound() -> None:
    limit = 64 * BLOCK_NBYTES
    folder = open_folder("own", limit)
    fill(folder, "much", blocks=63)
    assert folder.reserve(BLOCK_NBYTES // 2)
    assert not folder.reserve(limit)
    part = limit // 32
    assert part == 2 * BLOCK_NBYTES
    folder.remove("much")
    # There is room again, and nobody has looked yet.
    assert folder.reserve(0)
    assert list_names() == []


@posix
def test_room_is_counted_between_two_measurements() -> None:
    limit = 64 * BLOCK_NBYTES
    folder = open_folder("own", limit)
    assert folder.reserve(BLOCK_NBYTES)
    fill(folder, "a", blocks=63)
    # These are not known of yet, only what was reserved is.
    assert folder.reserve(BLOCK_NBYTES - 1)
    assert not folder.reserve(BLOCK_NBYTES + 1)
    # It is full until so much was asked for that it is worth a look.
    folder.remove("a")
    assert not folder.reserve(0)
    assert not folder.reserve(BLOCK_NBYTES - 2)
    assert folder.reserve(1)


def test_nothing_is_cached_where_nothing_may_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert open_cache_folder("uid", "memory://x", 0) is None
    assert not cache_root().exists()
    assert open_cache_folder("uid", "memory://x", 1) is not None
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "file"))
    assert open_cache_folder("uid", "memory://x", 1) is None


def test_each_dataset_and_address_has_a_folder_of_its_own() -> None:
    folders = [open_cache_folder(*each, 10**9) for each in (("a", "x"), ("b", "x"), ("a", "y"))]
    again = open_cache_folder("a", "x", 10**9)
    assert [each.what for each in list_entries()].count("blocks of x") == 2
    assert len(list_entries()) == 3
    assert again is not None
    assert folders[0] is not None
    fill(again, "object")
    assert folders[0].open("object", None) is not None


def test_an_object_is_read_once_as_long_as_its_version_is_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reads: list[str] = []

    def read(text: str, version: ObjectVersion, url: str = "memory://x") -> bytes:
        def load() -> bytes:
            reads.append(text)
            return text.encode()

        return read_once(url, version, load)

    one = ObjectVersion(3, "one")
    assert read("abc", one) == read("new", one) == b"abc"
    assert read("two", ObjectVersion(3, "two")) == b"two"
    assert read("four", ObjectVersion(4, "one")) == b"four"
    assert read("url", one, "memory://y") == b"url"
    assert reads == ["abc", "two", "four", "url"]
    # Nobody can tell whether these are the same.
    assert (read("1st", ObjectVersion(3)), read("2nd", ObjectVersion(3))) == (b"1st", b"2nd")
    (kept,) = (path for path in cache_root().rglob("text") if path.read_bytes() == b"abc")
    kept.write_bytes(b"ab")
    assert read("new", one) == b"new"
    # What is not as long as it should be is for whoever reads it to judge, and not kept.
    with pytest.raises(Exception, match="has 4 bytes, not 5"):
        read("long", ObjectVersion(5, "one"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "file"))
    assert read("now", one) == b"now"


def test_a_whole_object_is_copied_out_of_the_cache_whichever_dataset_has_it(tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert not copy_cached_object("a[1].h5", BLOCK_NBYTES + 5, target)
    version = ObjectVersion(BLOCK_NBYTES + 5, "one")
    parts = [open_folder(uid, 10**9).open("a[1].h5", version) for uid in ("one", "two")]
    for part in parts:
        assert part is not None
        part.store(0, CONTENT)
    assert not copy_cached_object("a[1].h5", version.size, target)
    assert not target.exists()
    assert parts[1] is not None
    parts[1].store(1, b"after")
    assert not copy_cached_object("a[1].h5", version.size + 1, target)
    assert not copy_cached_object("a*", version.size, target)
    assert not target.exists()
    assert copy_cached_object("a[1].h5", version.size, target)
    assert target.read_bytes() == CONTENT + b"after"
