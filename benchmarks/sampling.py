"""Random transitions and windows for training, beside numpy by hand and other replay buffers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import frames
import large_datasets
import numpy as np
from measure import LIMIT, MINARI, Times, Work, in_turns, median, ratio, repeated
from peer import D3RLPY, TORCHRL, Contender
from report import NOTHING, Figure, microseconds
from saved import Columns, save_columns
from setting import Setting
from workloads import Workload, long_episodes
from writing import buffers_of, write

import minari

_BATCH_SIZE = 256
_WINDOWS, _LENGTH = 64, 20
# Who is slow does fewer in a round.
_COUNT, _PEER_COUNT = 200, 20

_OTHERS = {
    TORCHRL: ("LazyMemmapStorage, sample(256)", "SliceSampler"),
    D3RLPY: ("sample_transition_batch(256)", "sample_trajectory_batch(64, 20)"),
}


def measure(setting: Setting) -> list[Figure]:
    """Transitions and windows, large and many-parted datasets, and images."""
    return [*_small_batches(setting), *large_datasets.measure(setting), *frames.measure(setting)]


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
        ready = [contender for contender in _OTHERS if _is_ready(setting, contender, saved)]
        return [
            *_compared(
                setting,
                f"sample_transitions({_BATCH_SIZE}) of 17 float64 + 6 float32",
                lambda: dataset.sample_transitions(_BATCH_SIZE),
                (by_hand.transitions, "numpy.take from RAM", 1.3),
                {contender: (_OTHERS[contender][0], 6.0) for contender in _OTHERS},
                {one: _asked(setting, one, "transitions", _BATCH_SIZE) for one in ready},
            ),
            *_compared(
                setting,
                f"sample_sequences({_WINDOWS}, {_LENGTH}) of the same",
                lambda: dataset.sample_sequences(_WINDOWS, _LENGTH),
                (by_hand.windows, "numpy.take from RAM", 1.5),
                {contender: (_OTHERS[contender][1], 4.0) for contender in _OTHERS},
                {one: _asked(setting, one, "windows", _WINDOWS, length=_LENGTH) for one in ready},
            ),
        ]


def _is_ready(setting: Setting, contender: Contender, saved: Path) -> bool:
    peer = setting.against(contender)
    if peer is None:
        return False
    return setting.attempt(lambda: peer.ask("load", folder=str(saved), length=_LENGTH)) is not None


def _asked(
    setting: Setting, contender: Contender, work: str, batch_size: int, **arguments: int
) -> Work | None:
    """A peer's work, after it has been done once; None if it cannot."""
    peer = setting.against(contender)
    if peer is None:
        return None

    def ask(count: int) -> float:
        return peer.seconds(work, batch_size=batch_size, count=count, **arguments)

    if setting.attempt(lambda: ask(1)) is None:
        return None
    return lambda: ask(_PEER_COUNT)


def _compared(
    setting: Setting,
    what: str,
    ours: Callable[[], object],
    limit: tuple[Callable[[], object], str, float],
    others: dict[Contender, tuple[str, float]],
    asked: dict[Contender, Work | None],
) -> list[Figure]:
    """A line beside the limit, and one beside each peer."""
    by_hand, limit_name, most = limit
    count = 20 if setting.quick else _COUNT
    works: dict[str, Work] = {
        LIMIT: lambda: repeated(by_hand, count),
        MINARI: lambda: repeated(ours, count),
    }
    works |= {one.name: work for one, work in asked.items() if work is not None}
    times = in_turns(works, setting.rounds(31))
    slower = ratio(times)
    figures = [
        Figure(
            work=what,
            minari=microseconds(median(times, MINARI)),
            limit=f"{microseconds(median(times, LIMIT))} ({limit_name})",
            compared=f"{slower:.2f} ×",
            target=f"{most} ×",
            reached=slower <= most,
            values={name: median(times, name) for name in times} | {"ratio": slower},
        )
    ]
    return figures + [
        _beside(contender, times, call, least) for contender, (call, least) in others.items()
    ]


def _beside(contender: Contender, times: Times, call: str, least: float) -> Figure:
    theirs = median(times, contender.name)
    faster = None if theirs is None else ratio(times, contender.name, to=MINARI)
    return Figure(
        work=f"… beside {contender.title}, {call}",
        minari=microseconds(median(times, MINARI)),
        compared=NOTHING if faster is None else f"{faster:.1f} × as fast",
        target=f"{least:.0f} × as fast",
        reached=None if faster is None else faster >= least,
        others=microseconds(theirs),
        values={MINARI: median(times, MINARI), contender.name: theirs, "ratio": faster},
    )
