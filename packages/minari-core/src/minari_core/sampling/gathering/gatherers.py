"""Gather rows of columns by their indices, through all shards of a storage."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from minari_core.columns import Array, FixedColumn, StoredArray
from minari_core.columns.base import escape_key
from minari_core.errors import SamplingError
from minari_core.formats.shards.compression import CompressedRows, decode_rows
from minari_core.ranges.threads import MOST_THREADS, read_ahead
from minari_core.sampling.gathering.segments import Segments
from minari_core.sampling.gathering.selection import Rows, Selection
from minari_core.sampling.gathering.spanning import SpannedArrays, can_span

Pair: TypeAlias = tuple[Any, Any]

_LARGEST_RUN_NBYTES = 1 << 13


class Gatherer(ABC):
    """Rows of one column. Thread-safe: it holds no position."""

    gains_from_pairs: bool = False
    """Whether gathering rows and their neighbours at once saves time."""

    @abstractmethod
    def take(self, selection: Selection, out: Any = None) -> Any:
        """Gather rows.

        Args:
            selection: The rows.
            out: What an earlier call with rows of the same shape returned, to be filled again.

        Returns:
            Arrays of shape (*rows.shape, …) in the structure of the column; nested lists for
            columns whose values have no fixed shape.

        Raises:
            SamplingError: ``out`` has another shape, dtype or structure.
        """

    def take_pairs(self, before: Selection, after: Selection, *, outs: Pair = (None, None)) -> Pair:
        """Gather two selections of one shape, of the same episodes.

        Args:
            before: Some rows.
            after: Rows near them.
            outs: As for `take`, one for each.
        """
        return self.take(before, outs[0]), self.take(after, outs[1])

    @abstractmethod
    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        """Yield the columns of arrays in this one, with their paths."""


class FixedGatherer(Gatherer):
    """Rows of one dtype and shape."""

    def __init__(
        self,
        segments: Segments[StoredArray | None],
        column: FixedColumn,
        may_assemble: Callable[[int], bool],
        *,
        is_plain: bool,
        is_decoded: bool,
    ) -> None:
        """Take the arrays of one column.

        Args:
            segments: The array of each shard; None where a shard does not have the column.
            column: Their dtype and shape.
            may_assemble: Returns whether this many bytes may be copied into memory, as one array.
            is_plain: Whether each shard has an array of that dtype, and none is compressed.
            is_decoded: Whether any is compressed.
        """
        self.dtype = column.dtype
        """The type of an element."""
        self.row_shape = column.shape
        """The shape of a row."""
        self._segments = segments
        self._firsts = segments.firsts
        self._whole: Array | None = None
        self._runs: tuple[int, Array | None] = 0, None
        self._spanned: SpannedArrays | None = None
        self._is_decoded = is_decoded
        self.gains_from_pairs = is_decoded
        if not is_plain:
            return
        arrays = cast("Segments[Array]", segments)
        filled = segments.filled.tolist()
        row_nbytes = math.prod(self.row_shape) * self.dtype.itemsize
        if len(filled) == 1:
            self._whole = arrays[filled[0]]
        elif may_assemble(int(self._firsts[-1]) * row_nbytes):
            pieces = [arrays[number] for number in filled] or [
                np.empty((0, *self.row_shape), self.dtype)
            ]
            self._whole = np.concatenate(pieces, dtype=self.dtype)
        elif can_span(column):
            self._spanned = SpannedArrays(arrays, column)
            self.gains_from_pairs = True

    def take(self, selection: Selection, out: Any = None) -> Any:
        rows, whole = selection.rows, self._whole
        if out is None:
            if whole is not None:
                runs = self._find_runs(whole, rows.shape[1]) if selection.are_runs else None
                if runs is None:
                    return whole.take(rows, axis=0)
                taken: Array = runs[rows[:, 0]].view(self.dtype)
                return taken.reshape(*rows.shape, *self.row_shape)
            if self._spanned is not None:
                return self._spanned.take(rows, selection.numbers(self._firsts))
            return self._take_grouped(
                selection, np.empty((*rows.shape, *self.row_shape), self.dtype)
            )
        self._check(out, rows.shape)
        if whole is not None:
            # All rows are inside; any other mode would gather into a buffer first.
            return whole.take(rows, axis=0, out=out, mode="clip")
        if self._spanned is not None:
            out[...] = self._spanned.take(rows, selection.numbers(self._firsts))
            return out
        if out.flags.c_contiguous:
            return self._take_grouped(selection, out)
        out[...] = self.take(selection)
        return out

    def _find_runs(self, whole: Array, length: int) -> Array | None:
        """Return an array with a run of rows, as one element, at each row; None if it is large."""
        known = self._runs
        if known[0] != length:
            nbytes = whole[:1].nbytes
            runs: Array | None = None
            if 0 < length <= len(whole) and 0 < length * nbytes <= _LARGEST_RUN_NBYTES:
                shape, dtype = (len(whole) - length + 1,), np.dtype(f"V{length * nbytes}")
                runs = np.ndarray(shape, dtype, whole.data, strides=(nbytes,))
            # Another thread may want runs of another length at once.
            known = self._runs = length, runs
        return known[1]

    def take_pairs(self, before: Selection, after: Selection, *, outs: Pair = (None, None)) -> Pair:
        if self._is_decoded:
            # The two rows are mostly in one chunk.
            count = len(before.rows)
            both = self.take(Selection(np.concatenate((before.rows, after.rows))))
            pair: Pair = (both[:count], both[count:])
        else:
            numbers = None if self._spanned is None else before.numbers_of_episodes()
            if self._spanned is None or numbers is None:
                return super().take_pairs(before, after, outs=outs)
            pair = self._spanned.take_both(before.rows, after.rows, numbers)
        return self._fill(outs[0], pair[0]), self._fill(outs[1], pair[1])

    def _fill(self, out: Any, value: Array) -> Any:
        if out is None:
            return value
        self._check(out, value.shape[: value.ndim - len(self.row_shape)])
        out[...] = value
        return out

    def _take_grouped(self, selection: Selection, out: Array) -> Array:
        flat = out.reshape(selection.rows.size, *self.row_shape)
        compressed: list[tuple[CompressedRows, Rows, Rows]] = []
        for number, positions, rows in selection.groups(self._firsts):
            segment = self._segments[number]
            if segment is None:
                flat[positions] = 0
            elif isinstance(segment, CompressedRows):
                compressed.append((segment, rows, positions))
            else:
                flat[positions] = segment.take(rows, axis=0)  # type: ignore[call-arg]  # an array
        if compressed:
            decode_rows(compressed, flat)
        return out

    def _check(self, out: Any, shape: tuple[int, ...]) -> None:
        wanted = (*shape, *self.row_shape)
        is_plain = isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray)
        if not is_plain or out.shape != wanted or out.dtype != self.dtype:
            found = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else out
            raise SamplingError(
                f"out has {found} where {self.dtype} of shape {wanted} belongs; give a batch of "
                "the same size and arguments"
            )

    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        yield path, self


class MaskedGatherer(Gatherer):
    """Rows of a fixed column of which some have no value, as masked arrays."""

    def __init__(self, present: FixedGatherer, values: FixedGatherer) -> None:
        """Take the flags that say which rows have a value, and the values."""
        self._present = present
        self._values = values
        self.dtype = values.dtype
        """The type of an element."""
        self.row_shape = values.row_shape
        """The shape of a row."""

    def take(self, selection: Selection, out: Any = None) -> Any:
        data = None
        if out is not None:
            if not isinstance(out, np.ma.MaskedArray):
                raise SamplingError("out has no masked array where some values may be missing")
            data = np.asarray(out.data)
        values = self._values.take(selection, data)
        absent = ~self._present.take(selection).astype(bool)
        extra = values.ndim - absent.ndim
        mask = np.broadcast_to(absent.reshape(*absent.shape, *(1,) * extra), values.shape)
        return np.ma.MaskedArray(values, mask=mask.copy())

    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        yield path, self


class StructGatherer(Gatherer):
    """Rows of a dict of columns."""

    def __init__(self, fields: Mapping[str, Gatherer]) -> None:
        """Take the columns by their keys."""
        self._items = list(fields.items())
        self.gains_from_pairs = any(field.gains_from_pairs for field in fields.values())

    def take(self, selection: Selection, out: Any = None) -> Any:
        if out is None:
            return {key: field.take(selection) for key, field in self._items}
        self._check(out)
        return {key: field.take(selection, out.get(key)) for key, field in self._items}

    def take_pairs(self, before: Selection, after: Selection, *, outs: Pair = (None, None)) -> Pair:
        filled = [{} if out is None else self._check(out) for out in outs]
        one: dict[str, Any] = {}
        other: dict[str, Any] = {}
        for key, field in self._items:
            known = filled[0].get(key), filled[1].get(key)
            one[key], other[key] = field.take_pairs(before, after, outs=known)
        return one, other

    def _check(self, out: Any) -> dict[str, Any]:
        keys = [key for key, _ in self._items]
        if not isinstance(out, dict) or list(out) != keys:
            raise SamplingError(f"out has no dict of {keys}")
        return out

    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        for key, field in self._items:
            yield from field.leaves(f"{path}/{escape_key(key)}")


class TupleGatherer(Gatherer):
    """Rows of a tuple of columns."""

    def __init__(self, items: Sequence[Gatherer]) -> None:
        """Take the columns in their order."""
        self._items = list(items)
        self.gains_from_pairs = any(item.gains_from_pairs for item in items)

    def take(self, selection: Selection, out: Any = None) -> Any:
        if out is None:
            return tuple([item.take(selection) for item in self._items])
        pairs = zip(self._items, self._check(out), strict=True)
        return tuple([item.take(selection, filled) for item, filled in pairs])

    def take_pairs(self, before: Selection, after: Selection, *, outs: Pair = (None, None)) -> Pair:
        nothing = (None,) * len(self._items)
        known = zip(*(nothing if out is None else self._check(out) for out in outs), strict=True)
        pairs = [
            item.take_pairs(before, after, outs=filled)
            for item, filled in zip(self._items, known, strict=True)
        ]
        return tuple([one for one, _ in pairs]), tuple([other for _, other in pairs])

    def _check(self, out: Any) -> tuple[Any, ...]:
        if not isinstance(out, tuple) or len(out) != len(self._items):
            raise SamplingError(f"out has no tuple of {len(self._items)}")
        return out

    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        for index, item in enumerate(self._items):
            yield from item.leaves(f"{path}/_index_{index}")


class ValueGatherer(Gatherer):
    """Rows of text, sequences, graphs and whatever else has no fixed shape, as nested lists."""

    def __init__(self, readers: Segments[Callable[[int], object]], *, waits: bool = False) -> None:
        """Take the reader of single rows of each shard.

        Args:
            readers: The readers.
            waits: Whether they may wait for a network, so that several are called at once.
        """
        self._readers = readers
        self._waits = waits
        self._firsts = readers.firsts

    def take(self, selection: Selection, out: Any = None) -> Any:
        rows = selection.rows
        numbers = np.broadcast_to(selection.numbers(self._firsts), rows.shape)
        places = list(zip(rows.ravel().tolist(), numbers.ravel().tolist(), strict=True))
        if self._waits:
            values = list(read_ahead(self._read, places, MOST_THREADS))
        else:
            values = [self._read(place) for place in places]
        for size in reversed(rows.shape[1:]):
            values = [values[start : start + size] for start in range(0, len(values), size)]
        return values

    def _read(self, place: tuple[int, int]) -> object:
        row, number = place
        return self._readers[number](row - int(self._firsts[number]))

    def leaves(self, path: str) -> Iterator[tuple[str, FixedGatherer | MaskedGatherer]]:
        yield from ()


def fill_again(out: Any, value: Array) -> Array:
    """Copy an array into one that the caller gave, and return that one.

    Raises:
        SamplingError: It has another shape or dtype.
    """
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (value.shape, value.dtype):
        raise SamplingError(
            f"out does not fit {value.dtype} of shape {value.shape}; give a batch of the same size "
            "and arguments"
        )
    filled: Array = out
    filled[...] = value
    return filled
