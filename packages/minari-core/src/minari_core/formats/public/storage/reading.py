"""Read the episodes of a dataset in a public format, each as a whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from minari_core.columns import Array, fill_missing_keys
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_entry import Entry
from minari_core.formats.public.attributes import Attributes, decode_attributes
from minari_core.formats.public.batching import batch_indices
from minari_core.formats.public.checksums import EpisodeChecksums
from minari_core.formats.public.limits import (
    FREE_NBYTES,
    check_limit,
    estimate_missing,
    estimate_nbytes,
    limit_nbytes,
)
from minari_core.formats.public.short_columns import complete_episode
from minari_core.formats.public.storage.folder import PublicFolder


class PublicReader(PublicFolder):
    """A dataset in a public format, read episode by episode; each format reads its own files."""

    @abstractmethod
    def _read(self, numbers: Sequence[int], *, copy: bool) -> Iterator[EpisodeData]:
        """Read stored episodes as they are, for `complete_episode`.

        They lack the info keys that only other episodes have. Unless ``copy``, arrays may be
        read-only views of a file.

        Raises:
            DatasetDamagedError: An episode cannot be read; the message names it and its file.
        """

    @abstractmethod
    def _read_attributes(self, numbers: Sequence[int]) -> Iterator[tuple[Attributes, Entry | None]]:
        """Read the attributes of episodes, and for each the entry in its sidecar or None."""

    @abstractmethod
    def _count_observations(self, numbers: Sequence[int]) -> Iterator[int | None]:
        """Count the observations of episodes without reading them; None if there is no column."""

    @abstractmethod
    def find_data_file(self, number: int) -> str:
        """Return the file that holds an episode, or its folder, relative to the data folder."""

    @abstractmethod
    def find_attributes_file(self, number: int) -> str:
        """Return the file that holds the attributes of an episode, relative to the data folder."""

    def check_common_file(self) -> None:
        """Raise if the file that holds all episodes, if there is one, cannot be opened.

        Raises:
            DatasetBusyError: Another program holds it open for writing.
            DatasetDamagedError: It cannot be opened; the message names it.
        """

    @abstractmethod
    def list_stored_episodes(self) -> list[int]:
        """List the indices of all episodes that are stored, counted or not, in order."""

    @abstractmethod
    def compute_checksums(self, numbers: Sequence[int]) -> Iterator[EpisodeChecksums]:
        """Compute the checksums of stored episodes.

        Raises:
            DatasetDamagedError: An episode cannot be read; the message names it.
        """

    @abstractmethod
    def compute_attributes_checksums(self, numbers: Sequence[int]) -> Iterator[int]:
        """Compute the checksums of the attributes of episodes alone; as `compute_checksums`."""

    @abstractmethod
    def has_rewritten_attributes(self, number: int, kept: EpisodeChecksums) -> bool:
        """Return whether a program has changed the attributes of an episode, and no accident.

        Args:
            number: The index of the episode.
            kept: The checksums of the episode as it was written; they differ from those of today.
        """

    def has_sidecar(self, number: int) -> bool:
        """Return whether something is kept of an episode that its format has no place for.

        Raises:
            DatasetDamagedError: It cannot be read.
        """
        return self._read_sidecar(number) is not None

    def read_attributes(self, number: int) -> Attributes:
        """Read the attributes of an episode.

        Raises:
            DatasetDamagedError: They cannot be read.
        """
        ((attributes, _),) = self._read_attributes([number])
        return attributes

    @abstractmethod
    def _read_sidecar(self, number: int) -> tuple[str, Iterator[Array]] | None:
        """Read the columns and arrays of the sidecar of an episode; None if it has none."""

    def episode_lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of steps of each episode, shape (total_episodes,); read-only."""
        if self._lengths is None:
            numbers = range(self.total_episodes)
            with self._tell_if_replaced():
                read = self._read_attributes(numbers)
                lengths = [self.get_length(attributes) for attributes, _ in read]
            self._lengths = np.array(lengths, dtype=np.int64)
            self._lengths.flags.writeable = False
        return self._lengths

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        """Read episodes in the order of their indices; see `Storage.read_episodes`."""
        return self._read_complete(indices, is_frozen=not copy)

    def read_for_copying(self, indices: Iterable[int]) -> Iterator[EpisodeData]:
        """Read episodes that are copied soon; see `Storage.read_for_copying`."""
        return self._read_complete(indices, are_views=True)

    def _read_complete(
        self, indices: Iterable[int], *, is_frozen: bool = False, are_views: bool = False
    ) -> Iterator[EpisodeData]:
        infos, extras = self._manifest.infos, self._manifest.extras
        has_keys = bool(infos.fields or extras.fields)
        for numbers in self._batch(indices):
            with self._tell_if_replaced():
                for stored in self._read(numbers, copy=not are_views):
                    episode = complete_episode(stored, self.observation_space)
                    if is_frozen:
                        _freeze(episode)
                    if not has_keys and not episode.infos and not episode.extras:
                        yield episode
                        continue
                    rows = len(episode) + 1
                    self._check_missing(episode, rows)
                    yield replace(
                        episode,
                        infos=fill_missing_keys(episode.infos, infos, rows),
                        extras=fill_missing_keys(episode.extras, extras, rows),
                    )

    def _check_missing(self, episode: EpisodeData, rows: int) -> None:
        """Raise if the keys that an episode lacks would take more memory than others' can."""
        manifest = self._manifest
        row = estimate_missing(episode.infos, manifest.infos)
        row += estimate_missing(episode.extras, manifest.extras)
        if rows * row > FREE_NBYTES:
            limit = limit_nbytes(estimate_nbytes(manifest), self._data_nbytes())
            try:
                check_limit(rows * row, limit)
            except DatasetDamagedError as error:
                where = f"episode {episode.id} of {self._folder}, keys that it lacks"
                raise DatasetDamagedError(f"{where}: {error}") from error

    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        """Read what is stored about episodes without reading their steps."""
        for numbers in self._batch(indices):
            with self._tell_if_replaced():
                read = self._read_attributes(numbers)
                # What is written here has a row for every final observation.
                foreign = [number for number in numbers if self.get_checksums(number) is None]
                rows = dict(zip(foreign, self._count_observations(foreign), strict=True))
                for number, (attributes, entry) in zip(numbers, read, strict=True):
                    episode = self._describe(number, attributes, entry)
                    if rows.get(number) == episode.total_steps:
                        metadata = {**episode.metadata, FINAL_OBSERVATION: False}
                        episode = replace(episode, metadata=metadata)
                    yield episode

    def _describe(
        self, number: int, attributes: Attributes, entry: Entry | None
    ) -> EpisodeMetadata:
        return EpisodeMetadata(
            number, self.get_length(attributes), *(entry or self._decode(number, attributes))
        )

    def _batch(self, indices: Iterable[int]) -> Iterator[list[int]]:
        manifest = self._manifest
        return batch_indices(
            indices, manifest.total_episodes, manifest.total_steps, manifest.observation_space
        )

    def _decode(self, number: int, attributes: Attributes) -> Entry:
        try:
            return decode_attributes(attributes)
        except (TypeError, ValueError) as error:
            raise DatasetDamagedError(f"{self._folder}: episode {number}: {error}") from error

    def get_length(self, attributes: Attributes) -> int:
        """Return the number of steps that the attributes of an episode say.

        Raises:
            DatasetDamagedError: It is no whole number.
        """
        length = attributes.get("total_steps")
        if not isinstance(length, int | np.integer) or isinstance(length, bool):
            raise DatasetDamagedError(
                f"{self._folder}: episode {attributes.get('id')}: total_steps is {length!r}"
            )
        return int(length)


def _freeze(value: object) -> None:
    """Make all arrays of an episode read-only."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, EpisodeData):
        for name in EpisodeData.__dataclass_fields__:
            _freeze(getattr(value, name))
    elif isinstance(value, dict):
        for inner in value.values():
            _freeze(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _freeze(inner)
