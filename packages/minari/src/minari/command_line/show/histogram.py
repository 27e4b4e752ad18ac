"""Histograms drawn with characters."""

from __future__ import annotations

import math

from minari.distributions.distribution import Distribution

_WIDEST_BAR = 48
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def format_number(number: float) -> str:
    """Format a number with as many digits as people read.

    Example:
        >>> format_number(1234567.8), format_number(0.123456), format_number(-3.0)
        ('1,234,568', '0.1235', '-3')
    """
    if 1e3 <= abs(number) < 1e9 or (number == math.floor(number) and abs(number) < 1e9):
        return f"{number:,.0f}"
    return f"{number:.4g}"


def draw_bars(
    distribution: Distribution, width: int, *, ascii_only: bool
) -> list[tuple[str, str, str]]:
    """Draw a histogram, one line a bin.

    Args:
        distribution: What to draw.
        width: The characters that a line may have.
        ascii_only: Whether the terminal knows ASCII alone.

    Returns:
        For each bin, its lower border and its count, padded to align, and the bar between
        them.
    """
    labels = [format_number(edge) for edge in distribution.edges[:-1]]
    counts = [f"{count:,}" for count in distribution.counts]
    label_width, count_width = max(map(len, labels)), max(map(len, counts))
    # Two spaces on each side of the bar.
    room = max(1, min(_WIDEST_BAR, width - label_width - count_width - 4))
    largest = max(distribution.counts)
    drawn: list[tuple[str, str, str]] = []
    for label, number, text in zip(labels, distribution.counts, counts, strict=True):
        bar = _draw_bar(number, largest, room, ascii_only=ascii_only)
        drawn.append((label.rjust(label_width), bar.ljust(room), text.rjust(count_width)))
    return drawn


def _draw_bar(number: int, largest: int, room: int, *, ascii_only: bool) -> str:
    if number == 0:
        return ""
    if ascii_only:
        return "#" * max(1, round(room * number / largest))
    # Whatever is counted is seen.
    eighths = max(1, round(8 * room * number / largest))
    whole, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[rest] if rest else "")
