"""Where whole episodes lie among the steps of many environments, against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect.vector_buffers.segments import (
    Segments,
    find_segments,
    list_row_cells,
    list_step_cells,
)

WHAT_HAPPENS = ["step", "step", "step", "end", "cut"]


@st.composite
def recordings(draw: st.DrawFn) -> tuple[Any, Any, Any, Any]:
    """Ends, gaps, cuts and starts of a few environments; gaps lie only between episodes."""
    steps, envs = draw(st.integers(0, 9)), draw(st.integers(1, 3))
    ends, gaps, cuts = np.zeros((3, steps, envs), dtype=bool)
    start = np.array([draw(st.integers(0, steps)) for _ in range(envs)], dtype=np.int64)
    for env in range(envs):
        may_be_gap = True
        for step in range(steps):
            if step == start[env]:
                may_be_gap = True
            if may_be_gap and draw(st.booleans()):
                gaps[step, env] = True
                continue
            kind = draw(st.sampled_from(WHAT_HAPPENS))
            ends[step, env] = kind != "step"
            cuts[step, env] = kind == "cut"
            may_be_gap = kind != "step"
    return ends, gaps, cuts, start


def find_slowly(ends: Any, gaps: Any, cuts: Any, start: Any) -> tuple[list[Any], list[int]]:
    """Each episode as (last, cut, env, first), in order, and where each environment goes on."""
    episodes: list[Any] = []
    going_on: list[int] = []
    for env, begin in enumerate(start.tolist()):
        first = begin
        for step in range(begin, len(ends)):
            if gaps[step, env]:
                first = step + 1
            elif ends[step, env]:
                episodes.append((step, bool(cuts[step, env]), env, first))
                first = step + 1
        going_on.append(first)
    return sorted(episodes), going_on


@settings(max_examples=150)
@given(recording=recordings())
def test_episodes_are_found_as_one_finds_them_step_by_step(
    recording: tuple[Any, Any, Any, Any],
) -> None:
    wanted, going_on = find_slowly(*recording)
    found = find_segments(*recording)

    assert len(found) == len(wanted)
    assert found.last.tolist() == [last for last, _, _, _ in wanted]
    assert found.envs.tolist() == [env for _, _, env, _ in wanted]
    assert found.first.tolist() == [first for _, _, _, first in wanted]
    assert found.going_on.tolist() == going_on
    envs = len(recording[3])
    for chosen in (found, found.select(1, 3), found.select(0, 0)):
        places = list(zip(chosen.envs, chosen.first, chosen.last, strict=True))
        assert list_step_cells(chosen, envs).tolist() == [
            row * envs + env for env, first, last in places for row in range(first, last + 1)
        ]
        assert list_row_cells(chosen, envs).tolist() == [
            row * envs + env for env, first, last in places for row in range(first, last + 2)
        ]


def test_some_of_the_episodes_keep_where_the_others_go_on() -> None:
    numbers = np.arange(4)
    some = Segments(numbers, numbers + 10, numbers + 20, numbers + 30).select(1, 3)
    assert (some.envs.tolist(), some.first.tolist(), some.last.tolist()) == (
        [1, 2],
        [11, 12],
        [21, 22],
    )
    assert some.going_on.tolist() == [30, 31, 32, 33]
