"""A sum tree finds what a cumulative sum of all weights finds, also after changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling.orders import sum_tree
from minari_core.sampling.orders.sum_tree import SumTree


@given(
    st.integers(1, 700),
    st.sampled_from([16, 48, 1 << 12]),
    st.lists(st.integers(0, 2**31), max_size=4),
    st.integers(0, 2**31),
)
@settings(max_examples=150)
def test_positions_are_those_of_the_cumulative_sum(
    size: int, at_top: int, changes: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Whole numbers have exact sums.
    weights = rng.integers(1, 1000, size).astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sum_tree, "_MOST_AT_TOP", at_top)
        tree = SumTree(weights)
    for change in changes:
        draws = np.random.default_rng(change)
        positions = draws.integers(0, size, 20)
        values = draws.integers(1, 1000, 20).astype(np.float64)
        tree.update(positions, values)
        for position, value in zip(positions, values, strict=True):
            weights[position] = value
    assert np.array_equal(tree.weights, weights)
    assert tree.total == weights.sum()
    ends = np.cumsum(weights)
    wanted = np.concatenate((ends - 1, ends - weights, ends - 0.5))
    found = tree.find(wanted / weights.sum())
    exact = np.searchsorted(ends, wanted / weights.sum() * weights.sum(), side="right")
    assert np.array_equal(found, np.minimum(exact, size - 1))


def test_the_last_share_is_never_beyond_the_last_position() -> None:
    for size in (1, 15, 17, 4097, 70_000):
        tree = SumTree(np.full(size, 0.1))
        assert tree.find(np.array([np.nextafter(1.0, 0), 0.0])).tolist() == [size - 1, 0]
