"""Streams from a server with the latency and the bandwidth of a cloud, beside local files.

The server is a process of this machine: 60 ms before an answer on average, 180 ms before the
slowest in a hundred, and 100 MB/s for all connections together. Datasets of 10 GB are many names
of one file. Each figure is of fresh processes, whose cache is empty if nothing else is said.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from gymnasium import spaces
from measure import LIMIT, MINARI, in_fresh_process
from report import Figure, megabytes, milliseconds
from setting import Setting
from sparse_datasets import create_of_copies
from stream_peers import measure_peers, stretch_seconds
from stream_works import BATCH_SIZE

import minari

if TYPE_CHECKING:
    from tests.helpers.object_server import ObjectServer

_WORKS = Path(__file__).with_name("stream_works.py")
_LATENCY, _CAP = 0.06, 100e6
_USABLE = 0.95 * _CAP
_ROWS, _SHARD_NBYTES = 330_000, 64 << 20  # of a shard, as datasets are written
_SLEEP = 0.001
_MOST_FIRST, _WORST_FIRST, _MOST_REQUESTS, _MOST_OF_FIRST = 0.6, 1.0, 64, 8e6
_FEWEST_WINDOWS, _MOST_OF_PAGE, _MOST_MEMORY = 8, 5e6, 300e6
_LEAST_RATE, _MOST_WAITING, _MOST_OF_IMAGES = 0.9, 0.05, 1.05
_LEAST_OF_LOCAL, _MOST_OF_EPOCH, _LEAST_HITS = 0.95, 1.05, 0.45
_MACHINES, _WORKERS = 8, 32


def measure(setting: Setting) -> Iterator[Figure]:
    """First batches, the page, and rates; the cache, and what an epoch fetches; many machines."""
    # The tests use the same server.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    with setting.datasets() as root:
        many, few = (2, 2) if setting.quick else (150, 10)
        long, short = _create_rows("long", many, 1000), _create_rows("short", many, 20)
        with _Cloud.open(setting, root, _LATENCY, _CAP) as cloud:
            for dataset in (long, short):
                yield from _measure_first(cloud, dataset)
                yield _measure_page(cloud, dataset)
            yield from _measure_rate(cloud, long)
            yield _measure_waiting(cloud, long)
            yield from measure_peers(
                setting,
                cloud.server,
                root,
                _ROWS,
                lambda: cloud.run("stretch", long, stretch_seconds(setting)),
            )
            for shape in ((32, 32), (84, 84), (210, 160, 3)):
                yield _measure_images(cloud, shape)
        with _Cloud.open(setting, root, 0, 0) as near:
            small = _create_rows("small", few, 1000, linked=False)
            yield _measure_cache(near, small)
            yield from _measure_bytes(near, small)
        with _Cloud.open(setting, root, _LATENCY, _CAP) as cloud:
            yield _measure_machines(cloud, short)


@dataclass
class _Cloud:
    """A server, and processes that read from it."""

    setting: Setting
    root: Path
    server: ObjectServer
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    @contextmanager
    def open(cls, setting: Setting, root: Path, latency: float, cap: float) -> Iterator[_Cloud]:
        from tests.helpers.object_server import ObjectServer

        with (
            ObjectServer(root, latency=latency, bytes_per_second=cap) as server,
            patch.dict(os.environ, {"STORAGE_EMULATOR_HOST": server.url}),
        ):
            yield cls(setting, root, server)

    def run(self, work: str, dataset: minari.MinariDataset, *given: object) -> dict[str, Any]:
        """Do a work in a process with a cache of its own; what it says, and what was asked for."""
        cache = self.root.with_name(f"{self.root.name}-cache-{next(self._numbers)}")
        before = self.server.read_statistics()
        try:
            found = in_fresh_process(
                [_WORKS, work, f"gs://bucket/{dataset.id}", *map(json.dumps, given)],
                {"MINARI_CACHE_PATH": str(cache)},
            )
        finally:
            shutil.rmtree(cache, ignore_errors=True)
        after = self.server.read_statistics()
        return {**{key: after[key] - before[key] for key in ("requests", "nbytes")}, **found}

    def repeat(
        self, rounds: int, work: str, dataset: minari.MinariDataset, *given: object
    ) -> dict[str, list[float]]:
        """The figures of several processes, one after the other."""
        runs = [self.run(work, dataset, *given) for _ in range(self.setting.rounds(rounds))]
        return {key: [run[key] for run in runs] for key in runs[0]}


def _create_rows(
    name: str, shards: int, steps: int, *, linked: bool = True
) -> minari.MinariDataset:
    """Rows of 194 bytes in 5 columns, in episodes of so many steps on average."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(steps // 2, steps * 3 // 2 + 1, _ROWS // steps)
    box = spaces.Box(-np.inf, np.inf, (17,), np.float64)
    return _create(name, shards, lengths.tolist(), box, generator.normal, linked=linked)


def _create(
    name: str,
    shards: int,
    lengths: Sequence[int],
    space: spaces.Box,
    draw: Callable[..., Any],
    *,
    linked: bool = True,
) -> minari.MinariDataset:
    dataset_id = f"bench/{name}-v0"
    episodes = (
        minari.EpisodeBuffer(
            observations=draw(size=(steps + 1, *space.shape)),
            actions=np.full((steps, 6), 0.5),
            rewards=np.arange(steps, dtype=np.float64),
            terminations=np.zeros(steps, dtype=bool),
            truncations=np.arange(steps) == steps - 1,
        )
        for steps in lengths
    )
    action_space = spaces.Box(-np.inf, np.inf, (6,), np.float64)
    given = {"observation_space": space, "action_space": action_space}
    create_of_copies(dataset_id, episodes, shards, given=given, linked=linked)
    return minari.load_dataset(dataset_id)


def _measure_nbytes(dataset: minari.MinariDataset) -> int:
    folder = Path(dataset.spec.data_path or "")
    return sum(path.stat().st_size for path in folder.glob("shard-*"))


def _describe(dataset: minari.MinariDataset) -> str:
    return f"{_measure_nbytes(dataset) / 1e9:.1f} GB in {dataset.total_episodes:,} episodes"


def _measure_first(cloud: _Cloud, dataset: minari.MinariDataset) -> Iterator[Figure]:
    runs = cloud.repeat(9, "first", dataset)
    seconds, worst = statistics.median(runs["seconds"]), max(runs["seconds"])
    requests, nbytes = max(runs["requests"]), max(runs["nbytes"])
    windows = min(runs["windows"])
    yield Figure(
        work=f"first batch of {BATCH_SIZE} of a stream of {_describe(dataset)}, load_dataset "
        "included",
        minari=milliseconds(seconds),
        compared=f"{milliseconds(seconds)}, at the worst {milliseconds(worst)}",
        target=f"{milliseconds(_MOST_FIRST)}, at the worst {milliseconds(_WORST_FIRST)}",
        reached=seconds <= _MOST_FIRST and worst <= _WORST_FIRST,
        values={MINARI: seconds, "worst": worst},
    )
    yield Figure(
        work="what it asks for, at the most, and draws from",
        minari=f"{requests} requests, {megabytes(nbytes)}, {windows} windows",
        target=f"{_MOST_REQUESTS} requests, {megabytes(_MOST_OF_FIRST)}, {_FEWEST_WINDOWS} windows",
        reached=requests <= _MOST_REQUESTS
        and nbytes <= _MOST_OF_FIRST
        and windows >= _FEWEST_WINDOWS,
        values={"requests": requests, "nbytes": nbytes, "windows": windows},
    )


def _measure_rate(cloud: _Cloud, dataset: minari.MinariDataset) -> Iterator[Figure]:
    """Draw for a minute, and count after two seconds; a local dataset takes less."""
    seconds = 3 if cloud.setting.quick else 62
    runs = cloud.repeat(5, "rate", dataset, seconds, BATCH_SIZE)
    local = _measure_local(cloud, dataset)
    limit = min(local, _USABLE / (_measure_nbytes(dataset) / dataset.total_steps))
    samples = statistics.median(runs["samples"])
    memory = max(runs["memory"])
    yield Figure(
        work=f"samples a second of it from cold, {seconds - 2} s after the first two",
        minari=f"{samples:,.0f}",
        limit=f"{limit:,.0f} (local files, {local:,.0f}, or 95% of the bandwidth)",
        compared=f"{samples / limit:.2f} ×",
        target=f"at least {_LEAST_RATE} ×",
        reached=samples >= _LEAST_RATE * limit,
        values={MINARI: samples, LIMIT: limit, "local": local},
    )
    yield Figure(
        work="memory that the process comes to own meanwhile, at its peak",
        minari=megabytes(memory),
        compared=megabytes(memory),
        target=f"at most {megabytes(_MOST_MEMORY)}",
        reached=memory <= _MOST_MEMORY,
        values={"memory": memory},
    )


def _measure_local(cloud: _Cloud, dataset: minari.MinariDataset, sleep: float = 0.0) -> float:
    given = [_WORKS, "rate", dataset.id, "3" if cloud.setting.quick else "6", BATCH_SIZE, sleep]
    runs = [in_fresh_process(list(map(str, given))) for _ in range(cloud.setting.rounds(5))]
    return statistics.median(run["samples"] for run in runs)


def _measure_waiting(cloud: _Cloud, dataset: minari.MinariDataset) -> Figure:
    """Sleep for a millisecond after each batch, on a stream and on local files."""
    seconds = 3 if cloud.setting.quick else 10
    runs = cloud.repeat(5, "rate", dataset, seconds, BATCH_SIZE, _SLEEP)
    samples, local = statistics.median(runs["samples"]), _measure_local(cloud, dataset, _SLEEP)
    waiting = 1 - samples / local
    return Figure(
        work="share of its time that training waits, with 1 ms a batch",
        minari=f"{samples:,.0f} samples a second",
        limit=f"{local:,.0f} (local files)",
        compared=f"{waiting:.1%}",
        target=f"at most {_MOST_WAITING:.0%}",
        reached=waiting <= _MOST_WAITING,
        values={MINARI: samples, LIMIT: local},
    )


def _measure_images(cloud: _Cloud, shape: tuple[int, ...]) -> Figure:
    """Images that cannot be compressed, so that each is as many bytes as it has pixels."""
    pixels = math.prod(shape)
    count = _SHARD_NBYTES // (pixels + 66)
    generator = np.random.default_rng(0)
    dataset = _create(
        f"images-{pixels}",
        1 if cloud.setting.quick else 20,
        [count // 4 - 1] * 4,
        spaces.Box(0, 255, shape, np.uint8),
        lambda size: generator.integers(256, size=size, dtype=np.uint8),
    )
    batch_size = BATCH_SIZE if pixels < 10_000 else BATCH_SIZE // 8
    runs = cloud.repeat(3, "epochs", dataset, 1, -1, batch_size, _SLEEP)
    seconds = statistics.median(runs["seconds"])
    training = _SLEEP * dataset.total_steps / batch_size
    limit = max(training, _measure_nbytes(dataset) / _USABLE)
    return Figure(
        work=f"an epoch of {dataset.total_steps:,} images of {pixels / 1e3:.1f} kB from cold, with "
        f"1 ms a batch of {batch_size}",
        minari=f"{seconds:.1f} s",
        limit=f"{limit:.1f} s (its bytes by 95% of the bandwidth)",
        compared=f"{seconds / limit:.2f} ×",
        target=f"{_MOST_OF_IMAGES} ×",
        reached=seconds <= _MOST_OF_IMAGES * limit,
        values={MINARI: seconds, LIMIT: limit},
    )


def _measure_page(cloud: _Cloud, dataset: minari.MinariDataset) -> Figure:
    runs = cloud.repeat(5, "view", dataset)
    nbytes, seconds = max(runs["nbytes"]), statistics.median(runs["seconds"])
    return Figure(
        work=f"first plots of minari view of a stream of {_describe(dataset)}",
        minari=f"{milliseconds(seconds)}, {max(runs['requests'])} requests",
        compared=megabytes(nbytes),
        target=f"at most {megabytes(_MOST_OF_PAGE)}",
        reached=nbytes <= _MOST_OF_PAGE,
        values={MINARI: seconds, "nbytes": nbytes},
    )


def _measure_machines(cloud: _Cloud, dataset: minari.MinariDataset) -> Figure:
    """Machines are processes with a cache each, whose workers are forked; all run at once."""
    machines, workers = (2, 4) if cloud.setting.quick else (_MACHINES, _WORKERS)
    manifest = f"{dataset.id}/data/metadata.json"
    before = cloud.server.read_statistics()["objects"].get(manifest, 0)

    def run(rank: int) -> dict[str, Any]:
        return cloud.run("workers", dataset, workers, 4, rank, machines)

    with ThreadPoolExecutor(machines) as pool:
        runs = list(pool.map(run, range(machines)))
    failed = sum(found["failed"] for found in runs)
    causes = sorted({cause for found in runs for cause in found["causes"]})
    reads = cloud.server.read_statistics()["objects"][manifest] - before
    return Figure(
        work=f"{machines * workers} workers of {machines} caches at once, 4 batches each",
        minari=f"{failed} failed, metadata.json read {reads} times",
        obstacle="; ".join(causes),
        target=f"0 failed, {machines} times",
        reached=failed == 0 and reads == machines,
        values={"failed": failed, "reads": reads},
    )


def _measure_cache(near: _Cloud, dataset: minari.MinariDataset) -> Figure:
    found = near.run("from_cache", dataset, str(dataset.id), near.setting.rounds(7))
    times, requests = found["times"], found["requests"]
    as_fast = statistics.median(
        local / ours for ours, local in zip(times[MINARI], times[LIMIT], strict=True)
    )
    seconds, local = (statistics.median(times[name]) for name in (MINARI, LIMIT))
    return Figure(
        work=f"an epoch of a stream of {_describe(dataset)}, from the cache",
        minari=f"{milliseconds(seconds)}, {requests} requests",
        limit=f"{milliseconds(local)} (local files)",
        compared=f"{as_fast:.2f} × as fast",
        target=f"{_LEAST_OF_LOCAL} ×, no request",
        reached=as_fast >= _LEAST_OF_LOCAL and not requests,
        values={MINARI: seconds, LIMIT: local, "requests": requests},
    )


def _measure_bytes(near: _Cloud, dataset: minari.MinariDataset) -> Iterator[Figure]:
    """What is fetched; neither latency nor cap matters to it."""
    whole = _measure_nbytes(dataset)
    for what, work, given in (
        ("an epoch", "epochs", [1]),
        ("an epoch of four workers, which are processes,", "workers", [4, 0]),
    ):
        nbytes = statistics.median(near.repeat(3, work, dataset, *given)["nbytes"])
        yield Figure(
            work=f"what {what} fetches of {megabytes(whole)}",
            minari=megabytes(nbytes),
            compared=f"{nbytes / whole:.3f} ×",
            target=f"{_MOST_OF_EPOCH} ×",
            reached=nbytes <= _MOST_OF_EPOCH * whole,
            values={MINARI: nbytes, LIMIT: whole},
        )
    runs = [
        near.run("epochs", dataset, 3, whole // 2)["came"] for _ in range(near.setting.rounds(3))
    ]
    hits = statistics.median(1 - max(came[1:]) / whole for came in runs)
    yield Figure(
        work="what a cache of half of it has of each epoch after the first",
        minari=f"{hits:.1%}",
        compared=f"{hits:.1%}",
        target=f"at least {_LEAST_HITS:.0%}",
        reached=hits >= _LEAST_HITS,
        values={MINARI: hits},
    )
