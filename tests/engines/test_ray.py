"""A local Ray cluster collects and reads, and its workers may be killed."""

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

ray: Any = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def executor(datasets_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from minari_collect.ray import RayExecutor

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Not the tests' own folder of a long name, which a socket could not have.
    names = ("MINARI_DATASETS_PATH", "PYTHONPATH")
    variables = {name: os.environ[name] for name in names if name in os.environ}
    variables["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[2]), variables.get("PYTHONPATH", "")])
    )
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": variables},
    )
    try:
        yield RayExecutor(workers=2)
    finally:
        ray.shutdown()


def wanted() -> MinariDataset:
    return collect_dataset(
        "tests/wanted-v0", Counting, total_episodes=40, seed=5, executor=ThreadPoolExecutor(1)
    )


def test_a_cluster_collects_the_same_dataset(executor: Any) -> None:
    dataset = collect_dataset(
        "tests/ray-v0", Counting, total_episodes=40, seed=5, executor=executor
    )

    assert fingerprint(dataset) == fingerprint(wanted())


def test_a_worker_that_is_killed_loses_nothing(executor: Any) -> None:
    pid = executor.submit(os.getpid).result()

    def kill() -> None:
        time.sleep(1.0)
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    dataset = collect_dataset(
        "tests/ray-v0", Slow, total_episodes=40, seed=5, executor=executor, episodes_per_task=2
    )
    thread.join()

    assert fingerprint(dataset) == fingerprint(wanted())


def steps_of(view: MinariDataset) -> int:
    return sum(len(episode) for episode in view)


def test_a_cluster_reads_views(executor: Any) -> None:
    dataset = wanted()

    futures = [executor.submit(steps_of, view) for view in dataset.shards(4)]

    assert sum(future.result() for future in futures) == dataset.total_steps
