"""Histograms of any numbers, in any width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minari.command_line.show.histogram import draw_bars
from minari.distributions.distribution import compute_distribution


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
