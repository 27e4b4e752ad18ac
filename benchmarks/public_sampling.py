"""Sampling from the formats of the public Minari: the first batch, later ones, and memory.

``public_sampling.py DATASET_ID BATCHES`` prints what a process of its own owns after batches.
"""

from __future__ import annotations

import gc
import json
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
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
    timed,
)
from workloads import Workload, long_episodes, short_episodes

if TYPE_CHECKING:
    from report import Figure
    from setting import Setting

_BATCH_SIZE = 256
_COUNT = 200
_MOST_FIRST, _MOST_LATER = 1.3, 1.1


def measure(setting: Setting) -> list[Figure]:
    """Each workload beside one pass over its episodes and a columnar dataset."""
    from writing import buffers_of

    figures = []
    formats_of = (
        (long_episodes(quick=setting.quick), ("hdf5", "arrow", "parquet")),
        (short_episodes(quick=setting.quick), ("hdf5",)),
        (_images(quick=setting.quick), ("hdf5",)),
    )
    for workload, formats in formats_of:
        with setting.datasets():
            buffers = buffers_of(workload, workload.columns())
            _create(workload, buffers, "columnar")
            for data_format in formats:
                _create(workload, buffers, data_format)
                figures += _measure(setting, workload, data_format)
    return figures


def _images(*, quick: bool) -> Workload:
    """50 episodes of 100 steps: 84×84×3 bytes, a discrete action, a reward and two flags a step."""
    space = spaces.Box(0, 255, (84, 84, 3), np.uint8)
    return Workload("images", 4 if quick else 50, 100, space, spaces.Discrete(2))


def _create(workload: Workload, buffers: object, data_format: str) -> None:
    import minari

    minari.create_dataset_from_buffers(
        f"bench/{workload.name}-{data_format}-v0",
        buffers,
        observation_space=workload.observation_space,
        action_space=workload.action_space,
        data_format=data_format,
    )


def _measure(setting: Setting, workload: Workload, data_format: str) -> list[Figure]:
    from report import Figure, megabytes, microseconds, milliseconds

    import minari

    ids = {name: f"bench/{workload.name}-{name}-v0" for name in (data_format, "columnar")}

    def first() -> float:
        # What was sampled from before must be gone, so that nothing is in use.
        gc.collect()
        _clear_cache()
        return timed(lambda: minari.load_dataset(ids[data_format]).sample_transitions(_BATCH_SIZE))

    def read() -> None:
        for _ in minari.load_dataset(ids[data_format]).iterate_episodes():
            pass

    size = f"{workload.episodes:,} × {workload.steps:,} steps, the format {data_format!r}"
    times = in_turns({MINARI: first, LIMIT: lambda: timed(read)}, setting.rounds(7))
    slower = ratio(times)
    figures = [
        Figure(
            work=f"first batch of {size}, from load_dataset on",
            minari=milliseconds(median(times, MINARI)),
            limit=f"{milliseconds(median(times, LIMIT))} (one pass over its episodes)",
            compared=f"{slower:.2f} ×",
            target=f"{_MOST_FIRST} ×",
            reached=slower <= _MOST_FIRST,
            values={name: median(times, name) for name in times} | {"ratio": slower},
        )
    ]
    datasets = {name: minari.load_dataset(dataset_id) for name, dataset_id in ids.items()}
    count = 20 if setting.quick else _COUNT
    works: dict[str, Work] = {
        MINARI: lambda: repeated(
            lambda: datasets[data_format].sample_transitions(_BATCH_SIZE), count
        ),
        LIMIT: lambda: repeated(
            lambda: datasets["columnar"].sample_transitions(_BATCH_SIZE), count
        ),
    }
    times = in_turns(works, setting.rounds(7))
    slower = ratio(times)
    owned = {
        name: in_fresh_process([__file__, dataset_id, str(count)])["owned"]
        for name, dataset_id in ids.items()
    }
    figures += [
        Figure(
            work=f"later batches of {size}",
            minari=microseconds(median(times, MINARI)),
            limit=f"{microseconds(median(times, LIMIT))} (columnar)",
            compared=f"{slower:.2f} ×",
            target=f"{_MOST_LATER} ×",
            reached=slower <= _MOST_LATER,
            values={name: median(times, name) for name in times} | {"ratio": slower},
        ),
        Figure(
            work=f"memory that a process owns after {count} of these batches",
            minari=megabytes(owned[data_format]),
            limit=f"{megabytes(owned['columnar'])} (columnar)",
            compared=f"+ {megabytes(owned[data_format] - owned['columnar'])}",
            values={MINARI: owned[data_format], LIMIT: owned["columnar"]},
        ),
    ]
    return figures


def _clear_cache() -> None:
    from minari_core.cache.entries import list_entries, remove_entry

    for entry in list_entries():
        remove_entry(entry)


def _sample(dataset_id: str, batches: int) -> dict[str, int]:
    """Sample from a dataset, and return the memory that no file could take back."""
    import minari

    warnings.simplefilter("ignore")
    dataset = minari.load_dataset(dataset_id)
    for _ in range(batches):
        dataset.sample_transitions(_BATCH_SIZE)
    return {"owned": memory_of("RssAnon")}


if __name__ == "__main__":
    print(json.dumps(_sample(sys.argv[1], int(sys.argv[2]))))
