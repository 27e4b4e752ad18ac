"""Tables and other layouts, beside the libraries that they are made for.

``tables.py export DATASET_ID FOLDER LAYOUT`` prints the memory of an export in its own process.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces
from measure import LIMIT, MINARI, Work, in_fresh_process, in_turns, memory_of, timed
from report import Figure, compare_with_limit, megabytes, milliseconds
from setting import Setting
from workloads import ABOUT

import minari

_COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")
_MOST_FRAME, _MOST_PARQUET, _MOST_LEROBOT, _MOST_ROBOMIMIC = 1.5, 1.25, 1.2, 1.5
_MOST_MEMORY = 500e6
_OPTIONS: dict[str, dict[str, Any]] = {"parquet": {}, "lerobot": {"fps": 20, "task": "walk"}}


def measure(setting: Setting) -> list[Figure]:
    """A data frame, Parquet files, LeRobot, files of robomimic, and the memory of exports."""
    with setting.datasets() as root:
        dataset = _make_dataset("bench/table-v0", 20 if setting.quick else 1000, 1000)
        return [
            _measure_frame(setting, dataset),
            _measure_parquet(setting, dataset, root),
            _measure_lerobot(setting, root),
            *_measure_robomimic(setting, root),
            *_measure_memory(setting, root),
        ]


def _make_dataset(name: str, episodes: int, steps: int) -> minari.MinariDataset:
    rng = np.random.default_rng(0)
    last = np.arange(steps) == steps - 1
    return minari.create_dataset_from_buffers(
        name,
        (
            minari.EpisodeBuffer(
                observations=rng.normal(size=(steps + 1, 17)),
                actions=rng.normal(size=(steps, 6)).astype(np.float32),
                rewards=rng.normal(size=steps),
                terminations=last & False,
                truncations=last,
            )
            for _ in range(episodes)
        ),
        observation_space=spaces.Box(-np.inf, np.inf, (17,), np.float64),
        action_space=spaces.Box(-np.inf, np.inf, (6,), np.float32),
        **ABOUT,
    )


def _gather(dataset: minari.MinariDataset) -> dict[str, Any]:
    episodes = list(dataset)
    found = {
        name: np.concatenate([getattr(episode, name)[: len(episode)] for episode in episodes])
        for name in _COLUMNS
    }
    found["step"] = np.concatenate([np.arange(len(episode)) for episode in episodes])
    found["episode_id"] = np.repeat(np.arange(len(episodes)), [len(one) for one in episodes])
    return found


def _measure_frame(setting: Setting, dataset: minari.MinariDataset) -> Figure:
    import pandas as pd

    arrays = _gather(dataset)

    def make_frame() -> object:
        parts = {}
        for name, values in arrays.items():
            if values.ndim == 1:
                parts[name] = values
            else:
                parts |= {f"{name}.{index}": values[:, index] for index in range(values.shape[1])}
        return pd.DataFrame(parts)

    works: dict[str, Work] = {
        LIMIT: lambda: timed(make_frame),
        MINARI: lambda: timed(dataset.to_pandas),
    }
    times = in_turns(works, setting.rounds(5))
    return compare_with_limit(
        f"to_pandas of {dataset.total_steps:,} steps of 17 + 6 numbers",
        times,
        "pandas.DataFrame of the same arrays",
        _MOST_FRAME,
        milliseconds,
    )


def _measure_parquet(setting: Setting, dataset: minari.MinariDataset, root: Path) -> Figure:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = _gather(dataset)
    columns = {
        name: pa.array(values)
        if values.ndim == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        for name, values in arrays.items()
    }
    table = pa.table(columns)
    ours, theirs = root / "ours", root / "theirs.parquet"

    def write_durably() -> None:
        with theirs.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            os.fsync(file.fileno())

    def export() -> float:
        shutil.rmtree(ours, ignore_errors=True)
        return timed(lambda: minari.export_dataset(dataset, ours, "parquet"))

    works: dict[str, Work] = {
        LIMIT: lambda: timed(write_durably),
        MINARI: export,
    }
    times = in_turns(works, setting.rounds(5))
    return compare_with_limit(
        f"export of {dataset.total_steps:,} steps as parquet",
        times,
        "pyarrow.parquet.write_table of the same columns, fsync",
        _MOST_PARQUET,
        milliseconds,
    )


def _measure_lerobot(setting: Setting, root: Path) -> Figure:
    import pyarrow.parquet as pq

    dataset = _make_dataset("bench/robot-v0", 10 if setting.quick else 100, 1000)
    ours, theirs = root / "ours-lerobot", root / "theirs-lerobot"

    def export() -> float:
        shutil.rmtree(ours, ignore_errors=True)
        options = _OPTIONS["lerobot"]
        return timed(lambda: minari.export_dataset(dataset, ours, "lerobot", **options))

    export()
    theirs.mkdir()
    files = []
    for number, path in enumerate(sorted(ours.rglob("*.parquet"))):
        table, said = pq.read_table(path), pq.ParquetFile(path).metadata.row_group(0)
        whole = [field.name for field in table.schema if str(field.type) in ("int64", "string")]
        files.append((theirs / f"{number}", table, said.column(0).compression, whole))

    def write_durably() -> None:
        for path, table, compression, whole in files:
            with path.open("wb") as file:
                pq.write_table(table, file, compression=compression, use_dictionary=whole)
                os.fsync(file.fileno())

    works: dict[str, Work] = {LIMIT: lambda: timed(write_durably), MINARI: export}
    return compare_with_limit(
        f"export of {dataset.total_steps:,} steps as lerobot",
        in_turns(works, setting.rounds(9)),
        "pyarrow.parquet.write_table of the same files, fsync each",
        _MOST_LEROBOT,
        milliseconds,
        "Statistics of each episode are counted as well.",
    )


def _measure_robomimic(setting: Setting, root: Path) -> Iterator[Figure]:
    from minari.interchange.demonstrations import robomimic

    path = root / "robomimic.hdf5"
    demonstrations, steps = 20 if setting.quick else 400, 500
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number in range(demonstrations):
            rows = rng.normal(size=(steps + 1, 17))
            group = file.create_group(f"data/demo_{number}")
            group["obs/object"], group["next_obs/object"] = rows[:-1], rows[1:]
            group["actions"] = rng.normal(size=(steps, 6))
            group["rewards"] = rng.normal(size=steps)
            group["dones"] = np.arange(steps) == steps - 1
            group.attrs["num_samples"] = steps

    def read_all() -> None:
        with h5py.File(path) as file:
            for group in file["data"].values():
                for name in ("obs/object", "next_obs/object", "actions", "rewards", "dones"):
                    group[name][()]

    def bring_in() -> float:
        if "bench/lift-v0" in minari.list_local_datasets():
            minari.delete_dataset("bench/lift-v0")
        return timed(lambda: minari.import_dataset(path, "bench/lift-v0", ends="terminated"))

    def read_episodes() -> None:
        for _ in robomimic.read(path, ends="terminated").episodes:
            pass

    what = f"{demonstrations} demonstrations of {steps} steps"
    for work, ours, obstacle in (
        (f"episodes of {what} out of robomimic, checked", lambda: timed(read_episodes), ""),
        (
            f"import of {what} from robomimic, as a dataset",
            bring_in,
            "It also writes the dataset, and flushes it to the disk.",
        ),
    ):
        works: dict[str, Work] = {LIMIT: lambda: timed(read_all), MINARI: ours}
        times = in_turns(works, setting.rounds(5))
        yield compare_with_limit(
            work, times, "h5py reading the arrays", _MOST_ROBOMIMIC, milliseconds, obstacle
        )


def _measure_memory(setting: Setting, root: Path) -> Iterator[Figure]:
    episodes = 10 if setting.quick else 500
    dataset = _make_dataset("bench/large-v0", episodes, 20_000)
    for layout in _OPTIONS:
        path = root / f"large-{layout}"
        answer = in_fresh_process([__file__, "export", dataset.id, path, layout])
        shutil.rmtree(path)
        yield Figure(
            work=f"memory that an export of {dataset.total_steps:,} steps as {layout} owns, "
            "at its peak",
            minari=megabytes(answer["memory"]),
            compared=megabytes(answer["memory"]),
            target=f"under {megabytes(_MOST_MEMORY)}",
            reached=answer["memory"] < _MOST_MEMORY,
            values={"memory": answer["memory"], "seconds": answer["seconds"]},
        )


def _export_alone(dataset_id: str, folder: str, layout: str) -> dict[str, float]:
    import pyarrow.parquet  # noqa: F401  # its own memory is not the export's

    dataset = minari.load_dataset(dataset_id)
    before, start = memory_of("RssAnon"), time.perf_counter()
    # The pages of the mapped dataset are the system's; only what the process owns counts.
    seen = [before]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.002):
            seen.append(memory_of("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    minari.export_dataset(dataset, folder, layout, **_OPTIONS[layout])
    is_over.set()
    watcher.join()
    return {"memory": max(seen) - before, "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    print(json.dumps({"export": _export_alone}[sys.argv[1]](*sys.argv[2:])))
