"""A dataset of 10¹⁰ steps in 10⁷ episodes and 10,000 shards: opening it, and drawing from it.

It is of sparse files. ``terabytes.py DATASET_ID SMALL_ID BATCHES`` prints what it takes a process
that has drawn from a small dataset before, and that may have few files open.
"""

from __future__ import annotations

import json
import mmap
import os
import pickle
import statistics
import sys
import time
from collections.abc import Callable
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
from sparse_datasets import EPISODES_A_SHARD, STEPS_AN_EPISODE, create_sparse

if TYPE_CHECKING:
    from report import Figure
    from setting import Setting

_BATCH_SIZE = 256
_SHARDS = 10_000
_MOST_FILES = 256
_MOST_MANIFESTS = 1.5
_MOST_UNTIL_FIRST = 0.2
_MOST_OWNED = 200e6
_MOST_OF_A_VIEW = 1.2
_MOST_OF_NUMPY = 1.3
_OF_A_FIRST_BATCH = (
    "It is of 256 shards, each of which is opened, mapped and asked for the lengths of its "
    "episodes."
)


def measure(setting: Setting) -> list[Figure]:
    """Opening it, its first batch and its memory; a view of it; and all of it, beside numpy."""
    shards = 20 if setting.quick else _SHARDS
    episodes = 20 if setting.quick else EPISODES_A_SHARD
    steps = episodes * STEPS_AN_EPISODE
    with setting.datasets():
        folder = create_sparse("bench/terabytes-v0", shards, episodes)
        create_sparse("bench/small-v0", 1, episodes)
        return [
            *_opening(setting, f"{shards * steps:,} steps in {shards:,} shards"),
            _view(setting, episodes),
            _whole(setting, folder),
        ]


def _opening(setting: Setting, what: str) -> list[Figure]:
    """Fresh processes, which may have few files open."""
    from report import Figure, megabytes, milliseconds

    batches = 20 if setting.quick else 50
    arguments = [__file__, "bench/terabytes-v0", "bench/small-v0", str(batches)]
    runs = [in_fresh_process(arguments) for _ in range(setting.rounds(3))]
    opened, parsed, first = (
        statistics.median(run[key] for run in runs) for key in ("opened", "parsed", "first")
    )
    as_long = statistics.median(run["opened"] / run["parsed"] for run in runs)
    owned = max(run["owned"] for run in runs)
    state = max(run["state"] for run in runs)
    return [
        Figure(
            work=f"load_dataset of {what}",
            minari=milliseconds(opened),
            limit=f"{milliseconds(parsed)} (json.loads of metadata.json)",
            compared=f"{as_long:.2f} ×",
            target=f"{_MOST_MANIFESTS} ×",
            reached=as_long <= _MOST_MANIFESTS,
            values={MINARI: opened, LIMIT: parsed, "ratio": as_long},
        ),
        Figure(
            work=f"its first batch of {_BATCH_SIZE}, after that",
            minari=milliseconds(first),
            compared=milliseconds(first),
            target=f"at most {milliseconds(_MOST_UNTIL_FIRST)}",
            reached=first <= _MOST_UNTIL_FIRST,
            obstacle=_OF_A_FIRST_BATCH,
            values={MINARI: first},
        ),
        Figure(
            work=f"memory that a process owns after {batches} batches of each, sample_transitions "
            f"and batches, of {_MOST_FILES} open files at most",
            minari=f"{megabytes(owned)} ({state / 1e3:.1f} kB of them the state of batches)",
            compared=megabytes(owned),
            target=f"under {megabytes(_MOST_OWNED)}",
            reached=owned < _MOST_OWNED,
            values={MINARI: owned, "state": state},
        ),
    ]


def _view(setting: Setting, episodes: int) -> Figure:
    """As many steps as a dataset has, once as a view of the large one."""
    import minari

    view = minari.load_dataset("bench/terabytes-v0")[:episodes]
    small = minari.load_dataset("bench/small-v0")
    times = _in_turns(
        setting,
        lambda: view.sample_transitions(_BATCH_SIZE),
        lambda: small.sample_transitions(_BATCH_SIZE),
    )
    return _compared(
        times,
        f"sample_transitions({_BATCH_SIZE}) of a view of "
        f"{episodes * STEPS_AN_EPISODE:,} of these steps",
        "a dataset of as many",
        _MOST_OF_A_VIEW,
    )


def _whole(setting: Setting, folder: Path) -> Figure:
    """From all of it, which no memory holds: nearly each row is of a page that nobody has read."""
    import minari

    dataset = minari.load_dataset("bench/terabytes-v0")
    _allow_files(None)  # Python's maps keep theirs
    by_hand = _MappedByHand(folder)
    sampler, generator = dataset.transition_sampler(), np.random.default_rng(1)
    # Each shard is opened and mapped once, as the maps by hand are.
    sampler.read(np.arange(by_hand.shards) * by_hand.steps)
    times = _in_turns(setting, lambda: sampler.sample(generator, _BATCH_SIZE), by_hand.transitions)
    return _compared(
        times,
        f"sample_transitions({_BATCH_SIZE}) of all of them",
        "numpy on memory maps of the same files",
        _MOST_OF_NUMPY,
    )


class _MappedByHand:
    """The columns of every shard as numpy's memory maps, and a batch put together of their rows."""

    def __init__(self, folder: Path) -> None:
        listing = json.loads((folder / "metadata.json").read_bytes())["columnar"]
        names = ("observations", "actions", "rewards", "terminations", "truncations")
        self._shards: list[list[np.ndarray[Any, Any]]] = []
        for entry in listing["shards"]:
            file = self._map(folder / entry["file"])
            columns = []
            for name, (offset, rows) in zip(names, entry["arrays"], strict=False):
                column = listing["schemas"][entry["schema"]][name]
                dtype = np.dtype(column["dtype"])
                shape = (rows, *column["shape"])
                nbytes = int(np.prod(shape)) * dtype.itemsize
                columns.append(file[offset : offset + nbytes].view(dtype).reshape(shape))
            self._shards.append(columns)
        self.shards = len(self._shards)
        self.steps = int(listing["shards"][0]["steps"])
        self._generator = np.random.default_rng(1)

    def _map(self, path: Path) -> np.ndarray[Any, Any]:
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # The system would read megabytes ahead of each row.
        if hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)
        return np.frombuffer(mapped, np.uint8)

    def transitions(self) -> list[np.ndarray[Any, Any]]:
        shards = self._generator.integers(self.shards, size=_BATCH_SIZE).tolist()
        steps = self._generator.integers(self.steps, size=_BATCH_SIZE).tolist()
        observations, *others = self._shards[0]
        batch = [
            np.empty((_BATCH_SIZE, *column.shape[1:]), column.dtype)
            for column in (observations, observations, *others)
        ]
        for place, (shard, step) in enumerate(zip(shards, steps, strict=True)):
            observations, *others = self._shards[shard]
            batch[0][place] = observations[step]
            batch[1][place] = observations[step + 1]
            for filled, column in zip(batch[2:], others, strict=True):
                filled[place] = column[step]
        return batch


def _in_turns(
    setting: Setting, ours: Callable[[], object], theirs: Callable[[], object]
) -> dict[str, list[float]]:
    count = 2 if setting.quick else 20
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(theirs, count),
        MINARI: lambda: repeated(ours, count),
    }
    return in_turns(works, setting.rounds(7))


def _compared(times: dict[str, list[float]], what: str, beside: str, most: float) -> Figure:
    from report import Figure, microseconds

    slower = ratio(times)
    return Figure(
        work=what,
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} ({beside})",
        compared=f"{slower:.2f} ×",
        target=f"{most} ×",
        reached=slower <= most,
        values={name: median(times, name) for name in times} | {"ratio": slower},
    )


def _allow_files(count: int | None) -> None:
    """Let this process have so many files open; as many as it may, if None."""
    try:
        import resource
    except ImportError:  # on Windows, whose maps are no open files
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if count is None else count, most))


def _draw_alone(dataset_id: str, small_id: str, batches: int) -> dict[str, float]:
    import minari_core

    _allow_files(_MOST_FILES)
    # Modules are imported when they are first needed.
    minari_core.load_dataset(small_id).sample_transitions(_BATCH_SIZE)
    text = Path(
        os.environ["MINARI_DATASETS_PATH"], dataset_id, "data", "metadata.json"
    ).read_bytes()
    start = time.perf_counter()
    json.loads(text)
    parsed = time.perf_counter() - start
    start = time.perf_counter()
    dataset = minari_core.load_dataset(dataset_id)
    opened = time.perf_counter() - start
    start = time.perf_counter()
    dataset.sample_transitions(_BATCH_SIZE)
    first = time.perf_counter() - start
    for _ in range(batches):
        dataset.sample_transitions(_BATCH_SIZE)
    loader = dataset.batches(_BATCH_SIZE)
    for _, _ in zip(range(batches), loader, strict=False):
        pass
    state = len(pickle.dumps(loader.state_dict()))
    owned = memory_of("RssAnon")
    return {
        "opened": opened,
        "first": first,
        "owned": owned,
        "state": state,
        "parsed": parsed,
    }


if __name__ == "__main__":
    print(json.dumps(_draw_alone(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
