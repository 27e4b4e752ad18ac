"""A view of a finished episode, for its metadata callback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from minari_core.columns import join_pieces


@dataclass(slots=True)
class RecordedSpan:
    """An episode whose last rows are still in the buffer."""

    first_row: int
    """Its first row in the buffer."""
    last_row: int
    """Its last row in the buffer, once it is finished."""
    spilled_steps: int
    """Number of its steps that have been written already."""
    seed: int | None
    """The seed that `reset` was given."""
    options: Mapping[str, object] | None
    """The options that `reset` was given."""

    @property
    def total_steps(self) -> int:
        """Number of its steps, once it is finished."""
        return self.last_row - self.first_row + self.spilled_steps


class Rows(Protocol):
    """The rows of an episode: those in memory, and those that were written."""

    def read(self, group: str, start: int, stop: int) -> object:
        """Copy some rows of a column group that are in memory."""
        ...

    def read_tail(self, group: str, count: int) -> object:
        """Read the last rows of a column group that were written."""
        ...


class RecordedEpisode(Mapping[str, Any]):
    """A lazy mapping of the column groups of an episode, its id, seed, options and total_steps."""

    _ROW_GROUPS: ClassVar = ("observations", "infos", "extras")
    _STEP_GROUPS: ClassVar = ("actions", "rewards", "terminations", "truncations")
    _KEYS: ClassVar = (*_ROW_GROUPS, *_STEP_GROUPS, "id", "seed", "options", "total_steps")

    def __init__(self, rows: Rows, span: RecordedSpan, number: int) -> None:
        """View an episode.

        Args:
            rows: Gives its rows.
            span: Where it lies.
            number: Its id: how many were recorded before it, since the last dataset.
        """
        self._rows = rows
        self._number = number
        self._span = span

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._KEYS)

    def __len__(self) -> int:
        """The number of keys."""
        return len(self._KEYS)

    def __getitem__(self, key: str) -> Any:
        """Read or copy the value of a key.

        Raises:
            KeyError: There is no such key.
        """
        span = self._span
        if key in self._ROW_GROUPS:
            # Row 0 of an episode that began in an earlier shard has been written there.
            start = span.first_row + (span.spilled_steps > 0)
            count = span.spilled_steps + 1 if span.spilled_steps else 0
            return self._join(key, count, start, span.last_row + 1)
        if key in self._STEP_GROUPS:
            return self._join(key, span.spilled_steps, span.first_row, span.last_row)
        if key == "id":
            return self._number
        if key in self._KEYS:
            return getattr(span, key)
        raise KeyError(key)

    def _join(self, group: str, written: int, start: int, stop: int) -> object:
        in_memory = self._rows.read(group, start, stop)
        if not written:
            return in_memory
        tail = self._rows.read_tail(group, written)
        if group in ("infos", "extras") and isinstance(tail, dict) and isinstance(in_memory, dict):
            absent, absent_in_tail = [None] * (stop - start), [None] * written
            return {
                key: [*tail.get(key, absent_in_tail), *in_memory.get(key, absent)]
                for key in dict.fromkeys([*tail, *in_memory])
            }
        return join_pieces([tail, in_memory])
