"""Histograms of any numbers, in any width."""

from __future__ import annotations

import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minari
from minari.command_line.show.histogram import draw_bars
from minari.distributions.distribution import compute_distribution

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


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


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(20, 100))
def test_bars_fit_the_width_and_show_whatever_is_counted(values: list[int], width: int) -> None:
    distribution = compute_distribution(values)
    assert distribution is not None
    for ascii_only in (True, False):
        lines = draw_bars(distribution, width, ascii_only=ascii_only)
        for (label, bar, count), number in zip(lines, distribution.counts, strict=True):
            assert len(f"{label}  {bar}  {count}") <= width
            assert bool(bar.strip()) == (number > 0)
            assert bar.isascii() or not ascii_only
        assert len({len(label) for label, _, _ in lines}) == 1


def test_a_single_value_has_a_single_bar() -> None:
    for value in (0.0, 1.0, -0.25, 1e300, 1e-300, 1.7976931348623157e308):
        distribution = compute_distribution([value] * 3)
        assert distribution is not None
        assert distribution.counts == (3,)
