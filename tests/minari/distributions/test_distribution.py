"""Distributions of any numbers."""

from __future__ import annotations

import json
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari.distributions.distribution import compute_distribution

numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=60))
def test_every_finite_number_is_in_the_bin_that_its_borders_say(values: list[float]) -> None:
    finite = sorted(value for value in values if math.isfinite(value))

    distribution = compute_distribution(values)

    if distribution is None:
        assert finite == []
        return
    assert distribution.count == len(values)
    assert distribution.not_finite == len(values) - len(finite)
    assert (distribution.minimum, distribution.maximum) == (finite[0], finite[-1])
    assert finite[0] <= distribution.mean <= finite[-1]
    edges, counts = distribution.edges, distribution.counts
    assert sum(counts) == len(finite)
    assert 1 <= len(counts) == len(edges) - 1 <= 12
    assert edges[0] <= finite[0]
    assert finite[-1] <= edges[-1]
    for index, count in enumerate(counts):
        is_last = index == len(counts) - 1
        inside = [
            value
            for value in finite
            if edges[index] <= value and (is_last or value < edges[index + 1])
        ]
        assert len(inside) == count
    json.dumps(distribution.to_json(), allow_nan=False)


def test_a_distribution_of_many_numbers_takes_one_copy_of_them() -> None:
    values = np.random.default_rng(0).standard_normal(1_000_000)
    tracemalloc.start()
    distribution = compute_distribution(values)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Beside it there is a byte for each of them, and blocks.
    assert most < 1.5 * values.nbytes
    assert distribution is not None
    assert distribution.counts == tuple(np.histogram(values, distribution.edges)[0])
    assert math.isclose(distribution.std, values.std())
    assert distribution.median == np.median(values)


@given(
    st.lists(st.integers(-3000, 3000), min_size=2, max_size=250),
    st.sampled_from([Fraction(1), Fraction(1, 4), Fraction(1000)]),
)
def test_bins_are_as_narrow_as_their_number_allows_and_their_borders_round(
    counted: list[int], unit: Fraction
) -> None:
    exact = [each * unit for each in counted]
    values = np.array([float(each) for each in exact])

    found = compute_distribution(values)

    assert found is not None
    assert found.mean == pytest.approx(values.mean(), abs=1e-9)
    assert found.std == pytest.approx(values.std(), abs=1e-9)
    assert found.median == pytest.approx(np.median(values), abs=1e-9)
    low, high = min(exact), max(exact)
    if low == high:
        assert found.edges == (float(low), math.nextafter(float(high), math.inf))
        return
    most = min(12, max(5, math.ceil(2 * len(values) ** (1 / 3))))
    is_whole = all(each.denominator == 1 for each in exact)
    steps = (
        Fraction(factor) * Fraction(10) ** power
        for power in range(-4, 8)
        for factor in ("1", "2", "2.5", "5")
    )
    wanted: list[float] = []
    for step in steps:
        first, last = math.floor(low / step), math.floor(high / step)
        if last - first < most and not (is_whole and step.denominator > 1):
            wanted = [float(index * step) for index in range(first, last + 2)]
            break
    assert found.edges == pytest.approx(wanted)


def test_numbers_at_the_ends_of_what_there_is_have_a_distribution() -> None:
    largest = 1.7976931348623157e308
    for values, edges in (
        ([largest, largest], (largest, largest)),
        ([-largest, largest], (-largest, largest)),
        ([1.0, math.nextafter(1, 2)], (1.0, math.nextafter(math.nextafter(1, 2), 2))),
    ):
        found = compute_distribution(values)
        assert found is not None
        assert (found.edges, found.counts) == (edges, (2,))
        assert found.mean <= found.maximum
        assert math.isfinite(found.std)
    zeros = compute_distribution([0.0, 0.0, np.nan, -np.inf])
    assert zeros is not None
    assert zeros.to_json() == {
        "count": 4,
        "not_finite": 2,
        "mean": 0.0,
        "std": 0.0,
        "min": 0.0,
        "median": 0.0,
        "max": 0.0,
        "histogram": {"edges": [0.0, 5e-324], "counts": [2]},
    }
