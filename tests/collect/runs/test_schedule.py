"""The schedule of a run, played through without workers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_collect.runs.schedule import Range, Schedule
from minari_collect.workers.messages import Failure, TaskOutput

STEPS = 7
"""The steps of each episode."""


def make_schedule(
    total_episodes: int | None = None,
    total_steps: int | None = None,
    workers: int = 1,
    max_attempts: int = 3,
    num_envs: int = 1,
    size: int | None = None,
) -> Schedule:
    return Schedule(
        total_episodes=total_episodes,
        total_steps=total_steps,
        workers=workers,
        max_attempts=max_attempts,
        num_envs=num_envs,
        episodes_per_task=size,
    )


def output(first: int, stop: int) -> TaskOutput:
    return TaskOutput(first, stop, STEPS * (stop - first))


def failure(episode: int, is_of_worker: bool = False) -> Failure:
    return Failure(episode, 0, "why", is_of_worker)


def take_all(schedule: Schedule) -> list[tuple[int, int]]:
    """Take all ranges, and collect none."""
    taken: list[tuple[int, int]] = []
    while (wanted := schedule.take_range(len(taken))) is not None:
        taken.append((wanted.first, wanted.stop))
    return taken


def covered(outputs: Sequence[TaskOutput]) -> list[int]:
    return [episode for each in outputs for episode in range(each.first, each.stop)]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"size": 4}, [(0, 4), (4, 8), (8, 10)]),
        ({"size": 20}, [(0, 10)]),
        # About eight tasks for each worker, rounded up.
        ({"workers": 1}, [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]),
        ({"workers": 2}, [(k, k + 1) for k in range(10)]),
        # No fewer than the environments of a worker.
        ({"workers": 2, "num_envs": 6}, [(0, 6), (6, 10)]),
    ],
)
def test_episodes_are_dealt_out_in_order(
    options: dict[str, int], wanted: list[tuple[int, int]]
) -> None:
    assert take_all(make_schedule(10, **options)) == wanted


def test_a_task_has_at_most_ten_thousand_episodes() -> None:
    taken = take_all(make_schedule(100_000))
    assert taken[0] == (0, 10_000)
    assert len(taken) == 10


@pytest.mark.parametrize(
    ("left", "wanted"),
    [
        # A gap that is smaller than a task.
        ([(0, 2), (3, 5)], [(2, 3), (5, 9), (9, 10)]),
        ([(4, 6)], [(0, 4), (6, 10)]),
        ([(6, 7), (2, 3)], [(0, 2), (3, 6), (7, 10)]),
        ([(0, 10)], []),
        ([(8, 12)], [(0, 4), (4, 8)]),
        # More than is to be collected, which an earlier run was told to collect.
        ([(20, 30)], [(0, 4), (4, 8), (8, 10)]),
    ],
)
def test_a_run_that_resumes_another_fills_its_gaps_and_no_more(
    left: list[tuple[int, int]], wanted: list[tuple[int, int]]
) -> None:
    schedule = make_schedule(10, size=4)
    schedule.start_from([output(*each) for each in left])

    assert take_all(schedule) == wanted


def test_what_one_worker_could_not_write_is_given_out_twice_in_ranges_without_gaps() -> None:
    schedule = make_schedule(10, size=10)
    wanted = schedule.take_range(0)
    assert wanted == Range(0, 10)
    unwritten = [failure(episode, is_of_worker=True) for episode in (1, 2, 3, 7, 8)]

    schedule.add_results([output(0, 1), output(4, 7), output(9, 10)], unwritten, wanted)

    assert take_all(schedule) == [(1, 4), (1, 4), (7, 9), (7, 9)]


def test_of_two_that_were_given_the_same_the_first_counts() -> None:
    schedule = make_schedule(4, size=4)
    schedule.add_results((), [failure(e, is_of_worker=True) for e in range(4)], Range(0, 4))
    schedule.add_results([output(0, 4)], ())

    # The second need not begin any more.
    assert take_all(schedule) == []
    schedule.add_results([output(0, 4)], ())
    schedule.add_results([output(2, 5)], ())
    assert schedule.outputs == [output(0, 4)]
    assert (schedule.episodes, schedule.steps) == (4, 4 * STEPS)


def test_a_worker_that_cannot_write_costs_an_episode_less_than_a_failure_of_its_own() -> None:
    own = make_schedule(1, max_attempts=2)
    own.add_results((), [failure(0)])
    assert own.failures == []
    own.add_results((), [failure(0)])
    assert own.failures == [failure(0)]

    of_worker = make_schedule(1, max_attempts=2)
    for _ in range(7):
        of_worker.add_results((), [failure(0, is_of_worker=True)])
    assert of_worker.failures == []
    of_worker.add_results((), [failure(0, is_of_worker=True)])
    assert of_worker.failures == [failure(0, is_of_worker=True)]


def test_what_is_left_of_a_task_comes_next() -> None:
    schedule = make_schedule(20, size=10)
    wanted = schedule.take_range(0)
    assert wanted is not None

    schedule.add_results([output(0, 3), output(5, 6)], [failure(4)], wanted)

    assert take_all(schedule) == [(3, 4), (6, 10), (4, 5), (10, 20)]


def test_of_a_lost_task_only_what_was_not_handed_in_is_begun_again_one_by_one() -> None:
    schedule = make_schedule(6, size=6)
    wanted = schedule.take_range(0)
    assert wanted is not None
    schedule.add_results([output(1, 4)], ())

    schedule.add_lost(wanted, [failure(episode) for episode in range(6)])

    assert take_all(schedule) == [(0, 1), (4, 5), (5, 6)]
    # One that was handed in after all did not fail.
    schedule.add_results([output(4, 5)], ())
    schedule.add_lost(Range(4, 5), [failure(4)])
    assert take_all(schedule) == []


def test_nothing_is_begun_once_the_first_episodes_have_enough_steps() -> None:
    schedule = make_schedule(total_steps=10 * STEPS)
    first = schedule.take_range(0)
    assert first == Range(0, 1)
    schedule.add_results([output(0, 1)], (), first)
    # Nine more of the same length, and there are about eight tasks for each worker.
    assert schedule.take_range(0) == Range(1, 3)
    schedule.add_results([output(3, 12)], [failure(20)])
    # Only what is going on is missing.
    assert schedule.take_range(1) == Range(20, 21)
    assert schedule.take_range(1) is None
    schedule.add_results([output(1, 3)], [failure(30)])

    assert schedule.count_prefix_steps() == 12 * STEPS
    assert schedule.take_range(0) is None


def test_a_failed_episode_is_no_gap_in_the_steps() -> None:
    schedule = make_schedule(total_steps=4 * STEPS, max_attempts=1)
    schedule.add_results([output(0, 1), output(2, 4)], [failure(1)])
    assert schedule.count_prefix_steps() == 3 * STEPS
    schedule.add_results([output(5, 6)], ())
    assert schedule.count_prefix_steps() == 3 * STEPS


def test_an_episode_that_failed_beyond_what_is_needed_is_no_failure() -> None:
    """Whether it was begun at all depends on the number of workers."""
    schedule = make_schedule(total_steps=4 * STEPS, max_attempts=1)
    schedule.add_results([output(0, 1), output(2, 3)], [failure(1), failure(9)])
    assert schedule.failures == [failure(1), failure(9)]

    schedule.add_results([output(3, 6), output(6, 9)], ())

    assert schedule.failures == [failure(1)]


@pytest.mark.parametrize(("workers", "hopeless"), [(1, 20), (5, 20), (6, 24)])
def test_a_run_is_hopeless_when_many_fail_and_none_succeeds_meanwhile(
    workers: int, hopeless: int
) -> None:
    schedule = make_schedule(100, workers=workers, max_attempts=1)
    schedule.add_results((), [failure(episode) for episode in range(hopeless - 1)])
    schedule.add_results([output(90, 91)], ())
    assert not schedule.is_hopeless
    schedule.add_results((), [failure(episode) for episode in range(30, 30 + hopeless - 1)])
    assert not schedule.is_hopeless
    schedule.add_results((), [failure(99)])
    assert schedule.is_hopeless


@given(data=st.data())
def test_whatever_happens_each_episode_is_collected_once_or_reported(data: st.DataObject) -> None:
    """Tasks end in any order, in part, not at all, or twice, after a run that left something."""
    total = data.draw(st.integers(1, 30))
    size = data.draw(st.integers(1, 10))
    bad = data.draw(st.sets(st.integers(0, total - 1), max_size=3))
    left = data.draw(st.lists(st.integers(0, total - 1).filter(lambda e: e not in bad), max_size=4))
    schedule = make_schedule(total, workers=2, max_attempts=2, size=size)
    schedule.start_from([output(episode, episode + 1) for episode in sorted(set(left))])
    in_flight: list[Range] = []
    troubles = 40
    while True:
        while len(in_flight) < 3 and (taken := schedule.take_range(len(in_flight))) is not None:
            assert 0 < len(taken) <= max(size, 1)
            assert 0 <= taken.first < taken.stop <= total
            assert not set(covered([output(taken.first, taken.stop)])) & set(left)
            in_flight.append(taken)
        if not in_flight:
            break
        wanted = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
        kinds = ["done", "part"] + (["lost", "cannot write", "lost after work"] * (troubles > 0))
        kind = data.draw(st.sampled_from(kinds))
        troubles -= kind not in ("done", "part")
        outputs, failures = _work(wanted, bad, wanted.stop)
        reasons = [failure(episode, is_of_worker=True) for episode in range(*_ends(wanted))]
        if kind == "part" and len(wanted) > 1:
            stop = data.draw(st.integers(wanted.first + 1, wanted.stop - 1))
            outputs, failures = _work(wanted, bad, stop)
        if kind == "lost":
            schedule.add_lost(wanted, reasons)
        elif kind == "cannot write":
            schedule.add_results((), reasons, wanted)
        elif kind == "lost after work":
            schedule.add_results(outputs, ())
            schedule.add_lost(wanted, reasons)
        else:
            schedule.add_results(outputs, failures, wanted)

    collected = covered(schedule.outputs)
    failed = [each.episode for each in schedule.failures]
    assert sorted(collected + failed) == list(range(total))
    assert collected == sorted(collected)
    assert bad <= set(failed)
    assert (schedule.episodes, schedule.steps) == (len(collected), STEPS * len(collected))


def _ends(wanted: Range) -> tuple[int, int]:
    return wanted.first, wanted.stop


def _work(wanted: Range, bad: set[int], stop: int) -> tuple[list[TaskOutput], list[Failure]]:
    """What a worker returns of a task in which some episodes fail, up to an episode."""
    outputs: list[TaskOutput] = []
    first = wanted.first
    for episode in [*sorted(bad & set(range(wanted.first, stop))), stop]:
        if episode > first:
            outputs.append(output(first, episode))
        first = episode + 1
    return outputs, [failure(episode) for episode in sorted(bad & set(range(wanted.first, stop)))]
