"""Reads rows of an episode's columns, from whatever storage the dataset has."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari.viewer.columns import EpisodeColumn, choose_kind
from minari_core import EpisodeData
from minari_core.columns import AXES
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.leaves import find_leaves, join_path
from minari_core.storage.base import Storage, slice_rows

Numbers: TypeAlias = npt.NDArray[np.float64]
ROLES = ("observations", "actions", "rewards", "infos", "extras")
"""The column groups that the page plots, in its order; how an episode ended is in the list."""
MOST_ELEMENTS = 256
"""The most elements of a row that are described or plotted."""
_MOST_COLUMNS_KEPT = 64
_MOST_EPISODES_KEPT = 2


class EpisodeReader:
    """Reads rows of columns; its methods may be called from several threads."""

    def __init__(self, storage: Storage, indices: npt.NDArray[np.integer[Any]]) -> None:
        """Read nothing yet.

        Args:
            storage: What has the episodes.
            indices: The index of each in the storage, by its position on the page.
        """
        self._storage, self._indices = storage, indices
        self._columns: OrderedDict[int, list[EpisodeColumn]] = OrderedDict()
        self._kept: OrderedDict[int, EpisodeData] = OrderedDict()
        self._reading = threading.Lock()

    def get_index(self, position: int) -> int:
        """Return the index in the storage of the episode at a position."""
        if not 0 <= position < len(self._indices):
            raise LookupError(f"there is no episode {position} among {len(self._indices)}")
        return int(self._indices[position])

    def list_columns(self, position: int) -> list[EpisodeColumn]:
        """List the columns of the episode at a position, in the order of the page."""
        columns = self._columns.get(position)
        if columns is None:
            columns = list(self._find_columns(self.get_index(position)))
            self._columns[position] = columns
            while len(self._columns) > _MOST_COLUMNS_KEPT:
                self._columns.popitem(last=False)
        return columns

    def get_column(self, position: int, path: str) -> EpisodeColumn:
        """Return a column of the episode at a position."""
        for column in self.list_columns(position):
            if column.path == path:
                return column
        raise LookupError(f"episode {position} has no column {path!r}")

    def read_rows(self, column: EpisodeColumn, position: int, start: int, stop: int) -> Any:
        """Read rows of a column."""
        rows = self._read_group(self.get_index(position), column.role, start, stop)
        for key in column.keys:
            rows = rows[key]
        return rows

    def read_numbers(
        self,
        column: EpisodeColumn,
        position: int,
        start: int,
        stop: int,
        elements: int = MOST_ELEMENTS,
    ) -> Numbers:
        """Read rows as floats, NaN for what is not finite or missing, shape (rows, elements)."""
        rows: Any = self.read_rows(column, position, start, stop)
        if not isinstance(rows, np.ndarray) or rows.shape[1:] != column.shape:
            # An info may be of one shape in a shard and of many in the next.
            raise LookupError(f"{column.path} has values of different shapes, which have no plot")
        flat = rows.reshape(len(rows), int(np.prod(column.shape)))[:, :elements]
        if isinstance(flat, np.ma.MaskedArray):
            flat = np.ma.filled(flat.astype(np.float64), np.nan)
        numbers: Numbers = flat.astype(np.float64)
        finite = np.isfinite(numbers)
        return numbers if finite.all() else np.where(finite, numbers, np.nan)

    def _find_columns(self, index: int) -> Iterator[EpisodeColumn]:
        (entry,) = self._storage.read_episode_metadata([index])
        length = entry.total_steps
        for role, value in zip(ROLES, self._read_first_rows(index), strict=True):
            rows = length + (AXES[role] == "rows")
            if role == "observations" and not entry.final_observation_known:
                rows = length
            for keys, leaf in find_leaves(value):
                path = join_path(role, keys)
                if isinstance(leaf, np.ndarray):
                    shape, dtype = leaf.shape[1:], str(leaf.dtype)
                    kind = choose_kind(leaf)
                else:
                    shape, dtype, kind = (), "", "text"
                yield EpisodeColumn(path, role, keys, kind, shape, dtype, rows)

    def _read_first_rows(self, index: int) -> list[Any]:
        def read(role: str) -> Any:
            return self._read_group(index, role, 0, 1)

        if not isinstance(self._storage, ShardedStorage) or not self._storage.fetches_rows:
            return list(map(read, ROLES))
        with ThreadPoolExecutor(len(ROLES)) as pool:  # which wait for the remote
            return list(pool.map(read, ROLES))

    def _read_group(self, index: int, role: str, start: int, stop: int) -> Any:
        if isinstance(self._storage, ShardedStorage):
            return self._storage.read_rows(index, role, start, stop, copy=False)
        # These read a whole episode for a row of it; the page asks for several of the same one.
        with self._reading:
            episode = self._kept.get(index)
            if episode is None:
                (episode,) = self._storage.read_episodes([index], copy=False)
                self._kept[index] = episode
                while len(self._kept) > _MOST_EPISODES_KEPT:
                    self._kept.popitem(last=False)
        return slice_rows(getattr(episode, role), slice(start, stop))
