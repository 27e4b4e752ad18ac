"""What one thread finds is not what another one is finding at the same instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import FixedColumn
from minari_core.sampling.gathering.gatherers import FixedGatherer
from minari_core.sampling.gathering.spanning import SpannedArrays

COLUMN = FixedColumn(np.dtype(np.int64), ())
FIRSTS = np.array([0, 3, 5])
ALL = np.arange(5)
NUMBERS = np.array([0, 0, 0, 1, 1])


class Interrupted(np.ndarray[Any, np.dtype[np.int64]]):
    """An array which, where it is looked at, is interrupted once by another thread's work."""

    work: Callable[[], object] | None = None

    def interrupt(self) -> None:
        work, self.work = self.work, None
        if work is not None:
            work()

    def take(self, *arguments: Any, **options: Any) -> Any:
        taken = super().take(*arguments, **options)
        self.interrupt()
        return taken


class FoundAnew:
    """Segments that are opened anew each time, as two threads may open a shard both."""

    era = 0
    firsts = FIRSTS
    filled = np.arange(2)

    def __init__(self) -> None:
        self.found: list[npt.NDArray[np.int64]] = []

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> npt.NDArray[np.int64]:
        array = np.arange(FIRSTS[number], FIRSTS[number + 1])
        self.found.append(array)
        return array


def span(segments: Any) -> SpannedArrays:
    return SpannedArrays(segments, COLUMN)


def test_rows_are_right_although_another_thread_finds_the_last_array_in_between() -> None:
    spanned = span(FoundAnew())
    table = spanned._table
    bases = table.bases.view(Interrupted)
    table.bases = bases
    bases.work = lambda: spanned.take(ALL, NUMBERS)

    assert spanned.take(ALL, NUMBERS).tolist() == ALL.tolist()


def test_the_array_that_two_threads_found_stays_where_it_is_read() -> None:
    work: list[Callable[[], object]] = []

    class Between(FoundAnew):
        def __getitem__(self, number: int) -> npt.NDArray[np.int64]:
            array = super().__getitem__(number)
            if work:
                work.pop()()
            return array

    segments = Between()
    spanned = span(segments)
    work.append(lambda: spanned.take(ALL, NUMBERS))

    spanned.take(ALL, NUMBERS)

    table = spanned._table
    for number, array in table.kept.items():
        begin = array.__array_interface__["data"][0] - FIRSTS[number] * 8
        assert table.bases[number] + (1 << 12) == begin
    first = segments.found[1]  # what the interrupting thread found was there first
    assert table.kept[0] is first


def test_runs_are_as_long_as_they_are_asked_for_although_another_thread_asks_for_others() -> None:
    whole = np.arange(9)

    class Gatherer(FixedGatherer):
        def __init__(self) -> None:
            self.work: Callable[[], object] | None = None
            self.known: Any = (0, None)

        @property
        def _runs(self) -> Any:
            return self.known

        @_runs.setter
        def _runs(self, value: Any) -> None:
            self.known = value
            work, self.work = self.work, None
            if work is not None:
                work()

    gatherer = Gatherer()
    gatherer.work = lambda: gatherer._find_runs(whole, 2)

    runs = gatherer._find_runs(whole, 3)

    assert runs is not None
    assert runs.dtype.itemsize == 3 * whole.itemsize
