"""The columns of the list of episodes: one value an episode, compared exactly, however large."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]
Order: TypeAlias = npt.NDArray[np.int32]
_SIGNS: Mapping[str, Callable[[Values, Any], Mask]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "=": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A value of every episode."""

    values: Values
    """Numbers, shape (episodes,): floats, or whole ones of any size; for texts their ranks."""
    missing: Mask | None = None
    """Which episodes have none, shape (episodes,); None if each has one."""
    texts: Sequence[str] | None = None
    """The different texts, ascending; None for numbers."""

    def sort(self, *, descending: bool) -> Order:
        """Sort episodes; equal ones stay in their order, and those without a value are last."""
        unknown = np.zeros(len(self.values), bool) if self.missing is None else self.missing
        if self.values.dtype.kind == "f":
            unknown = unknown | np.isnan(self.values)
        if not unknown.any():
            return _sort(self.values, descending=descending)
        known = np.flatnonzero(~unknown)
        order = known[_sort(self.values[known], descending=descending)]
        return np.concatenate([order, np.flatnonzero(unknown)]).astype(np.int32)

    def compare(self, sign: str, value: Decimal) -> Mask:
        """Compare numbers to another one; what is missing is unequal to all of them."""
        found = _compare(self.values, sign, value)
        return found if self.missing is None else np.where(self.missing, sign == "!=", found)

    def equals(self, text: str) -> Mask:
        """Compare texts to another one."""
        texts = self.texts or ()
        code = texts.index(text) if text in texts else -1
        found: Mask = self.values == code
        return found if self.missing is None else found & ~self.missing


@dataclass(slots=True)
class ColumnBuilder:
    """Collects the values of a column, some neighbouring episodes at a time."""

    total: int
    """The number of all episodes."""
    _numbers: list[tuple[int, Values]] = field(default_factory=list)
    _texts: list[tuple[int, Values]] = field(default_factory=list)
    # Far fewer texts are different than there are.
    _codes: dict[str, int] = field(default_factory=dict)

    def add(self, start: int, values: object) -> None:
        """Take the values of episodes.

        Args:
            start: The first of the episodes.
            values: Plain or masked numbers, shape (n,); or a list of n values, of which those that
                are neither numbers nor texts count as missing. Whatever else it is, is left out.
        """
        if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
            self._numbers.append((start, narrow(values)))
        elif isinstance(values, list):
            plain = [each if isinstance(each, int | float | str) else None for each in values]
            if any(isinstance(each, str) for each in plain):
                self._texts.append((start, self._encode(plain)))
            else:
                self._numbers.append((start, narrow(_make_numbers(plain))))

    def build(self) -> ListColumn | None:
        """Return the column, and let go of what was collected; None if it has no value."""
        if self._texts:
            return self._build_texts()
        values: Values = np.zeros(
            self.total, _find_dtype([piece.dtype for _, piece in self._numbers])
        )
        missing = np.ones(self.total, bool)
        while self._numbers:
            start, piece = self._numbers.pop()
            values[start : start + len(piece)] = np.ma.filled(piece, 0)
            missing[start : start + len(piece)] = np.ma.getmaskarray(piece)
        if missing.all():
            return None
        return ListColumn(values, missing if missing.any() else None)

    def _build_texts(self) -> ListColumn:
        codes = np.full(self.total, -1, np.int32)
        for start, piece in self._texts:
            codes[start : start + len(piece)] = piece
        for start, piece in self._numbers:
            codes[start : start + len(piece)] = self._encode(piece.tolist())
        texts = sorted(self._codes)
        ranks = np.full(len(texts) + 1, -1, np.int32)
        ranks[[self._codes[text] for text in texts]] = np.arange(len(texts))
        missing = codes < 0
        return ListColumn(ranks[codes], missing if missing.any() else None, texts)

    def _encode(self, plain: Sequence[object]) -> Values:
        """Number texts, -1 where there is none; the last of the ranks belongs to those."""
        return np.array(
            [
                -1 if each is None else self._codes.setdefault(str(each), len(self._codes))
                for each in plain
            ],
            np.int32,
        )


def narrow(values: Values) -> Values:
    """Return whole numbers in the smaller of int32 and int64 that holds them, if one does."""
    if values.dtype not in (np.int64, np.uint64) or not len(values):
        return values
    # Below a mask there is any number.
    filled = np.ma.filled(values, 0)
    low, high = int(filled.min()), int(filled.max())
    for dtype in (np.int32, np.int64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype, copy=False)
    return values


def _find_dtype(dtypes: Sequence[np.dtype[Any]]) -> type:
    if any(dtype.kind == "f" for dtype in dtypes):
        return np.float64
    if any(dtype.kind == "O" or dtype == np.uint64 for dtype in dtypes):
        # What int64 does not hold are Python's own numbers.
        return object
    return np.int32 if all(np.can_cast(dtype, np.int32) for dtype in dtypes) else np.int64


def _make_numbers(plain: Sequence[Any]) -> Values:
    missing = [each is None for each in plain]
    filled = [0 if each is None else each for each in plain]
    if any(isinstance(each, float) for each in filled):
        return np.ma.array(filled, np.float64, mask=missing)
    is_small = all(-(2**63) <= each < 2**63 for each in filled)
    return np.ma.array(filled, np.int64 if is_small else object, mask=missing)


def _sort(values: Values, *, descending: bool) -> Order:
    if not descending:
        return np.argsort(values, kind="stable").astype(np.int32)
    order = np.argsort(values[::-1], kind="stable")[::-1].astype(np.int32)
    return np.subtract(np.int32(len(values) - 1), order, out=order)


def _compare(values: Values, sign: str, value: Decimal) -> Mask:
    if values.dtype.kind == "f" or not value.is_finite():
        return _SIGNS[sign](values.astype(np.float64, copy=False), float(value))
    below = math.floor(value)
    if value == below:
        return _SIGNS[sign](values, below).astype(bool)
    # No whole number is equal, and those above the one below are above.
    if sign in ("=", "!="):
        return np.full(len(values), sign == "!=")
    return _compare(values, ">" if ">" in sign else "<=", Decimal(below))
