"""What training asks of data beyond transitions and windows, beside numpy, PyTorch or TorchRL."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from measure import LIMIT, MINARI, Times, Work, in_turns, median, ratio, repeated, timed
from peer import PYTORCH, TORCHRL
from report import NOTHING, Figure, compare_with_limit, microseconds, milliseconds
from saved import save_columns
from setting import Setting
from workloads import ABOUT, Workload, long_episodes
from writing import buffers_of, write

import minari
import minari_core.sampling.statistics as core_statistics
from minari_core.datasets.dataset import get_raw_storage

_BATCH_SIZE, _CHUNKS, _IMAGES = 256, 64, 32
_SEEN, _ACTIONS = range(-1, 1), range(16)
_MOST_OFFSETS, _MOST_GOALS, _MOST_QUANTILES = 1.25, 1.3, 1.5
_LEAST_REPLAY, _LEAST_MIXED, _LEAST_RESIDENT = 3, 0.9, 0.8
_MIXED = 100
_TRANSITIONS = {"batch_size": _BATCH_SIZE}


def measure(setting: Setting) -> list[Figure]:
    """Windows with offsets, goals, priorities, quantiles, mixtures, and data on a device."""
    workload = long_episodes(quick=setting.quick)
    with setting.datasets() as root:
        write(workload, buffers_of(workload, workload.columns()), "bench/training-v0")
        dataset = minari.load_dataset("bench/training-v0")
        dataset.set_seed(1)
        by_hand = _ByHand(workload)
        return [
            _offsets(setting, dataset, by_hand),
            _offsets_of_images(setting),
            _goals(setting, dataset, by_hand),
            *_priorities(setting, dataset, by_hand, root),
            _quantiles(setting, dataset),
            _mixtures(setting),
            *_resident(setting, root),
        ]


class _ByHand:
    """The columns in memory, and their rows as people find them for episodes of one length."""

    def __init__(self, workload: Workload) -> None:
        self.columns = workload.columns()
        self.steps = workload.steps
        self.total = workload.steps * workload.episodes
        self._generator = np.random.default_rng(1)

    def draw(self, size: int) -> tuple[Any, Any]:
        """Return steps, and the episodes that they are in."""
        steps = self._generator.integers(self.total, size=size)
        return steps, steps // self.steps

    def offsets(self, size: int) -> list[Any]:
        """Read two observations and sixteen actions around each step, with masks."""
        steps, episodes = self.draw(size)
        found = []
        for name, offsets, extra in (("observations", _SEEN, 1), ("actions", _ACTIONS, 0)):
            first = (episodes * (self.steps + extra))[:, None]
            wanted = (steps + extra * episodes)[:, None] + np.asarray(offsets)
            rows = np.clip(wanted, first, first + self.steps + extra - 1)
            found += [self.columns[name].take(rows, axis=0), rows == wanted]
        return found

    def relabelled(self) -> list[Any]:
        """Read transitions and, by a second `take`, goals of the rest of the episode."""
        steps, episodes = self.draw(_BATCH_SIZE)
        left = (episodes + 1) * self.steps - steps
        ahead = 1 + (self._generator.random(_BATCH_SIZE) * left).astype(np.int64)
        rows = steps + episodes
        observations = self.columns["observations"]
        both = observations.take(np.stack([rows, rows + 1]), axis=0)
        others = ("actions", "rewards", "terminations", "truncations")
        return [
            both,
            observations.take(rows + ahead, axis=0),
            *(self.columns[name].take(steps, axis=0) for name in others),
        ]


def _offsets(setting: Setting, dataset: minari.MinariDataset, by_hand: _ByHand) -> Figure:
    count = _count(setting)
    ours = partial(
        dataset.sample_sequences, _CHUNKS, offsets={"observations": _SEEN, "actions": _ACTIONS}
    )
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(lambda: by_hand.offsets(_CHUNKS), count),
        MINARI: lambda: repeated(ours, count),
    }
    times = in_turns(works, setting.rounds(31))
    return compare_with_limit(
        f"{_CHUNKS} windows with offsets: 2 observations of 17 float64, 16 actions of 6 float32",
        times,
        "numpy.take of the same rows in RAM, with masks",
        _MOST_OFFSETS,
    )


def _offsets_of_images(setting: Setting) -> Figure:
    """Two images and sixteen actions a window; by hand, the chunks of these images are decoded."""
    workload = Workload(
        "images",
        4 if setting.quick else 20,
        100,
        spaces.Box(0, 255, (84, 84, 3), np.uint8),
        spaces.Box(-1, 1, (6,), np.float32),
    )
    columns = workload.columns()
    # Scenes that move, as a camera sees them; noise would not be compressed at all.
    scene = np.kron(columns["observations"][0, ::7, ::7], np.ones((7, 7, 1), np.uint8))
    for number, image in enumerate(columns["observations"]):
        image[:] = np.roll(scene, number, axis=1)
    with setting.datasets():
        write(workload, buffers_of(workload, columns), "bench/images-v0")
        dataset = minari.load_dataset("bench/images-v0")
        dataset.set_seed(1)
        by_hand = _ImagesByHand(workload, _ByHand(workload), dataset)
        ours = partial(
            dataset.sample_sequences, _IMAGES, offsets={"observations": _SEEN, "actions": _ACTIONS}
        )
        count = max(1, _count(setting) // 20)
        works: dict[str, Work] = {
            LIMIT: lambda: repeated(by_hand.windows, count),
            MINARI: lambda: repeated(ours, count),
        }
        times = in_turns(works, setting.rounds(15))
    return compare_with_limit(
        f"{_IMAGES} windows with offsets: 2 images of 84 × 84 × 3, 16 actions",
        times,
        "zstandard decodes the chunks of the same images in two threads, numpy.take",
        _MOST_OFFSETS,
    )


class _ImagesByHand:
    """The compressed chunks of the images in memory, decoded for the rows that are asked for."""

    def __init__(self, workload: Workload, by_hand: _ByHand, dataset: minari.MinariDataset) -> None:
        self._workload = workload
        self._by_hand = by_hand
        self._pool = ThreadPoolExecutor(2)
        self._chunks: list[bytes] = []
        self._firsts: list[int] = []
        first = 0
        folder = get_raw_storage(dataset).data_path
        for path in sorted(Path(str(folder)).glob("shard-*.h5")):
            with h5py.File(path) as file:
                images = file["observations/frames"]
                for start in range(0, len(images), images.chunks[0]):
                    self._chunks.append(images.id.read_direct_chunk((start, 0, 0, 0))[1])
                    self._firsts.append(first + start)
                self._shape = images.chunks[1:]
                first += len(images)

    def windows(self) -> list[Any]:
        import zstandard

        steps, episodes = self._by_hand.draw(_IMAGES)
        wanted = (steps + episodes)[:, None] + np.asarray(_SEEN)
        first = (episodes * (self._workload.steps + 1))[:, None]
        rows = np.clip(wanted, first, first + self._workload.steps)
        needed, where = np.unique(
            np.searchsorted(self._firsts, rows, side="right") - 1, return_inverse=True
        )

        def decode(number: int) -> npt.NDArray[np.uint8]:
            raw = zstandard.ZstdDecompressor().decompress(self._chunks[number])
            return np.frombuffer(raw, np.uint8).reshape(-1, *self._shape)

        decoded = list(self._pool.map(decode, needed.tolist()))
        images = np.empty((*rows.shape, *self._shape), np.uint8)
        for place, (row, chunk) in enumerate(
            zip(rows.ravel().tolist(), where.ravel().tolist(), strict=True)
        ):
            images.reshape(-1, *self._shape)[place] = decoded[chunk][
                row - self._firsts[needed[chunk]]
            ]
        start = (episodes * self._workload.steps)[:, None]
        chosen = np.clip(
            steps[:, None] + np.asarray(_ACTIONS), start, start + self._workload.steps - 1
        )
        return [images, rows == wanted, self._by_hand.columns["actions"].take(chosen, axis=0)]


def _goals(setting: Setting, dataset: minari.MinariDataset, by_hand: _ByHand) -> Figure:
    count = _count(setting)
    rewards = np.zeros(_BATCH_SIZE)
    ours = partial(
        dataset.sample_transitions,
        _BATCH_SIZE,
        goals="future",
        compute_reward=lambda achieved, goals, infos: rewards,
    )
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(by_hand.relabelled, count),
        MINARI: lambda: repeated(ours, count),
    }
    times = in_turns(works, setting.rounds(31))
    return compare_with_limit(
        f"sample_transitions({_BATCH_SIZE}) relabelled with goals, but for the reward function",
        times,
        "numpy.take of transitions, and of goals",
        _MOST_GOALS,
    )


def _priorities(
    setting: Setting, dataset: minari.MinariDataset, by_hand: _ByHand, root: Path
) -> list[Figure]:
    count = _count(setting)
    replay = dataset.prioritized_replay(seed=0)
    generator = np.random.default_rng(0)

    def ours() -> None:
        _, positions, _ = replay.sample(_BATCH_SIZE)
        replay.update(positions, generator.random(_BATCH_SIZE))

    works: dict[str, Work] = {MINARI: lambda: repeated(ours, count)}
    peer = setting.against(TORCHRL)
    if peer is not None:
        observations = by_hand.columns["observations"].reshape(-1, by_hand.steps + 1, 17)
        saved = root / "prioritized"
        save_columns(
            {
                **by_hand.columns,
                "observations": observations[:, :-1].reshape(-1, 17),
                "next_observations": observations[:, 1:].reshape(-1, 17),
            },
            saved,
        )
        told = setting.attempt(lambda: peer.ask("load_prioritized", folder=str(saved)))
        if told is not None:
            for name, threads in (("default", {}), ("one thread", {"threads": 1})):
                works[name] = partial(
                    peer.seconds, "prioritized", **_TRANSITIONS, count=20, **threads
                )
    times = in_turns(works, setting.rounds(15))
    what = f"prioritized_replay: sample({_BATCH_SIZE}) and update, of {by_hand.total:,}"
    return [
        _faster(f"{what}, beside {TORCHRL.title} in {name}", times, name, microseconds)
        for name in ("default", "one thread")
    ]


def _quantiles(setting: Setting, dataset: minari.MinariDataset) -> Figure:
    storage: Any = get_raw_storage(dataset)
    names = ("observations", "actions", "rewards")
    compute = partial(
        core_statistics.compute_statistics, storage, range(dataset.total_episodes), names
    )

    def without() -> float:
        with patch.object(core_statistics, "RunningQuantiles", _NoQuantiles):
            return timed(compute)

    times = in_turns({LIMIT: without, MINARI: lambda: timed(compute)}, setting.rounds(7))
    return compare_with_limit(
        f"statistics of {dataset.total_steps:,} steps of 17 + 6 + 1 numbers, with quantiles",
        times,
        "the same without quantiles",
        _MOST_QUANTILES,
        milliseconds,
    )


class _NoQuantiles:
    """Stands in for what computes quantiles."""

    def __init__(self, *_: object) -> None:
        """Take what the other takes."""

    def add(self, rows: object) -> None:
        """Look at nothing."""

    def finish(self) -> tuple[dict[float, Any], float]:
        """Return no quantiles."""
        return {}, 0.0


def _mixtures(setting: Setting) -> Figure:
    """A hundred datasets as one, beside one dataset of the same steps."""
    steps = 100 if setting.quick else 1000
    space = spaces.Box(-1, 1, (17,), np.float64)

    def make(name: str, episodes: int) -> minari.MinariDataset:
        workload = Workload(name, episodes, steps, space, spaces.Box(-1, 1, (6,), np.float32))
        return minari.create_dataset_from_buffers(
            f"bench/{name}-v0",
            buffers_of(workload, workload.columns()),
            observation_space=space,
            action_space=workload.action_space,
            **ABOUT,
        )

    with setting.datasets():
        one = make("one", 5 * _MIXED)
        mixture = minari.mix_datasets([make(f"part{number}", 5) for number in range(_MIXED)])
        for each in (one, mixture):
            each.set_seed(1)
        count = _count(setting)
        works: dict[str, Work] = {
            LIMIT: lambda: repeated(lambda: one.sample_transitions(_BATCH_SIZE), count),
            MINARI: lambda: repeated(lambda: mixture.sample_transitions(_BATCH_SIZE), count),
        }
        times = in_turns(works, setting.rounds(31))
    speed = ratio(times, LIMIT, to=MINARI)
    return Figure(
        work=f"sample_transitions({_BATCH_SIZE}) of a mixture of {_MIXED} datasets",
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (one dataset of the same steps)",
        compared=f"{speed:.2f} × the speed",
        target=f"{_LEAST_MIXED} × the speed",
        reached=speed >= _LEAST_MIXED,
        values={name: median(times, name) for name in times} | {"ratio": speed},
        obstacle="It also says which dataset each row is of.",
    )


def _resident(setting: Setting, root: Path) -> list[Figure]:
    """Data on the device that PyTorch has here, in its own environment and process."""
    peer = setting.against(PYTORCH)
    told = (
        None
        if peer is None
        else setting.attempt(lambda: peer.ask("load", dataset="bench/training-v0", root=str(root)))
    )
    figures = []
    for work in ("transitions", "n_step", "goals", "windows"):
        times: Times = {}
        if peer is not None and told is not None:
            answer = setting.attempt(
                partial(peer.ask, work, count=_count(setting), rounds=setting.rounds(15))
            )
            times = {} if answer is None else {LIMIT: answer["bare"], MINARI: answer["resident"]}
        speed = ratio(times, LIMIT, to=MINARI) if times else None
        figures.append(
            Figure(
                work=f"ResidentData on {PYTORCH.title}'s processor, {work.replace('_', '-')}",
                minari=microseconds(median(times, MINARI)),
                limit=f"{microseconds(median(times, LIMIT))} (index_select of the same rows)",
                compared=NOTHING if speed is None else f"{speed:.2f} × the speed",
                target=f"{_LEAST_RESIDENT} × the speed",
                reached=None if speed is None else speed >= _LEAST_RESIDENT,
                values={name: median(times, name) for name in times} | {"ratio": speed},
                obstacle="Beside the rows, it finds where they lie.",
            )
        )
    return figures


def _count(setting: Setting) -> int:
    return 10 if setting.quick else 200


def _faster(work: str, times: Times, name: str, show: Callable[[float | None], str]) -> Figure:
    faster = ratio(times, name, to=MINARI) if times.get(name) else None
    return Figure(
        work=work,
        minari=show(median(times, MINARI)),
        compared=NOTHING if faster is None else f"{faster:.1f} × as fast",
        target=f"{_LEAST_REPLAY} × as fast",
        reached=None if faster is None else faster >= _LEAST_REPLAY,
        others=show(median(times, name)),
        values={each: median(times, each) for each in (MINARI, name)} | {"ratio": faster},
    )
