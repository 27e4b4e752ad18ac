"""The list of a dataset's episodes, sorted and filtered by what is known of each."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from minari.distributions.returns import compute_statistics
from minari_core import EpisodeMetadata, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.json_values import JsonObject, JsonValue

MOST_ROWS = 500
"""The most rows that one answer holds."""
_CONDITION = re.compile(r"(?P<key>[^\s<>=!]+)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>[^\s<>=!]\S*)")
_SIGNS: Mapping[str, Callable[[npt.NDArray[np.float64], float], npt.NDArray[np.bool_]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "=": np.equal,
    "!=": np.not_equal,
}
_ENTRIES_AT_ONCE = 1 << 14
_ENDS = ("neither", "terminated", "truncated", "both")


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


@dataclass(slots=True)
class _Columns:
    """The known properties of all episodes, each of shape (episodes,)."""

    numbers: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    returns: npt.NDArray[np.float64] | None = None
    texts: dict[str, npt.NDArray[np.object_]] = field(default_factory=dict)


class EpisodeList:
    """The episodes of a dataset or view, by their positions in it from 0.

    Lengths are known at once. Returns and how episodes ended are read in a thread of its own, and
    seeds and metadata after them; until then they are unknown, which an answer says.
    """

    def __init__(self, dataset: MinariDataset) -> None:
        """Read the lengths.

        Args:
            dataset: A dataset or view.
        """
        self._dataset = dataset
        self._indices = dataset.episode_indices
        self.lengths = get_raw_storage(dataset).episode_lengths()[self._indices]
        """The steps of each episode, shape (episodes,)."""
        self._columns = _Columns(
            {"id": self._indices.astype(np.float64), "length": self.lengths.astype(np.float64)}
        )
        self._progress = 0.0
        self._failure: str | None = None
        self._orders: dict[tuple[str, bool], npt.NDArray[np.int64]] = {}
        self._reading = threading.Thread(target=self._read, name="minari-view", daemon=True)

    def start(self) -> None:
        """Begin to read what is not known at once."""
        self._reading.start()

    def wait(self) -> None:
        """Wait until everything is known that can be."""
        self._reading.join()

    @property
    def returns(self) -> npt.NDArray[np.float64] | None:
        """The returns, shape (episodes,) or (episodes, k); None while they are unknown."""
        return self._columns.returns

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
            "keys": [*self._columns.numbers, *self._columns.texts],
            "progress": self._progress,
            "failure": self._failure,
            "of": len(self._indices),
        }

    def describe_rows(self, positions: Sequence[int]) -> list[JsonValue]:
        """Describe some episodes, as rows of the list."""
        indices = self._indices[np.asarray(positions, dtype=np.int64)].tolist()
        entries = get_raw_storage(self._dataset).read_episode_metadata(indices)
        return list(map(self._describe_row, positions, entries))

    def find_row(self, query: Query, position: int) -> int | None:
        """Return the row that an episode has in a list; None if it is not in it."""
        found = np.flatnonzero(self._select(query) == position)
        return int(found[0]) if len(found) else None

    def _describe_row(self, position: int, entry: EpisodeMetadata) -> JsonObject:
        returns = self._columns.returns
        ends = self._columns.numbers.get("end")
        value: JsonValue = None
        if returns is not None:
            row = returns[position]
            value = [_plain(each) for each in row] if row.ndim else _plain(row)
        return {
            "position": position,
            "id": entry.id,
            "length": entry.total_steps,
            "return": value,
            "seed": None if entry.seed is None else str(entry.seed),
            "end": None if ends is None else _ENDS[int(ends[position])],
            "metadata": {str(key): str(each) for key, each in entry.metadata.items()},
        }

    def _select(self, query: Query) -> npt.NDArray[np.int64]:
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

    def _test(self, key: str, sign: str, value: str) -> npt.NDArray[np.bool_]:
        texts = self._columns.texts.get(key)
        if texts is not None:
            if sign not in ("=", "!="):
                raise QueryError(f"{key} is text, which is equal to a value or not; use = or !=")
            equal: npt.NDArray[np.bool_] = texts == value
            return equal if sign == "=" else ~equal
        numbers = self._get_numbers(key)
        if key == "end" and value in _ENDS:
            value = str(_ENDS.index(value))
        try:
            limit = float(value)
        except ValueError:
            raise QueryError(f"{key} is a number, and {value!r} is none") from None
        return _SIGNS[sign](numbers, limit)

    def _get_numbers(self, key: str) -> npt.NDArray[np.float64]:
        if key in self._columns.numbers:
            return self._columns.numbers[key]
        if self._reading.is_alive():
            raise QueryError(f"{key} is being read; ask again when it is")
        known = ", ".join([*self._columns.numbers, *self._columns.texts])
        raise QueryError(f"episodes have no {key!r} to sort or filter by; they have {known}")

    def _sort(self, key: str, descending: bool) -> npt.NDArray[np.int64]:
        known = self._orders.get((key, descending))
        if known is not None:
            return known
        if key in self._columns.texts:
            # Their ranks, because text has no negative.
            texts = self._columns.texts[key].astype(str)
            values = np.unique(texts, return_inverse=True)[1].ravel().astype(np.float64)
        else:
            values = self._get_numbers(key)
        if key == "id" and not descending and np.all(np.diff(self._indices) > 0):
            order = np.arange(len(values))
        else:
            # Equal ones stay in the order of the dataset, and NaN is last in either order.
            order = np.argsort(-values if descending else values, kind="stable")
        self._orders[key, descending] = order
        return order

    def _read(self) -> None:
        try:
            self._read_steps()
            self._read_metadata()
        except Exception as error:  # the page waits for an outcome, whatever it is
            self._failure = str(error)
        finally:
            self._progress = 1.0

    def _read_steps(self) -> None:
        """Read returns and ends, with all rewards and flags of the stored dataset."""

        def note(done: int, total: int) -> None:
            self._progress = 0.5 * done / max(total, 1)

        found = compute_statistics(self._dataset, note)
        if found.returns is not None:
            self._columns.returns = found.returns[self._indices]
            first = self._columns.returns
            self._columns.numbers["return"] = first if first.ndim == 1 else first[:, 0]
        self._columns.numbers["end"] = _read_ends(self._dataset)[self._indices]

    def _iterate_metadata(self) -> Iterator[EpisodeMetadata]:
        """Read the metadata in pieces, since a million indices in a list are much memory."""
        for start in range(0, len(self._indices), _ENTRIES_AT_ONCE):
            piece = self._indices[start : start + _ENTRIES_AT_ONCE]
            yield from get_raw_storage(self._dataset).read_episode_metadata(piece.tolist())

    def _read_metadata(self) -> None:
        total = len(self._indices)
        values: dict[str, list[object]] = {}
        for position, entry in enumerate(self._iterate_metadata()):
            for key, value in {"seed": entry.seed, **entry.metadata}.items():
                if isinstance(value, bool | int | float | str | None):
                    column = values.setdefault(key, [])
                    column.extend([None] * (position - len(column)))
                    column.append(value)
            self._progress = 0.5 + 0.5 * position / total
        for key, column in values.items():
            column.extend([None] * (total - len(column)))
            if any(isinstance(value, str) for value in column):
                texts = np.array(["" if value is None else str(value) for value in column], object)
                self._columns.texts[key] = texts
            elif key not in self._columns.numbers:
                self._columns.numbers[key] = np.array(
                    [np.nan if value is None else float(value) for value in column]  # type: ignore[arg-type]  # a number
                )


def _read_ends(dataset: MinariDataset) -> npt.NDArray[np.float64]:
    """Read how each stored episode ended: an index of `_ENDS`, shape (stored episodes,)."""
    storage = get_raw_storage(dataset)
    if isinstance(storage, ShardedStorage):
        last = storage.index.starts[1:] - 1
        found = np.zeros(len(last))
        start = 0
        for number, (_, steps, _) in enumerate(storage.shard_counts()):
            readers = storage.shard(number).readers(copy=False)
            inside = slice(*np.searchsorted(last, (start, start + steps)).tolist())
            for name, value in (("terminations", 1.0), ("truncations", 2.0)):
                flags = np.asarray(readers[name](0, steps), dtype=bool)
                found[inside] += value * flags[last[inside] - start]
            start += steps
        return found
    ends = [
        float(episode.terminations[-1]) + 2.0 * float(episode.truncations[-1])
        for episode in storage.read_episodes(range(storage.total_episodes), copy=False)
    ]
    return np.array(ends, dtype=np.float64)


def _plain(number: object) -> JsonValue:
    value = float(number)  # type: ignore[arg-type]  # of numpy
    return value if np.isfinite(value) else str(value)
