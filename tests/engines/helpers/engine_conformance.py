"""What every engine must be good for, as tests that each engine's own test class inherits."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import threading
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import collect_dataset
from minari_collect.workers.messages import derive_seeds
from minari_core.datasets.dataset import MinariDataset
from minari_core.local.verifying import verify_dataset
from minari_hub import open_remote
from tests.collect.helpers.collect_work import (
    Counting,
    Slow,
    SumPolicy,
    Troubled,
    by_sign,
    dict_spaces,
    fill_the_disk_once,
    is_first,
    limit_files,
)
from tests.collect.helpers.one_by_one import fingerprint, one_by_one
from tests.collect.helpers.vector_twin import OneStep, assert_same_episodes

ENVIRONMENTS: dict[str, tuple[Any, Any]] = {
    "CartPole": ("CartPole-v1", by_sign),
    "LunarLander": ("LunarLander-v3", None),
    "FrozenLake": ("FrozenLake-v1", None),
    "HalfCheetah": ("HalfCheetah-v5", None),
    "Dict space": (dict_spaces, None),
    "ends at once": (OneStep, None),
    "policy with a state": (Counting, SumPolicy()),
}
_NEW_MOUNTS = 0x00020000


class EngineConformance:
    """A cluster of two workers; a test class that inherits from it says how to start one."""

    @pytest.fixture
    def executor(self) -> Executor:
        """Runs calls on the cluster."""
        raise NotImplementedError

    @pytest.fixture
    def wanted(self, datasets_root: Path) -> MinariDataset:
        """Forty episodes that one thread collected."""
        return collect_dataset(
            "tests/wanted-v0", Counting, total_episodes=40, seed=5, executor=ThreadPoolExecutor(1)
        )

    @pytest.mark.parametrize("name", ENVIRONMENTS)
    def test_the_episodes_are_those_of_a_collector_around_one_environment(
        self, executor: Executor, name: str
    ) -> None:
        env, policy = ENVIRONMENTS[name]
        limit: dict[str, Any] = {"max_episode_steps": 60} if isinstance(env, str) else {}

        dataset = collect_dataset(
            "tests/engine-v0",
            env,
            policy,
            total_episodes=9,
            seed=4,
            executor=executor,
            workers=2,
            env_kwargs=limit,
            episodes_per_task=2,
            record_infos=True,
        )

        make = partial(gymnasium.make, env, **limit) if isinstance(env, str) else env
        wanted = one_by_one(make, policy, 9, 4, record_infos=True)
        assert_same_episodes(dataset, list(wanted))
        assert not verify_dataset("tests/engine-v0").problems

    def test_shards_travel_in_the_results(self, executor: Executor, wanted: MinariDataset) -> None:
        dataset = collect_dataset(
            "tests/engine-v0",
            Counting,
            total_episodes=40,
            seed=5,
            executor=executor,
            workers=2,
            work_dir_is_shared=False,
        )

        assert fingerprint(dataset) == fingerprint(wanted)

    def test_shards_travel_through_a_remote(
        self, executor: Executor, wanted: MinariDataset, tmp_path: Path
    ) -> None:
        dataset = collect_dataset(
            "tests/engine-v0",
            Counting,
            total_episodes=40,
            seed=5,
            executor=executor,
            workers=2,
            remote=partial(open_remote, (tmp_path / "bucket").as_uri()),
        )

        assert fingerprint(dataset) == fingerprint(wanted)

    def test_workers_that_are_killed_in_the_middle_lose_nothing(
        self, executor: Executor, wanted: MinariDataset
    ) -> None:
        pid = executor.submit(os.getpid).result()

        def kill() -> None:
            time.sleep(0.5)
            os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        dataset = collect_dataset(
            "tests/engine-v0",
            Slow,
            total_episodes=40,
            seed=5,
            executor=executor,
            workers=2,
            episodes_per_task=2,
        )
        thread.join()

        assert fingerprint(dataset) == fingerprint(wanted)

    def test_an_episode_that_kills_its_worker_is_begun_again(
        self, executor: Executor, wanted: MinariDataset, tmp_path: Path
    ) -> None:
        seeds = [derive_seeds(5, episode)[0] for episode in (3, 30)]

        dataset = collect_dataset(
            "tests/engine-v0",
            Troubled,
            env_kwargs={"kind": "kill", "times": 1, "seeds": seeds, "marks": str(tmp_path)},
            total_episodes=40,
            seed=5,
            executor=executor,
            workers=2,
        )

        assert len(list(tmp_path.glob("*-*"))) == 2
        assert fingerprint(dataset) == fingerprint(wanted)

    def test_an_episode_that_never_ends_is_reported_by_its_seed(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        seed = derive_seeds(5, 3)[0]

        with pytest.warns(UserWarning, match=rf"(?s)1 episode failed.*seed {seed}.*too long"):
            dataset = collect_dataset(
                "tests/engine-v0",
                Troubled,
                env_kwargs={"kind": "hang", "times": 9, "seeds": [seed], "marks": str(tmp_path)},
                total_episodes=10,
                seed=5,
                executor=executor,
                workers=2,
                episode_timeout=0.3,
                skip_failed=True,
            )

        seeds = [derive_seeds(5, episode)[0] for episode in range(10)]
        assert [episode.seed for episode in dataset] == [each for each in seeds if each != seed]

    def test_views_are_read_on_the_workers(self, executor: Executor, wanted: MinariDataset) -> None:
        views = wanted.shards(4)
        sums = [future.result() for future in [executor.submit(sum_of, view) for view in views]]

        assert max(len(pickle.dumps(view)) for view in [wanted, *views]) < 10_000
        assert sum(steps for steps, _ in sums) == wanted.total_steps
        total = sum(float(np.sum(episode.observations)) for episode in wanted)
        assert sum(value for _, value in sums) == pytest.approx(total)

    @pytest.mark.parametrize("kind", ["limit", "disk"])
    def test_a_full_disk_at_one_worker_loses_nothing(
        self, kind: str, executor: Executor, wanted: MinariDataset, tmp_path: Path
    ) -> None:
        arguments: dict[str, str] = {"marks": str(tmp_path)}
        factory: Any = fill_the_disk_once
        work_dir = tmp_path / "work"
        if kind == "disk":
            factory = on_a_small_disk_once
            arguments["folder"] = str(work_dir)

        dataset = collect_dataset(
            "tests/engine-v0",
            factory,
            env_kwargs=arguments,
            total_episodes=40,
            seed=5,
            executor=executor,
            workers=2,
            work_dir=work_dir,
        )

        # Its disk stays full, which is nothing for other tests; the engine starts another one.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((tmp_path / "full" / "pid").read_text()), signal.SIGKILL)
        assert fingerprint(dataset) == fingerprint(wanted)


def sum_of(view: MinariDataset) -> tuple[int, float]:
    episodes = list(view)
    return (
        sum(len(episode) for episode in episodes),
        sum(float(np.sum(episode.observations)) for episode in episodes),
    )


def on_a_small_disk_once(marks: str, folder: str) -> Counting:
    """An environment in a worker whose work folder is a disk of 4 kB, if it is the first one.

    Only who may mount can have that; others have their files limited.
    """
    if is_first(Path(marks) / "full"):
        system = ctypes.CDLL(None, use_errno=True)
        text = folder.encode()
        mounted = (
            system.unshare(_NEW_MOUNTS) == 0
            and system.mount(b"none", b"/", None, 0x4000 | 0x40000, None) == 0
            and system.mount(b"tmpfs", text, b"tmpfs", 0, b"size=4k") == 0
        )
        if not mounted:
            limit_files()
    return Counting()
