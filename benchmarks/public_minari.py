"""The same works with the public Minari; runs in its own environment, and answers in JSON.

``public_minari.py serve QUICK`` reads one JSON object a line, ``{"work": …}``, and prints one
object a line: ``{"seconds": …}`` and other figures, or ``{"error": …}``.
``public_minari.py memory STEPS`` prints one object about this process.
"""

from __future__ import annotations

import gc
import importlib
import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import workloads
from gymnasium import spaces
from measure import memory_of, size_of_folder, timed
from serving import serve

# Whoever checks types here has another package of this name.
minari: Any = importlib.import_module("minari")
EpisodeBuffer: Any = importlib.import_module("minari.data_collector.episode_buffer").EpisodeBuffer
get_dataset_path: Any = importlib.import_module("minari.storage.datasets_root_dir").get_dataset_path


class Works:
    """What can be asked for."""

    def __init__(self, *, quick: bool) -> None:
        self._workloads = {
            one.name: one
            for one in (workloads.long_episodes(quick=quick), workloads.short_episodes(quick=quick))
        }
        self._collectors: dict[str, tuple[Any, list[Any]]] = {}
        self._buffers: dict[str, list[Any]] = {}
        self._generator = np.random.default_rng(1)

    def collect(self, env: str, steps: int, infos: bool = False) -> dict[str, float]:
        """Step a collector."""
        key = f"{env} {steps} {infos}"
        if key not in self._collectors:
            made = minari.DataCollector(gymnasium.make(env), record_infos=infos)
            self._collectors[key] = made, workloads.actions_for(made, steps)
        collector, actions = self._collectors[key]
        seconds = timed(lambda: workloads.run(collector, actions))
        # What is not wanted any more would make each round slower than the one before.
        collector._buffer = None
        shutil.rmtree(collector._tmp_dir.name)
        collector._reset_storage()
        return {"seconds": seconds}

    def create(self, env: str, steps: int) -> dict[str, float]:
        """Step a collector and make a dataset of what it has."""
        collector = minari.DataCollector(gymnasium.make(env))
        actions = workloads.actions_for(collector, steps)

        def work() -> None:
            workloads.run(collector, actions)
            collector.create_dataset("bench/collected-v0", eval_env=env, **workloads.ABOUT)

        seconds = timed(work)
        collector.close()
        _delete("bench/collected-v0")
        return {"seconds": seconds}

    def write(self, name: str) -> dict[str, float]:
        """Write a workload into a fresh dataset, and delete it."""
        seconds = timed(lambda: self._write(name, "bench/written-v0"))
        nbytes = size_of_folder(Path(get_dataset_path("bench/written-v0")))
        _delete("bench/written-v0")
        return {"seconds": seconds, "nbytes": nbytes}

    def read(self, name: str) -> dict[str, float]:
        """Load a dataset and read all of its episodes."""
        dataset_id = self._ensure(name)

        def work() -> None:
            for _ in minari.load_dataset(dataset_id).iterate_episodes():
                pass

        return {"seconds": timed(work)}

    def sample(self, name: str, episodes: int) -> dict[str, float]:
        """Draw some episodes."""
        dataset = minari.load_dataset(self._ensure(name))
        return {"seconds": timed(lambda: dataset.sample_episodes(episodes))}

    def load(self, name: str) -> dict[str, float]:
        """Load a dataset."""
        dataset_id = self._ensure(name)
        return {"seconds": timed(lambda: minari.load_dataset(dataset_id))}

    def list(self, datasets: int) -> dict[str, float]:
        """List many datasets; the first call makes them as copies of one."""
        root = Path(get_dataset_path("list"))
        if not root.exists():
            env = gymnasium.make("CartPole-v1")
            collector = minari.DataCollector(env)
            workloads.run(collector, workloads.actions_for(env, 100))
            collector.create_dataset("bench/small-v0", eval_env="CartPole-v1", **workloads.ABOUT)
            collector.close()
            small = Path(get_dataset_path("bench/small-v0"))
            workloads.copy_datasets(small, root, datasets)
        return {"seconds": timed(lambda: minari.list_local_datasets(prefix="list"))}

    def write_frames(self, file: str, ends: Sequence[int]) -> dict[str, float]:
        """Make a dataset of the images of a file, as JPEG, which it does with images."""
        frames = np.load(file)
        buffers = []
        for start, stop in pairwise([0, *ends]):
            steps = stop - start - 1
            buffers.append(
                EpisodeBuffer(
                    observations=frames[start:stop],
                    actions=np.zeros(steps, dtype=np.int64),
                    rewards=np.zeros(steps),
                    terminations=np.zeros(steps, dtype=bool),
                    truncations=np.zeros(steps, dtype=bool),
                )
            )
        dataset_id = _dataset_of(file)
        minari.create_dataset_from_buffers(
            dataset_id,
            buffers,
            observation_space=spaces.Box(0, 255, frames.shape[1:], np.uint8),
            action_space=spaces.Discrete(6),
            data_format="hdf5",
            **workloads.ABOUT,
        )
        return {"nbytes": size_of_folder(Path(get_dataset_path(dataset_id)))}

    def frames_in_order(self, file: str, batch_size: int) -> dict[str, float]:
        """Read all episodes of images; the seconds of one image."""
        dataset = minari.load_dataset(_dataset_of(file))
        seen = 0

        def work() -> None:
            nonlocal seen
            for episode in dataset.iterate_episodes():
                seen += len(episode.observations)

        seconds = timed(work)
        return {"seconds": seconds / seen}

    def frames_at_random(self, file: str, batch_size: int) -> dict[str, float]:
        """Read one image, and with it its episode, because nothing less is offered."""
        dataset = minari.load_dataset(_dataset_of(file))
        dataset.set_seed(int(self._generator.integers(1 << 31)))

        def work() -> None:
            (episode,) = dataset.sample_episodes(1)
            episode.observations[self._generator.integers(len(episode.observations))]

        return {"seconds": timed(work)}

    def _ensure(self, name: str) -> str:
        dataset_id = f"bench/{name}-v0"
        if not Path(get_dataset_path(dataset_id)).exists():
            self._write(name, dataset_id)
        return dataset_id

    def _write(self, name: str, dataset_id: str) -> None:
        workload = self._workloads[name]
        if name not in self._buffers:
            columns = workload.columns()
            self._buffers[name] = [EpisodeBuffer(**cut) for cut in workload.cut(columns)]
        minari.create_dataset_from_buffers(
            dataset_id,
            self._buffers[name],
            observation_space=workload.observation_space,
            action_space=workload.action_space,
            data_format="hdf5",
            **workloads.ABOUT,
        )


def _dataset_of(file: str) -> str:
    return f"bench/frames{Path(file).stem}-v0"


def _delete(dataset_id: str) -> None:
    shutil.rmtree(get_dataset_path(dataset_id))
    gc.collect()


def memory(steps: int) -> dict[str, float]:
    """Record one long episode of images, losslessly, and make a dataset of it."""
    warnings.simplefilter("ignore")
    collector = minari.DataCollector(workloads.MovingPictures(), jpeg_encoding=False)
    collector.reset()
    for _ in range(steps):
        collector.step(0)
    collector.create_dataset("bench/pictures-v0", **workloads.ABOUT)
    peak = memory_of("VmHWM")
    _delete("bench/pictures-v0")
    return {"peak": peak}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(lambda: Works(quick=sys.argv[2] == "1"))
    else:
        print(json.dumps(memory(int(sys.argv[2]))))
