"""A dataset, or a view of some of its episodes."""

from __future__ import annotations

import copy as copying
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from minari_core.arguments import check_whole_number
from minari_core.datasets.public_storage import MinariStorage
from minari_core.datasets.selection import Indices, as_episode_indices, select_indices
from minari_core.datasets.source import EpisodeSource, check_source
from minari_core.datasets.spec import DescribedDataset, MinariDatasetSpec
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.new_episodes import prepare_new_episodes
from minari_core.episodes.reward_metadata import remember_storage
from minari_core.errors import (
    DatasetIdError,
    EpisodeIndexError,
    IncompatibleDatasetsError,
    MinariError,
    SamplingError,
)
from minari_core.formats.registry import open_storage
from minari_core.formats.streamed.storage import StreamStorage
from minari_core.json_values import JsonValue
from minari_core.messages import format_value, make_html_table
from minari_core.metadata.parents import describe_parent
from minari_core.metadata.splits import SPLITS, encode_splits, read_splits
from minari_core.random_stream import RandomStream
from minari_core.ranges.statistics import StreamStatistics
from minari_core.sampling.dataset_methods import TrainingMethods
from minari_core.sampling.gathering.info_rows import (
    STEP_INFOS,
    read_step_infos,
    watch_step_infos,
)
from minari_core.storage.base import Storage
from minari_core.tables.dataset_methods import TableMethods

_MOST_BELIEVED = 1 << 24
_View = TypeVar("_View", bound="MinariDataset")

__all__ = ["MinariDataset", "MinariDatasetSpec", "check_dataset", "get_raw_storage"]


class MinariDataset(DescribedDataset, TrainingMethods, TableMethods):
    """Episodes of a stored dataset: all of them, or some in a chosen order.

    A filtered, sliced or split dataset is a view: it copies no data, has the episodes of its own
    only, and draws from a random stream of its own, spawned from that of the dataset that it
    comes from.

    The object keeps to the episodes that were stored when it was made, whatever others add
    later, until `refresh` takes these in. It is cheap to pickle and works after a fork.
    """

    def __init__(
        self,
        data: MinariStorage | Storage | str | os.PathLike[str],
        episode_indices: npt.ArrayLike | range | None = None,
    ) -> None:
        """Open a dataset; no step is read.

        Args:
            data: A storage, or the ``data`` folder of a dataset.
            episode_indices: The stored indices of the episodes to show, in this order; all if
                None.

        Raises:
            DatasetIdError: ``data`` is neither a storage nor a path.
            DatasetNotFoundError: The folder holds no dataset.
            DatasetDamagedError: Its metadata is malformed.
            FormatError: Nothing installed reads its format.
            EpisodeIndexError: An index is no whole number, or outside the stored dataset.
        """
        if isinstance(data, MinariStorage):
            data = data._inner
        elif not isinstance(data, Storage | str | os.PathLike):
            raise DatasetIdError(
                f"Unrecognized type {type(data)} for data: give a storage, or the path of the "
                "'data' folder of a dataset"
            )
        self._storage = data if isinstance(data, Storage) else open_storage(Path(data))
        self._known_episodes = self._storage.total_episodes
        self._indices: range | Indices = range(self._known_episodes)
        self._is_whole = episode_indices is None
        if episode_indices is not None:
            self._indices = self._check_indices(episode_indices)
        self._stream = RandomStream()
        self._samplers = {}

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what is bound to this process."""
        return {**self.__dict__, "_samplers": {}}

    def _check_indices(self, given: npt.ArrayLike | range) -> range | Indices:
        """Return the indices of stored episodes as they are kept."""
        indices = given if isinstance(given, range) else as_episode_indices(given)
        total = self._storage.total_episodes
        if len(indices):
            is_range = isinstance(indices, range)
            ends = indices[:: max(len(indices) - 1, 1)] if is_range else indices
            first, last = int(np.min(ends)), int(np.max(ends))
            if not 0 <= first <= last < total:
                raise EpisodeIndexError(
                    f"episode indices from {first} to {last} in a dataset of {total} episodes"
                )
        return indices

    def __repr__(self) -> str:
        """Show the id, and the numbers of episodes and steps."""
        return (
            f"MinariDataset({self.id!r}, total_episodes={self.total_episodes}, "
            f"total_steps={self.total_steps})"
        )

    def _repr_html_(self) -> str:
        """A table of what the dataset is, for notebooks; nothing that it names is made or run."""
        try:
            spec = self.env_spec
            environment: object = None if spec is None else spec.id
        except MinariError as error:
            environment = f"its spec cannot be read: {error}"
        metadata = self.metadata
        rows: list[tuple[str, object]] = [
            ("episodes", self.total_episodes),
            ("steps", self.total_steps),
            ("environment", environment),
            ("observations", self.observation_space),
            ("actions", self.action_space),
            *((key, metadata.get(key)) for key in ("description", "author", "algorithm_name")),
            ("format", self._storage.data_format),
            ("folder", self._storage.data_path),
        ]
        return make_html_table(self.id, rows)

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return len(self._indices)

    @property
    def total_steps(self) -> int:
        """The number of steps of all episodes."""
        if isinstance(self._indices, range) and len(self._indices) == self._storage.total_episodes:
            return self._storage.total_steps
        return int(self._storage.episode_lengths()[self.episode_indices].sum())

    @property
    def episode_indices(self) -> Indices:
        """The stored indices of these episodes, int64 of shape (total_episodes,)."""
        if not isinstance(self._indices, range):
            return self._indices.copy()
        if len(self._indices) > _MOST_BELIEVED:
            # A count in a file must not choose how much memory this takes; the data confirms it.
            self._storage.episode_lengths()
        indices = self._indices
        return np.arange(indices.start, indices.stop, indices.step, dtype=np.int64)

    @episode_indices.setter
    def episode_indices(self, indices: npt.ArrayLike) -> None:
        """Show other stored episodes, in this order; see `MinariDataset`."""
        self._indices = self._check_indices(indices)
        self._is_whole = False
        self._samplers = {}

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self._indices)

    def __iter__(self) -> Iterator[EpisodeData]:
        """Read all episodes, one by one."""
        return self.iterate_episodes()

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> EpisodeData: ...

    @overload
    def __getitem__(self: _View, index: slice | list[int] | npt.NDArray[Any]) -> _View: ...

    def __getitem__(
        self: _View, index: int | np.integer[Any] | slice | list[int] | npt.NDArray[Any]
    ) -> EpisodeData | _View:
        """Return an episode by its index, or a view by a slice, a list of indices or a mask.

        Indices count the episodes of this dataset or view, from 0; negative ones from the end.

        Raises:
            EpisodeIndexError: An index is outside, or is none.
        """
        if isinstance(index, slice):
            return self._view(self._indices[index])
        if isinstance(index, list | np.ndarray):
            return self._view(select_indices(self.episode_indices, index))
        try:
            position = operator.index(index)
        except TypeError as error:
            raise EpisodeIndexError(
                f"{index!r} is no index of an episode; give a number, a slice, a list of "
                "numbers or a mask"
            ) from error
        if not -len(self) <= position < len(self):
            raise EpisodeIndexError(f"there is no episode {position} among {len(self)} episodes")
        return next(self._read([int(self._indices[position])]))

    def _view(self: _View, indices: range | Indices) -> _View:
        view = copying.copy(self)
        view._indices = indices
        view._is_whole = False
        view._stream = self._stream.spawn()
        view._samplers = {}
        return view

    @property
    def splits(self: _View) -> dict[str, _View]:
        """The named sets of episodes that the dataset has, as views; of a view, its own episodes.

        Raises:
            DatasetDamagedError: What is stored are no ranges of episodes.
        """
        indices = self.episode_indices
        found = read_splits(self._storage.metadata, self._storage.total_episodes)
        return {name: self._view(indices[np.isin(indices, split)]) for name, split in found.items()}

    def set_splits(self, splits: Mapping[str, MinariDataset | Iterable[int]]) -> None:
        """Store named sets of episodes, in place of those that there are.

        Adding episodes and compacting leave them as they are; copies of some episodes keep what is
        left of them.

        Args:
            splits: For each name a view of this dataset, or the stored indices of its episodes.

        Raises:
            IncompatibleDatasetsError: A view is of another dataset.
            MetadataError: An index is no stored episode, or a name is no text.
            DatasetWriteError: The file system refused; nothing has changed.
        """
        members: dict[str, Iterable[int]] = {}
        for name, given in splits.items():
            if isinstance(given, MinariDataset):
                if given._storage is not self._storage and (
                    not self._storage.uid or given._storage.uid != self._storage.uid
                ):
                    raise IncompatibleDatasetsError(
                        f"split {name!r} is of dataset {given.id!r}, not of {self.id!r}"
                    )
                given = given.episode_indices.tolist()
            members[name] = given
        encoded = encode_splits(members, self._storage.total_episodes)
        self._storage.update_metadata({SPLITS: encoded})

    def shards(self, n: int) -> list[MinariDataset]:
        """Cut the dataset into views of about the same number of steps, one for each reader.

        Each view has consecutive episodes, all of them together have each episode once, and a
        view costs little to send to another process, because it carries no data.

        Args:
            n: The number of views; with more views than episodes, some are empty.

        Raises:
            SamplingError: ``n`` is no whole number, or not at least 1.
        """
        if check_whole_number("n", n) < 1:
            raise SamplingError(f"a dataset cannot be cut into {n} views; ask for at least 1")
        steps = np.cumsum(self._storage.episode_lengths()[self.episode_indices])
        total = int(steps[-1]) if len(steps) else 0
        # An episode belongs to the view in which its middle lies.
        middles = steps - np.diff(steps, prepend=0) / 2
        bounds = np.searchsorted(middles, np.arange(1, n) * (total / n)).tolist()
        return [
            self._view(self._indices[first:stop])
            for first, stop in zip([0, *bounds], [*bounds, len(steps)], strict=True)
        ]

    def iterate_episodes(
        self, episode_indices: Iterable[int] | None = None, *, copy: bool = True
    ) -> Iterator[EpisodeData]:
        """Read episodes one by one.

        Args:
            episode_indices: The stored indices of the episodes (their `EpisodeData.id`); those of
                all episodes of this dataset if None.
            copy: Return fresh arrays, which the caller may change. With False, arrays are
                read-only views of the stored data wherever that is possible.

        Raises:
            EpisodeIndexError: An index is no whole number, or not of an episode of this dataset.
        """
        if episode_indices is None:
            indices = self.episode_indices.tolist()
        else:
            indices = as_episode_indices(episode_indices).tolist()
            if isinstance(self._indices, range):
                outside = [index for index in indices if index not in self._indices]
            else:
                outside = np.setdiff1d(indices, self._indices).tolist()
            if outside:
                raise EpisodeIndexError(
                    f"episode {outside[0]} is not among the {len(self)} episodes of this dataset"
                )
        return self._read(indices, copy=copy)

    def _read(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        episodes = self._storage.read_episodes(indices, copy=copy)
        is_marked = bool(self._storage.metadata.get(STEP_INFOS))
        return remember_storage(episodes, self._storage, always=is_marked)

    def iterate_episode_metadata(self) -> Iterator[EpisodeMetadata]:
        """Read lengths, seeds, options and metadata of the episodes, but none of their steps."""
        return self._storage.read_episode_metadata(self.episode_indices.tolist())

    def stream_statistics(self) -> StreamStatistics:
        """Return what this process has asked a remote for, and how long it has waited.

        Of a dataset that is not streamed, all figures are 0.
        """
        storage = self._storage
        return (
            storage.read_statistics() if isinstance(storage, StreamStorage) else StreamStatistics()
        )

    def set_seed(self, seed: int) -> None:
        """Make what is sampled from now on depend on a seed alone.

        Args:
            seed: At least 0.

        Raises:
            SamplingError: It is negative, or no whole number.
        """
        self._stream = RandomStream(seed)

    def sample_episodes(self, n_episodes: int) -> list[EpisodeData]:
        """Sample episodes uniformly, without replacement.

        Args:
            n_episodes: The number of episodes.

        Raises:
            SamplingError: There are fewer, or it is no whole number.
        """
        n_episodes = check_whole_number("n_episodes", n_episodes)
        if not 0 <= n_episodes <= len(self):
            raise SamplingError(
                f"{n_episodes} different episodes cannot be drawn from {len(self)}; ask for "
                f"0 to {len(self)}"
            )
        drawn = self._stream.generator.choice(len(self), size=n_episodes, replace=False)
        return list(self._read([int(self._indices[index]) for index in drawn.tolist()]))

    def filter_episodes(
        self: _View,
        condition: Callable[[EpisodeData], object] | None = None,
        *,
        metadata: Callable[[EpisodeMetadata], object] | None = None,
    ) -> _View:
        """Keep the episodes that meet a condition.

        Args:
            condition: A predicate of the whole episode.
            metadata: A predicate of what is stored beside the steps, which are then not read; it
                is evaluated first where both are given.

        Returns:
            A view of the episodes for which every given predicate is true.

        Example:
            >>> long_ones = dataset.filter_episodes(  # doctest: +SKIP
            ...     metadata=lambda episode: episode.total_steps >= 100
            ... )
        """
        indices = self.episode_indices
        if metadata is not None:
            entries = self._storage.read_episode_metadata(indices.tolist())
            flags = (bool(metadata(entry)) for entry in entries)
            indices = indices[np.fromiter(flags, bool, len(indices))]
        if condition is not None:
            episodes = self._read(indices.tolist())
            flags = (bool(condition(episode)) for episode in episodes)
            indices = indices[np.fromiter(flags, bool, len(indices))]
        return self._view(indices)

    def update_dataset_from_collector_env(self, collector_env: EpisodeSource) -> None:
        """Append what a collector has recorded since the last time, as a checkpoint.

        The episodes are durable when this returns, and the collector's buffers are cleared then
        and not before. An episode that is not over yet is ended as truncated.

        Args:
            collector_env: A collector around an environment with this dataset's spaces.

        Raises:
            RecordingError: It is no collector, or it is closed.
            IncompatibleDatasetsError: The spaces differ.
            DataError: A column has another dtype or shape than in the dataset.
            DatasetNotFoundError: The dataset was deleted meanwhile.
            DatasetChangedError: Another dataset has taken its place meanwhile.
            DatasetBusyError: Another process has held the dataset's lock for too long.
            DatasetWriteError: The file system refused. As after every error, the collector still
                has the episodes.
        """
        collector = check_source(collector_env)
        source = collector.finished_episodes()
        if source.total_episodes:
            self._append(self._storage.append_storage(source))
        collector.forget_episodes()

    def update_dataset_from_buffer(self, buffer: Iterable[Episode | Mapping[str, Any]]) -> None:
        """Append episodes from memory, all or none.

        Args:
            buffer: `EpisodeBuffer` or `EpisodeData` objects, or dicts with the same keys, as
                `create_dataset_from_buffers` takes them.

        Raises:
            DataError: An episode does not fit the spaces or the stored data, or goes on after a
                termination or truncation.
            DatasetNotFoundError: The dataset was deleted meanwhile.
            DatasetChangedError: Another dataset has taken its place meanwhile.
            DatasetBusyError: Another process has held the dataset's lock for too long.
            DatasetWriteError: The file system refused. As after every error, nothing was added.
        """
        marked = read_step_infos(self._storage.metadata)
        episodes = prepare_new_episodes(watch_step_infos(buffer, marked), self.observation_space)
        self._append(self._storage.append_episodes(episodes))

    def refresh(self) -> int:
        """Take in the episodes that others have added, and return how many.

        What is sampled from now on is of these, too. Batches that were begun go on with what they
        began with, and so do views.

        Raises:
            SamplingError: This is a view or mixture, of episodes that were chosen for it.
            DatasetNotFoundError: The dataset was deleted meanwhile.
            DatasetChangedError: Another dataset has taken its place meanwhile.
        """
        if not self._is_whole:
            raise SamplingError(
                "a view or mixture has the episodes that were chosen for it; refresh the dataset "
                "that it is of, and make it anew"
            )
        known = self._known_episodes
        self._storage.refresh()
        added = range(known, self._storage.total_episodes)
        if added:
            self._append(added)
        return len(added)

    def _append(self, added: range) -> None:
        self._samplers = {}
        self._known_episodes = self._storage.total_episodes
        if self._is_whole:
            self._indices = range(self._known_episodes)
        else:
            self._indices = np.append(self.episode_indices, np.array(added, dtype=np.int64))

    def compact(self) -> None:
        """Join the small shards that many checkpoints leave; episodes and views stay as they are.

        Raises:
            DatasetWriteError: The file system refused; the dataset is as it was.
        """
        self._storage.compact()


def check_dataset(given: object) -> None:
    """Raise unless a value is a dataset.

    Raises:
        IncompatibleDatasetsError: It is something else, such as an id.
    """
    if not isinstance(given, MinariDataset):
        raise IncompatibleDatasetsError(
            f"{format_value(given)} is no dataset; give one as load_dataset opens it"
        )


def describe_as_parent(
    dataset: MinariDataset, operation: str, arguments: Mapping[str, JsonValue]
) -> JsonValue:
    """Describe a dataset or view that another dataset is made of; see `describe_parent`."""
    storage = dataset._storage
    indices = dataset.episode_indices.tolist()
    return describe_parent(
        dataset.id, storage.uid, storage.total_episodes, indices, operation, arguments
    )


def get_raw_storage(dataset: MinariDataset) -> Storage:
    """Return the storage that `MinariDataset.storage` wraps."""
    return dataset._storage
