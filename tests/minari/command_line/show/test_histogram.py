"""Histograms of any numbers, in any width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari.command_line.show.histogram import draw_bars, format_number
from minari.distributions.distribution import Distribution, compute_distribution


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


def distribute(edges: list[float], counts: list[int]) -> Distribution:
    return Distribution(sum(counts), 0, 0.0, 0.0, 0.0, 0.0, 0.0, (*edges, 1e6), tuple(counts))


def test_bars_are_as_long_as_their_counts_to_an_eighth_of_a_character() -> None:
    distribution = distribute([0, 5, 10], [16, 1, 0])

    assert draw_bars(distribution, 2 + 2 + 4 + 4, ascii_only=False) == [
        (" 0", "████", "16"),
        (" 5", "▎   ", " 1"),
        ("10", "    ", " 0"),
    ]
    assert draw_bars(distribution, 12, ascii_only=True) == [
        (" 0", "####", "16"),
        (" 5", "#   ", " 1"),
        ("10", "    ", " 0"),
    ]
    eighths = distribute([0, 1, 2, 3, 4, 5, 6, 7], [8, 7, 6, 5, 4, 3, 2, 1])
    bars = [bar for _, bar, _ in draw_bars(eighths, 1 + 4 + 1 + 1, ascii_only=False)]
    assert bars == ["█", "▉", "▊", "▋", "▌", "▍", "▎", "▏"]
    bars = [bar for _, bar, _ in draw_bars(eighths, 1 + 4 + 1 + 3, ascii_only=False)]
    assert bars == ["███", "██▋", "██▎", "█▉ ", "█▌ ", "█▏ ", "▊  ", "▍  "]


@pytest.mark.parametrize(("width", "room"), [(3, 1), (6, 1), (7, 1), (8, 2), (54, 48), (200, 48)])
def test_the_longest_bar_takes_the_room_that_a_line_leaves_or_48_characters(
    width: int, room: int
) -> None:
    for ascii_only, drawn in ((True, "#"), (False, "█")):
        assert draw_bars(distribute([0], [9]), width, ascii_only=ascii_only) == [
            ("0", drawn * room, "9")
        ]
    # Whatever is counted is seen.
    for ascii_only, drawn in ((True, "#"), (False, "▏")):
        (_, (_, small, _)) = draw_bars(distribute([0, 1], [10**9, 1]), width, ascii_only=ascii_only)
        assert small == drawn.ljust(room)[: len(small)] != ""
        assert small[0] == drawn


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-3.0, "-3"),
        (0.00012345678, "0.0001235"),
        (999.96, "1000"),
        (999.5, "999.5"),
        (1000.4, "1,000"),
        (-1234.5, "-1,234"),
        (999_999_999.0, "999,999,999"),
        (1e9, "1e+09"),
        (-1e9, "-1e+09"),
        (1_000_000_000.5, "1e+09"),
    ],
)
def test_numbers_have_the_digits_that_people_read(number: float, text: str) -> None:
    assert format_number(number) == text
