"""Mean, standard deviation, minimum, maximum and quantiles of columns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.columns import AXES
from minari_core.errors import SamplingError
from minari_core.files import replace_file
from minari_core.formats.columnar.manifest import STATISTICS_NAME
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import from_json_text, to_json_text
from minari_core.sampling.gathering.binding import find_gatherer
from minari_core.sampling.gathering.gatherers import FixedGatherer, MaskedGatherer
from minari_core.sampling.gathering.info_rows import GROUPS
from minari_core.sampling.gathering.selection import Selection
from minari_core.sampling.orders.rank_index import Positions, RankIndex
from minari_core.sampling.steps.episode_steps import EpisodeSteps
from minari_core.statistics.column_statistics import ColumnStatistics
from minari_core.statistics.quantiles import RunningQuantiles

# Raised whenever the same data has other statistics; caches of other versions are not believed.
_CACHE_VERSION = 5

# Squares of numbers within these powers of two, and sums of as many as there can be, are finite.
_LARGEST_EXPONENT = 480

_ELEMENTS_AT_ONCE = 1 << 18
_FEW_ELEMENTS = 32
_REAL_KINDS = "biuf"
_FIELDS = ("mean", "std", "min", "max", "nonfinite")


def compute_statistics(
    storage: ShardedStorage, episodes: Positions | range, columns: Sequence[str]
) -> dict[str, ColumnStatistics]:
    """Compute the statistics of every numeric leaf of some columns, in one pass over the data.

    Args:
        storage: The storage to read from.
        episodes: The stored indices of the episodes; one that is given twice counts twice.
        columns: Column groups such as ``observations``, or columns inside them.

    Returns:
        For each leaf its path, such as ``observations/camera``, and its statistics. Leaves that
        are not real numbers of one shape are left out.

    Raises:
        SamplingError: There is no column of a name, or there are no episodes.
    """
    for group in [name.partition("/")[0] for name in columns]:
        if group in GROUPS:
            raise SamplingError(f"{group} have no statistics; give {GROUPS[group]}")
    gatherers = {name: find_gatherer(storage, name) for name in columns}
    if len(episodes) == 0:
        raise SamplingError("there are no statistics of a dataset or view without episodes")
    steps = EpisodeSteps(storage, episodes)
    found: dict[str, ColumnStatistics] = {}
    for name, gatherer in gatherers.items():
        part = name.partition("/")[0]
        is_of_rows = AXES[part] == "rows"
        # Of rows, each episode has one more than of steps; a placeholder is none.
        known = steps.known_lengths if part == "observations" else steps.lengths
        lengths = known + is_of_rows
        firsts = steps.first_steps + (steps.episodes if is_of_rows else 0)
        for path, leaf in gatherer.leaves(name):
            if leaf.dtype.kind in _REAL_KINDS:
                rows = _Rows(leaf, lengths, firsts)
                running = _Running()
                peek = None if storage.fetches_rows else rows.read
                quantiles = RunningQuantiles(leaf.dtype, leaf.row_shape, rows.total, peek)
                for block in rows:
                    running.add(block)
                    quantiles.add(block)
                if running.count:
                    levels, error = quantiles.finish(rows)
                    found[path] = replace(running.finish(), quantiles=levels, rank_error=error)
    return found


def load_statistics(
    storage: ShardedStorage, columns: Sequence[str], fingerprint: str
) -> dict[str, ColumnStatistics]:
    """Read the statistics of a whole dataset from its folder, or compute and keep them.

    Args:
        storage: The storage to read from.
        columns: Column groups such as ``observations``, or columns inside them.
        fingerprint: Text that changes with the data.
    """
    path = None if storage.data_path is None else storage.data_path / STATISTICS_NAME
    cache = {} if path is None else _read_cache(path, fingerprint)
    missing = [name for name in columns if name not in cache]
    for name in missing:
        cache[name] = compute_statistics(storage, range(storage.total_episodes), [name])
    if missing and path is not None:
        # A dataset that cannot be written to has no cache, and is as good without.
        with suppress(OSError):
            _write_cache(path, fingerprint, cache)
    return {path: leaf for name in columns for path, leaf in cache[name].items()}


class _Running:
    """Statistics of rows that come in blocks (Chan et al., 1979, "Updating formulae").

    Mean and squares are those of the values times a power of two, where their own are beyond what
    float64 holds.
    """

    def __init__(self) -> None:
        self.count = 0
        self._finite: Any = 0  # how many finite values each element has had
        self._exponent: Any = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0
        self._min: Any = np.inf
        self._max: Any = -np.inf

    def add(self, rows: npt.NDArray[Any]) -> None:
        if len(rows) == 0:
            return
        values = rows.astype(np.float64, copy=False)
        with np.errstate(all="ignore"):
            mean = values.mean(axis=0)
            # A value that is not finite shows in the mean, so that most blocks are looked at once.
            is_finite = True if np.isfinite(mean).all() else np.isfinite(values)
            count: Any = len(values) if is_finite is True else np.sum(is_finite, axis=0)
            smallest = values.min(axis=0, where=is_finite, initial=np.inf)
            largest = values.max(axis=0, where=is_finite, initial=-np.inf)
            self._min = np.minimum(self._min, smallest)
            self._max = np.maximum(self._max, largest)
            self._scale()
            if np.any(self._exponent):
                values = np.ldexp(values, -self._exponent)
                mean = values.mean(axis=0)
            if is_finite is not True:
                mean = values.sum(axis=0, where=is_finite) / np.maximum(count, 1)
            shift = mean - self._mean
            total = np.maximum(self._finite + count, 1)
            self._squares = (
                self._squares
                + np.square(values - mean).sum(axis=0, where=is_finite)
                + shift * shift * (self._finite * count / total)
            )
            self._mean = self._mean + shift * (count / total)
        self._finite = self._finite + count
        self.count += len(values)

    def _scale(self) -> None:
        """Choose by which power of two the values are divided, now that the range is known."""
        exponent = np.frexp(self._largest())[1]
        exponent = np.where(np.abs(exponent) > _LARGEST_EXPONENT, exponent, 0)
        change = self._exponent - exponent
        if np.any(change):
            self._mean = np.ldexp(self._mean, change)
            self._squares = np.ldexp(self._squares, 2 * change)
        self._exponent = exponent

    def _largest(self) -> npt.NDArray[np.float64]:
        """Return the largest magnitude of each element so far; 0 where no value is finite."""
        is_known = self._min <= self._max
        return np.where(is_known, np.maximum(np.abs(self._min), np.abs(self._max)), 0.0)

    def finish(self) -> ColumnStatistics:
        finite = np.broadcast_to(self._finite, np.shape(self._mean))
        shown = np.where(finite > 0, 1.0, np.nan)  # an element without finite values has none
        deviation = np.sqrt(self._squares / np.maximum(finite, 1))
        with np.errstate(over="ignore"):
            mean = np.ldexp(self._mean, self._exponent)
            # What is rounded up beyond float64 is not beyond the values.
            mean = np.maximum(np.minimum(mean, self._max), self._min)
            deviation = np.minimum(np.ldexp(deviation, self._exponent), self._largest())
        return ColumnStatistics(
            mean=np.asarray(mean * shown),
            std=np.asarray(deviation * shown),
            min=np.asarray(self._min * shown),
            max=np.asarray(self._max * shown),
            count=self.count,
            nonfinite=np.asarray(self.count - finite, np.int64),
        )


def _drop_missing(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not isinstance(rows, np.ma.MaskedArray):
        return rows
    absent = np.asarray(np.ma.getmaskarray(rows))
    present: npt.NDArray[Any] = np.asarray(rows.data)[~absent.any(axis=tuple(range(1, rows.ndim)))]
    return present


class _Rows:
    """The rows of a column in some runs, as blocks to be summed over."""

    def __init__(
        self, leaf: FixedGatherer | MaskedGatherer, lengths: Positions, firsts: Positions
    ) -> None:
        """Choose them.

        Args:
            leaf: The column.
            lengths: The number of rows of each run.
            firsts: The first row of each run.
        """
        self._leaf = leaf
        self._runs = RankIndex(lengths)
        self._shifts = firsts - (np.cumsum(lengths) - lengths)
        self.total = self._runs.total
        """How many there are; some may be missing."""

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Read blocks of them, one after another."""
        most = max(1, _ELEMENTS_AT_ONCE // max(1, math.prod(self._leaf.row_shape)))
        for start in range(0, self.total, most):
            yield self.read(np.arange(start, min(start + most, self.total), dtype=np.int64))

    def read(self, positions: Positions) -> npt.NDArray[Any]:
        """Read those at some positions among all; missing ones are left out."""
        rows = positions + self._shifts.take(self._runs.runs(positions))
        block = _drop_missing(self._leaf.take(Selection(rows)))
        # Along the axis that is summed over, neighbours should lie beside one another.
        is_long = block.ndim == 2 and block.shape[1] <= _FEW_ELEMENTS
        return np.asfortranarray(block) if is_long else block


def _read_cache(path: Path, fingerprint: str) -> dict[str, dict[str, ColumnStatistics]]:
    try:
        content: Any = json.loads(path.read_bytes())
        if (content.get("version"), content["fingerprint"]) != (_CACHE_VERSION, fingerprint):
            return {}
        return {
            name: {leaf: _from_json(saved) for leaf, saved in leaves.items()}
            for name, leaves in content["columns"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_cache(
    path: Path, fingerprint: str, cache: Mapping[str, Mapping[str, ColumnStatistics]]
) -> None:
    columns = {
        name: {leaf: _to_json(statistics) for leaf, statistics in leaves.items()}
        for name, leaves in cache.items()
    }
    content = {"version": _CACHE_VERSION, "fingerprint": fingerprint, "columns": columns}
    text = json.dumps(content)
    replace_file(path, text.encode("ascii"))


def _to_json(statistics: ColumnStatistics) -> dict[str, Any]:
    fields = {name: to_json_text(getattr(statistics, name), name) for name in _FIELDS}
    quantiles = [
        [level, to_json_text(values, "quantiles")] for level, values in statistics.quantiles.items()
    ]
    return {
        **fields,
        "count": statistics.count,
        "quantiles": quantiles,
        "rank_error": statistics.rank_error,
    }


def _from_json(saved: Mapping[str, Any]) -> ColumnStatistics:
    fields: dict[str, Any] = {
        name: np.asarray(
            from_json_text(saved[name]), np.int64 if name == "nonfinite" else np.float64
        )
        for name in _FIELDS
    }
    return ColumnStatistics(
        **fields,
        count=int(saved["count"]),
        quantiles={
            float(level): np.asarray(from_json_text(values), np.float64)
            for level, values in saved["quantiles"]
        },
        rank_error=float(saved["rank_error"]),
    )
