"""Timing: what is compared is run in turns, and medians are taken."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Work = Callable[[], float]
"""Does some work and returns how many seconds of it count."""
Times = dict[str, list[float]]

MINARI, LIMIT, PUBLIC = "minari", "limit", "public"


def timed(work: Callable[[], object]) -> float:
    """How many seconds a call takes; garbage of before is collected first, outside of it."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def repeated(work: Callable[[], object], count: int) -> float:
    """How many seconds a call takes on average, of many that are too short for the clock."""

    def many() -> None:
        for _ in range(count):
            work()

    return timed(many) / count


def in_turns(
    works: Mapping[str, Work], rounds: int, *, at_most: Mapping[str, int] | None = None
) -> Times:
    """Run works in turns, so that what disturbs the machine disturbs them alike.

    Each is run once before, untimed; the public Minari's has been, by `Setting.public`.

    Args:
        works: By the name under which its times are returned.
        rounds: How often each is timed.
        at_most: Fewer rounds for some that are slow.
    """
    for name, work in works.items():
        if name != PUBLIC:
            work()
    times: Times = {name: [] for name in works}
    for number in range(rounds):
        for name, work in works.items():
            if number < (at_most or {}).get(name, rounds):
                times[name].append(work())
    return times


def median(times: Times, name: str) -> float | None:
    """The median of one work's times; None if it was not run."""
    return statistics.median(times[name]) if times.get(name) else None


def ratio(times: Times, work: str = MINARI, to: str = LIMIT) -> float:
    """The median over the rounds of how many times as long one work takes as another."""
    return statistics.median(a / b for a, b in zip(times[work], times[to], strict=False))


def difference(times: Times, work: str = MINARI, to: str = LIMIT) -> float:
    """The median over the rounds of how many seconds longer one work takes than another."""
    return statistics.median(a - b for a, b in zip(times[work], times[to], strict=False))


def in_fresh_process(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    *,
    python: str = sys.executable,
) -> dict[str, Any]:
    """Run Python with some arguments and return the JSON object of its last printed line."""
    finished = subprocess.run(
        [python, *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise RuntimeError(f"{arguments} failed:\n{finished.stderr}")
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer


def memory_of(field: str) -> int:
    """A size of this process in bytes: ``VmRSS`` now, ``VmHWM`` at its highest, ``RssAnon``
    without the pages of files, which are the operating system's to take back.

    `resource` alone would count what the parent process had, before this program replaced it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def size_of_folder(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
