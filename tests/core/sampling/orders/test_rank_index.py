"""Finding the run of a position, beside numpy's binary search."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling.orders import rank_index


def without_bitwise_count() -> ModuleType:
    """The module as it is with a numpy before 2.0, which counts no bits."""
    spec = importlib.util.find_spec(rank_index.__name__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(np, "bitwise_count", raising=False)
        spec.loader.exec_module(module)
    assert sys.modules[rank_index.__name__] is rank_index
    return module


versions = pytest.mark.parametrize("module", [rank_index, without_bitwise_count()])


@versions
@given(
    st.lists(st.one_of(st.integers(1, 3), st.integers(60, 70), st.integers(1, 300)), max_size=80)
)
@settings(max_examples=150)
def test_runs_are_those_that_a_binary_search_finds(module: ModuleType, lengths: list[int]) -> None:
    index = module.RankIndex(np.array(lengths, dtype=np.int64))
    ends = np.cumsum(lengths, dtype=np.int64)
    assert index.total == sum(lengths)
    positions = np.arange(index.total, dtype=np.int64)
    if index.total:
        found = index.runs(positions)
        assert found.dtype == np.int64
        assert np.array_equal(found, np.searchsorted(ends, positions, side="right"))
        shuffled = np.random.default_rng(0).permutation(positions)
        table = shuffled[: len(shuffled) // 2 * 2].reshape(2, -1)
        assert np.array_equal(index.runs(table), np.searchsorted(ends, table, side="right"))


@versions
@given(
    st.lists(st.lists(st.integers(1, 90), max_size=9), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_runs_of_sequences_that_become_known_in_any_order_are_those_of_each(
    module: ModuleType, sequences: list[list[int]], random: Any
) -> None:
    totals = np.array([sum(lengths) for lengths in sequences])
    indexes = module.RankIndexes(totals)
    order = list(range(len(sequences)))
    random.shuffle(order)
    for known, number in enumerate(order):
        indexes.add(number, np.array(sequences[number], dtype=np.int64))
        for other in order[: known + 1]:
            positions = np.arange(totals[other])
            found = indexes.runs(np.full(len(positions), other), positions)
            ends = np.cumsum(sequences[other], dtype=np.int64)
            assert np.array_equal(found, np.searchsorted(ends, positions, side="right"))


@versions
def test_a_million_runs_are_found(module: ModuleType) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, size=1_000_000)
    index = module.RankIndex(lengths)
    ends = np.cumsum(lengths)
    positions = rng.integers(0, index.total, size=10_000)
    assert np.array_equal(index.runs(positions), np.searchsorted(ends, positions, side="right"))
