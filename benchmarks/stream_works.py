"""What is measured of streams, each in a process of its own.

``stream_works.py WORK ARGUMENTS`` prints its figures as JSON. A dataset is named by its URL, or by
its id under `$MINARI_DATASETS_PATH`; what is fetched is kept below `$MINARI_CACHE_PATH`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

from measure import memory_of, timed
from stretch import read_for

import minari
import minari_hub.streaming  # noqa: F401  # as a process has it that has loaded one before

BATCH_SIZE = 256
_WARM = 2.0
_PORT = 8000
_MOST_SAID = 1000  # by a worker that fails; a pipe has room for that of all


def first(name: str) -> dict[str, float]:
    """Load a dataset and draw a batch of the pool order."""
    start = time.perf_counter()
    batches = _load(name).batches(BATCH_SIZE, seed=time.time_ns(), order="pool")
    next(batches)
    seconds = time.perf_counter() - start
    order: Any = batches._random_order(0)
    pool = order.find_pool(0)
    return {"seconds": seconds, "windows": len(pool)}


def rate(name: str, seconds: float, batch_size: int, sleep: float = 0.0) -> dict[str, float]:
    """Draw batches for some seconds, and count samples a second after the first two."""
    dataset = _load(name)
    with _watched_memory() as memory:
        start = begun = time.perf_counter()
        samples = 0
        for batch in dataset.batches(batch_size, seed=0, order="pool", epochs=None):
            now = time.perf_counter()
            if now - start < _WARM:
                begun = now
            else:
                samples += len(batch)
            if now - start > seconds:
                break
            if sleep:
                time.sleep(sleep)
    return {"samples": samples / (now - begun), "memory": memory[0]}


def stretch(name: str, seconds: float) -> dict[str, float]:
    """Draw batches for some seconds after the first one, as the peers do."""

    def read() -> Iterator[int]:
        for batch in _load(name).batches(BATCH_SIZE, seed=0, order="pool", epochs=None):
            yield len(batch)

    return read_for(seconds, read)


def epochs(
    name: str, count: int, nbytes: int = -1, batch_size: int = BATCH_SIZE, sleep: float = 0.0
) -> dict[str, Any]:
    """Draw whole epochs; their seconds, and the bytes of each, of a cache of so many."""
    start = time.perf_counter()
    dataset = _load(name, None if nbytes < 0 else nbytes)
    came = [0]
    for epoch in range(count):
        for _ in dataset.batches(batch_size, seed=epoch, order="pool"):
            if sleep:
                time.sleep(sleep)
        came.append(dataset.stream_statistics().nbytes)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "came": [now - before for before, now in pairwise(came)]}


def from_cache(name: str, local: str, rounds: int) -> dict[str, Any]:
    """Draw epochs of a stream whose cache has all of it, in turns with those of local files."""
    datasets = {"minari": _load(name), "limit": _load(local)}

    def draw(dataset: minari.MinariDataset) -> None:
        for _ in dataset.batches(BATCH_SIZE, seed=0, order="pool"):
            pass

    for dataset in datasets.values():
        draw(dataset)
    before = datasets["minari"].stream_statistics().requests
    times: dict[str, list[float]] = {key: [] for key in datasets}
    for _ in range(rounds):
        for key, dataset in datasets.items():
            times[key].append(timed(lambda dataset=dataset: draw(dataset)))
    return {"times": times, "requests": datasets["minari"].stream_statistics().requests - before}


def workers(name: str, count: int, batches: int, rank: int = 0, ranks: int = 1) -> dict[str, Any]:
    """Fork workers that draw one epoch together, or a few batches each; how many failed, and why.

    They leave the processor to the server first, as if it were a machine of its own.
    """
    os.nice(19)
    shared = _load(name).batches(BATCH_SIZE, seed=0, order="pool", rank=rank, world_size=ranks)

    def draw(number: int) -> None:
        try:
            for drawn, _ in enumerate(shared.share(number, count), 1):
                if drawn == batches:
                    break
        except Exception as error:
            errors.put(f"{type(error).__name__}: {error}"[:_MOST_SAID])
            raise

    context = multiprocessing.get_context("fork")
    errors = context.SimpleQueue()
    processes = [context.Process(target=draw, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    causes = set()
    while not errors.empty():
        causes.add(errors.get())
    failed = sum(process.exitcode != 0 for process in processes)
    return {"failed": failed, "causes": sorted(causes)}


def view(name: str) -> dict[str, float]:
    """Answer what the page asks for until it shows the first plots."""
    from minari.viewer.data import PageData
    from minari.viewer.protocol import Protocol

    start = time.perf_counter()
    protocol = Protocol(PageData(_load(name)), _PORT)
    headers = {"host": f"localhost:{_PORT}", "cookie": f"minari-{_PORT}={protocol.token}"}

    def ask(path: str, **parameters: object) -> bytes:
        status, _, body = protocol.respond("GET", f"{path}?{urlencode(parameters)}", headers)
        if status != 200:
            raise RuntimeError(body.decode())
        return body

    ask("/dataset")
    ask("/episodes", count=100)
    described = json.loads(ask("/episode", position=0))

    def plot(column: dict[str, Any]) -> None:
        ask("/series", position=0, column=column["path"], stop=column["rows"], elements=8)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(plot, described["columns"]))
    ask("/values", position=0, step=0)
    return {"seconds": time.perf_counter() - start}


def _load(name: str, cache_nbytes: int | None = None) -> minari.MinariDataset:
    is_remote = "://" in name
    return minari.load_dataset(name, stream=is_remote, cache_nbytes=cache_nbytes)


@contextmanager
def _watched_memory() -> Iterator[list[int]]:
    """By how much the memory grows that this process owns, at its peak."""
    before, is_over = memory_of("RssAnon"), threading.Event()
    most = [0]

    def watch() -> None:
        while not is_over.wait(0.1):
            most[0] = max(most[0], memory_of("RssAnon") - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        is_over.set()
        watcher.join()


if __name__ == "__main__":
    work, name, *given = sys.argv[1:]
    print(json.dumps(globals()[work](name, *map(json.loads, given))))
