"""Distributions of any numbers."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
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
