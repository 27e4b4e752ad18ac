"""What one step, task and shard cost a run of many workers: the figures of ``docs/scaling.md``.

The page has them, and what follows from them for a run of 10⁹ steps, between two marks each;
`write_page` replaces what is between these, so that no figure there is written by hand.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gymnasium
from measure import MINARI, in_fresh_process, repeated
from report import Figure, markdown, megabytes
from scaling import CHEETAH, Blobs, StoppedError
from setting import Setting

import minari

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
UNITS = "unit costs"
DERIVED = "what follows from the unit costs"

STEP = f"a step of {CHEETAH} on disk"
TASK = "a task, in the coordinator"
MESSAGES = "a task and its result, on the network, with a shared folder"
ENTRY = "a shard in the manifest"
PUBLISHED = "publishing the output of a task, joined with others or linked"
PEAK = "the coordinator's memory at its peak"
OPENED = "opening a dataset of 1000 shards"
HANDLE = "a pickled handle of that dataset"

_SEED = 1
_TEN_GIGABITS = 10e9 / 8
# The run that the page works out: 10⁹ steps in tasks of 125 episodes of 1000 steps.
_STEPS, _WORKERS, _TASKS, _EPISODES_PER_TASK = 10**9, 1000, 8000, 125


def measure(setting: Setting) -> list[Figure]:
    """The unit costs, by the names that the page has for them."""
    try:
        gymnasium.make(CHEETAH).close()
    except gymnasium.error.DependencyNotInstalled:
        setting.complaints.append(f"{CHEETAH} needs gymnasium[mujoco]; costs were left out")
        return []
    return [*_measure_tasks(setting), *_measure_shards(setting), _measure_memory(setting)]


def write_page(figures: Sequence[Figure], page: Path = PAGE) -> None:
    """Replace the figures of the page by measured ones.

    Args:
        figures: Those of `measure`; others are passed over.
        page: The page.
    """
    costs = {one.work: one for one in figures if one.work in _UNITS}
    values = {name: float(costs[name].values[MINARI] or 0.0) for name in _UNITS}
    text = page.read_text(encoding="utf-8")
    text = _replace(text, UNITS, [("unit", "cost"), *((n, costs[n].minari) for n in _UNITS)])
    text = _replace(text, DERIVED, [("what", "cost"), *derive(values).items()])
    page.write_text(text, encoding="utf-8")


def derive(values: Mapping[str, float]) -> dict[str, str]:
    """Work out what a run of 10⁹ steps costs.

    Args:
        values: The unit costs in bytes and seconds, by their names.
    """
    nbytes = values[STEP] * _STEPS
    return {
        "data": f"{nbytes / 1e9:.0f} GB, {nbytes / _WORKERS / 1e6:.0f} MB for each worker",
        "shards": f"{_TASKS} of {nbytes / _TASKS / 1e6:.1f} MB",
        "files": f"{2 * _TASKS} and {_TASKS} folders while it runs, {_TASKS + 1} in the dataset",
        "manifest": f"{values[ENTRY] * _TASKS / 1e6:.1f} MB",
        "coordinator": f"{values[TASK] * _TASKS:.1f} s of processor time for the tasks, spread "
        f"over the run; {values[PUBLISHED] * _TASKS:.0f} s for publishing",
        "network of the coordinator, shared folder": f"{values[MESSAGES] * _TASKS / 1e6:.1f} MB of "
        "messages; the data goes from the workers to the file system once",
        "network of the coordinator, otherwise": f"{nbytes / 1e9:.0f} GB in, which is "
        f"{nbytes / _TEN_GIGABITS:.0f} s at 10 Gbit/s if nothing else is slower",
        "lost with a worker": f"what one task had not handed in: at most {_EPISODES_PER_TASK} "
        "episodes, and those of one minute",
    }


def read_table(text: str, mark: str) -> dict[str, str]:
    """Read the rows between two marks, without their head."""
    rows = [line.strip("| ").split(" | ") for line in _find(text, mark)[0].splitlines()]
    return {name.strip(): value.strip() for name, value in rows[2:]}


_UNITS = (STEP, TASK, MESSAGES, ENTRY, PUBLISHED, PEAK, OPENED, HANDLE)


def _find(text: str, mark: str) -> tuple[str, int, int]:
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    found = re.search(f"{re.escape(begin)}(.*?){re.escape(end)}", text, re.DOTALL)
    if found is None:
        raise ValueError(f"there is no {begin.strip()} before a {end} on the page")
    return found[1], found.start(1), found.end(1)


def _replace(text: str, mark: str, rows: Sequence[tuple[str, ...]]) -> str:
    _, start, stop = _find(text, mark)
    return f"{text[:start]}{markdown(list(rows))}\n{text[stop:]}"


class _Counting(Executor):
    """Two threads, and how many bytes would go over a network to and from them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2)
        self.nbytes = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.nbytes += len(pickle.dumps((fn, args, kwargs)))
        future = self._threads.submit(fn, *args, **kwargs)
        future.add_done_callback(self._count)
        return future

    def _count(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.nbytes += len(pickle.dumps(future.result()))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


def _measure_tasks(setting: Setting) -> Iterator[Figure]:
    """A run of one episode a task, collected and then published."""
    tasks = 20 if setting.quick else 1000
    arguments: dict[str, Any] = {"total_episodes": tasks, "episodes_per_task": 1, "seed": _SEED}

    def stop(progress: minari.CollectProgress) -> None:
        if progress.episodes == tasks:
            raise StoppedError

    with setting.datasets() as root, _Counting() as executor:
        arguments |= {"executor": executor, "work_dir": root / "work"}
        start = time.thread_time()
        with contextlib.suppress(StoppedError):
            minari.collect_dataset("bench/tasks-v0", Blobs, progress=stop, **arguments)
        seconds = (time.thread_time() - start) / tasks
        begun, started = time.thread_time(), time.perf_counter()
        minari.collect_dataset("bench/tasks-v0", Blobs, resume=True, **arguments)
        publishing = (time.perf_counter() - started) / tasks
        processor = (time.thread_time() - begun) / tasks
    yield _cost(TASK, f"{seconds * 1e3:.2f} ms of processor time", seconds)
    messages = executor.nbytes / tasks
    yield _cost(MESSAGES, f"{messages / 1e3:.2f} kB", messages)
    text = f"{publishing * 1e3:.2f} ms, {processor * 1e3:.2f} ms of them processor time"
    yield _cost(PUBLISHED, text, publishing)


def _measure_shards(setting: Setting) -> Iterator[Figure]:
    """A dataset of the environment that the page speaks of, alone and many times over."""
    episodes, copies = (2, 10) if setting.quick else (125, 1000)
    with setting.datasets():
        dataset = minari.collect_dataset(
            "bench/cheetah-v0", CHEETAH, total_episodes=episodes, workers=1, seed=_SEED
        )
        folder = Path(dataset.spec.data_path or "")
        nbytes = sum(file.stat().st_size for file in folder.glob("*.h5")) / dataset.total_steps
        yield _cost(STEP, f"{nbytes:.0f} B", nbytes)
        dataset.compact()
        many = minari.combine_datasets([dataset] * copies, "bench/many-v0")
        shards, manifest_nbytes = _measure_manifest(many)
        first_shards, first_nbytes = _measure_manifest(dataset)
        if shards != copies and not setting.quick:
            raise RuntimeError(f"a dataset has {shards} shards, not {copies}")
        entry = (manifest_nbytes - first_nbytes) / max(shards - first_shards, 1)
        yield _cost(ENTRY, f"{entry / 1e3:.2f} kB", entry)
        opening = repeated(lambda: minari.load_dataset("bench/many-v0"), 5)
        yield _cost(OPENED, f"{opening * 1e3:.1f} ms", opening)
        handle = len(pickle.dumps(many))
        yield _cost(HANDLE, f"{handle / 1e3:.1f} kB", handle)


def _measure_manifest(dataset: minari.MinariDataset) -> tuple[int, int]:
    """How many shards the manifest of a dataset lists, and its bytes."""
    content = (Path(dataset.spec.data_path or "") / "metadata.json").read_bytes()
    return len(json.loads(content)["columnar"]["shards"]), len(content)


def _measure_memory(setting: Setting) -> Figure:
    """The coordinator of a run, and of one that collects four times as much."""
    episodes = 100 if setting.quick else 2000
    script = Path(__file__).with_name("scaling.py")
    peaks: list[dict[str, float]] = []
    for count in (episodes, 4 * episodes):
        with setting.datasets():
            peaks.append(in_fresh_process([script, "coordinator", str(count)]))
    small, large = peaks
    text = (
        f"{megabytes(large['peak'])} where {megabytes(large['nbytes'])} were collected, "
        f"{megabytes(small['peak'])} where {megabytes(small['nbytes'])} were"
    )
    return _cost(PEAK, text, large["peak"])


def _cost(name: str, text: str, value: float) -> Figure:
    return Figure(work=name, minari=text, values={MINARI: value})


if __name__ == "__main__":
    print(json.dumps(read_table(PAGE.read_text(encoding="utf-8"), UNITS), indent=1))
