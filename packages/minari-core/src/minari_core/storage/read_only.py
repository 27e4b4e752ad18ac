"""The half of a storage that writes, for those that only read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from minari_core.episodes import Episode
from minari_core.storage.base import Storage
from minari_core.storage.metadata_changes import Change


class ReadOnlyStorage(Storage):
    """A storage that refuses each change; derive from it before another base class."""

    @abstractmethod
    def _refuse(self) -> NoReturn:
        """Raise a `DatasetWriteError` that says what to do instead."""

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Raise a `DatasetWriteError`: this storage is read-only."""
        self._refuse()

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Raise a `DatasetWriteError`: this storage is read-only."""
        self._refuse()

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Raise a `DatasetWriteError`: this storage is read-only."""
        self._refuse()

    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        self._refuse()

    def compact(self) -> None:
        """Raise a `DatasetWriteError`: this storage is read-only."""
        self._refuse()

    def save(self) -> None:
        """Do nothing: there is nothing to save."""
