"""The stream of random numbers that a dataset or a view draws from.

Streams form a tree, as those of `numpy.random.SeedSequence` do: every view, shard and worker has a
stream of its own, spawned from that of the dataset that it comes from. After a seed is set,
the whole tree is repeatable; without one, no two streams ever draw the same.
"""

from __future__ import annotations

import os
import sys
from threading import Lock
from typing import Any

import numpy as np

from minari_core.arguments import check_whole_number

_PARENT_OF_WORKERS = "torch.utils.data"


class Process:
    """A stand-in for a process; each process that is forked from it has another."""


_process = Process()
_counting = Lock()


def current_process() -> Process:
    """Return the stand-in for this process."""
    return _process


def _become_a_new_process() -> None:
    global _counting, _process
    # Another thread of the process that was forked may hold the lock for ever here.
    _process, _counting = Process(), Lock()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_become_a_new_process)


class RandomStream:
    """A source of random numbers that knows where it comes from.

    A stream that nobody seeded is not carried into another process, by a fork or by a pickle: it
    begins there with fresh entropy from the operating system. A seeded one is carried; in each
    worker of a PyTorch ``DataLoader`` it goes on in a stream of that worker's own.

    Not safe to share between threads, like `numpy.random.Generator`; threads may spawn from it.
    """

    __slots__ = ("_children", "_generator", "_process", "_seeds")

    def __init__(self, seed: int | None = None) -> None:
        """Begin a stream.

        Args:
            seed: What it depends on, at least 0; on fresh entropy if None.

        Raises:
            SamplingError: The seed is negative, or no whole number.
        """
        self._seeds = (
            None if seed is None else np.random.SeedSequence(check_whole_number("seed", seed, 0))
        )
        self._children = 0
        self._generator: np.random.Generator | None = None
        self._process: Process | None = _process

    @property
    def is_seeded(self) -> bool:
        """Whether what is drawn depends on a seed that somebody set."""
        return self._seeds is not None

    @property
    def generator(self) -> np.random.Generator:
        """The generator to draw from, in this process."""
        if self._process is not _process:
            self._enter_process()
        if self._generator is None:
            # A SeedSequence that is given to a generator is not changed by it.
            self._generator = np.random.default_rng(self._seeds)
        return self._generator

    def spawn(self) -> RandomStream:
        """Begin an independent stream, another one at each call, that depends on the same seed."""
        child = RandomStream()
        if self._seeds is not None:
            if self._process is not _process:
                self._enter_process()
            with _counting:
                number = self._children
                self._children += 1
            child._seeds = np.random.SeedSequence(
                self._seeds.entropy, spawn_key=(*self._seeds.spawn_key, number)
            )
        return child

    def _enter_process(self) -> None:
        """Make this stream one of this process, to which it came by a fork or a pickle."""
        self._process = _process
        if self._seeds is None:
            self._generator = None
            return
        worker = find_loader_worker()
        if worker is not None:
            # What was drawn before counts, so that workers of a later epoch draw otherwise
            # where the dataset was drawn from in between.
            drawn = self.generator.integers(2**63, size=2).tolist()
            self._seeds = np.random.SeedSequence(
                self._seeds.entropy,
                spawn_key=(*self._seeds.spawn_key, *_split_into_words(drawn), worker[0]),
            )
            self._children = 0
            self._generator = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything of a seeded stream, nothing of another."""
        if self._seeds is None:
            return {}
        return {
            "entropy": self._seeds.entropy,
            "spawn_key": self._seeds.spawn_key,
            "children": self._children,
            "drawn": None if self._generator is None else self._generator.bit_generator.state,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the state of a seeded stream, or begin one without a seed."""
        self.__init__()  # type: ignore[misc]  # begins anew, and then goes on from the state
        self._process = None
        if state:
            self._seeds = np.random.SeedSequence(state["entropy"], spawn_key=state["spawn_key"])
            self._children = state["children"]
            if state["drawn"] is not None:
                self._generator = np.random.default_rng(self._seeds)
                self._generator.bit_generator.state = state["drawn"]


def find_loader_worker() -> tuple[int, int] | None:
    """Return which worker of a PyTorch ``DataLoader`` this is, of how many; None if it is none."""
    # A process without PyTorch is no worker of its.
    data = sys.modules.get(_PARENT_OF_WORKERS)
    info = None if data is None else data.get_worker_info()
    return None if info is None else (int(info.id), int(info.num_workers))


def _split_into_words(numbers: list[int]) -> tuple[int, ...]:
    """Cut 64-bit numbers into the 32-bit ones that a spawn key is made of."""
    return tuple(word for number in numbers for word in (number & 0xFFFFFFFF, number >> 32))
