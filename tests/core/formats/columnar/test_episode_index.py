"""Where episodes lie among shards, beside counting every row."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_index import EpisodeIndex


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


def _borders(draw: st.DrawFn, total: int, shards: int) -> list[int]:
    inner = draw(st.lists(st.integers(0, total), min_size=shards - 1, max_size=shards - 1))
    return [0, *sorted(inner), total]


@st.composite
def _layouts(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int, int]]]:
    """The lengths of episodes, and the counts of shards that cut them anywhere."""
    lengths = draw(st.lists(st.integers(1, 5), max_size=6))
    shards = draw(st.integers(1, 5))
    steps = _borders(draw, sum(lengths), shards)
    rows = _borders(draw, sum(lengths) + len(lengths), shards)
    if draw(st.booleans()) and lengths:
        # Clean borders, as between checkpoints.
        firsts = [0, *itertools.accumulate(lengths)]
        places = _borders(draw, len(lengths), shards)
        steps = [firsts[place] for place in places]
        rows = [firsts[place] + place for place in places]
    ends = np.cumsum(lengths).tolist()
    episodes = [sum(low < end <= high for end in ends) for low, high in itertools.pairwise(steps)]
    counts = zip(
        [high - low for low, high in itertools.pairwise(rows)],
        [high - low for low, high in itertools.pairwise(steps)],
        episodes,
        strict=True,
    )
    return lengths, list(counts)


@given(_layouts())
@settings(max_examples=300)
def test_episodes_lie_where_counting_every_row_finds_them(
    snapshot: tuple[list[int], list[tuple[int, int, int]]],
) -> None:
    lengths, counts = snapshot
    index = EpisodeIndex(np.array(lengths, dtype=np.int64), counts)
    assert len(index) == len(lengths)
    flat_rows = [(s, row) for s, (rows, _, _) in enumerate(counts) for row in range(rows)]
    flat_steps = [(s, step) for s, (_, steps, _) in enumerate(counts) for step in range(steps)]
    entries = [(s, place) for s, (_, _, number) in enumerate(counts) for place in range(number)]
    step = 0
    for episode, length in enumerate(lengths):
        rows, steps = index.locate(episode)
        wanted_rows = flat_rows[step + episode : step + episode + length + 1]
        assert [(s, r) for s, start, stop in rows for r in range(start, stop)] == wanted_rows
        wanted_steps = flat_steps[step : step + length]
        assert [(s, r) for s, start, stop in steps for r in range(start, stop)] == wanted_steps
        assert index.entry(episode) == entries[episode]
        assert index.entry(episode)[0] == wanted_steps[-1][0]
        step += length
    whole = list(index.whole_shards())
    assert [e for _, _, first, stop in whole for e in range(first, stop)] == list(
        range(len(lengths))
    )
    for first_shard, stop_shard, first, stop in whole:
        for episode in range(first, stop):
            rows, steps = index.locate(episode)
            assert all(first_shard <= s < stop_shard for s, _, _ in rows + steps)


@given(_layouts(), st.integers(-3, 3))
def test_lengths_that_do_not_add_up_are_damage(
    snapshot: tuple[list[int], list[tuple[int, int, int]]], change: int
) -> None:
    lengths, counts = snapshot
    assume(change and lengths)
    with pytest.raises(DatasetDamagedError):
        EpisodeIndex(np.array([lengths[0] + change, *lengths[1:]], dtype=np.int64), counts)


def test_lengths_whose_sum_overflows_are_damage() -> None:
    lengths = np.array([2**62] * 4 + [5], dtype=np.int64)
    with pytest.raises(DatasetDamagedError):
        EpisodeIndex(lengths, [(10, 5, 5)])
