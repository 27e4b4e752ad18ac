"""Random transitions and windows for training, beside numpy by hand and other replay buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import frames
import large_datasets
import numpy as np
from gymnasium import spaces
from measure import LIMIT, MINARI, Times, Work, in_turns, median, ratio, repeated, timed
from peer import D3RLPY, LANCE, TORCHRL, Contender
from report import NOTHING, Figure, microseconds, milliseconds
from saved import Columns, save_columns
from setting import Setting
from workloads import Workload, long_episodes
from writing import buffers_of, write

import minari

_BATCH_SIZE = 256
_WINDOWS, _LENGTH = 64, 20
# Who is slow does fewer in a round.
_COUNT, _PEER_COUNT = 200, 20
_MOST_TRANSITIONS, _MOST_WINDOWS = 1.15, 1.2
_LARGE_BATCH, _LEAST_BY_THREADS = 4096, 1.5
_OTHER_ROWS = ((4, np.float64, 500), (111, np.float64, 100), (376, np.float32, 100))


@dataclass(frozen=True)
class _Rival:
    """A peer's way to draw a batch."""

    contender: Contender
    call: str
    work: str
    arguments: dict[str, int]
    least: float | None = None
    """How many times as fast this project must be; None if nothing was promised."""

    @property
    def name(self) -> str:
        """What it is called among the works that are timed."""
        return f"{self.contender.name}, {self.call}"


_SAMPLE = {"batch_size": _BATCH_SIZE}
_SLICES = {"batch_size": _WINDOWS, "length": _LENGTH}
_OF_TRANSITIONS = (
    _Rival(TORCHRL, f"LazyMemmapStorage, sample({_BATCH_SIZE})", "transitions", _SAMPLE, 6),
    _Rival(TORCHRL, "the same in one thread", "transitions", {**_SAMPLE, "threads": 1}),
    _Rival(D3RLPY, f"sample_transition_batch({_BATCH_SIZE})", "transitions", _SAMPLE, 6),
    _Rival(LANCE, f"take({_BATCH_SIZE}) from disk", "transitions", _SAMPLE),
)
_OF_WINDOWS = (
    _Rival(TORCHRL, "SliceSampler", "windows", _SLICES, 4),
    _Rival(TORCHRL, "the same in one thread", "windows", {**_SLICES, "threads": 1}),
    _Rival(D3RLPY, f"sample_trajectory_batch({_WINDOWS}, {_LENGTH})", "windows", _SLICES, 4),
    _Rival(LANCE, f"take({_WINDOWS} × {_LENGTH}) from disk", "windows", _SLICES),
)


def measure(setting: Setting) -> list[Figure]:
    """Transitions and windows, large and many-parted datasets, and images."""
    return [
        *_small_batches(setting),
        *_other_rows(setting),
        *large_datasets.measure(setting),
        *frames.measure(setting),
    ]


class ByHand:
    """A replay buffer in memory, as people write it: an array a column, a row a step.

    It holds all observations twice, so that each column is gathered with the same numbers.
    """

    def __init__(self, workload: Workload) -> None:
        columns = workload.columns()
        observations = columns.pop("observations")
        observations = observations.reshape(workload.episodes, workload.steps + 1, -1)
        width = observations.shape[-1]
        self.columns: Columns = {
            "observations": observations[:, :-1].reshape(-1, width),
            "next_observations": observations[:, 1:].reshape(-1, width),
            **columns,
        }
        self.episodes = np.arange(workload.episodes).repeat(workload.steps)
        first_steps = np.arange(workload.episodes)[:, None] * workload.steps
        self._starts = (first_steps + np.arange(workload.steps - _LENGTH + 1)).reshape(-1)
        self._generator = np.random.default_rng(1)
        self._offsets = np.arange(_LENGTH)

    def transitions(self) -> Columns:
        steps = self._generator.integers(len(self.episodes), size=_BATCH_SIZE)
        return {name: column.take(steps, axis=0) for name, column in self.columns.items()}

    def windows(self) -> Columns:
        chosen = self._generator.integers(len(self._starts), size=_WINDOWS)
        steps = self._starts.take(chosen)[:, None] + self._offsets
        return {
            name: column.take(steps, axis=0)
            for name, column in self.columns.items()
            if name != "next_observations"
        }


def _small_batches(setting: Setting) -> list[Figure]:
    workload = long_episodes(quick=setting.quick)
    by_hand = ByHand(workload)
    dataset_id = f"bench/{workload.name}-v0"
    with setting.datasets() as root:
        write(workload, buffers_of(workload, workload.columns()), dataset_id)
        dataset = minari.load_dataset(dataset_id)
        dataset.set_seed(1)
        saved = root / "saved"
        save_columns({**by_hand.columns, "episodes": by_hand.episodes}, saved)
        ready = [one for one in (TORCHRL, D3RLPY, LANCE) if _is_ready(setting, one, saved)]
        return [
            *_compared(
                setting,
                f"sample_transitions({_BATCH_SIZE}) of 17 float64 + 6 float32",
                lambda: dataset.sample_transitions(_BATCH_SIZE),
                (by_hand.transitions, _MOST_TRANSITIONS),
                _OF_TRANSITIONS,
                ready,
            ),
            *_compared(
                setting,
                f"sample_sequences({_WINDOWS}, {_LENGTH}) of the same",
                lambda: dataset.sample_sequences(_WINDOWS, _LENGTH),
                (by_hand.windows, _MOST_WINDOWS),
                _OF_WINDOWS,
                ready,
            ),
            _epoch(setting, dataset, by_hand, LANCE in ready),
            _in_threads(setting, dataset),
        ]


def _other_rows(setting: Setting) -> list[Figure]:
    """The same beside numpy by hand, with rows of other widths."""
    figures: list[Figure] = []
    for width, dtype, episodes in _OTHER_ROWS:
        space = spaces.Box(-np.inf, np.inf, (width,), dtype)
        workload = replace(
            long_episodes(quick=setting.quick),
            name=f"rows{width}",
            episodes=10 if setting.quick else episodes,
            observation_space=space,
        )
        by_hand = ByHand(workload)
        with setting.datasets():
            write(workload, buffers_of(workload, workload.columns()), "bench/rows-v0")
            dataset = minari.load_dataset("bench/rows-v0")
            dataset.set_seed(1)
            rows = f"{width} {np.dtype(dtype).name}"
            figures += _compared(
                setting,
                f"sample_transitions({_BATCH_SIZE}) of rows of {rows}",
                partial(dataset.sample_transitions, _BATCH_SIZE),
                (by_hand.transitions, _MOST_TRANSITIONS),
            )
            figures += _compared(
                setting,
                f"sample_sequences({_WINDOWS}, {_LENGTH}) of rows of {rows}",
                partial(dataset.sample_sequences, _WINDOWS, _LENGTH),
                (by_hand.windows, _MOST_WINDOWS),
            )
    return figures


def _epoch(
    setting: Setting, dataset: minari.MinariDataset, by_hand: ByHand, with_lance: bool
) -> Figure:
    """All steps in order, in batches."""

    def ours() -> None:
        for _ in dataset.batches(_BATCH_SIZE, shuffle=False):
            pass

    def copies() -> None:
        for start in range(0, len(by_hand.episodes), _BATCH_SIZE):
            for column in by_hand.columns.values():
                column[start : start + _BATCH_SIZE].copy()

    works: dict[str, Work] = {LIMIT: lambda: timed(copies), MINARI: lambda: timed(ours)}
    lance = setting.against(LANCE) if with_lance else None
    if lance is not None:
        works[LANCE.name] = lambda: lance.seconds("epoch", batch_size=_BATCH_SIZE)
    times = in_turns(works, setting.rounds(7), at_most={LANCE.name: 3})
    theirs = median(times, LANCE.name)
    return Figure(
        work=f"an epoch of {len(by_hand.episodes):,} steps in order, batches({_BATCH_SIZE})",
        minari=milliseconds(median(times, MINARI)),
        limit=f"{milliseconds(median(times, LIMIT))} (copies of slices)",
        compared=f"{ratio(times):.2f} ×",
        others=NOTHING if theirs is None else f"{milliseconds(theirs)} ({LANCE.title}, to_batches)",
        values={name: median(times, name) for name in times},
    )


def _in_threads(setting: Setting, dataset: minari.MinariDataset) -> Figure:
    """Large batches by two threads at once, beside as many by one."""
    samplers = [dataset.transition_sampler() for _ in range(2)]
    generators = [np.random.default_rng(number) for number in range(2)]
    count = 2 if setting.quick else 40

    def sample(number: int, batches: int) -> None:
        for _ in range(batches):
            samplers[number].sample(generators[number], _LARGE_BATCH)

    with ThreadPoolExecutor(2) as pool:

        def both() -> None:
            for each in [pool.submit(sample, number, count) for number in range(2)]:
                each.result()

        works: dict[str, Work] = {
            LIMIT: lambda: timed(lambda: sample(0, 2 * count)) / (2 * count),
            MINARI: lambda: timed(both) / (2 * count),
        }
        times = in_turns(works, setting.rounds(15))
    faster = 1 / ratio(times)
    return Figure(
        work=f"sample_transitions({_LARGE_BATCH:,}) by two threads",
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (one thread)",
        compared=f"{faster:.2f} × as fast",
        target=f"{_LEAST_BY_THREADS} × as fast",
        reached=faster >= _LEAST_BY_THREADS,
        values={name: median(times, name) for name in times} | {"faster": faster},
        obstacle="Two threads must have two idle processors for this.",
    )


def _is_ready(setting: Setting, contender: Contender, saved: Path) -> bool:
    peer = setting.against(contender)
    if peer is None:
        return False
    return (
        setting.attempt(lambda: peer.ask("load", folder=str(saved), windows=_WINDOWS)) is not None
    )


def _asked(setting: Setting, rival: _Rival) -> Work | None:
    """A peer's work, after it has been done once; None if it cannot."""
    peer = setting.against(rival.contender)
    if peer is None:
        return None

    def ask(count: int) -> float:
        return peer.seconds(rival.work, count=count, **rival.arguments)

    return None if setting.attempt(lambda: ask(1)) is None else lambda: ask(_PEER_COUNT)


def _compared(
    setting: Setting,
    what: str,
    ours: Callable[[], object],
    limit: tuple[Callable[[], object], float],
    rivals: Sequence[_Rival] = (),
    ready: Sequence[Contender] = (),
) -> list[Figure]:
    """A line beside numpy by hand, and one beside each peer."""
    by_hand, most = limit
    count = 20 if setting.quick else _COUNT
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(by_hand, count),
        MINARI: lambda: repeated(ours, count),
    }
    for rival in rivals:
        work = _asked(setting, rival) if rival.contender in ready else None
        if work is not None:
            works[rival.name] = work
    times = in_turns(works, setting.rounds(31))
    slower = ratio(times)
    first = Figure(
        work=what,
        minari=microseconds(median(times, MINARI)),
        limit=f"{microseconds(median(times, LIMIT))} (numpy.take from RAM)",
        compared=f"{slower:.2f} ×",
        target=f"{most} ×",
        reached=slower <= most,
        values={name: median(times, name) for name in times} | {"ratio": slower},
        obstacle="Finding the episode of each step, and what else a batch has, takes 10 to 15 µs.",
    )
    return [first, *(_beside(rival, times) for rival in rivals)]


def _beside(rival: _Rival, times: Times) -> Figure:
    theirs, least = median(times, rival.name), rival.least
    faster = None if theirs is None else ratio(times, rival.name, to=MINARI)
    return Figure(
        work=f"… beside {rival.contender.title}, {rival.call}",
        minari=microseconds(median(times, MINARI)),
        compared=NOTHING if faster is None else f"{faster:.1f} × as fast",
        target=NOTHING if least is None else f"{least:.0f} × as fast",
        reached=None if faster is None or least is None else faster >= least,
        others=microseconds(theirs),
        values={MINARI: median(times, MINARI), rival.name: theirs, "ratio": faster},
        obstacle="That may be less than numpy takes for the same rows in RAM.",
    )
