"""Measure two versions of the code in one run, and how far two runs of the same code are apart.

python benchmarks/before_after.py OLD_PYTHON NEW_PYTHON

Each is the Python of an environment in which one version is installed. They take turns in fresh
processes, old, new, old, new, so that a round has two pairs of either kind; the medians over all
pairs are shown. A figure is called slower if the new code takes more than 3 % longer, and the
difference between two runs of the same code on top. What is worked is asked for by documented
names alone, so that any later version can be measured with it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from imports import seconds_to_import
from measure import in_fresh_process, repeated, timed
from report import machine, markdown, microseconds, milliseconds
from setting import folder_to_measure_in

_PACKAGES = ("minari_core", "minari_collect", "minari_hub", "minari")
_MOST_SLOWER = 0.03
_WORK = "--work"

Measurement = Callable[[str], Mapping[str, float]]
"""Is given a Python; returns seconds by what was measured."""


@dataclass
class Seconds:
    """How long the two versions took for the same work, run by run."""

    old: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as long the new code takes."""
        return statistics.median(b / a for a, b in zip(self.old, self.new, strict=True))

    @property
    def ratio_of_same(self) -> float:
        """How many times as long a second run of the same code takes; the version that is less
        steady counts."""
        both = (
            statistics.median(b / a for a, b in zip(runs[::2], runs[1::2], strict=True))
            for runs in (self.old, self.new)
        )
        return max(both, key=lambda ratio: abs(ratio - 1))

    @property
    def is_slower(self) -> bool:
        return self.ratio - 1 > _MOST_SLOWER + abs(self.ratio_of_same - 1)


def compare(old: str, new: str, rounds: int, *, quick: bool) -> dict[str, Seconds]:
    """Let the two Pythons take turns.

    Args:
        old: A Python with the old code.
        new: A Python with the new code.
        rounds: How many times each measures everything twice.
        quick: Whether to do little work, and not to warm up.
    """
    measurements: list[Measurement] = [*(partial(_importing, name) for name in _PACKAGES)]
    measurements.append(partial(_working, quick=quick))
    taken: dict[str, Seconds] = {}
    for number in range(0 if quick else -1, rounds):
        print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
        for measure in measurements:
            for _ in range(2):
                olds, news = measure(old), measure(new)
                # The first round compiles modules and fills the system's caches.
                for work in olds if number >= 0 else ():
                    seconds = taken.setdefault(work, Seconds())
                    seconds.old.append(olds[work])
                    seconds.new.append(news[work])
    return taken


def main() -> None:
    """Print the table."""
    options = _options()
    with folder_to_measure_in(options.root) as root:
        os.environ["TMPDIR"] = str(root)
        for name, value in machine(root).items():
            if name != "libraries":
                print(f"{name}: {value}")
        for side in ("old", "new"):
            print(f"{side}: {_code_of(getattr(options, side))}")
        taken = compare(options.old, options.new, options.rounds, quick=options.quick)
    rows = [("what", "old", "new", "new / old", "same / same", "")]
    for work, seconds in taken.items():
        shown = microseconds if statistics.median(seconds.old) < 1e-3 else milliseconds
        rows.append(
            (
                work,
                shown(statistics.median(seconds.old)),
                shown(statistics.median(seconds.new)),
                f"{seconds.ratio:.3f}",
                f"{seconds.ratio_of_same:.3f}",
                "**slower**" if seconds.is_slower else "",
            )
        )
    print(f"\n{markdown(rows)}")


def work(*, quick: bool) -> dict[str, float]:
    """Measure the code of this process: seconds, each the shortest of several.

    Whatever disturbs a process makes it slower, never faster.
    """
    import gymnasium
    from workloads import ABOUT, actions_for, long_episodes, run
    from writing import buffers_of, write

    import minari

    warnings.simplefilter("ignore")
    times = 2 if quick else 15
    calls = 10 if quick else 300
    steps = 200 if quick else 2000
    workload = long_episodes(quick=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
        actions = actions_for(collector, steps)
        run(collector, actions)
        growing = minari.create_dataset_from_collector_env(
            "bench/growing-v0", collector, eval_env="CartPole-v1", **ABOUT
        )

        def collect() -> float:
            seconds = timed(lambda: run(collector, actions)) / steps
            collector.discard()
            return seconds

        def extend() -> float:
            run(collector, actions)
            return timed(lambda: growing.update_dataset_from_collector_env(collector))

        write(workload, buffers_of(workload, workload.columns()), "bench/sampled-v0")
        dataset = minari.load_dataset("bench/sampled-v0")
        dataset.set_seed(1)
        works: dict[str, Callable[[], float]] = {
            "collected CartPole-v1 step": collect,
            "sample_transitions(256)": lambda: repeated(
                lambda: dataset.sample_transitions(256), calls
            ),
            "sample_sequences(64, 20)": lambda: repeated(
                lambda: dataset.sample_sequences(64, 20), calls
            ),
            "an epoch of batches(256)": lambda: timed(lambda: list(dataset.batches(256, seed=1))),
            "load_dataset": lambda: repeated(
                lambda: minari.load_dataset("bench/sampled-v0"), max(calls // 10, 1)
            ),
            f"checkpoint of {steps:,} steps": extend,
        }
        shortest = {name: min(each() for _ in range(times)) for name, each in works.items()}
        collector.close()
    return shortest


def _importing(package: str, python: str) -> dict[str, float]:
    statement = f"import {package}"
    return {statement: seconds_to_import(statement, python=python)}


def _working(python: str, *, quick: bool) -> dict[str, float]:
    arguments = [__file__, _WORK, *(["--quick"] if quick else [])]
    return in_fresh_process(arguments, python=python)


def _code_of(python: str) -> str:
    """Which code a Python imports, as one may have given the wrong one."""
    program = (
        "import json, sys, minari; print(json.dumps({'code': f'minari {minari.__version__} of "
        "{minari.__path__[0]}, Python {sys.version.split()[0]}'}))"
    )
    return str(in_fresh_process(["-c", program], python=python)["code"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("old", help="a Python in whose environment the old code is installed")
    parser.add_argument("new", help="one with the new code")
    parser.add_argument("--rounds", type=int, default=12, help="how often to measure (default: 12)")
    parser.add_argument("--quick", action="store_true", help="little work, to see that it works")
    parser.add_argument("--root", type=Path, help="a folder on the disk to measure on")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


if __name__ == "__main__":
    if _WORK in sys.argv:
        print(json.dumps(work(quick="--quick" in sys.argv)))
    else:
        main()
