"""The shards of several datasets as one storage, whose rows are gathered as those of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NoReturn

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.environments.space_json import space_to_json
from minari_core.errors import DatasetChangedError, DatasetWriteError
from minari_core.formats.columnar.episode_index import EpisodeIndex
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards.reader import OpenShards, ShardReader
from minari_core.json_values import JsonValue
from minari_core.mixtures.comparing import check_spaces, check_stored, merge_step_infos
from minari_core.mixtures.renaming import Names
from minari_core.mixtures.source import MixedSource
from minari_core.sampling.gathering.info_rows import STEP_INFOS
from minari_core.storage.base import Storage
from minari_core.storage.read_only import ReadOnlyStorage


class MixedStorage(ReadOnlyStorage, ShardedStorage):
    """The episodes of several storages, one storage after the other; it is never written to.

    It keeps to the episodes that these had when it was made.
    """

    data_format: ClassVar[str] = "mixture"

    def __init__(self, sources: Sequence[tuple[Storage, Names]]) -> None:
        """Find the shards of all.

        Args:
            sources: The storages of the datasets, and the other names of their columns.

        Raises:
            IncompatibleDatasetsError: Their columns differ, or one is streamed; the message says
                which.
        """
        super().__init__()
        self._sources = [MixedSource(storage, names) for storage, names in sources]
        check_spaces(self._sources)
        for group in ("observations", "actions", "rewards"):
            self.check_column(group)
        self._step_infos = merge_step_infos(self._sources)
        counts = [source.columns.total_episodes for source in self._sources]
        self._dataset_starts = np.cumsum([0, *counts])
        self._use_shards()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the storages of the datasets, which send nothing that lies on disk."""
        return type(self), ([(source.storage, source.names) for source in self._sources],)

    def _use_shards(self) -> None:
        counts = [source.counts for source in self._sources]
        self._counts = [count for some in counts for count in some]
        firsts = np.cumsum([0, *map(len, counts)])
        openers = [source.make_opener() for source in self._sources]
        self._open_shards = OpenShards(partial(_open, openers, firsts))
        self._schemas = [schema for source in self._sources for schema in source.schemas]

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """What is true of all datasets: the spaces, and the infos that belong to steps."""
        ids = [source.id for source in self._sources]
        return {
            "dataset_id": f"mixture of {', '.join(ids)}",
            "data_format": self.data_format,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "total_episodes": self.total_episodes,
            "total_steps": self.total_steps,
            STEP_INFOS: [*self._step_infos],
        }

    @property
    def observation_space(self) -> spaces.Space[object]:
        """The space of the observations."""
        return self._sources[0].spaces["observations"]

    @property
    def action_space(self) -> spaces.Space[object]:
        """The space of the actions."""
        return self._sources[0].spaces["actions"]

    @property
    def data_path(self) -> None:
        """None: the datasets lie in folders of their own."""
        return None

    @property
    def nbytes(self) -> int:
        """The size of all datasets in bytes."""
        return sum(source.storage.nbytes for source in self._sources)

    @property
    def dataset_starts(self) -> npt.NDArray[np.int64]:
        """The first episode of each dataset, and the number of all, shape (datasets + 1,)."""
        return self._dataset_starts

    def shard_counts(self) -> Sequence[tuple[int, int, int]]:
        """Return the rows, steps and episodes of each shard."""
        return self._counts

    @property
    def open_shards(self) -> OpenShards:
        """The readers of the shards."""
        return self._open_shards

    def schemas(self) -> Sequence[Schema]:
        """Return the schemas of all datasets, by the names of the mixture."""
        return self._schemas

    def check_column(self, name: str) -> None:
        """Raise an `IncompatibleDatasetsError` if datasets store a column in different ways."""
        check_stored(self._sources, name)

    def _read_index(self) -> EpisodeIndex:
        indices = [source.columns.index for source in self._sources]
        unknown = None
        if any(index.unknown_finals is not None for index in indices):
            unknown = np.concatenate(
                [
                    np.zeros(len(index), np.bool_)
                    if index.unknown_finals is None
                    else index.unknown_finals
                    for index in indices
                ]
            )
        lengths = np.concatenate([index.lengths for index in indices])
        return EpisodeIndex(lengths, self._counts, unknown)

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        texts = [f"{source.storage.fingerprint()} {source.names}" for source in self._sources]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    def newer_episodes(self) -> int:
        """Count the episodes that others have added to the datasets."""
        return sum(source.storage.newer_episodes() for source in self._sources)

    def refresh(self) -> bool:
        """Read the shards of now, if some were joined; return whether they were.

        Raises:
            DatasetChangedError: A dataset has other episodes than before, so that those of the
                next would have other numbers.
        """
        for source, before in zip(self._sources, np.diff(self._dataset_starts), strict=True):
            source.columns.refresh()
            if source.columns.total_episodes != before:
                raise DatasetChangedError(
                    f"{source.id!r} has {source.columns.total_episodes} episodes, and had {before} "
                    "when it was mixed with others; mix them anew"
                )
        if all(source.is_current for source in self._sources):
            return False
        for source in self._sources:
            source.reopen()
        self._use_shards()
        self._forget_index()
        return True

    def _refuse(self) -> NoReturn:
        raise DatasetWriteError("a mixture only reads; change the datasets that it is of")


def _open(
    openers: Sequence[Callable[[int], ShardReader]], firsts: npt.NDArray[np.int64], number: int
) -> ShardReader:
    dataset = int(np.searchsorted(firsts, number, side="right")) - 1
    return openers[dataset](number - int(firsts[dataset]))
