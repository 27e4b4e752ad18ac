"""Random orders of any size that take no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling.orders.permutation import Permutation

sizes = st.integers(1, 60)


@given(sizes, st.integers(0, 2**64))
@settings(max_examples=200)
def test_a_permutation_is_one(size: int, key: int) -> None:
    assert sorted(Permutation(size, key)(np.arange(size)).tolist()) == list(range(size))


def test_a_permutation_of_a_billion_takes_no_memory_and_is_one_to_one() -> None:
    size = 10**9
    tracemalloc.start()
    permutation = Permutation(size, 7, 3)
    positions = np.random.default_rng(0).choice(size, 100_000, replace=False)
    images = permutation(positions)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    assert images.min() >= 0
    assert images.max() < size
    assert len(np.unique(images)) == len(positions)
    # The same numbers in other calls, in another order.
    assert np.array_equal(permutation(positions[::-1]), images[::-1])
    # They are spread evenly, and near ones do not stay near.
    counts = np.bincount(images // (size // 100), minlength=100)
    assert np.all(np.abs(counts[:100] - 1000) < 5 * np.sqrt(1000))
    near = permutation(np.arange(10_000))
    assert np.abs(np.corrcoef(near[:-1], near[1:])[0, 1]) < 0.05


def test_orders_of_different_keys_are_as_good_as_unrelated() -> None:
    size = 1000
    orders = [
        Permutation(size, key, epoch)(np.arange(size)) for key in range(4) for epoch in (0, 1)
    ]
    for place, order in enumerate(orders):
        for other in orders[:place]:
            # Two unrelated orders agree in one place, on average.
            assert np.count_nonzero(order == other) < 10


def test_every_order_of_few_numbers_comes_up() -> None:
    seen = {tuple(Permutation(3, key)(np.arange(3)).tolist()) for key in range(200)}
    assert len(seen) == 6


def test_an_order_is_the_same_in_every_release() -> None:
    # A saved state goes on in it, so that another one would repeat some numbers and miss others.
    assert Permutation(10, 7, 3)(np.arange(10)).tolist() == [7, 0, 5, 4, 6, 9, 1, 3, 2, 8]
    assert Permutation(1000, 0)(np.arange(5)).tolist() == [814, 451, 942, 496, 586]
    largest = Permutation(10**9 + 7, 2**64, 1)(np.array([0, 1, 2, 10**9]))
    assert largest.tolist() == [124658848, 236917824, 681649677, 650188740]
