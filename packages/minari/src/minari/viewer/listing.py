"""The list of a dataset's episodes, sorted and filtered by what is known of each."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from minari.distributions.returns import compute_statistics
from minari.viewer.list_columns import ColumnBuilder, ListColumn, Mask, Order, narrow
from minari_core import EpisodeMetadata, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import JsonObject, JsonValue
from minari_core.storage.base import Storage

_Value = TypeVar("_Value", bound=np.generic)

MOST_ROWS = 500
"""The most rows that one answer holds."""
_CONDITION = re.compile(r"(?P<key>[^\s<>=!]+)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>[^\s<>=!]\S*)")
_ENTRIES_AT_ONCE = 1 << 14
_MOST_ORDERS = 2
_STEPS_AT_ONCE = 1 << 18
_ENTRIES = "episodes"
_READ_OF_STEPS = ("rewards", "terminations", "truncations")
_SHARDS_AT_ONCE = 32
_ENDS = ("neither", "terminated", "truncated", "both")
_FLAGS = {"true": "1", "false": "0"}


class QueryError(ValueError):
    """A question to the list that has no answer; its text is shown on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A selection of episodes to list, and their order."""

    sort: str = "id"
    """``id``, ``length``, ``return``, ``seed``, ``end`` or a key of the metadata."""
    descending: bool = False
    """Whether the largest comes first."""
    conditions: str = ""
    """Conditions such as ``length>=100 end=truncated``, all of which hold."""
    start: int = 0
    """The first row."""
    count: int = 100
    """The number of rows."""


class EpisodeList:
    """The episodes of a dataset or view, by their positions in it from 0.

    Lengths are known at once. Returns and how episodes ended are read in a thread of its own, and
    seeds and metadata after them; until then they are unknown, which an answer says. Of a dataset
    on a remote the lengths are read with them, and nothing of all that unless it is asked for.
    """

    def __init__(self, dataset: MinariDataset) -> None:
        """Read the lengths, if they are on this machine.

        Args:
            dataset: A dataset or view.
        """
        self._dataset = dataset
        self._storage = get_raw_storage(dataset)
        self.indices = narrow(dataset.episode_indices)
        """The index of each episode in the stored dataset, shape (episodes,)."""
        self._is_ascending = bool(np.all(self.indices[:-1] < self.indices[1:]))
        self.returns: npt.NDArray[np.float64] | None = None
        """The returns, shape (episodes,) or (episodes, k); None while they are unknown."""
        self._columns = {"id": ListColumn(self.indices)}
        self._progress = 0.0
        self._lock = threading.Lock()
        self._is_begun = False
        self._failure: str | None = None
        self._orders: OrderedDict[tuple[str, bool], Order] = OrderedDict()
        self._reading = threading.Thread(target=self._read, name="minari-view", daemon=True)
        self.is_remote = is_remote(self._storage)
        """Whether the dataset is on a remote, which is to be asked for little."""
        if not self.is_remote:
            self._columns["length"] = ListColumn(self.lengths)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The steps of each episode, shape (episodes,), which are read first."""
        return self._select_stored(self._storage.episode_lengths())

    def start(self) -> None:
        """Begin to read what is not known at once, unless that has begun."""
        with self._lock:
            if not self._is_begun:
                self._is_begun = True
                self._reading.start()

    def wait(self) -> None:
        """Wait until everything is known that can be."""
        self._reading.join()

    def answer(self, query: Query) -> JsonObject:
        """List some episodes.

        Args:
            query: Which ones.

        Raises:
            QueryError: A condition or an order has no meaning, or is not known yet.
        """
        chosen = self._select(query)
        shown = chosen[query.start : query.start + min(query.count, MOST_ROWS)]
        return {
            **self.describe_state(),
            "total": len(chosen),
            "start": query.start,
            "rows": self.describe_rows(shown.tolist()),
        }

    def describe_state(self) -> JsonObject:
        """Describe what is known of the episodes, and how far reading has got."""
        return {
            "keys": list(self._columns),
            "progress": self._progress,
            "failure": self._failure,
            "unread": self._measure_unread(),
            "of": len(self.indices),
        }

    def describe_rows(self, positions: Sequence[int]) -> list[JsonValue]:
        """Describe some episodes, as rows of the list."""
        indices = self.indices[np.asarray(positions, dtype=np.int64)].tolist()
        entries = self._storage.read_episode_metadata(indices)
        return list(map(self._describe_row, positions, entries))

    def find_row(self, query: Query, position: int) -> int | None:
        """Return the row that an episode has in a list; None if it is not in it."""
        found = np.flatnonzero(self._select(query) == position)
        return int(found[0]) if len(found) else None

    def _describe_row(self, position: int, entry: EpisodeMetadata) -> JsonObject:
        returns = self.returns
        ends = self._columns.get("end")
        value: JsonValue = None
        if returns is not None:
            row = returns[position]
            value = [to_plain(each) for each in row] if row.ndim else to_plain(row)
        return {
            "position": position,
            "id": entry.id,
            "length": entry.total_steps,
            "return": value,
            "seed": None if entry.seed is None else str(entry.seed),
            "end": None if ends is None else _ENDS[int(ends.values[position])],
            "metadata": {str(key): str(each) for key, each in entry.metadata.items()},
        }

    def _select(self, query: Query) -> Order:
        order = self._sort(query.sort, query.descending)
        if not query.conditions.strip():
            return order
        mask = np.ones(len(order), dtype=bool)
        rest = query.conditions
        for found in _CONDITION.finditer(query.conditions):
            rest = rest.replace(found.group(), "", 1)
            mask &= self._test(*found.group("key", "sign", "value"))
        if rest.strip():
            raise QueryError(
                f"{rest.strip()!r} is no condition; write length>=100, end=truncated or key=value"
            )
        return order[mask[order]]

    def _test(self, key: str, sign: str, value: str) -> Mask:
        column = self._get_column(key)
        if column.texts is not None:
            if sign not in ("=", "!="):
                raise QueryError(f"{key} is text, which is equal to a value or not; use = or !=")
            equal = column.equals(value)
            return equal if sign == "=" else ~equal
        number = _FLAGS.get(value.lower(), value)
        if key == "end" and value in _ENDS:
            number = str(_ENDS.index(value))
        try:
            return column.compare(sign, Decimal(number))
        except InvalidOperation:
            raise QueryError(f"{key} is a number, and {value!r} is none") from None

    def _get_column(self, key: str) -> ListColumn:
        if key in self._columns:
            return self._columns[key]
        if not self._is_begun and self.is_remote:
            raise QueryError(f"{key} has not been read of all episodes; have it read first")
        if self._reading.is_alive():
            raise QueryError(f"{key} is being read; ask again when it is")
        known = ", ".join(self._columns)
        raise QueryError(f"episodes have no {key!r} to sort or filter by; they have {known}")

    def _sort(self, key: str, descending: bool) -> Order:
        order = self._orders.get((key, descending))
        if order is None:
            column = self._get_column(key)
            if key == "id" and not descending and self._is_ascending:
                order = np.arange(len(self.indices), dtype=np.int32)
            else:
                order = column.sort(descending=descending)
            self._orders[key, descending] = order
            while len(self._orders) > _MOST_ORDERS:
                self._orders.popitem(last=False)
        return order

    def _read(self) -> None:
        try:
            if self.is_remote:
                self._columns["length"] = ListColumn(self.lengths)
                self._fetch()
            self._read_steps()
            self._read_metadata()
        except Exception as error:  # the page waits for an outcome, whatever it is
            self._failure = str(error)
        finally:
            self._progress = 1.0

    def _measure_unread(self) -> int | None:
        """Return about how many bytes there are to read; None if that is not to be asked for."""
        storage = self._storage
        if self._is_begun or not isinstance(storage, ShardedStorage) or not self.is_remote:
            return None
        specs = [spec for schema in storage.schemas()[:1] for spec in schema.arrays]
        return storage.total_steps * sum(
            spec.dtype.itemsize * prod(spec.row_shape)
            for spec in specs
            if spec.path in _READ_OF_STEPS
        )

    def _fetch(self) -> None:
        """Fetch what is read of all steps, some shards at a time."""
        storage = self._storage
        if not isinstance(storage, ShardedStorage):
            return
        counts = enumerate(storage.shard_counts())
        pieces = [(number, 0, steps) for number, (_, steps, _) in counts if steps]
        for start in range(0, len(pieces), _SHARDS_AT_ONCE):
            storage.fetch_rows(_READ_OF_STEPS, [], pieces[start : start + _SHARDS_AT_ONCE])
            self._progress = 0.4 * start / len(pieces)

    def _read_steps(self) -> None:
        """Read returns and ends, with all rewards and flags of the stored dataset."""

        def note(done: int, total: int) -> None:
            self._progress = max(self._progress, 0.8 * done / max(total, 1))

        found = compute_statistics(self._dataset, note).returns
        if found is not None:
            returns = self._select_stored(found)
            first = returns if returns.ndim == 1 else np.ascontiguousarray(returns[:, 0])
            self._columns["return"] = ListColumn(first)
            self._sort("return", True)
            self.returns = returns
        self._columns["end"] = ListColumn(self._select_stored(_read_ends(self._storage)))

    def _read_metadata(self) -> None:
        total = self._storage.total_episodes
        builders: dict[str, ColumnBuilder] = {}
        for start, fields in _read_entries(self._storage):
            for key, values in fields.items():
                builders.setdefault(key, ColumnBuilder(total)).add(start, values)
            self._progress = 0.8 + 0.2 * start / total
        for key in list(builders):
            column = builders.pop(key).build()
            if column is not None and key not in self._columns:
                missing = column.missing
                self._columns[key] = replace(
                    column,
                    values=self._select_stored(column.values),
                    missing=None if missing is None else self._select_stored(missing),
                )

    def _select_stored(self, values: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
        """Select what belongs to this list of something that all stored episodes have."""
        is_whole = self._is_ascending and len(self.indices) == len(values)
        return values if is_whole else values[self.indices]


def is_remote(storage: Storage) -> bool:
    """Return whether what is read of a storage comes from a remote."""
    return isinstance(storage, ShardedStorage) and storage.fetches_rows


def _read_entries(storage: Storage) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Read seeds and metadata.

    Yields:
        The first of some stored episodes, and their values by key, as a `ColumnBuilder` takes them.
    """
    start = 0
    if isinstance(storage, ShardedStorage):
        for number, (_, _, episodes) in enumerate(storage.shard_counts()):
            for first in range(0, episodes, _ENTRIES_AT_ONCE):
                last = min(first + _ENTRIES_AT_ONCE, episodes)
                read = storage.shard(number).read(_ENTRIES, first, last, copy=False)
                metadata = read.get("metadata", {})
                fields = dict(metadata) if isinstance(metadata, Mapping) else {}
                yield start + first, {**fields, "seed": read.get("seed")}
            start += episodes
        return
    for start in range(0, storage.total_episodes, _ENTRIES_AT_ONCE):
        stop = min(start + _ENTRIES_AT_ONCE, storage.total_episodes)
        entries = list(storage.read_episode_metadata(range(start, stop)))
        keys = dict.fromkeys(key for entry in entries for key in entry.metadata)
        by_key = {key: [entry.metadata.get(key) for entry in entries] for key in keys}
        yield start, {**by_key, "seed": [entry.seed for entry in entries]}


def _read_ends(storage: Storage) -> npt.NDArray[np.int8]:
    """Read how each stored episode ended: an index of `_ENDS`, shape (stored episodes,)."""
    if isinstance(storage, ShardedStorage):
        borders = storage.index.starts[1:]
        found = np.zeros(len(borders), np.int8)
        begin = 0
        for number, (_, steps, _) in enumerate(storage.shard_counts()):
            readers = storage.shard(number).readers(copy=False)
            for start in range(0, steps, _STEPS_AT_ONCE):
                stop = min(start + _STEPS_AT_ONCE, steps)
                first, last = np.searchsorted(borders, (begin + start, begin + stop), side="right")
                rows = borders[first:last] - (begin + start + 1)
                for name, value in (("terminations", 1), ("truncations", 2)):
                    flags = np.asarray(readers[name](start, stop), dtype=bool)
                    found[first:last] += np.int8(value) * flags[rows]
            begin += steps
        return found
    ends = [
        int(episode.terminations[-1]) + 2 * int(episode.truncations[-1])
        for episode in storage.read_episodes(range(storage.total_episodes), copy=False)
    ]
    return np.array(ends, dtype=np.int8)


def to_plain(number: object) -> JsonValue:
    """Return a number as a float, or as text if it is not finite."""
    value = float(number)  # type: ignore[arg-type]  # of numpy
    return value if np.isfinite(value) else str(value)
