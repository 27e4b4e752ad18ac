"""The distribution of numbers: summary statistics and a histogram with round borders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from minari_core.json_values import JsonObject

_MOST_BINS = 12
_LEAST_BINS = 5
_LARGEST = float(np.finfo(np.float64).max)
_NUMBERS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Distribution:
    """Summary statistics and a histogram."""

    count: int
    """How many numbers there are."""
    not_finite: int
    """How many of them are infinite or not a number; all below is about the others."""
    mean: float
    """Their mean."""
    std: float
    """Their standard deviation (of the population)."""
    minimum: float
    """The smallest."""
    median: float
    """The one in the middle."""
    maximum: float
    """The largest."""
    edges: tuple[float, ...]
    """The borders of the bins; a bin holds its lower border and not its upper one."""
    counts: tuple[int, ...]
    """How many numbers are in each bin."""

    def to_json(self) -> JsonObject:
        """Return the distribution as plain JSON values."""
        return {
            "count": self.count,
            "not_finite": self.not_finite,
            "mean": self.mean,
            "std": self.std,
            "min": self.minimum,
            "median": self.median,
            "max": self.maximum,
            "histogram": {"edges": list(self.edges), "counts": list(self.counts)},
        }


def compute_distribution(numbers: npt.ArrayLike) -> Distribution | None:
    """Compute the distribution of numbers, in bins with round borders.

    There are at most 12 bins, and fewer for few numbers (two times the cube root of how many
    there are; Rice's rule).

    Args:
        numbers: Any number of them, shape (n,).

    Returns:
        The distribution, or None if no number is finite.
    """
    values = np.asarray(numbers, dtype=np.float64)
    known = np.isfinite(values)
    # A copy of what all episodes have is much memory.
    finite = values if known.all() else values[known]
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    most_bins = min(_MOST_BINS, max(_LEAST_BINS, math.ceil(2 * len(finite) ** (1 / 3))))
    whole = all(bool(np.all(block == np.floor(block))) for block in _split(finite))
    edges = _choose_edges(low, high, most_bins, whole=whole)
    counts = np.zeros(len(edges) - 1, dtype=np.int64)
    for block in _split(finite):
        bins = np.clip(np.searchsorted(edges, block, side="right") - 1, 0, len(edges) - 2)
        counts += np.bincount(bins, minlength=len(counts))
    # Sums of numbers near the largest float would not be finite.
    scale = max(abs(low), abs(high)) or 1.0
    scaled = finite / scale
    mean = float(scaled.mean())
    # From here on in place, which is why the deviations are last.
    median = float(np.median(scaled, overwrite_input=True))
    scaled -= mean
    np.square(scaled, out=scaled)
    return Distribution(
        count=len(values),
        not_finite=len(values) - len(finite),
        mean=min(max(mean * scale, low), high),
        std=_clip_to_finite(math.sqrt(scaled.mean()) * scale),
        minimum=low,
        median=median * scale,
        maximum=high,
        edges=tuple(edges),
        counts=tuple(counts.tolist()),
    )


def _split(numbers: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.float64]]:
    """Split numbers, so that what is made of them is small."""
    for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
        yield numbers[start : start + _NUMBERS_AT_ONCE]


def _choose_edges(low: float, high: float, most_bins: int, *, whole: bool) -> list[float]:
    """Choose round borders from at most ``low`` to above ``high``."""
    beyond = math.nextafter(high, math.inf) if high < _LARGEST else high
    if low == high:
        return [low, beyond]
    step = _choose_step(high / most_bins - low / most_bins, whole=whole)
    while True:
        first, last = math.floor(low / step), math.floor(high / step)
        # The quotients were rounded, perhaps past the border.
        first -= first * step > low
        last += (last + 1) * step <= high
        if last - first < most_bins:
            break
        step = _choose_step(step * 1.01, whole=whole)
    edges = [index * step for index in range(first, last + 2)]
    if not all(map(math.isfinite, edges)) or not all(a < b for a, b in pairwise(edges)):
        # All but equal for their size, or at the end of what a float can say.
        return [low, beyond]
    return edges


def _choose_step(least: float, *, whole: bool) -> float:
    """Choose the smallest of 1, 2, 2.5, 5 times a power of ten that is at least ``least``."""
    if least <= 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    if power == 0:
        return 1.0
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0):
        step = factor * power
        if step >= least and not (whole and step != math.floor(step)):
            return step
    return 1.0 if whole else 10.0 * power


def _clip_to_finite(number: float) -> float:
    return number if math.isfinite(number) else _LARGEST
