"""What the public layouts have in common: a metadata file, and episodes one by one."""

from __future__ import annotations

import os
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.columns import Schema, StructColumn
from minari_core.episodes import Episode, encode_episodes
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.fit import check_schema_fits
from minari_core.episodes.stream import encode_shards
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetWriteError,
    EpisodeIndexError,
    MetadataError,
    MinariError,
)
from minari_core.files import LOCK_NAME, lock_dataset, replace_file
from minari_core.formats.columnar.manifest import (
    MANIFEST_NAME,
    check_updatable,
    normalize_metadata,
    read_metadata,
)
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.public.attributes import Attributes, attributes_of, described_by
from minari_core.formats.public.files import OWN_KEY
from minari_core.formats.public.metadata_file import (
    Description,
    new_description,
    read_description,
    with_columns,
)
from minari_core.formats.public.sidecar import Kept, completed, keep_dict, keep_entry, public_part
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage, check_episode_index

_NBYTES_READ_AT_ONCE = 4 << 20
_MOST_READ_AT_ONCE = 512
_FIXED_KEYS = frozenset({"jpeg_encoding", "dataset_size", OWN_KEY})

_Self = TypeVar("_Self", bound="PublicStorage")


class EpisodeWriter:
    """Takes the episodes of one append; they are seen by nobody before `commit`."""

    def write(
        self,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        kept: Kept,
    ) -> None:
        """Write one episode.

        Args:
            number: Its index in the dataset.
            episode: Its columns.
            infos: The infos that the layout holds.
            attributes: What the public Minari is told of the episode.
            kept: What the layout has no place for.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Put all that was written where readers look for it, durably."""
        raise NotImplementedError

    def discard(self) -> None:
        """Leave nothing of what was written."""
        raise NotImplementedError


class PublicStorage(Storage):
    """A dataset in a layout of the public Minari.

    ``metadata.json`` says how many episodes there are; episodes behind that number are what an
    append left that was cut short, and the next append removes them. Who appends to a published
    dataset holds its lock.
    """

    data_format: ClassVar[str]

    def __init__(self, folder: Path, description: Description, *, published: bool) -> None:
        """Take a dataset; nothing is read."""
        self._folder = folder
        self._description = description
        self._published = published
        self._lengths: npt.NDArray[np.int64] | None = None
        self._established: Schema | None = None

    @classmethod
    def create(cls: type[_Self], folder: Path, metadata: Mapping[str, JsonValue]) -> _Self:
        """Start an empty dataset in an empty folder, for one process to fill and then save.

        Raises:
            SpaceError: The layout cannot hold a space; the message names it.
        """
        return cls(folder, new_description(metadata, cls.data_format), published=False)

    @classmethod
    def open(cls: type[_Self], folder: Path) -> _Self:
        """Open a dataset; nothing but its metadata is read.

        Raises:
            DatasetNotFoundError: The folder holds no dataset.
            DatasetDamagedError: Its metadata is malformed.
        """
        return cls(folder, cls.describe(folder), published=True)

    @classmethod
    def describe(cls, folder: Path) -> Description:
        """Read what a dataset is."""
        content = read_metadata(folder)
        described = read_description(content, folder)
        for key in ("total_episodes", "total_steps"):
            if key not in content:
                raise DatasetDamagedError(f"{folder / MANIFEST_NAME}: {key!r} is missing")
        return described

    def __reduce__(self) -> tuple[object, ...]:
        if self._published:
            return type(self).open, (self._folder,)
        return _unsaved, (type(self), self._folder, self._description)

    @abstractmethod
    def _read(self, numbers: Sequence[int], *, copy: bool) -> Iterator[EpisodeData]:
        """Read episodes that are there; infos lack the keys that only other episodes have.

        Raises:
            DatasetDamagedError: An episode cannot be read; the message names it and its file.
        """

    @abstractmethod
    def _read_attributes(self, numbers: Sequence[int]) -> Iterator[tuple[Attributes, Any]]:
        """Read what is said of episodes: the attributes, and the kept entry or None."""

    @abstractmethod
    def find_data_file(self, number: int) -> str:
        """Return the file that holds an episode, or its folder, relative to the data folder."""

    @abstractmethod
    def find_attributes_file(self, number: int) -> str:
        """Return the file that holds the attributes of an episode, relative to the data folder."""

    def check_common_file(self) -> None:
        """Raise if the one file that all episodes lie in, if there is one, cannot be opened.

        Raises:
            DatasetDamagedError: It cannot; the message names it.
        """

    def read_attributes(self, number: int) -> Attributes:
        """What is said of an episode in its own place.

        Raises:
            DatasetDamagedError: It cannot be read.
        """
        ((attributes, _),) = self._read_attributes([number])
        return attributes

    @abstractmethod
    def _writer(self, first: int) -> EpisodeWriter:
        """Begin an append whose first episode has this number."""

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """What the dataset is, as plain JSON values."""
        return self._description.seen()

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The space of the observations."""
        return self._description.observation_space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of the actions."""
        return self._description.action_space

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return self._description.total_episodes

    @property
    def total_steps(self) -> int:
        """The number of steps of all episodes."""
        return self._description.total_steps

    @property
    def data_path(self) -> Path:
        """The folder that the data lies in."""
        return self._folder

    @property
    def nbytes(self) -> int:
        """The size of the files."""
        return len(self._description.to_json(0)) + self._data_nbytes()

    def _data_nbytes(self) -> int:
        total = 0
        for folder, _, files in os.walk(self._folder):
            for name in files:
                if name not in (MANIFEST_NAME, LOCK_NAME) or folder != str(self._folder):
                    with suppress(FileNotFoundError):
                        total += os.stat(os.path.join(folder, name)).st_size
        return total

    def episode_lengths(self) -> npt.NDArray[np.int64]:
        """The steps of each episode, shape (total_episodes,); read-only."""
        if self._lengths is None:
            numbers = range(self.total_episodes)
            lengths = [self._length(attributes) for attributes, _ in self._read_attributes(numbers)]
            self._lengths = np.array(lengths, dtype=np.int64)
            self._lengths.flags.writeable = False
        return self._lengths

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        """Read episodes in the order of their indices; see `Storage.read_episodes`."""
        infos, extras = self._description.infos, self._description.extras
        for numbers in self._batches(indices):
            for episode in self._read(numbers, copy=copy):
                rows = len(episode) + 1
                if _lacks(episode.infos, infos) or _lacks(episode.extras, extras):
                    yield replace(
                        episode,
                        infos=completed(episode.infos, infos, rows),
                        extras=completed(episode.extras, extras, rows),
                    )
                else:
                    yield episode

    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        """Read what is stored about episodes without reading their steps."""
        for numbers in self._batches(indices):
            read = self._read_attributes(numbers)
            for number, (attributes, entry) in zip(numbers, read, strict=True):
                seed, options, metadata = entry or self._described(number, attributes)
                length = self._length(attributes)
                yield EpisodeMetadata(number, length, seed, options, metadata)

    def _described(self, number: int, attributes: Attributes) -> tuple[Any, Any, dict[str, Any]]:
        try:
            return described_by(attributes)
        except (TypeError, ValueError) as error:
            raise DatasetDamagedError(f"{self._folder}: episode {number}: {error}") from error

    def _length(self, attributes: Attributes) -> int:
        length = attributes.get("total_steps")
        if not isinstance(length, int | np.integer):
            raise DatasetDamagedError(
                f"{self._folder}: episode {attributes.get('id')}: total_steps is {length!r}"
            )
        return int(length)

    def _batches(self, indices: Iterable[int]) -> Iterator[list[int]]:
        """Some indices at a time, so that no file stays open between two of them."""
        total = self.total_episodes
        steps = self._description.total_steps / max(total, 1)
        nbytes = max(1.0, steps * _nbytes_of_row(self.observation_space))
        most = int(min(max(_NBYTES_READ_AT_ONCE / nbytes, 1), _MOST_READ_AT_ONCE))
        size = 1
        batch: list[int] = []
        for index in indices:
            try:
                batch.append(check_episode_index(index, total))
            except EpisodeIndexError:
                if batch:
                    yield batch
                raise
            if len(batch) == size:
                yield batch
                batch, size = [], min(size * 2, most)
        if batch:
            yield batch

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none; see `Storage.append_episodes`."""
        with self._changing():
            first = number = self._description.total_episodes
            described = self._description
            established = self._established_schema()
            writer: EpisodeWriter | None = None
            steps = 0
            try:
                spaces_of = described.observation_space, described.action_space
                for shard in encode_shards(episodes, *spaces_of):
                    check_schema_fits(established, shard.schema)
                    established = established or shard.schema
                    described = with_columns(described, shard.schema)
                    holder = MemoryStorage(*spaces_of)
                    holder.add([shard])
                    if writer is None:
                        writer = self._writer(first)
                    for episode in holder.read_episodes(range(shard.episodes), copy=False):
                        _write(writer, number, episode, shard.schema)
                        number += 1
                    steps += shard.steps
                if writer is not None:
                    writer.commit()
                    self._commit(
                        replace(
                            described,
                            total_episodes=number,
                            total_steps=described.total_steps + steps,
                        )
                    )
            except BaseException as error:
                if writer is not None:
                    writer.discard()
                if isinstance(error, OSError) and not isinstance(error, MinariError):
                    raise DatasetWriteError(f"{self._folder}: {error}") from error
                raise
            self._established = established
            return range(first, number)

    def _established_schema(self) -> Schema | None:
        if self._established is None and self.total_episodes:
            (episode,) = self._read([0], copy=False)
            bare = replace(episode, infos={}, extras={}, options=None, metadata={})
            self._established = encode_episodes(
                [bare], self.observation_space, self.action_space, {}
            ).schema
        return self._established

    def _commit(self, description: Description) -> None:
        """Make the episodes that were written part of the dataset."""
        if self._published:
            self._write_description(description)
        self._description = description
        self._lengths = None

    def _write_description(self, description: Description) -> None:
        target = self._folder / MANIFEST_NAME
        try:
            replace_file(target, description.to_json(self._data_nbytes()))
        except OSError as error:
            raise DatasetWriteError(f"could not write {target}: {error}") from error

    def save(self) -> None:
        """Make a new dataset complete and durable."""
        if not self._published:
            self._finish()
            self._write_description(self._description)

    def _finish(self) -> None:
        """Make sure that even a dataset without episodes has all its files."""

    def compact(self) -> None:
        """Do nothing: a layout with one group or folder an episode has nothing to join."""

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata in one step; see `Storage.update_metadata`."""
        check_updatable(changes)
        fixed = sorted(_FIXED_KEYS.intersection(changes))
        if fixed:
            raise MetadataError(f"metadata {', '.join(fixed)} cannot be changed after creation")
        checked = normalize_metadata(changes)
        with self._changing():
            metadata = {**self._description.metadata, **checked}
            self._commit_metadata(replace(self._description, metadata=metadata))

    def _commit_metadata(self, description: Description) -> None:
        if self._published:
            self._write_description(description)
        self._description = description

    def fingerprint(self) -> str:
        """Text that changes whenever the stored episodes do."""
        described = self._description
        return f"{self._folder} {described.uid} {described.total_episodes} {described.total_steps}"

    def newer_episodes(self) -> int:
        """How many episodes others have added that `refresh` would take in."""
        return self._current().total_episodes - self.total_episodes if self._published else 0

    def refresh(self) -> bool:
        """Take in what other processes added; whether there was anything.

        Raises:
            DatasetChangedError: Another dataset has taken this one's place.
        """
        if not self._published:
            return False
        current = self._current()
        if current == self._description:
            return False
        self._description, self._lengths = current, None
        return True

    def _current(self) -> Description:
        current, known = self.describe(self._folder), self._description
        same_spaces = (current.observation_space, current.action_space) == (
            known.observation_space,
            known.action_space,
        )
        if (
            current.uid != known.uid
            or not same_spaces
            or current.total_episodes < known.total_episodes
        ):
            raise DatasetChangedError(
                f"{self._folder}: another dataset has taken the place of the one that was loaded; "
                "load it again"
            )
        return current

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the dataset's lock and know its newest state."""
        if not self._published:
            yield
            return
        with lock_dataset(self._folder):
            self.refresh()
            yield


def temporary_beside(path: Path) -> Path:
    """A hidden name in the same folder that nothing else has."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _unsaved(kind: type[PublicStorage], folder: Path, description: Description) -> PublicStorage:
    return kind(folder, description, published=False)


def _write(writer: EpisodeWriter, number: int, episode: EpisodeData, schema: Schema) -> None:
    kept = Kept()
    infos: dict[str, Any] = {}
    struct, extras = schema.groups["infos"], schema.groups["extras"]
    if isinstance(struct, StructColumn):
        infos = public_part(episode.infos, struct, ("infos",), kept)
    if isinstance(extras, StructColumn):
        keep_dict(episode.extras, extras, ("extras",), kept)
    attributes, complete = attributes_of(episode, number)
    if not complete:
        keep_entry(episode, kept)
    writer.write(number, episode, infos, attributes, kept)


def _lacks(values: Mapping[str, Any], union: StructColumn) -> bool:
    if list(values) != list(union.fields):
        return bool(union.fields)
    return any(
        isinstance(column, StructColumn)
        and isinstance(values[key], Mapping)
        and _lacks(values[key], column)
        for key, column in union.fields.items()
    )


def _nbytes_of_row(space: spaces.Space[Any]) -> int:
    if isinstance(space, spaces.Dict):
        return sum(_nbytes_of_row(part) for part in space.spaces.values())
    if isinstance(space, spaces.Tuple):
        return sum(_nbytes_of_row(part) for part in space.spaces)
    if space.shape is None or space.dtype is None:
        return 64
    return int(np.prod(space.shape, dtype=np.int64)) * np.dtype(space.dtype).itemsize + 16


def read_only(episode: EpisodeData) -> EpisodeData:
    """The episode, with arrays that cannot be written to."""
    for name in EpisodeData.__dataclass_fields__:
        _freeze(getattr(episode, name))
    return episode


def _freeze(value: object) -> None:
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, dict):
        for part in value.values():
            _freeze(part)
    elif isinstance(value, list | tuple):
        for part in value:
            _freeze(part)
