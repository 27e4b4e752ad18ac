"""A stream of objects: what is asked of the source, what is held, and what replaces it."""

from __future__ import annotations

import os
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    RemoteError,
    RemoteObjectNotFoundError,
)
from minari_core.ranges import stream as streams
from minari_core.ranges.blocks import BLOCK_NBYTES, Blocks
from minari_core.ranges.checksums import BlockChecksums
from minari_core.ranges.source import ObjectVersion
from minari_core.ranges.stream import Stream
from minari_core.storage.file_map import Contents
from minari_core.testing import MemorySource

# The last bytes of each stand for its trailer, which no checksum is of.
_TRAILER_NBYTES = 4
_SIZES = {"a": 6 * BLOCK_NBYTES, "b": BLOCK_NBYTES + 9, "c": 7}
OBJECTS = {name: np.random.default_rng(5).bytes(size) for name, size in _SIZES.items()}
NAMES = list(OBJECTS)


def sum_up(content: bytes) -> BlockChecksums:
    nbytes = len(content) - _TRAILER_NBYTES
    crcs = [
        zlib.crc32(content[start : min(start + BLOCK_NBYTES, nbytes)])
        for start in range(0, nbytes, BLOCK_NBYTES)
    ]
    return BlockChecksums(nbytes, np.array(crcs, np.uint32))


class Reader:
    """Reads the checksums of an object, for which it looks at so many bytes of its end."""

    def __init__(self, has_sums: bool = True, end_nbytes: int = _TRAILER_NBYTES) -> None:
        self.has_sums, self.end_nbytes = has_sums, end_nbytes

    def __call__(self, contents: Contents, where: str) -> BlockChecksums | None:
        name = where.rpartition("/")[2]
        size = len(contents)
        assert size == len(OBJECTS[name])
        start = max(size - self.end_nbytes, 0)
        if bytes(contents[start:size]) != OBJECTS[name][start:]:
            raise DatasetDamagedError(f"{where}: its trailer is damaged")
        return sum_up(OBJECTS[name]) if self.has_sums else None


def make_stream(
    source: MemorySource | None = None,
    *,
    cache_nbytes: int = 0,
    check: Callable[[int], object] = lambda number: None,
    reader: Reader | None = None,
) -> tuple[Stream, MemorySource]:
    source = MemorySource(OBJECTS) if source is None else source
    objects = [(name, len(content)) for name, content in OBJECTS.items()]
    read = Reader(has_sums=False) if reader is None else reader
    return Stream(source, "uid", objects, cache_nbytes, check, read), source


def blocks_of(stream: Stream, name: str, *inside: int) -> Blocks:
    found: Blocks = np.array(inside, dtype=np.int64) + stream.layout.firsts[NAMES.index(name)]
    return found


def expect_blocks(stream: Stream, name: str, *inside: int) -> None:
    """Ensure blocks of an object, and compare them with what the object has."""
    generation = stream.ensure(blocks_of(stream, name, *inside))
    assert generation.has(blocks_of(stream, name, *inside))
    contents = generation.get_contents(NAMES.index(name))
    assert len(contents) == len(OBJECTS[name])
    for block in inside:
        span = slice(block * BLOCK_NBYTES, (block + 1) * BLOCK_NBYTES)
        assert bytes(contents[span]) == OBJECTS[name][span]


def list_requests(source: MemorySource) -> list[tuple[str, float, float]]:
    """What was read since this was asked before, in blocks."""
    found = [
        (name, start / BLOCK_NBYTES, stop / BLOCK_NBYTES) for name, start, stop in source.requests
    ]
    source.requests.clear()
    return sorted(found)


def test_neighbouring_blocks_are_read_together_and_each_once() -> None:
    stream, source = make_stream()
    assert stream.most_blocks == source.range_nbytes // BLOCK_NBYTES == 4
    end = (BLOCK_NBYTES + 9) / BLOCK_NBYTES

    expect_blocks(stream, "b", 1, 0, 1)
    # The last block is read before the others, because the checksums might be in it.
    assert list_requests(source) == [("b", 0.0, 1.0), ("b", 1.0, end)]
    expect_blocks(stream, "a", 4, 3, 0, 1, 2)
    assert list_requests(source) == [("a", 0.0, 4.0), ("a", 4.0, 5.0), ("a", 5.0, 6.0)]
    expect_blocks(stream, "a", 0, 4)
    expect_blocks(stream, "a", 5)
    assert list_requests(source) == []

    seen = stream.read_statistics()
    # A version and ranges of each object.
    assert (seen.requests, seen.nbytes) == (3 + 4, sum(_SIZES[name] for name in "ab"))
    assert (seen.misses, seen.hits) == (2, 2)
    assert seen.waited_seconds > 0


def test_a_source_of_small_ranges_is_asked_for_single_blocks() -> None:
    source = MemorySource(OBJECTS)
    source.range_nbytes = 1000
    stream, _ = make_stream(source)
    expect_blocks(stream, "a", 0, 1)
    assert list_requests(source) == [("a", 0.0, 1.0), ("a", 1.0, 2.0), ("a", 5.0, 6.0)]


def test_several_threads_that_want_the_same_read_it_once() -> None:
    source = MemorySource(OBJECTS, latency=0.02)
    stream, _ = make_stream(source)
    expect_blocks(stream, "a", 5)
    list_requests(source)
    wanted = [(0, 1), (1, 2), (0, 2, 3), (3,)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda inside: expect_blocks(stream, "a", *inside), wanted))
    read = [
        block for _, start, stop in list_requests(source) for block in range(int(start), int(stop))
    ]
    assert sorted(read) == [0, 1, 2, 3]


def test_a_thread_whose_partner_fails_fetches_by_itself() -> None:
    stream, source = make_stream()
    expect_blocks(stream, "a", 5)
    began, may_fail = threading.Event(), threading.Event()
    main = threading.get_ident()

    def fail_elsewhere(name: str, start: int, stop: int) -> None:
        if threading.get_ident() != main:
            began.set()
            may_fail.wait(30)
            raise RemoteError("out of reach")

    source.before_range = fail_elsewhere
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(stream.ensure, blocks_of(stream, "a", 0))
        began.wait(30)
        threading.Timer(0.05, may_fail.set).start()
        expect_blocks(stream, "a", 0, 1)
        with pytest.raises(RemoteError, match="out of reach"):
            failing.result()


def test_a_stream_of_which_all_is_cached_knows_it_after_some_hits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "_HITS_BETWEEN_LOOKS", 3)
    first, _ = make_stream(cache_nbytes=10**9)
    for name, size in _SIZES.items():
        if name != "c":
            expect_blocks(first, name, *range(-(-size // BLOCK_NBYTES)))
    assert first.find_whole() is None

    stream, source = make_stream(cache_nbytes=10**9)
    for name in "ab":
        expect_blocks(stream, name, 0)
    for _ in range(6):
        expect_blocks(stream, "a", 0)
        assert stream.find_whole() is None
    # What is known to be missing of one object does not hide what another has.
    assert list_requests(source) == []
    expect_blocks(first, "c", 0)
    expect_blocks(stream, "c", 0)
    hits = stream.read_statistics().hits
    while stream.find_whole() is None:
        expect_blocks(stream, "a", 0)
        hits += 1
        assert stream.read_statistics().hits <= 12
    # Finding all is a hit, too.
    assert stream.read_statistics().hits == hits + 1
    assert hits % 3 == 0
    assert stream.find_whole() is stream.generation
    assert stream.generation.has(np.arange(int(stream.layout.firsts[-1])))
    assert stream.read_statistics().misses == 0
    assert list_requests(source) == []


def test_what_memory_holds_is_taken_over_once_and_never_more_than_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "_MOST_HELD_NBYTES", 3 * BLOCK_NBYTES)
    stream, source = make_stream()
    first = stream.generation
    expect_blocks(stream, "a", 0, 1)  # and the last
    assert stream.generation is first
    expect_blocks(stream, "a", 2)
    second = stream.generation
    assert second is not first
    assert len(list_requests(source)) == 3

    # What the one before holds is copied; it counts, and the rest of it is let go.
    expect_blocks(stream, "a", 5, 0, 1)
    assert stream.generation is second
    assert list_requests(source) == []
    expect_blocks(stream, "a", 3)
    third = stream.generation
    assert third is not second
    assert list_requests(source) == [("a", 3.0, 4.0)]
    expect_blocks(stream, "a", 2)
    assert list_requests(source) == [("a", 2.0, 3.0)]
    expect_blocks(stream, "a", 3)
    assert list_requests(source) == []
    # Who has one of them reads on.
    held = first.get_contents(0)
    assert bytes(held[: 3 * BLOCK_NBYTES]) == OBJECTS["a"][: 3 * BLOCK_NBYTES]


def test_a_block_is_fetched_until_it_has_its_checksum() -> None:
    stream, source = make_stream(reader=Reader())
    tries: list[tuple[int, int]] = []

    def flip_twice(name: str, start: int, stop: int) -> None:
        if start == BLOCK_NBYTES or stop > BLOCK_NBYTES > start:
            tries.append((start // BLOCK_NBYTES, stop // BLOCK_NBYTES))
            if len(tries) in (1, 3):
                source.flip_bit(name, BLOCK_NBYTES + 5)

    source.before_range = flip_twice
    expect_blocks(stream, "a", 0, 1, 2, 5)
    assert tries == [(0, 3), (1, 2), (1, 2)]


def test_a_block_that_is_damaged_each_time_is_named_and_the_others_are_at_hand() -> None:
    stream, source = make_stream(reader=Reader())
    source.flip_bit("a", 2 * BLOCK_NBYTES)
    with pytest.raises(
        DatasetDamagedError,
        match=r"^memory://dataset/data/a: bytes 524288 to 786432 arrived 3 times with another "
        r"checksum than was stored with them; ask who publishes the dataset to verify it there$",
    ):
        stream.ensure(blocks_of(stream, "a", 1, 2, 3))
    assert [start for _, start, _ in list_requests(source)] == [1.0, 2.0, 2.0, 5.0]
    expect_blocks(stream, "a", 1, 3)
    assert list_requests(source) == []


def test_the_end_of_an_object_is_read_once_with_the_checksums_in_it() -> None:
    stream, source = make_stream(reader=Reader(), cache_nbytes=10**9)
    expect_blocks(stream, "b", 0)
    assert len(list_requests(source)) == 2
    expect_blocks(stream, "b", 1)
    assert list_requests(source) == []
    # Another stream finds it in the cache, and reads the checksums there.
    other, other_source = make_stream(reader=Reader(), cache_nbytes=10**9)
    expect_blocks(other, "b", 1, 0)
    expect_blocks(other, "c", 0)
    assert list_requests(other_source) == [("c", 0.0, 7 / BLOCK_NBYTES)]
    assert other.read_statistics().requests == 2


def test_checksums_that_begin_before_the_last_block_are_read_apart() -> None:
    stream, source = make_stream(reader=Reader(end_nbytes=20))
    expect_blocks(stream, "b", 1)
    assert list_requests(source) == [
        ("b", (BLOCK_NBYTES - 11) / BLOCK_NBYTES, (BLOCK_NBYTES + 9) / BLOCK_NBYTES),
        ("b", 1.0, (BLOCK_NBYTES + 9) / BLOCK_NBYTES),
    ]


@pytest.mark.parametrize(("damaged", "is_read"), [(2, True), (3, False)])
def test_an_end_that_is_damaged_on_its_way_is_read_three_times(damaged: int, is_read: bool) -> None:
    stream, source = make_stream(reader=Reader())
    size = _SIZES["c"]
    tries = 0

    def damage(name: str, start: int, stop: int) -> None:
        nonlocal tries
        tries += 1
        if tries in (1, damaged + 1):
            source.flip_bit(name, size - 1)

    source.before_range = damage
    if is_read:
        expect_blocks(stream, "c", 0)
    else:
        with pytest.raises(DatasetDamagedError, match="data/c: its trailer is damaged"):
            stream.ensure(blocks_of(stream, "c", 0))
    assert tries == 3


def test_a_last_block_that_is_damaged_before_its_trailer_is_fetched_again() -> None:
    stream, source = make_stream(reader=Reader())
    flips = 0

    def flip(name: str, start: int, stop: int) -> None:
        nonlocal flips
        flips += 1
        if flips <= 2:
            source.flip_bit(name, 0)

    source.before_range = flip
    expect_blocks(stream, "c", 0)
    assert flips == 2


def test_an_object_that_was_written_anew_with_what_it_had_is_read_on() -> None:
    checked: list[int] = []
    stream, source = make_stream(check=checked.append, cache_nbytes=10**9)
    expect_blocks(stream, "a", 0)
    expect_blocks(stream, "b", 0)
    before = stream.generation
    source.replace("b", OBJECTS["b"])
    expect_blocks(stream, "b", 1)  # at hand since the checksums were looked for
    assert checked == []
    source.replace("a", OBJECTS["a"])
    list_requests(source)

    expect_blocks(stream, "a", 1)

    assert checked == [0]
    assert stream.generation is not before
    # What the cache has of the earlier version is not mixed with it.
    expect_blocks(stream, "a", 0)
    assert list_requests(source) == [("a", 0.0, 1.0), ("a", 1.0, 2.0)]


def test_an_object_that_changes_each_time_is_an_error() -> None:
    stream, source = make_stream()
    tries = 0

    def change(name: str, start: int, stop: int) -> None:
        nonlocal tries
        tries += 1
        source.replace(name, OBJECTS[name])

    source.before_range = change
    with pytest.raises(
        DatasetChangedError,
        match=r"^memory://dataset/data was changed 4 times while it was being read; load the "
        r"dataset again$",
    ):
        stream.ensure(blocks_of(stream, "a", 0))
    assert tries == 4
    source.before_range = None
    expect_blocks(stream, "a", 0)


def test_what_the_caller_finds_changed_ends_the_reading() -> None:
    def refuse(number: int) -> None:
        raise DatasetChangedError(f"object {number} is another one")

    stream, source = make_stream(check=refuse)
    expect_blocks(stream, "b", 0)
    expect_blocks(stream, "a", 0)
    source.replace("a", OBJECTS["a"])
    with pytest.raises(DatasetChangedError, match="object 0 is another one"):
        stream.ensure(blocks_of(stream, "a", 1))
    source.replace("c", None)
    with pytest.raises(DatasetChangedError, match="object 2 is another one"):
        stream.ensure(blocks_of(stream, "c", 0))


def test_an_object_that_is_gone_or_of_another_size_is_an_error() -> None:
    checked: list[int] = []
    stream, source = make_stream(check=checked.append)
    source.replace("c", None)
    with pytest.raises(RemoteObjectNotFoundError, match="no object 'c'"):
        stream.ensure(blocks_of(stream, "c", 0))
    source.replace("b", OBJECTS["b"] + b"x")
    with pytest.raises(
        DatasetChangedError,
        match=r"^memory://dataset/data/b has 262154 bytes, not the 262153 that its manifest says",
    ):
        stream.ensure(blocks_of(stream, "b", 0))
    assert checked == [2, 1]
    expect_blocks(stream, "a", 0)
    source.replace("a", None)
    with pytest.raises(RemoteObjectNotFoundError, match="no object 'a'"):
        stream.ensure(blocks_of(stream, "a", 1))


def test_an_error_of_a_version_that_is_the_same_is_raised_as_it_is() -> None:
    stream, source = make_stream()
    expect_blocks(stream, "a", 0)

    def fail(name: str, start: int, stop: int) -> None:
        raise DatasetChangedError("it says so, and is not")

    source.before_range = fail
    with pytest.raises(DatasetChangedError, match="it says so, and is not"):
        stream.ensure(blocks_of(stream, "a", 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_counts_and_fetches_anew_and_leaves_its_parent_as_it_is() -> None:
    stream, source = make_stream(cache_nbytes=10**9)
    private, private_source = make_stream()
    for each in (stream, private):
        expect_blocks(each, "b", 0, 1)
    before = stream.read_statistics()
    requests = len(private_source.requests)
    child = os.fork()
    if child == 0:
        try:
            for each in (stream, private):
                seen = each.read_statistics()
                assert (seen.requests, seen.hits, seen.misses) == (0, 0, 0)
                expect_blocks(each, "b", 0, 1)
            assert len(source.requests) == 2
            assert len(private_source.requests) == requests + 1
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert stream.read_statistics() == before
    assert len(source.requests) == len(private_source.requests) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs claims")
def test_processes_that_begin_with_the_same_object_ask_for_its_version_once() -> None:
    class SlowToLook(MemorySource):
        def version(self, name: str) -> ObjectVersion:
            time.sleep(0.1)
            return super().version(name)

    stream, _ = make_stream(SlowToLook(OBJECTS), cache_nbytes=10**9)
    expect_blocks(stream, "b", 0)  # so that the folder is there
    children: list[int] = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                expect_blocks(stream, "c", 0)
            except BaseException:
                os._exit(100)
            os._exit(stream.read_statistics().requests)
        children.append(child)
    requests = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    # Of the one block, and of the version before it.
    assert sorted(requests) in ([0, 0, 0, 2], [0, 0, 1, 1])


def test_the_seconds_that_readers_wait_are_summed() -> None:
    stream, _ = make_stream(MemorySource(OBJECTS, latency=0.05))
    began = time.perf_counter()
    expect_blocks(stream, "a", 0)
    expect_blocks(stream, "c", 0)
    taken = time.perf_counter() - began
    assert 0.15 <= stream.read_statistics().waited_seconds <= taken
