"""The tasks of a number of steps, played through: how many there are, and what is too much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.runs.lengths import EpisodeLengths
from minari_collect.runs.schedule import Range, Schedule
from minari_collect.workers.messages import TaskOutput
from tests.collect.helpers.schedules import draw_lengths, play


@pytest.mark.parametrize("queued", [1, 2])
def test_a_thousand_workers_have_few_tasks_and_none_too_much(queued: int) -> None:
    """10⁹ steps in episodes of a thousand, which were 35,264 tasks, 7,999 of one episode."""
    played = play(np.full(1_100_000, 1000), 10**9, 1000, queued)
    assert played.covered
    assert played.needed == 10**6
    assert played.tasks_of_episodes == 8000
    assert played.tasks <= 1.3 * 8000
    assert played.singles <= 2000
    assert played.excess == 0


@pytest.mark.parametrize("kind", ["equal", "uniform", "geometric"])
@pytest.mark.parametrize("queued", [1, 2])
@pytest.mark.parametrize(("workers", "total"), [(16, 10**7), (100, 10**7), (1000, 2 * 10**7)])
def test_tasks_are_few_and_little_is_too_much(
    kind: str, queued: int, workers: int, total: int
) -> None:
    played = play(draw_lengths(kind, 200, total, seed=workers), total, workers, queued)
    assert played.covered
    assert played.tasks <= 1.3 * played.tasks_of_episodes
    # A hundredth, or an episode for each of the last tasks.
    assert played.excess <= max(total / 100, workers * total / played.needed)


@pytest.mark.parametrize("kind", ["equal", "uniform", "geometric"])
def test_few_workers_learn_from_few_episodes_and_are_rarely_wrong(kind: str) -> None:
    runs = [
        (workers, total, play(draw_lengths(kind, 200, total, seed), total, workers, seed=seed))
        for workers in (1, 2, 4)
        for total in (4000, 10**5, 10**6)
        for seed in range(12)
    ]
    assert all(played.covered for _, _, played in runs)
    beyond = [
        played.excess / max(total / 100, workers * total / played.needed)
        for workers, total, played in runs
    ]
    assert np.mean([each > 1 for each in beyond]) < 0.1
    assert max(beyond) < 5
    more = [played.tasks - 1.3 * played.tasks_of_episodes for _, _, played in runs]
    assert np.mean([each > 0 for each in more]) < 0.25
    assert max(more) < 12


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["equal", "uniform", "geometric"]),
    mean=st.integers(1, 300),
    total=st.integers(1, 50_000),
    workers=st.integers(1, 40),
    queued=st.integers(1, 2),
    num_envs=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_the_first_episodes_are_collected_once_whoever_works(
    kind: str, mean: int, total: int, workers: int, queued: int, num_envs: int, seed: int
) -> None:
    lengths = draw_lengths(kind, mean, total, seed)
    played = play(lengths, total, workers, queued, seed, num_envs)
    assert played.covered


@pytest.mark.parametrize(
    ("total", "workers", "num_envs", "sizes"),
    [
        (500, 2, 1, [1] * 7),
        (20_000, 1, 1, [1, 4, 20, 52, 52, 50, 51, 20, 1]),
        (20_000, 2, 1, [1, 1, 1, 7, 5, 28, *[26] * 7, 25, 1]),
        (20_000, 3, 4, [4, 4, 4, 8, 18, 18, 17, 18, *[17] * 9, 6, 1]),
        (3 * 10**6, 2, 1, [1, 1, 1, 7, 5, 35, 25, *[3779] * 3, 3782, *[3751] * 5, 3551, 1]),
    ],
)
def test_tasks_grow_as_lengths_become_known(
    total: int, workers: int, num_envs: int, sizes: list[int]
) -> None:
    """Tasks follow from the arguments alone, so that their sizes are as good as part of the API."""
    schedule = Schedule(
        total_episodes=None, total_steps=total, workers=workers, max_attempts=3, num_envs=num_envs
    )
    taken: list[int] = []
    waiting: list[Range] = []
    while True:
        while len(waiting) < 2 * workers:
            wanted = schedule.take_range(len(waiting))
            if wanted is None:
                break
            taken.append(len(wanted))
            waiting.append(wanted)
        if not waiting:
            break
        done = waiting.pop(0)
        steps = sum(50 + episode % 7 * 10 for episode in range(done.first, done.stop))
        schedule.add_results([TaskOutput(done.first, done.stop, steps)], (), done)

    assert taken == sizes


def test_a_gap_that_an_earlier_run_left_is_collected_in_tasks_of_the_usual_size() -> None:
    schedule = Schedule(total_episodes=None, total_steps=10_000, workers=1, max_attempts=3)
    schedule.start_from([TaskOutput(0, 200, 2000), TaskOutput(800, 1000, 2000)])
    taken = []
    while (wanted := schedule.take_range(0)) is not None:
        taken.append((wanted.first, wanted.stop))
        steps = 10 * len(wanted)
        schedule.add_results([TaskOutput(wanted.first, wanted.stop, steps)], (), wanted)
    assert taken == [(200, 400), (400, 600), (600, 800)]
    assert schedule.count_prefix_steps() == 10_000


def test_the_lengths_of_few_and_many_episodes() -> None:
    lengths = EpisodeLengths()
    lengths.add(2, 20)
    assert (lengths.mean, lengths.variance) == (10, 0)
    assert lengths.count_fitting(100, waiting=0) == 10
    assert lengths.count_fitting(-1, waiting=0) == 0
    generator = np.random.default_rng(0)
    for _ in range(2000):
        lengths.add(5, int(generator.geometric(0.02, 5).sum()))
    assert lengths.variance == pytest.approx(50 * 49, rel=0.1)
    fitting = lengths.count_fitting(5000, waiting=0)
    sums = generator.geometric(0.02, (2000, fitting)).sum(axis=1)
    assert 0.98 < np.mean(sums <= 5000) < 1
    assert lengths.estimate_waiting(10, 2) == pytest.approx(10 * 50 + 2 * 49, rel=0.1)
