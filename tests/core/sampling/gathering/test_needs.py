"""What positions are read from is known before they are read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling import OffsetOptions, OffsetSampler, SequenceOptions, SequenceSampler
from minari_core.sampling.gathering.needs import Run
from minari_core.sampling.windows.continued import ContinuedSampler
from tests.core.helpers.recorded import VECTOR, record, stored

LENGTHS = [5, 1, 7, 3]
STARTS = [0, 5, 6, 13]


def place(step: int) -> tuple[int, int]:
    """The episode of a step, counted through all, and its number in it."""
    episode = max(number for number, start in enumerate(STARTS) if start <= step)
    return episode, step - STARTS[episode]


def cover(runs: Any) -> list[int]:
    """All numbers of runs, none of which touch."""
    listed: list[Run] = list(runs)
    assert all(first[1] < then[0] for first, then in pairwise(listed))
    return [number for start, stop in listed for number in range(start, stop)]


def expect_steps(of: list[tuple[int, int]], back: int, ahead: int) -> tuple[list[int], list[int]]:
    """The steps and rows around some steps of their episodes, one by one."""
    steps, rows = set(), set()
    for episode, step in of:
        for other in range(max(step - back, 0), min(step + ahead, LENGTHS[episode] - 1) + 1):
            steps.add(STARTS[episode] + other)
            rows |= {STARTS[episode] + episode + other, STARTS[episode] + episode + other + 1}
    return sorted(steps), sorted(rows)


@given(st.data(), st.integers(1, 4), st.integers(0, 3), st.booleans())
@settings(max_examples=40)
def test_transitions_need_what_is_stacked_before_and_summed_after_them(
    data: st.DataObject, n_step: int, stack: int, follows: bool
) -> None:
    view = data.draw(st.sampled_from([[0, 1, 2, 3], [2, 0], [3, 1, 2]]))
    total = sum(LENGTHS[episode] for episode in view)
    start = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(start + 1, total))
    columns = ["observations", "rewards", *(["next_actions"] if follows else [])]
    with stored(record(VECTOR, VECTOR, LENGTHS, 0, cuts=2), on_disk=False) as dataset:
        sampler = dataset[view].transition_sampler(columns=columns, n_step=n_step, stack=stack)
        needs = sampler.find_needs(start, stop)
    of = [(episode, step) for episode in view for step in range(LENGTHS[episode])][start:stop]
    steps, rows = expect_steps(of, max(stack - 1, 0), n_step - 1 + follows)
    assert cover(needs.steps) == steps
    assert cover(needs.rows) == rows
    expected = {"observations", "rewards"} | ({"actions"} if follows else set())
    assert set(needs.columns) == expected | ({"terminations"} if n_step > 1 else set())


@given(
    st.data(),
    st.integers(1, 4),
    st.sampled_from([None, "before", "after"]),
    st.booleans(),
)
@settings(max_examples=40)
def test_windows_need_all_of_their_steps(
    data: st.DataObject, length: int, padding: Any, to_go: bool
) -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0, cuts=2), on_disk=False) as dataset:
        options = SequenceOptions(
            length=length,
            padding=padding,
            columns=("observations", "actions"),
            returns_to_go=to_go,
        )
        sampler = SequenceSampler(dataset._find_columns(), range(4), options)
        start = data.draw(st.integers(0, len(sampler) - 1))
        stop = data.draw(st.integers(start + 1, len(sampler)))
        needs = sampler.find_needs(start, stop)
        anchors = [
            (episode, step)
            for episode, steps in enumerate(LENGTHS)
            for step in range(steps if padding else max(steps - length + 1, 0))
        ][start:stop]
    back, ahead = (length - 1, 0) if padding == "before" else (0, length - 1)
    steps, rows = expect_steps(anchors, back, ahead)
    assert cover(needs.steps) == steps
    assert cover(needs.rows) == rows
    assert needs.columns == ("observations", "actions", *(["rewards"] if to_go else []))


@pytest.mark.parametrize("to_go", [False, True])
def test_windows_with_offsets_need_all_rows_between_their_ends(to_go: bool) -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0, cuts=2), on_disk=False) as dataset:
        options = OffsetOptions(
            offsets=(("observations", (-2, -1, 0)), ("actions", (0, 1, 2))), returns_to_go=to_go
        )
        sampler = OffsetSampler(dataset._find_columns(), range(4), options)
        needs = sampler.find_needs(8, 10)
    steps, rows = expect_steps([(2, 2), (2, 3)], 2, 3)
    assert cover(needs.steps) == steps
    assert cover(needs.rows) == rows
    assert needs.columns == ("observations", "actions", *(["rewards"] if to_go else []))


@pytest.mark.parametrize("to_go", [False, True])
def test_returns_to_go_need_the_rewards_of_transitions(to_go: bool) -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0), on_disk=False) as dataset:
        sampler = dataset.transition_sampler(columns=["actions"], returns_to_go=to_go)
        needs = sampler.find_needs(3, 6)
    assert needs.columns == ("actions", *(["rewards"] if to_go else []))
    assert list(needs.steps) == [(3, 6)]


def test_columns_are_named_as_they_are_stored() -> None:
    recorded = record(VECTOR, VECTOR, LENGTHS, 0)
    with stored(recorded, on_disk=False) as dataset:
        names = ["next_observations", "observations", "terminations"]
        needs = dataset.transition_sampler(columns=names, n_step=10**15).find_needs(0, 16)
    assert needs.columns == ("observations", "terminations", "rewards")
    assert list(needs.steps) == [(0, 16)]
    assert list(needs.rows) == [(0, 20)]


@pytest.mark.parametrize("number", [0, 15])
def test_a_single_position_needs_its_row_and_the_next(number: int) -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0), on_disk=False) as dataset:
        needs = dataset.transition_sampler().find_needs(number, number + 1)
    episode, _ = place(number)
    assert list(needs.steps) == [(number, number + 1)]
    assert list(needs.rows) == [(number + episode, number + episode + 2)]
    assert np.array(needs.rows).dtype.kind == "i"


@pytest.mark.parametrize("to_go", [False, True])
@pytest.mark.parametrize("previous", [False, True])
def test_windows_that_go_on_need_the_rows_of_all_episodes_that_they_are_in(
    to_go: bool, previous: bool
) -> None:
    columns = ("observations", "actions", *(["previous_actions"] if previous else []))
    options = SequenceOptions(length=4, columns=columns, returns_to_go=to_go, across_episodes=True)
    with stored(record(VECTOR, VECTOR, LENGTHS, 0, cuts=2), on_disk=False) as dataset:
        sampler = ContinuedSampler(dataset._find_columns(), range(4), options)
        needs = sampler.find_needs(3, 5)
    # Observations 3 to 7 of all: of the first episode the last three, and both of the second.
    assert list(needs.rows) == [(3, 8)]
    # Behind the last step of an episode, that step is read.
    assert list(needs.steps) == [(2 if previous else 3, 6)]
    assert needs.columns == ("observations", "actions", *(["rewards"] if to_go else []))
