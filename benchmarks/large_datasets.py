"""Sampling from a large dataset, and from one of many episodes.

``large_datasets.py DATASET_ID BATCHES`` prints what sampling costs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import (
    LIMIT,
    MINARI,
    Work,
    in_fresh_process,
    in_turns,
    median,
    memory_of,
    ratio,
    repeated,
)
from sparse_datasets import SPACES
from workloads import ABOUT

if TYPE_CHECKING:
    from report import Figure
    from setting import Setting

_BATCH_SIZE = 256
_STEP_NBYTES = 17 * 8 + 6 * 4 + 8 + 2
_EPISODE_STEPS = 1000
_MOST_OWNED = 200e6
_MOST_UNTIL_FIRST = 0.1
_MOST_FALL = 0.1


def measure(setting: Setting) -> list[Figure]:
    """Memory and start on a large dataset; throughput by the number of episodes."""
    return [*_large(setting), _many_episodes(setting)]


def _large(setting: Setting) -> list[Figure]:
    from report import Figure, megabytes, microseconds, milliseconds

    nbytes = 200e6 if setting.quick else 10e9
    batches = 200 if setting.quick else 3000
    free = shutil.disk_usage(setting.root).free
    # While it is compacted, it is there twice.
    if free < 2.2 * nbytes:
        setting.complaints.append(
            f"sampling from {nbytes / 1e9:.1f} GB needs {2.2 * nbytes / 1e9:.1f} GB of free space; "
            f"{setting.root} has {free / 1e9:.1f} GB"
        )
        return []
    count = int(nbytes / _STEP_NBYTES / _EPISODE_STEPS)
    dataset_id = "bench/large-v0"
    with setting.datasets() as root:
        start = time.perf_counter()
        _create(dataset_id, make_episodes(count, _EPISODE_STEPS)).compact()
        made = time.perf_counter() - start
        files = list((root / dataset_id).rglob("*.hdf5"))
        arguments = [__file__, dataset_id, str(batches)]
        in_fresh_process(arguments)
        warm = [in_fresh_process(arguments) for _ in range(setting.rounds(5))]
        can_forget = not [file for file in files if not _forgotten(file)]
        cold = in_fresh_process([__file__, dataset_id, "1"]) if can_forget else None
    owned = max(one["owned"] for one in warm)
    first = statistics.median(one["first"] for one in warm)
    imports = statistics.median(one["imports"] for one in warm)
    figures = [
        Figure(
            work=f"memory that a process owns after {batches:,} batches of {_BATCH_SIZE} from "
            f"{nbytes / 1e9:.1f} GB",
            minari=f"{megabytes(owned)} ({megabytes(warm[0]['before'])} before it is loaded)",
            compared=megabytes(owned),
            target=f"under {megabytes(_MOST_OWNED)}",
            reached=owned < _MOST_OWNED,
            values={MINARI: owned, "made": made},
        ),
        Figure(
            work="its first batch, from load_dataset on, fresh process",
            minari=f"{milliseconds(first)} (imports before: {milliseconds(imports)})",
            compared=milliseconds(first),
            target=f"under {milliseconds(_MOST_UNTIL_FIRST)}",
            reached=first < _MOST_UNTIL_FIRST,
            values={MINARI: first, "imports": imports},
        ),
        Figure(
            work=f"its later batches, {made:.0f} s after it was begun to be written",
            minari=microseconds(statistics.median(one["batch"] for one in warm)),
        ),
    ]
    if cold is not None:
        figures.append(
            Figure(
                work="its first batch when no file is in the cache",
                minari=milliseconds(cold["first"]),
                values={MINARI: cold["first"]},
            )
        )
    return figures


def _many_episodes(setting: Setting) -> Figure:
    """The same steps, in few long episodes and in many short ones."""
    steps = 100_000 if setting.quick else 4_000_000
    few, many = (10, 10_000) if setting.quick else (1000, 1_000_000)
    with setting.datasets():
        datasets = [
            _create(f"bench/episodes{count}-v0", make_episodes(count, steps // count))
            for count in (few, many)
        ]
        for dataset in datasets:
            dataset.compact()
        return measure_fall(
            setting,
            f"sample_transitions({_BATCH_SIZE}) of {steps:,} steps in {many:,} episodes",
            lambda: datasets[1].sample_transitions(_BATCH_SIZE),
            (lambda: datasets[0].sample_transitions(_BATCH_SIZE), f"{few:,} episodes"),
            _MOST_FALL,
        )


def measure_fall(
    setting: Setting,
    what: str,
    ours: Callable[[], object],
    limit: tuple[Callable[[], object], str],
    most_fall: float,
    obstacle: str = "",
) -> Figure:
    """By how much the throughput of many parts is below that of few."""
    from report import Figure, microseconds

    few, described = limit
    count = 50 if setting.quick else 400
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(few, count),
        MINARI: lambda: repeated(ours, count),
    }
    times = in_turns(works, setting.rounds(31))
    fall = 1 - 1 / ratio(times)
    return Figure(
        work=what,
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} ({described})",
        compared=f"throughput {-fall:+.1%}",
        target=f"at most {-most_fall:+.0%}",
        reached=fall <= most_fall,
        obstacle=obstacle,
        values={name: median(times, name) for name in times} | {"fall": fall},
    )


def _create(dataset_id: str, episodes: Iterator[Any]) -> Any:
    import minari

    return minari.create_dataset_from_buffers(
        dataset_id, episodes, eval_env="CartPole-v1", **SPACES, **ABOUT
    )


def make_episodes(count: int, steps: int) -> Iterator[Any]:
    """Make episodes one after the other, which repeat themselves after a while."""
    import minari

    generator = np.random.default_rng(1)
    different = max(1, min(count, 50_000 // steps))
    ends = np.zeros(steps, dtype=bool)
    ends[-1] = True
    made = [
        minari.EpisodeBuffer(
            observations=generator.standard_normal((steps + 1, 17)),
            actions=generator.random((steps, 6), dtype=np.float32),
            rewards=generator.standard_normal(steps),
            terminations=ends,
            truncations=np.zeros(steps, dtype=bool),
        )
        for _ in range(different)
    ]
    return (made[number % different] for number in range(count))


def _forgotten(file: Path) -> bool:
    """Whether the operating system was told that nobody needs a file in its cache."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with open(file, "rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def _sample_alone(dataset_id: str, batches: int) -> dict[str, float]:
    start = time.perf_counter()
    import minari_core

    imports, before = time.perf_counter() - start, memory_of("RssAnon")
    start = time.perf_counter()
    dataset = minari_core.load_dataset(dataset_id)
    dataset.sample_transitions(_BATCH_SIZE)
    first = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(batches):
        dataset.sample_transitions(_BATCH_SIZE)
    return {
        "imports": imports,
        "before": before,
        "first": first,
        "batch": (time.perf_counter() - start) / batches,
        "owned": memory_of("RssAnon"),
    }


if __name__ == "__main__":
    print(json.dumps(_sample_alone(sys.argv[1], int(sys.argv[2]))))
