"""Finding and opening datasets, without reading a step.

``listing.py load DATASET_ID`` and ``listing.py trace DATASET_ID`` print what loading costs in a
process that does nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from gymnasium import spaces
from measure import (
    LIMIT,
    MINARI,
    PUBLIC,
    Work,
    in_fresh_process,
    in_turns,
    median,
    memory_of,
    ratio,
    timed,
)
from report import Figure, megabytes, milliseconds
from setting import Setting
from workloads import ABOUT, copy_datasets

import minari

_MOST_LOADING = 0.050
_MOST_LOADED = 100e6
_MOST_LISTING = 1.5


def measure(setting: Setting) -> list[Figure]:
    """Load a dataset of a million episodes, and list thousands of datasets."""
    return [*_load(setting), *_list(setting)]


def _load(setting: Setting) -> list[Figure]:
    episodes = 10_000 if setting.quick else 1_000_000
    dataset_id = "bench/many-v0"
    with setting.datasets() as root:
        minari.create_dataset_from_buffers(
            dataset_id,
            _tiny_episodes(episodes),
            observation_space=spaces.Box(-1, 1, (2,), np.float32),
            action_space=spaces.Discrete(2),
            eval_env="CartPole-v1",
            **ABOUT,
        )
        manifest = root / dataset_id / "data" / "metadata.json"
        public = setting.public("load", name="short")
        loaded: dict[str, list[float]] = {"memory": [], "first": []}

        def load() -> float:
            answer = in_fresh_process([__file__, "load", dataset_id])
            loaded["memory"].append(answer["memory"])
            loaded["first"].append(answer["first"])
            return float(answer["seconds"])

        works: dict[str, Work] = {
            LIMIT: lambda: timed(lambda: json.loads(manifest.read_bytes())),
            MINARI: load,
            **public,
        }
        times = in_turns(works, setting.rounds(9))
        python = in_fresh_process([__file__, "trace", dataset_id])["peak"]
    seconds, memory = median(times, MINARI), median(loaded, "memory")
    first = median(loaded, "first")
    public_what = "" if not public else " (5,000 episodes)"
    return [
        Figure(
            work=f"load_dataset of {episodes:,} episodes, fresh process",
            minari=milliseconds(seconds),
            limit=f"{milliseconds(median(times, LIMIT))} (json.loads of metadata.json)",
            target=f"under {milliseconds(_MOST_LOADING)}",
            compared=milliseconds(seconds),
            reached=None if seconds is None else seconds < _MOST_LOADING,
            public=milliseconds(median(times, PUBLIC)) + public_what,
            values={name: median(times, name) for name in times},
        ),
        Figure(
            work="its memory, before any step is read",
            minari=f"{megabytes(memory)} (tracemalloc: {megabytes(python)} at the peak)",
            compared=megabytes(memory),
            target=f"under {megabytes(_MOST_LOADED)}",
            reached=None if memory is None else memory < _MOST_LOADED,
            values={"rss": memory, "tracemalloc": python},
        ),
        Figure(
            work="its last episode, read first, all that is made for it included",
            minari=milliseconds(first),
            values={"first": first},
        ),
    ]


def _list(setting: Setting) -> list[Figure]:
    """So many datasets as the public Minari can list in a while, and ten times as many."""
    datasets = 50 if setting.quick else 2000
    return [
        _list_some(setting, datasets, setting.public("list", datasets=datasets)),
        _list_some(setting, 10 * datasets, {}),
    ]


def _list_some(setting: Setting, datasets: int, public: Mapping[str, Work]) -> Figure:
    with setting.datasets() as root:
        minari.create_dataset_from_buffers(
            "bench/small-v0",
            _tiny_episodes(5),
            env="CartPole-v1",
            observation_space=spaces.Box(-1, 1, (2,), np.float32),
            eval_env="CartPole-v1",
            **ABOUT,
        )
        copy_datasets(root / "bench" / "small-v0", root / "list", datasets)

        def read_all() -> None:
            with os.scandir(root / "list") as entries:
                for entry in entries:
                    json.loads(Path(entry.path, "data", "metadata.json").read_bytes())

        works: dict[str, Work] = {
            LIMIT: lambda: timed(read_all),
            MINARI: lambda: timed(lambda: minari.list_local_datasets(prefix="list/")),
            **public,
        }
        times = in_turns(works, setting.rounds(9), at_most={PUBLIC: 3})
    slower = ratio(times)
    return Figure(
        work=f"list_local_datasets of {datasets:,} datasets, warm",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (json.loads of each metadata.json)",
        compared=f"{slower:.2f} ×",
        target=f"{_MOST_LISTING} ×",
        reached=slower <= _MOST_LISTING,
        public=milliseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times} | {"ratio": slower},
        obstacle="Each dataset is looked for, its file is looked at before it is opened, and what "
        "it says of itself is checked.",
    )


def _tiny_episodes(count: int) -> Iterator[minari.EpisodeBuffer]:
    episode = minari.EpisodeBuffer(
        observations=np.zeros((2, 2), dtype=np.float32),
        actions=np.zeros(1, dtype=np.int64),
        rewards=np.ones(1),
        terminations=np.ones(1, dtype=bool),
        truncations=np.zeros(1, dtype=bool),
    )
    return (episode for _ in range(count))


def _load_alone(dataset_id: str) -> dict[str, float]:
    before = memory_of("VmRSS")
    start = time.perf_counter()
    dataset = minari.load_dataset(dataset_id)
    seconds = time.perf_counter() - start
    memory = memory_of("VmRSS") - before
    start = time.perf_counter()
    dataset[-1]
    return {"seconds": seconds, "memory": memory, "first": time.perf_counter() - start}


def _trace_alone(dataset_id: str) -> dict[str, float]:
    tracemalloc.start()
    minari.load_dataset(dataset_id)
    return {"peak": tracemalloc.get_traced_memory()[1]}


if __name__ == "__main__":
    work = {"load": _load_alone, "trace": _trace_alone}[sys.argv[1]]
    print(json.dumps(work(sys.argv[2])))
