"""A local Dask cluster collects and reads, and its workers may be killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minari_collect import collect_dataset
from minari_core.dataset import MinariDataset
from tests.collect.collect_work import Counting, Slow
from tests.collect.test_collect_dataset import fingerprint

distributed: Any = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(datasets_root: Path) -> Iterator[Any]:
    # The workers inherit the folder of the datasets.
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def wanted() -> MinariDataset:
    return collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=40, seed=5, executor=ThreadPoolExecutor(1)
    )


@pytest.mark.parametrize("is_shared", [True, False], ids=["shared folder", "files in results"])
def test_a_cluster_collects_the_same_dataset(client: Any, is_shared: bool) -> None:
    dataset = collect_dataset(
        "tests/dask-v0",
        Counting,
        total_episodes=40,
        seed=5,
        executor=client.get_executor(),
        workers=2,
        work_dir_is_shared=is_shared,
    )

    assert fingerprint(dataset) == fingerprint(wanted())


def test_a_worker_that_is_killed_loses_nothing(client: Any) -> None:
    pids = list(client.run(os.getpid).values())

    def kill() -> None:
        time.sleep(1.0)
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    dataset = collect_dataset(
        "tests/dask-v0",
        Slow,
        total_episodes=40,
        seed=5,
        executor=client.get_executor(),
        workers=2,
        episodes_per_task=2,
    )
    thread.join()

    assert fingerprint(dataset) == fingerprint(wanted())


def steps_of(view: MinariDataset) -> int:
    return sum(len(episode) for episode in view)


def test_a_cluster_reads_views(client: Any) -> None:
    dataset = wanted()

    counts = client.gather(client.map(steps_of, dataset.shards(4)))

    assert sum(counts) == dataset.total_steps
