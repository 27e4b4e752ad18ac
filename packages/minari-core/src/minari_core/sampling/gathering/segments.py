"""What a gatherer reads of each shard, looked up when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from minari_core.sampling.gathering.selection import Rows

OPENED_AT_ONCE = 1024
"""Of up to so many shards all are opened before the first batch, so that a dataset whose shards
are joined meanwhile is read as it was."""

Part = TypeVar("Part")
Whole = TypeVar("Whole")
Whole_co = TypeVar("Whole_co", covariant=True)


class Numbered(Protocol[Whole_co]):
    """What parts are found in, by the indices of shards."""

    @property
    def era(self) -> int:
        """Counts how often all were forgotten."""
        ...

    def __getitem__(self, number: int, /) -> Whole_co:
        """That of a shard."""
        ...


class Segments(Generic[Part]):
    """Parts of shards by the indices of these: the arrays of a column, or what reads it.

    A batch of ten thousand shards touches some hundreds. When the storage forgets its shards, what
    was found is forgotten, too. Thread-safe, as `OpenShards` is.
    """

    __slots__ = ("_era", "_find", "_found", "_shards", "firsts")

    def __init__(
        self,
        shards: Numbered[Whole],
        find: Callable[[Whole, int], Part],
        firsts: Rows,
        *,
        opened_at_once: int | None = None,
    ) -> None:
        """Look up nothing, or all of few.

        Args:
            shards: The readers of the shards of a storage, or other parts of them.
            find: Returns the part of a shard, given that of ``shards`` and its number of rows.
            firsts: The first row of each shard, and the number of all.
            opened_at_once: Of up to so many shards all are looked up now; `OPENED_AT_ONCE` if None.
        """
        self._shards: Numbered[Any] = shards
        self._find = find
        self.firsts = firsts
        """The first row of each shard, and the number of all."""
        self._era = shards.era
        self._found: dict[int, Part] = {}
        if len(self) <= (OPENED_AT_ONCE if opened_at_once is None else opened_at_once):
            for number in range(len(self)):
                self[number]

    def __len__(self) -> int:
        """The number of shards."""
        return len(self.firsts) - 1

    @property
    def era(self) -> int:
        """Counts how often the storage forgot its shards."""
        return self._shards.era

    @property
    def filled(self) -> Rows:
        """The indices of the shards that have rows; those without hold entries of episodes."""
        return np.flatnonzero(np.diff(self.firsts))

    def __getitem__(self, number: int) -> Part:
        """Return the part of a shard."""
        if self._era != self._shards.era:
            self._era, self._found = self._shards.era, {}
        found = self._found
        if number not in found:
            count = int(self.firsts[number + 1] - self.firsts[number])
            found[number] = self._find(self._shards[number], count)
        return found[number]
