"""Flat columns are cut where flags say so, and checked row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.datasets.flat.episodes import (
    FlatColumns,
    check_following,
    check_row_counts,
    find_episode_ends,
    read_flags,
    split_episodes,
)
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DataError

flags = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12)


@given(flags, st.none() | st.integers(1, 4), st.booleans())
def test_episodes_end_as_they_do_step_by_step(
    steps: list[tuple[bool, bool]], limit: int | None, has_timeouts: bool
) -> None:
    wanted, length = [], 0
    for row, (terminal, timeout) in enumerate(steps):
        length += 1
        if terminal or (timeout and has_timeouts) or length == limit or row == len(steps) - 1:
            wanted.append(row + 1)
            length = 0
    terminals, timeouts = (np.array(column) for column in zip(*steps, strict=True))
    ends, ended = find_episode_ends(terminals, timeouts if has_timeouts else None, limit)
    assert ends.dtype == np.int64
    assert ends.tolist() == wanted
    assert ended.tolist() == terminals.tolist()


def test_flags_that_are_none_are_refused() -> None:
    for given_flags in ([0, 1], [0.0, 1.0], np.array([[False], [True]]), np.array([0, 1], "u1")):
        assert read_flags(given_flags, "x").tolist() == [False, True]
    for bad, said in (
        ([0, 2], r"^x is int64 of shape \(2,\), not one flag a step$"),
        ([0.5], r"^x is float64 of shape \(1,\), not one"),
        ([np.nan], "not one flag a step"),
        ([[0, 1]], r"of shape \(1, 2\)"),
        (["a"], "not one flag"),
        (1, r"of shape \(\)"),
    ):
        with pytest.raises(DataError, match=said):
            read_flags(bad, "x")
    for terminals, timeouts, limit, said in (
        ([0, 1], [0], None, "^timeouts has 1 rows, but terminals 2$"),
        ([], None, None, "^there are no steps$"),
        ([0], None, 0, "^max_episode_steps is 0, not at least 1$"),
    ):
        with pytest.raises(DataError, match=said):
            find_episode_ends(terminals, timeouts, limit)


def make_columns(**changes: Any) -> FlatColumns:
    columns: dict[str, Any] = {
        "observations": {"a": np.arange(5.0), "b": (np.arange(5),)},
        "actions": np.arange(5),
        "rewards": np.arange(5.0) / 2,
        "ends": np.array([2, 5]),
        "terminals": np.array([False, True, False, False, False]),
        "infos": {"x": np.arange(5)},
        **changes,
    }
    return FlatColumns(**columns)


def split(columns: FlatColumns) -> list[Any]:
    return list(split_episodes(columns))


def test_each_episode_has_its_rows_and_one_end() -> None:
    first, second = split(make_columns())
    assert first.observations["a"].tolist() == [0, 1]
    assert second.observations["b"][0].tolist() == [2, 3, 4]
    assert second.actions.tolist() == [2, 3, 4]
    assert second.rewards.tolist() == [1.0, 1.5, 2.0]
    assert (first.terminations.tolist(), first.truncations.tolist()) == (
        *([False, True], [False, False]),
    )
    assert (second.terminations.tolist(), second.truncations.tolist()) == (
        *([False] * 3, [False, False, True]),
    )
    assert second.infos["x"].tolist() == [2, 3, 4]
    assert first.metadata == second.metadata == {FINAL_OBSERVATION: False}


def test_next_observations_give_the_final_one() -> None:
    following = {"a": np.array([1.0, 9.0, 3.0, 4.0, 8.0]), "b": (np.array([1, 9, 3, 4, 8]),)}
    first, second = split(make_columns(next_observations=following))
    assert first.observations["a"].tolist() == [0, 1, 9]
    assert second.observations["b"][0].tolist() == [2, 3, 4, 8]
    assert first.metadata == {FINAL_OBSERVATION: True}
    wrong = {**following, "a": np.array([1.0, 9.0, 3.5, 4.0, 8.0])}
    with pytest.raises(
        DataError,
        match=r"^episode 1: next_observations/a of step 0 is not the observation of step 1; the "
        r"steps of an episode must follow one another \(leave next_observations out",
    ):
        list(split_episodes(make_columns(next_observations=wrong)))


def test_last_rows_may_be_final_observations() -> None:
    first, second = split(make_columns(final_rows=True))
    assert (first.observations["a"].tolist(), first.actions.tolist()) == ([0, 1], [0])
    assert first.terminations.tolist() == [True]
    assert second.rewards.tolist() == [1.0, 1.5]
    assert second.infos["x"].tolist() == [2, 3, 4]
    assert first.metadata == {FINAL_OBSERVATION: True}
    with pytest.raises(DataError, match=r"^episode 1 has one row, its final observation, and so"):
        list(split_episodes(make_columns(final_rows=True, ends=np.array([4, 5]))))


def test_all_columns_have_a_row_for_each_step() -> None:
    check_row_counts(make_columns())
    check_row_counts(make_columns(infos={}))
    for name, value, said in (
        ("actions", np.arange(4), "^actions has 4 rows, but terminals has 5$"),
        ("observations", {"a": np.arange(6)}, "^observations/a has 6 rows, but terminals has 5$"),
        ("rewards", np.float64(1), "^rewards has no rows, but terminals has 5$"),
        ("next_observations", np.arange(1), "^next_observations has 1 rows"),
        ("infos", {"y": (np.arange(5), np.arange(2))}, "^infos/y/1 has 2 rows"),
    ):
        with pytest.raises(DataError, match=said):
            check_row_counts(make_columns(**{name: value}))


def test_what_follows_is_compared_in_dtype_shape_and_value() -> None:
    rows = np.array([[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]])
    check_following(rows, np.array([[np.nan, 4.0], [5.0, 6.0], [0.0, 0.0]]), "e", "")
    check_following(rows, np.array([[np.nan, 4.0], [5.0, 6.0]]), "e", "")
    for following, said in (
        (rows[1:].astype("f4"), r"^e: next_observations is float32 of shape \(2,\) a row, but obs"),
        (rows[1:, :1], r"^e: next_observations is float64 of shape \(1,\) a row, but observations"),
        (
            [[np.nan, 4.0], [5.0, 6.5]],
            r"^e: .* of step 1 is not the observation of step 2; ad",
        ),
        ([[0.0, 4.0], [5.0, 6.0]], r"^e: .* of step 0 is not the observation of step 1; advice$"),
    ):
        with pytest.raises(DataError, match=said):
            check_following(rows, np.asarray(following), "e", "advice")
    with pytest.raises(DataError, match=r"^e: next_observations/b is not in both observations and"):
        check_following({"a": rows, "b": rows}, {"a": rows[1:]}, "e", "")
