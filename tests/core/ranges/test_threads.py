"""Calls in several threads: how many at once, in which order, and what a failure ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from threading import Barrier, Lock

import pytest

from minari_core.ranges.threads import MOST_THREADS, read_ahead, run_each


class Gauge:
    """Counts how many calls run at the same time, each of which waits for so many others."""

    def __init__(self, parties: int) -> None:
        self.most = 0
        self._running = 0
        self._lock = Lock()
        self._barrier = Barrier(parties, timeout=30)

    def run(self, job: int) -> int:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._barrier.wait()
        with self._lock:
            self._running -= 1
        return -job


def wait_for_threads() -> None:
    """Wait until no thread of a stream is left."""
    for _ in range(500):
        if not [each for each in threading.enumerate() if each.name == "minari-stream"]:
            return
        time.sleep(0.01)
    pytest.fail("threads are left")


@pytest.mark.parametrize(("jobs", "most", "at_once"), [(6, 2, 2), (3, 9, 3), (32, None, 16)])
def test_jobs_run_in_as_many_threads_as_may_be(jobs: int, most: int | None, at_once: int) -> None:
    gauge = Gauge(at_once)
    done: list[int] = []

    def work(job: int) -> None:
        gauge.run(job)
        done.append(job)

    run_each(work, range(jobs), *([] if most is None else [most]))

    assert sorted(done) == list(range(jobs))
    assert gauge.most == at_once <= MOST_THREADS
    wait_for_threads()


def test_one_job_runs_in_the_thread_that_asks() -> None:
    threads: list[threading.Thread] = []
    run_each(lambda _: threads.append(threading.current_thread()), [1])
    run_each(lambda _: threads.append(threading.current_thread()), [])
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize("jobs", [1, 2, 40])
def test_a_job_that_fails_is_raised_and_no_other_thread_goes_on_for_ever(jobs: int) -> None:
    def fail(job: int) -> None:
        raise OSError(f"job {job}")

    with pytest.raises(OSError, match=r"^job \d+$"):
        run_each(fail, range(jobs))
    wait_for_threads()


def test_what_runs_ahead_is_bounded_and_comes_in_order() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for job in range(10):
            taken.append(job)
            yield job

    gauge = Gauge(1)
    found = read_ahead(gauge.run, jobs(), 3)
    assert not taken
    for number in range(10):
        assert next(found) == -number
        # The one that was yielded is not ahead any more.
        assert len(taken) == min(number + 3, 10)
    assert next(found, None) is None
    wait_for_threads()


@pytest.mark.parametrize(("count", "at_once"), [(1, 1), (3, 3), (40, 16)])
def test_as_many_calls_run_at_once_as_are_ahead(count: int, at_once: int) -> None:
    gauge = Gauge(at_once)
    assert list(read_ahead(gauge.run, range(3 * at_once), count)) == [
        -job for job in range(3 * at_once)
    ]
    assert gauge.most == at_once
    wait_for_threads()


def test_a_call_that_fails_is_raised_in_its_place_and_whoever_stops_leaves_no_thread() -> None:
    def divide(job: int) -> float:
        return 6 / (3 - job)

    found = read_ahead(divide, range(9), 4)
    assert [next(found) for _ in range(3)] == [2.0, 3.0, 6.0]
    with pytest.raises(ZeroDivisionError):
        next(found)
    wait_for_threads()
    given_up = read_ahead(divide, range(3), 2)
    next(given_up)
    close: Callable[[], None] = given_up.close  # type: ignore[attr-defined]  # a generator
    close()
    wait_for_threads()
