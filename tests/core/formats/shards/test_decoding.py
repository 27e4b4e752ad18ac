"""Compressed rows: decoded in threads, kept within bounds, and never wrong."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import DatasetDamagedError
from minari_core.columns.fixed import ROWS_PER_CHUNK
from minari_core.formats.shards.chunk_cache import ChunkCache, chunk_cache, run_jobs
from minari_core.formats.shards.compression import CompressedRows, compress_chunks, decode_rows


def compressed(rows: np.ndarray[Any, Any], spoil: int | None = None) -> CompressedRows:
    """The rows as they lie in a file; one chunk may have a wrong bit."""
    chunks = [bytearray(chunk) for chunk in compress_chunks([rows])]
    if spoil is not None:
        chunks[spoil][-1] ^= 1
    sizes = [len(chunk) for chunk in chunks]
    offsets = np.cumsum([0, *sizes])[:-1]
    table = np.array([offsets, sizes], dtype=np.uint64).T
    content = memoryview(b"".join(chunks))
    return CompressedRows(content, table, len(rows), rows.dtype, rows.shape[1:], "some rows")


def images(count: int, seed: int = 0, size: int = 64) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 4, size=(count, size, size), dtype=np.uint8)


@given(st.integers(1, 40), st.lists(st.integers(0, 10**6), max_size=60), st.integers(0, 9))
@settings(max_examples=60)
def test_rows_that_are_taken_are_those_that_were_stored(
    count: int, places: list[int], seed: int
) -> None:
    rows = images(count, seed)
    stored = compressed(rows)
    wanted = np.array(places, dtype=np.int64) % count
    assert np.array_equal(stored.take(wanted), rows[wanted])
    start = int(wanted[0]) if len(wanted) else 0
    for stop in (start, start + 1, start + 20, count + 50):
        assert np.array_equal(stored.read(start, stop), rows[start:stop])


def test_rows_of_several_columns_are_decoded_into_one_array() -> None:
    first, second = images(20, 1), images(9, 2)
    out = np.zeros((30, 64, 64), np.uint8)
    rows = np.arange(20)
    decode_rows(
        [
            (compressed(first), rows, rows[::-1].copy()),
            (compressed(second), np.array([8, 0, 8]), np.array([21, 25, 29])),
        ],
        out,
    )
    assert np.array_equal(out[19::-1], first)
    assert np.array_equal(out[[21, 25, 29]], second[[8, 0, 8]])
    assert not out[[20, 22, 23, 24, 26, 27, 28]].any()


def test_a_damaged_chunk_is_an_error_wherever_it_is_decoded() -> None:
    rows = images(200, 3)
    for spoil in (0, 12, 24):
        stored = compressed(rows, spoil)
        for wanted in (np.arange(200), np.arange(199, -1, -1), np.array([spoil * 8 + 3])):
            with pytest.raises(DatasetDamagedError, match=f"some rows: chunk {spoil} is damaged"):
                stored.take(wanted)
        # It was not kept, and its neighbours are as they were.
        with pytest.raises(DatasetDamagedError):
            stored.take(np.array([spoil * 8]))
        others = np.flatnonzero(np.arange(200) // 8 != spoil)
        assert np.array_equal(stored.take(others), rows[others])


def test_a_chunk_of_another_size_is_damaged() -> None:
    small, large = compressed(images(8, 0, 63)), compressed(images(8, 0, 65))
    for other in (small, large):
        wrong = CompressedRows(other._file, other._chunks, 8, np.dtype("u1"), (64, 64), "some rows")
        for wanted in (np.arange(8), np.array([1])):
            with pytest.raises(DatasetDamagedError, match="chunk 0 has another size"):
                wrong.take(wanted)


def fill(value: int) -> Any:
    def decode(buffer: Any) -> None:
        buffer[:] = value

    return decode


def test_what_was_decoded_lately_is_not_decoded_again() -> None:
    cache = ChunkCache(limit=300)
    found: list[int] = []
    decoded: list[int] = []

    def use(key: int) -> None:
        def decode(buffer: Any) -> None:
            decoded.append(key)
            buffer[:] = key

        cache.use(key, 100, decode, lambda buffer: found.append(int(buffer[-1])))

    for key in (1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 1):
        use(key)
    assert found == [1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 1]
    assert decoded == [1, 2, 3, 4, 1]
    assert cache.nbytes == 300


def test_the_cache_keeps_its_bound_whatever_the_sizes() -> None:
    cache = ChunkCache(limit=1000)
    rng = np.random.default_rng(0)
    for key in rng.integers(0, 50, size=2000).tolist():
        nbytes = 10 + key * 30
        seen: list[int] = []
        cache.use(key, nbytes, fill(key), lambda buffer, seen=seen: seen.extend(set(buffer)))  # type: ignore[misc]
        assert seen == [key]
        assert cache.nbytes <= 1000


def test_what_is_in_use_is_not_pushed_out_or_written_to() -> None:
    cache = ChunkCache(limit=100)

    def look(buffer: Any) -> None:
        for other in range(2, 6):
            cache.use(other, 100, fill(other), lambda inner: None)
        assert (buffer == 1).all()

    cache.use(1, 100, fill(1), look)
    cache.use(1, 100, fill(9), lambda buffer: None)
    assert cache.nbytes <= 100


def test_a_chunk_that_fails_to_decode_is_not_kept() -> None:
    cache = ChunkCache(limit=100)

    def fail(buffer: Any) -> None:
        raise DatasetDamagedError("no")

    with pytest.raises(DatasetDamagedError):
        cache.use(1, 50, fail, lambda buffer: None)
    seen: list[int] = []
    cache.use(1, 50, fill(3), lambda buffer: seen.append(int(buffer[0])))
    assert seen == [3]


def test_many_threads_share_the_cache() -> None:
    rows = images(160, 5)
    stored = compressed(rows)
    failures: list[BaseException] = []

    def take(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(30):
                wanted = rng.integers(0, 160, size=40)
                assert np.array_equal(stored.take(wanted), rows[wanted])
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=take, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert chunk_cache().nbytes <= 16 << 20


def test_jobs_are_done_once_each_and_an_error_waits_for_the_others() -> None:
    done: list[int] = []
    run_jobs(done.append, range(100), nbytes=1 << 30)
    assert sorted(done) == list(range(100))
    run_jobs(done.append, [], nbytes=0)

    def fail(number: int) -> None:
        done.append(-number)
        if number in (3, 90):
            raise DatasetDamagedError(str(number))

    done.clear()
    with pytest.raises(DatasetDamagedError, match=r"3|90"):
        run_jobs(fail, range(1, 101), nbytes=1 << 30)
    length = len(done)
    threading.Event().wait(0.05)
    assert len(done) == length


def test_other_threads_go_on_while_a_chunk_is_decoded() -> None:
    stored = compressed(images(ROWS_PER_CHUNK, 1))
    buffer = np.empty(stored.chunk_nbytes, np.uint8)
    begun = threading.Event()
    seen: list[int] = []
    most = 100_000

    def decode() -> None:
        begun.set()
        for _ in range(most):
            stored.decode(0, buffer)
            if seen:
                return
        seen.append(most)

    interval = sys.getswitchinterval()
    # Python takes its lock away from nobody, so this thread goes on only if decoding lets it go.
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=decode)
        thread.start()
        begun.wait()
        seen.append(1)
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == [1]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5))
@settings(max_examples=30)
def test_pieces_are_packed_as_their_rows_would_be_and_filled_up_with_zeros(
    lengths: list[int],
) -> None:
    rows = images(sum(lengths), 7, size=4) + 1
    pieces = np.split(rows, np.cumsum(lengths)[:-1])
    chunks = list(compress_chunks(pieces))
    assert len(chunks) == -(-len(rows) // ROWS_PER_CHUNK)
    unpacked = b"".join(zstandard.ZstdDecompressor().decompress(chunk) for chunk in chunks)
    padding = (len(chunks) * ROWS_PER_CHUNK - len(rows)) * 16
    assert unpacked == rows.tobytes() + bytes(padding)


def test_a_table_of_chunks_fits_its_rows_and_its_file() -> None:
    stored = compressed(images(9, 1))
    content, table = stored._file, stored._chunks

    def locate(changed: Any, rows: int = 9, shape: tuple[int, ...] = (64, 64)) -> CompressedRows:
        return CompressedRows(content, changed, rows, np.dtype("u1"), shape, "some rows")

    assert len(locate(table)) == 9
    for rows in (8, 17):
        with pytest.raises(DatasetDamagedError, match=f"some rows has 2 chunks for {rows} rows"):
            locate(table, rows)
    beyond = table.copy()
    beyond[1, 1] += np.uint64(1)
    with pytest.raises(DatasetDamagedError, match="a chunk beyond the end of its file"):
        locate(beyond)
    huge = table.copy()
    huge[0, 0] = 2**62
    with pytest.raises(DatasetDamagedError, match="a chunk that no file can hold"):
        locate(huge)
    # Of eight rows, one takes at most as much as so few bytes can stand for.
    smallest = int(table[:, 1].min())
    most = ((smallest + 8) << 15) // 8
    assert locate(table, shape=(most,)).row_shape == (most,)
    with pytest.raises(DatasetDamagedError, match="a chunk that is too small for its rows"):
        locate(table, shape=(most + 1,))
