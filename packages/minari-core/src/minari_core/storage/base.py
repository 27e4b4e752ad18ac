"""The interface between a dataset and the format that stores it."""

from __future__ import annotations

import json
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.environments.space_json import space_to_dict
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.errors import (
    DatasetChangedError,
    EpisodeIndexError,
    IncompatibleDatasetsError,
)
from minari_core.json_values import JsonValue
from minari_core.messages import format_value
from minari_core.storage.metadata_changes import Change, collect_changes


class Storage(ABC):
    """Stored episodes, numbered from 0 in the order in which they were added.

    Episodes are only ever added: the steps of those that are there never change, and what is said
    of them does by `update_episode_metadata` alone. Every change is atomic, also against other
    processes: all of it is there when the call returns, and nothing if the call raises.

    Objects are cheap to pickle and work after a fork: they carry no open file.
    `minari_core.testing.StorageConformance` is the test of this contract.
    """

    data_format: ClassVar[str]
    """The word that names the format in a dataset's metadata."""

    def __repr__(self) -> str:
        """The format, the folder, and the number of episodes."""
        where = "" if self.data_path is None else f"data_path={str(self.data_path)!r}, "
        return (
            f"{type(self).__name__}(data_format={self.data_format!r}, {where}"
            f"total_episodes={self.total_episodes})"
        )

    @classmethod  # noqa: B027  # the native format, and those like it, hold every space
    def check_space(cls, space: spaces.Space[object], where: str) -> None:
        """Raise unless the format can hold every value of a space.

        Args:
            space: The space.
            where: What it is the space of, for the message.

        Raises:
            SpaceError: It cannot; the message names the part that it cannot hold.
        """

    @property
    @abstractmethod
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset, as plain JSON values."""

    @property
    @abstractmethod
    def observation_space(self) -> spaces.Space[object]:
        """The space of the observations."""

    @property
    @abstractmethod
    def action_space(self) -> spaces.Space[object]:
        """The space of the actions."""

    @property
    def given_spaces(self) -> GivenSpaces:
        """The spaces that stand for those whose types are unknown.

        The dataset's own description of these is in `metadata`, and stays as it is.
        """
        return NONE_GIVEN

    @property
    def uid(self) -> str:
        """What tells the dataset from all others, whatever its id; empty if nothing does."""
        return ""

    @property
    @abstractmethod
    def total_episodes(self) -> int:
        """The number of episodes."""

    @property
    @abstractmethod
    def total_steps(self) -> int:
        """The number of steps of all episodes."""

    @property
    @abstractmethod
    def data_path(self) -> Path | None:
        """The folder that the data lies in, or None if it is not on disk."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The size of the stored data in bytes."""

    @abstractmethod
    def episode_lengths(self) -> npt.NDArray[np.int64]:
        """The steps of each episode, shape (total_episodes,); read-only."""

    @abstractmethod
    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        """Read episodes in the order of their indices.

        Args:
            indices: Indices from 0 to ``total_episodes - 1``.
            copy: Give arrays that the caller may change. If False, arrays are read-only views of
                the storage wherever that is possible.

        Raises:
            EpisodeIndexError: An index is outside the storage.
            DatasetDamagedError: What is stored cannot be read; the message names the file.
        """

    def read_rows(
        self, index: int, group: str, start: int, stop: int, *, copy: bool = True
    ) -> object:
        """Read some rows of one column group of an episode, and no more than these if possible.

        Args:
            index: The index of the episode, from 0 to ``total_episodes - 1``.
            group: ``observations``, ``actions``, ``rewards``, ``terminations``, ``truncations``,
                ``infos`` or ``extras``.
            start: The first row, from 0, as `EpisodeData` counts the rows of the group.
            stop: The last row + 1; there may be fewer rows.
            copy: As in `read_episodes`.

        Returns:
            The rows in the structure in which `read_episodes` gives all of them.

        Raises:
            EpisodeIndexError: The episode is outside the storage.
            DatasetDamagedError: What is stored cannot be read; the message names the file.
        """
        (episode,) = self.read_episodes([index], copy=copy)
        return slice_rows(getattr(episode, group), slice(max(start, 0), max(stop, 0)))

    def read_for_copying(self, indices: Iterable[int]) -> Iterator[EpisodeData]:
        """Read episodes as `read_episodes` does, for whoever copies their arrays soon.

        Arrays may be read-only views that hold a file open, of which a process has only so many.
        """
        return self.read_episodes(indices, copy=False)

    @abstractmethod
    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        """Read the metadata of episodes without reading their steps."""

    @abstractmethod
    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none.

        Args:
            episodes: Any number of episodes; they are taken a few at a time, so that their
                total size is not bounded by memory.

        Returns:
            The indices of the added episodes.

        Raises:
            DataError: An episode does not fit the spaces or the episodes before it.
            DatasetWriteError: The file system refused.
        """

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Add episodes of another storage, all or none.

        Args:
            source: The other storage, which does not change.
            indices: The indices of the episodes, in order; all of them if None.

        Returns:
            The indices of the added episodes.

        Raises:
            IncompatibleDatasetsError: The spaces differ.
        """
        check_spaces(self, source)
        chosen = range(source.total_episodes) if indices is None else indices
        return self.append_episodes(source.read_episodes(chosen, copy=False))

    @abstractmethod
    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata in one step.

        Raises:
            MetadataError: A value is not JSON, or a key is one that the data depends on.
        """

    def update_episode_metadata(
        self,
        metadatas: Iterable[Mapping[str, object]],
        episode_indices: Iterable[int] | None = None,
    ) -> None:
        """Merge new values into the metadata of episodes, all or none; steps never change.

        Whoever opens the dataset afterwards sees all of it. A reader that is open meanwhile sees
        each episode as it was or as it is; in the public formats it may, for as long as files are
        renamed, see some as they were and others as they are.

        Args:
            metadatas: The new values of each episode. The keys ``seed`` and ``options`` stand for
                these; None takes a value away. What the steps depend on (``id``, ``total_steps``,
                ``final_observation_known``) may only be what it is.
            episode_indices: The indices of the episodes; all of them if None. Of one that comes
                twice, later values count.

        Raises:
            EpisodeIndexError: An index is outside the storage.
            MetadataError: A value cannot be kept, or there are more or fewer dicts than indices.
            DatasetWriteError: The file system refused.
        """
        total = self.total_episodes
        chosen = range(total) if episode_indices is None else episode_indices
        changes = collect_changes(metadatas, (check_episode_index(each, total) for each in chosen))
        if changes:
            self._merge_metadata(changes)

    @abstractmethod
    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        """Merge new values into the metadata of episodes, all or none.

        Args:
            changes: The new values by the index of the episode, for `merge_change`.
        """

    @abstractmethod
    def compact(self) -> None:
        """Rewrite the data in the layout that reads fastest; episodes keep their indices."""

    @abstractmethod
    def save(self) -> None:
        """Complete a new storage and flush it to disk, before its folder is published."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""

    def newer_episodes(self) -> int:
        """Count the episodes that others have added and `refresh` would take in."""
        return 0

    @abstractmethod
    def refresh(self) -> bool:
        """Take in the episodes that other processes added; return whether there were any."""


def slice_rows(value: object, rows: slice) -> object:
    """Take rows of a column group, in dicts and tuples of whatever depth."""
    if isinstance(value, dict):
        return {key: slice_rows(inner, rows) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(slice_rows(inner, rows) for inner in value)
    return value[rows]  # type: ignore[index]  # an array or a list


def check_episode_index(episode: object, total: int) -> int:
    """Return the index of a stored episode as Python's own number.

    Raises:
        EpisodeIndexError: It is no whole number, or there is no such episode.
    """
    try:
        number = operator.index(episode)  # type: ignore[arg-type]  # anything may come from a caller
    except TypeError as error:
        raise EpisodeIndexError(f"episode {format_value(episode)} is not a whole number") from error
    if not 0 <= number < total:
        raise EpisodeIndexError(f"there is no episode {number} among {total} stored episodes")
    return number


def check_spaces(target: Storage, source: Storage) -> None:
    """Raise unless two storages have the same spaces.

    Raises:
        IncompatibleDatasetsError: They differ; the message shows both.
    """
    for name in ("observation_space", "action_space"):
        if not has_same_space(target, source, name):
            wanted, found = (show_space(storage, name) for storage in (target, source))
            raise IncompatibleDatasetsError(f"{name} differs: {found} does not fit {wanted}")


def has_same_space(one: Storage, other: Storage, name: str) -> bool:
    """Return whether two storages describe their observation or action space alike."""
    descriptions = [
        # Whatever is given for two unknown spaces, it is they that must be the same.
        json.loads(str(storage.metadata[name]))
        if name in storage.given_spaces
        else space_to_dict(getattr(storage, name), name)
        for storage in (one, other)
    ]
    # As texts, in which a number is never equal to a flag, nor NaN different from itself.
    texts = [json.dumps(description, sort_keys=True) for description in descriptions]
    return texts[0] == texts[1]


def show_space(storage: Storage, name: str) -> str:
    """Return a space for a message; one that is unknown as the dataset describes it."""
    is_given = name in storage.given_spaces
    return str(storage.metadata[name] if is_given else getattr(storage, name))


def check_not_replaced(folder: Path, *, is_same: bool) -> None:
    """Raise unless the dataset in a folder is the one that was loaded from there.

    Raises:
        DatasetChangedError: It is another one.
    """
    if not is_same:
        raise DatasetChangedError(
            f"{folder}: another dataset has taken the place of the one that was loaded; load it "
            "again"
        )
