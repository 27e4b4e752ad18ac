"""The cache of streams: what several processes share, what stays in it, and what must go."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_core import DataError, MinariDataset, open_stream
from minari_core.cache.entries import list_entries, pin_entry
from minari_core.ranges import stream as streams
from minari_core.ranges.claims import open_claims
from minari_core.sampling.orders import pool
from tests.core.helpers.streams import (
    LoggingSource,
    count_blocks,
    read_log,
    wait_until_unused,
    write_numbered,
)

needs_claims = pytest.mark.skipif(
    not hasattr(__import__("fcntl", fromlist=["x"]) if os.name == "posix" else None, "F_OFD_SETLK"),
    reason="needs locks of open files",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))


def measure(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.h5"))


def read_share(source: LoggingSource, number: int, count: int, sums: Any) -> None:
    """Read every so-manieth batch of an epoch, as a worker of a loader does."""
    dataset = open_stream(source)
    batches = dataset.batches(128, seed=1).share(number, count)
    sums.put(sum(float(batch.observations[:, 0].sum(dtype=np.float64)) for batch in batches))


@needs_claims
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_share_an_epoch_and_each_block_is_read_once(method: str, tmp_path: Path) -> None:
    count = 4 if method == "fork" else 2  # processes that begin anew take longer
    wanted = write_numbered(tmp_path / "data", 150_000)
    source = LoggingSource(tmp_path / "data", tmp_path / "log", 0.01)
    context: Any = multiprocessing.get_context(method)
    sums = context.SimpleQueue()
    workers = [
        context.Process(target=read_share, args=(source, number, count, sums))
        for number in range(count)
    ]
    for worker in workers:
        worker.start()
    found = sum(sums.get() for _ in workers)
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    # Each of three episodes has a last observation that no step begins with.
    first = wanted[:, 0].astype(np.float64)
    assert found == first.sum() - first[49_999::50_000].sum()
    read = read_log(tmp_path / "log")
    blocks = count_blocks(read)
    assert len(blocks) > 12
    assert set(blocks.values()) == {1}
    list(open_stream(source).batches(128, seed=2))
    assert not count_blocks(read_log(tmp_path / "log"))


def test_half_of_a_dataset_in_the_cache_stays_there_from_epoch_to_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = write_numbered(tmp_path / "data", 240_000)
    source = LoggingSource(tmp_path / "data", tmp_path / "log")
    whole = measure(tmp_path / "data")
    for epoch in range(3):
        # A new process each time, so that none remembers what the one before held in memory.
        stream = open_stream(source, cache_nbytes=whole // 2)
        rows = np.zeros(len(wanted), np.int64)
        for batch in stream.batches(512, seed=epoch):
            numbers = batch.observations[:, 0].astype(int)
            np.testing.assert_array_equal(batch.observations, wanted[numbers])
            rows[numbers] += 1
        assert rows.sum() == stream.total_steps
        read = [stop - start for name, start, stop in read_log(tmp_path / "log") if name[0] == "s"]
        assert sum(read) <= 1.05 * whole if epoch == 0 else sum(read) <= 0.55 * whole
    cached = sum(path.stat().st_blocks * 512 for path in (tmp_path / "cache").rglob("*.data"))
    assert 0.4 * whole < cached < 0.6 * whole


def test_what_memory_holds_is_handed_on_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_MOST_HELD_NBYTES", 3 << 20)
    monkeypatch.setattr(pool, "_WINDOW_NBYTES", 1 << 17)
    wanted = write_numbered(tmp_path / "data", 240_000)
    source = LoggingSource(tmp_path / "data", tmp_path / "log")
    stream = open_stream(source, cache_nbytes=0)
    generations = set()
    for batch in stream.batches(4096, seed=0):
        numbers = batch.observations[:, 0].astype(int)
        np.testing.assert_array_equal(batch.observations, wanted[numbers])
        generations.add(id(stream._find_columns().stream.generation))  # type: ignore[attr-defined]  # of a stream
    assert len(generations) > 1
    assert not list((tmp_path / "cache").rglob("*.data"))


def test_who_is_gone_makes_room_and_who_is_there_or_pinned_does_not(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write_numbered(tmp_path / name, 60_000)
    limit = int(2.2 * measure(tmp_path / "one"))

    def read(name: str) -> tuple[MinariDataset, int]:
        """Read all of a stream, and return it and how many blocks were not in the cache."""
        source = LoggingSource(tmp_path / name, tmp_path / "log")
        stream = open_stream(source, cache_nbytes=limit)
        list(stream.batches(512, seed=0))
        return stream, len(count_blocks(read_log(tmp_path / "log")))

    def count_missing(name: str, *, is_held: bool = False) -> int:
        missing = read(name)[1]
        if not is_held:
            wait_until_unused(f"/{name}")
        return missing

    blocks = count_missing("one")
    held, _ = read("two")
    assert count_missing("one") == count_missing("two", is_held=True) == 0
    assert count_missing("three") == blocks  # and "one" has gone
    assert count_missing("two", is_held=True) == count_missing("three") == 0
    (entry,) = (entry for entry in list_entries() if entry.what.endswith("/three"))
    pin_entry(entry)
    assert count_missing("one") == blocks  # there is no room for it
    assert count_missing("one") > 0
    assert count_missing("two", is_held=True) == count_missing("three") == 0
    del held
    wait_until_unused("/two")
    assert count_missing("one") > 0  # and "two" has gone
    assert count_missing("one") == count_missing("three") == 0


def read_first_batch(source: LoggingSource, cache: str, found: Any, ready: Any) -> None:
    os.environ["MINARI_CACHE_PATH"] = cache
    ready.wait()
    batch = next(iter(open_stream(source).batches(64, seed=0)))
    found.put(int(batch.observations[:, 0].sum()))


@needs_claims
def test_many_readers_of_a_few_cache_folders_read_metadata_and_blocks_once_for_each(
    tmp_path: Path,
) -> None:
    write_numbered(tmp_path / "data", 150_000)
    source = LoggingSource(tmp_path / "data", tmp_path / "log", 0.01)
    context: Any = multiprocessing.get_context("fork")
    found, ready = context.SimpleQueue(), context.Barrier(24)
    readers = [
        context.Process(
            target=read_first_batch,
            args=(source, str(tmp_path / f"machine {number % 3}"), found, ready),
        )
        for number in range(24)
    ]
    for reader in readers:
        reader.start()
    assert len({found.get() for _ in readers}) == 1
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
    read = read_log(tmp_path / "log")
    assert [name for name, *_ in read].count("metadata.json") == 3
    assert max(count_blocks(read).values()) <= 3


@needs_claims
def test_a_claim_is_of_one_open_file_and_ends_with_it(tmp_path: Path) -> None:
    table = tmp_path / "table"
    table.write_bytes(bytes(400))
    one, other = open_claims(table, 100), open_claims(table, 100)
    assert one.take(np.arange(3)).all()
    assert other.take(np.arange(5)).tolist() == [False] * 3 + [True] * 2
    table.read_bytes()  # opens and closes the file, which ends locks of other kinds
    assert not other.take(np.arange(3)).any()
    one.close()
    assert other.take(np.arange(3)).all()
    other.close()
    pickle.dumps(LoggingSource(tmp_path, table))


@pytest.mark.parametrize("nbytes", [-1, 1.5, "1GB"])
def test_a_size_that_is_none_is_refused_before_anything_is_read(
    nbytes: Any, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="cache_nbytes is"):
        open_stream(LoggingSource(tmp_path, tmp_path / "log"), cache_nbytes=nbytes)
    assert not (tmp_path / "log").exists()
