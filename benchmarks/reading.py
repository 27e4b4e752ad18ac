"""Reading whole episodes; the files are in the operating system's cache."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measure import LIMIT, MINARI, PUBLIC, Work, difference, in_turns, median, ratio, timed
from report import Figure, microseconds, milliseconds
from setting import Setting
from workloads import COLUMNS, Columns, Workload, long_episodes, short_episodes
from writing import buffers_of, save, write

import minari

_MOST_COPIES = 2.5
_MOST_OVER_COPY = 2e-6
_MOST_VIEWS = {"long": 1.3, "short": 1.5}
_SAMPLED = 32


def measure(setting: Setting) -> list[Figure]:
    """Both workloads: fresh arrays, views, and a random sample."""
    figures: list[Figure] = []
    for workload in (long_episodes(quick=setting.quick), short_episodes(quick=setting.quick)):
        columns = workload.columns()
        dataset_id = f"bench/{workload.name}-v0"
        with setting.datasets() as root:
            write(workload, buffers_of(workload, columns), dataset_id)
            save(columns, root / "saved")
            figures += [
                _fresh(setting, workload, columns, dataset_id),
                _views(setting, workload, dataset_id, root / "saved"),
                _sampled(setting, workload, columns, dataset_id),
            ]
    return figures


def _fresh(setting: Setting, workload: Workload, columns: Columns, dataset_id: str) -> Figure:
    """Load the dataset and copy every episode out of it."""

    def read() -> None:
        for _ in minari.load_dataset(dataset_id).iterate_episodes():
            pass

    def copy() -> None:
        for episode in range(workload.episodes):
            _copied(workload, columns, episode)

    public = setting.public("read", name=workload.name)
    works: dict[str, Work] = {
        LIMIT: lambda: timed(copy),
        MINARI: lambda: timed(read),
        **public,
    }
    times = in_turns(works, setting.rounds(15), at_most={PUBLIC: 2})
    is_long = workload.name == "long"
    slower, over = ratio(times), difference(times) / workload.episodes
    return Figure(
        work=f"read {workload.episodes:,} × {workload.steps:,} steps, fresh arrays",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (plain copies)",
        compared=f"{slower:.2f} ×" if is_long else f"+ {microseconds(over)} an episode",
        target=f"{_MOST_COPIES} ×" if is_long else f"+ {microseconds(_MOST_OVER_COPY)} an episode",
        reached=slower <= _MOST_COPIES if is_long else over <= _MOST_OVER_COPY,
        public=milliseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times} | {"ratio": slower, "over": over},
    )


def _views(setting: Setting, workload: Workload, dataset_id: str, saved: Path) -> Figure:
    """Open the data, take views of every episode, and read every byte of them."""
    scratch = {
        name: np.empty((workload.bounds(name, 0)[1], *column.shape[1:]), dtype=column.dtype)
        for name, column in workload.columns().items()
    }

    def read() -> None:
        for episode in minari.load_dataset(dataset_id).iterate_episodes(copy=False):
            _consume(scratch, ((name, getattr(episode, name)) for name in COLUMNS))

    def by_hand() -> None:
        mapped = {
            name: np.asarray(np.load(saved / f"{name}.npy", mmap_mode="r")) for name in scratch
        }
        for cut in workload.cut(mapped):
            _consume(scratch, cut.items())

    works: dict[str, Work] = {LIMIT: lambda: timed(by_hand), MINARI: lambda: timed(read)}
    times = in_turns(works, setting.rounds(25))
    slower, most = ratio(times), _MOST_VIEWS[workload.name]
    return Figure(
        work=f"read {workload.episodes:,} × {workload.steps:,} steps, views",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (memory map by hand)",
        compared=f"{slower:.2f} ×",
        target=f"{most} ×",
        reached=slower <= most,
        values={name: median(times, name) for name in times} | {"ratio": slower},
    )


def _sampled(setting: Setting, workload: Workload, columns: Columns, dataset_id: str) -> Figure:
    """Draw episodes at random, from a dataset that is loaded."""
    dataset = minari.load_dataset(dataset_id)
    dataset.set_seed(1)
    generator = np.random.default_rng(1)

    def copy() -> None:
        for episode in generator.choice(workload.episodes, size=_SAMPLED, replace=False):
            _copied(workload, columns, int(episode))

    public = setting.public("sample", name=workload.name, episodes=_SAMPLED)
    works: dict[str, Work] = {
        LIMIT: lambda: timed(copy),
        MINARI: lambda: timed(lambda: dataset.sample_episodes(_SAMPLED)),
        **public,
    }
    times = in_turns(works, setting.rounds(51), at_most={PUBLIC: 5})
    return Figure(
        work=f"sample_episodes({_SAMPLED}) of {workload.steps:,} steps",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (plain copies)",
        compared=f"{ratio(times):.2f} ×",
        public=milliseconds(median(times, PUBLIC)),
        values={name: median(times, name) for name in times},
    )


def _copied(workload: Workload, columns: Columns, episode: int) -> list[npt.NDArray[Any]]:
    copies = []
    for name, column in columns.items():
        start, stop = workload.bounds(name, episode)
        copies.append(column[start:stop].copy())
    return copies


def _consume(scratch: Columns, arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> None:
    """Read every byte of the arrays once."""
    for name, array in arrays:
        np.copyto(scratch[name], array)
