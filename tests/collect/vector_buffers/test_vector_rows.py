"""The rows of many environments, and of one: which cells are whose, and what moves with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_collect.buffers.rows import EpisodeRows
from minari_collect.vector_buffers.rows import VectorRows, make_plain_cells
from minari_collect.vector_buffers.segments import Segments
from minari_core.testing.expectations import expect_same
from tests.collect.helpers.buffered import decode, decode_infos

SPACE = spaces.Box(0, 1000, (), np.int64)
ENVS = 2
FLAG_GROUPS = ("terminations", "truncations")


def made(rows: int = 4) -> VectorRows:
    """Rows whose observations are 0, 1, …, actions 100, 101, … and rewards 200, 201, …."""
    held = VectorRows(ENVS, SPACE, SPACE, rows)
    for row in range(rows):
        numbers = np.arange(row * ENVS, (row + 1) * ENVS)
        held.observations.write(row, numbers)
        held.actions.write(row, numbers + 100)
        held.rewards.write(row, numbers + 200.0)
        held.infos.write(row, {"i": numbers + 300})
        held.extras.write(row, [{"e": int(number) + 400} for number in numbers])
    held.flags[:] = np.arange(4 * rows * ENVS).reshape(4, rows, ENVS) % 3 == 0
    return held


def segments(*places: tuple[int, int, int]) -> Segments:
    envs, first, last = (np.array(each, dtype=np.int64) for each in zip(*places, strict=True))
    return Segments(envs, first, last, np.zeros(ENVS, np.int64))


def test_the_last_rows_of_episodes_are_final_values_where_there_are_some() -> None:
    held = made()
    episodes = segments((1, 0, 0), (0, 1, 2))
    assert held.find_step_cells(episodes).cells.tolist() == [1, 2, 4]
    plain = held.find_row_cells(episodes)
    assert plain.cells.tolist() == [1, 3, 2, 4, 6]
    assert plain.positions.tolist() == plain.finals.tolist() == []
    # That of row 1 belongs to the first of them, that of row 2 to none.
    for cell in (4, 3):
        held.add_final_cell(cell)
    found = held.find_row_cells(episodes)
    assert (found.positions.tolist(), found.finals.tolist()) == ([1], [1])
    held.add_final_cell(6)
    found = held.find_row_cells(episodes)
    assert (found.positions.tolist(), found.finals.tolist()) == ([1, 4], [1, 2])
    later = held.find_row_cells(segments((0, 1, 2)), without_first=True)
    assert later.cells.tolist() == [4, 6]
    assert (later.positions.tolist(), later.finals.tolist()) == ([1], [2])
    held.keep_finals({60: 2, 30: 1})
    assert held.final_numbers == {60: 0, 30: 1}
    held.observations.write(3, np.array([7, 7]))
    expect_same(
        held.observations.read(held.find_row_cells(segments((0, 29, 29)))), np.array([7, 6])
    )


def test_a_cell_that_is_kept_as_a_final_value_keeps_all_that_it_has() -> None:
    held = made()
    held.add_final_cell(5)
    held.observations.write(2, np.array([0, 0]))
    held.infos.write(2, {"i": np.array([0, 0])})
    held.extras.write(2, [{"e": 0}, {"e": 0}])
    cells = held.find_row_cells(segments((1, 1, 1)))
    steps = held.find_step_cells(segments((1, 1, 1)))
    groups = held.encode(cells, steps)

    assert decode(SPACE, groups["observations"], 2) == [3, 5]
    assert decode_infos(groups["infos"], 2)["i"].tolist() == [303, 305]
    assert decode_infos(groups["extras"], 2)["e"].tolist() == [403, 405]
    assert decode(SPACE, groups["actions"], 1) == [103]
    assert decode(SPACE, groups["rewards"], 1) == [203.0]
    for number, name in enumerate(FLAG_GROUPS):
        assert decode(SPACE, groups[name], 1) == [held.flags[number, 1, 1]]


def test_one_environment_of_many_is_read_with_its_final_value() -> None:
    held = made()
    held.add_final_cell(7)
    held.final_numbers = {5: 0}
    for start, stop, last, wanted in (
        (0, 3, 2, [1, 3, 7]),
        (1, 2, 2, [3]),
        (1, 4, 2, [3, 7, 7]),
        (2, 3, 2, [7]),
        (0, 3, 1, [1, 3, 5]),
    ):
        expect_same(held.read(1, last, "observations", start, stop), np.array(wanted))
        infos: Any = held.read(1, last, "infos", start, stop)
        assert infos["i"] == [number + 300 for number in wanted]
        extras: Any = held.read(1, last, "extras", start, stop)
        assert extras["e"] == [number + 400 for number in wanted]
    expect_same(held.read(1, 2, "actions", 1, 3), np.array([103, 105]))
    expect_same(held.read(0, 2, "rewards", 1, 3), np.array([202.0, 204.0]))
    for number, name in enumerate(FLAG_GROUPS):
        expect_same(held.read(1, 2, name, 1, 3), held.flags[number, 1:3, 1])


def test_rows_of_many_environments_grow_and_move_with_their_flags() -> None:
    held = made()
    flags = held.flags.copy()
    held.grow(6)
    assert held.capacity == 6
    expect_same(held.flags, np.concatenate([flags, np.zeros((4, 2, ENVS), bool)], axis=1))
    held.terminations[5] = held.gaps[5] = True
    assert held.flags[[0, 2], 5].all()
    flags = held.flags.copy()
    held.move(1, 6)
    expect_same(held.flags[:, :5], flags[:, 1:])
    # What is after them has no gaps and no cuts, and its ends are written with the next step.
    assert not held.flags[2:, 5].any()
    expect_same(held.observations.read(make_plain_cells(np.arange(6))), np.arange(2, 8))
    assert held.infos.read(make_plain_cells(np.arange(6)))["i"] == list(range(302, 308))
    assert held.extras.read(make_plain_cells(np.arange(2)))["e"] == [402, 403]
    expect_same(held.find_ends(slice(5)), held.flags[0, :5] | held.flags[1, :5])
    held.clear()
    assert not held.flags[2:].any()
    assert held.infos.read(make_plain_cells(np.arange(2))) == {}
    assert held.extras.read(make_plain_cells(np.arange(2))) == {}
    assert held.row_nbytes == 2 * ENVS * 8


def test_dropping_all_rows_drops_final_values() -> None:
    held = made()
    held.add_final_cell(0)
    held.clear()
    assert held.final_numbers == {}
    held.observations.write(0, np.array([8, 9]))
    held.add_final_cell(1)
    found = held.observations.read(held.find_row_cells(segments((1, -1, -1))))
    assert np.asarray(found)[-1] == 9


@pytest.fixture
def single() -> EpisodeRows:
    held = EpisodeRows(SPACE, SPACE, 4)
    for row in range(4):
        held.observations.write(row, row)
        held.actions.write(row, row + 100)
        held.rewards.write(row, row + 200.0)
        held.infos.write(row, {"i": row + 300})
        held.extras.write(row, {"e": row + 400})
    held.flags[:] = [[True, False, False, True], [False, True, False, True]]
    return held


def test_rows_of_one_environment_grow_and_move_with_their_flags(single: EpisodeRows) -> None:
    flags = single.flags.copy()
    single.grow(6)
    assert single.capacity == 6
    expect_same(single.flags, np.concatenate([flags, np.zeros((2, 2), bool)], axis=1))
    single.move(1, 4)
    expect_same(single.flags[:, :3], flags[:, 1:])
    expect_same(single.read("observations", 0, 3), np.array([1, 2, 3]))
    expect_same(single.read("actions", 0, 3), np.array([101, 102, 103]))
    expect_same(single.read("rewards", 0, 3), np.array([201.0, 202, 203]))
    assert single.read("infos", 0, 3) == {"i": [301, 302, 303]}
    assert single.read("extras", 0, 3) == {"e": [401, 402, 403]}
    for number, name in enumerate(FLAG_GROUPS):
        read: Any = single.read(name, 1, 3)
        expect_same(read, flags[number, 2:])
        read[:] = ~read
        expect_same(single.read(name, 1, 3), flags[number, 2:])
    assert single.row_nbytes == 16
    single.copy_observation(1, 3)
    assert [single.read(name, 3, 4) for name in ("infos", "extras")] == [{"i": [302]}, {"e": [402]}]
    expect_same(single.read("observations", 3, 4), np.array([2]))
    single.drop_infos(1)
    assert single.read("infos", 0, 2) == {"i": [301, None]}
    assert single.read("extras", 0, 2) == {"e": [401, None]}
    single.clear()
    assert single.read("infos", 0, 1) == single.read("extras", 0, 1) == {}


@pytest.mark.parametrize("keep", [None, np.array([True, False, True])])
def test_rows_and_steps_of_one_environment_are_encoded_as_far_as_they_are_wanted(
    single: EpisodeRows, keep: Any
) -> None:
    groups = single.encode((1, 4), 3, keep)
    chosen = slice(None) if keep is None else keep
    steps = np.arange(3)[chosen]
    assert decode(SPACE, groups["observations"], 3) == [1, 2, 3]
    assert decode_infos(groups["infos"], 3)["i"].tolist() == [301, 302, 303]
    assert decode_infos(groups["extras"], 3)["e"].tolist() == [401, 402, 403]
    assert decode(SPACE, groups["actions"], len(steps)) == (steps + 100).tolist()
    assert decode(SPACE, groups["rewards"], len(steps)) == (steps + 200).tolist()
    for number, name in enumerate(FLAG_GROUPS):
        wanted = single.flags[number, :3][chosen].tolist()
        assert decode(SPACE, groups[name], len(steps)) == wanted
