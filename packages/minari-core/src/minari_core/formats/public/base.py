"""The base of the public formats: a manifest, and episodes that are stored one by one."""

from __future__ import annotations

import os
import shutil
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.columns import Array, Schema, fill_missing_keys
from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.environments.space_json import is_same_space
from minari_core.episodes import Episode, encode_episodes
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.final_observation import FINAL_OBSERVATION, add_placeholder
from minari_core.episodes.fit import check_schema_fits, check_shapes, widen_schema
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_shards
from minari_core.errors import (
    DataError,
    DatasetDamagedError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.files import LOCK_FILES, lock_dataset, sync_folder
from minari_core.formats.columnar.episode_entry import Entry, normalize_entry
from minari_core.formats.columnar.manifest import (
    MANIFEST_NAME,
    check_updatable,
    normalize_metadata,
    read_metadata,
    replace_manifest,
)
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.public.attributes import Attributes, decode_attributes, encode_change
from minari_core.formats.public.batching import batch_indices
from minari_core.formats.public.checksums import (
    EpisodeChecksums,
    check_seal,
    count_checksums,
    get_checksums,
)
from minari_core.formats.public.episode_writer import EpisodeWriter, MetadataWriter
from minari_core.formats.public.files import MAIN_FILE, OWN_KEY, STAGE_PREFIX
from minari_core.formats.public.limits import (
    FREE_NBYTES,
    check_limit,
    estimate_missing,
    estimate_nbytes,
    limit_nbytes,
)
from minari_core.formats.public.metadata_file import (
    PublicManifest,
    create_manifest,
    parse_manifest,
)
from minari_core.formats.public.short_columns import complete_episode
from minari_core.formats.public.sidecar import Sidecar, replace_entry
from minari_core.formats.public.spaces import check_holdable
from minari_core.formats.shards.joining import widen_shard
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage, check_not_replaced, check_spaces
from minari_core.storage.metadata_changes import Change, merge_change

_FIXED_KEYS = frozenset({"jpeg_encoding", "dataset_size", OWN_KEY})

_Self = TypeVar("_Self", bound="PublicStorage")
_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the metadata of an episode."""

    values: Change
    """The new values."""
    has_entry: bool
    """Whether its sidecar has an entry, which says all."""
    was_made_by_others: bool
    """Whether its attributes are not those that this project has written."""


class PublicStorage(Storage):
    """A dataset in a format of the public Minari.

    ``metadata.json`` counts the episodes; those beyond the last one were left by an interrupted
    append, and the next append removes them. Appending to a published dataset takes its lock.
    """

    data_format: ClassVar[str]
    holds_empty_spaces: ClassVar[bool] = False
    """Whether the format can hold spaces whose values have no elements."""
    holds_array_attributes: ClassVar[bool] = True
    """Whether arrays among the attributes of an episode stay arrays."""

    def __init__(self, folder: Path, manifest: PublicManifest, *, published: bool) -> None:
        """Open a dataset without reading anything."""
        self._folder = folder
        self._manifest = manifest
        self._published = published
        self._lengths: npt.NDArray[np.int64] | None = None
        self._established: Schema | None = None
        self._stamp: _Stamp | None = None

    @classmethod
    def create(
        cls: type[_Self],
        folder: Path,
        metadata: Mapping[str, JsonValue],
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> _Self:
        """Create an empty dataset in an empty folder, for one process to fill and then save.

        Raises:
            SpaceError: The format cannot hold a space; the message names it.
        """
        manifest = create_manifest(metadata, cls.data_format, given_spaces)
        cls.check_space(manifest.observation_space, "observation_space")
        cls.check_space(manifest.action_space, "action_space")
        return cls(folder, manifest, published=False)

    @classmethod
    def check_space(cls, space: spaces.Space[Any], where: str) -> None:
        """Raise unless the format can hold every value of a space; see `Storage.check_space`."""
        check_holdable(space, where, cls.data_format, holds_empty_spaces=cls.holds_empty_spaces)

    @classmethod
    def open(cls: type[_Self], folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> _Self:
        """Open a dataset; nothing but its metadata is read.

        Raises:
            DatasetNotFoundError: The folder holds no dataset.
            DatasetDamagedError: Its metadata is malformed.
        """
        stamp = _read_stamp(folder)
        storage = cls(folder, cls.read_manifest(folder, given_spaces), published=True)
        storage._stamp = stamp
        return storage

    @classmethod
    def read_manifest(cls, folder: Path, given_spaces: GivenSpaces) -> PublicManifest:
        """Read the manifest of a dataset."""
        content = read_metadata(folder)
        manifest = parse_manifest(content, folder, given_spaces)
        for key in ("total_episodes", "total_steps"):
            if key not in content:
                raise DatasetDamagedError(f"{folder / MANIFEST_NAME}: {key!r} is missing")
        return manifest

    def __reduce__(self) -> tuple[object, ...]:
        if self._published:
            return _reopen, (type(self), self._folder, self.given_spaces)
        return _make_unsaved, (type(self), self._folder, self._manifest)

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

    def get_checksums(self, number: int) -> EpisodeChecksums | None:
        """Return the checksums of an episode as it was written; None if there are none."""
        return get_checksums(self._manifest.checksums, number)

    def read_attributes(self, number: int) -> Attributes:
        """Read the attributes of an episode.

        Raises:
            DatasetDamagedError: They cannot be read.
        """
        ((attributes, _),) = self._read_attributes([number])
        return attributes

    @abstractmethod
    def _writer(self, first: int) -> EpisodeWriter:
        """Begin an append whose first episode has the index ``first``."""

    @abstractmethod
    def _metadata_writer(self) -> MetadataWriter:
        """Begin to write what is said of episodes anew."""

    @abstractmethod
    def _read_sidecar(self, number: int) -> tuple[str, Iterator[Array]] | None:
        """Read the columns and arrays of the sidecar of an episode; None if it has none."""

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset, as plain JSON values."""
        return self._manifest.metadata_with_counts

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The space of the observations."""
        return self._manifest.observation_space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of the actions."""
        return self._manifest.action_space

    @property
    def given_spaces(self) -> GivenSpaces:
        """The spaces that stand for those whose types are unknown."""
        return self._manifest.given_spaces

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return self._manifest.total_episodes

    @property
    def total_steps(self) -> int:
        """The number of steps of all episodes."""
        return self._manifest.total_steps

    @property
    def data_path(self) -> Path:
        """The folder that the data lies in."""
        return self._folder

    @property
    def nbytes(self) -> int:
        """The size of the files in bytes."""
        return len(self._manifest.to_json(0)) + self._data_nbytes()

    def _data_nbytes(self) -> int:
        total = 0
        for folder, _, files in os.walk(self._folder):
            for name in files:
                if name not in (MANIFEST_NAME, *LOCK_FILES) or folder != str(self._folder):
                    with suppress(FileNotFoundError):
                        total += os.stat(os.path.join(folder, name)).st_size
        return total

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
        for numbers in self._batch(indices):
            with self._tell_if_replaced():
                for stored in self._read(numbers, copy=not are_views):
                    episode = complete_episode(stored, self.observation_space)
                    if is_frozen:
                        _freeze(episode)
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

    def append_episodes(self, episodes: Iterable[Episode]) -> range:
        """Add episodes, all or none; see `Storage.append_episodes`."""
        return self._append(episodes, None)

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        """Add episodes of another storage, all or none; see `Storage.append_storage`."""
        check_spaces(self, source)
        chosen = range(source.total_episodes) if indices is None else indices
        recording = None
        if isinstance(source, ShardFolder) and source.is_recording:
            recording = source.snapshot.uid
        return self._append(source.read_episodes(chosen, copy=False), recording)

    def _append(self, episodes: Iterable[Episode], recording: str | None) -> range:
        with self._hold_lock(), _as_write_error(self._folder):
            manifest = self._manifest
            first = number = manifest.total_episodes
            self._check_counted()
            established = self._find_schema()
            writer: EpisodeWriter | None = None
            steps = 0
            try:
                both_spaces = manifest.observation_space, manifest.action_space
                stored = established
                shards = encode_shards(episodes, *both_spaces)
                if recording is not None:
                    # Nobody can change a recording any more, and what is stored stays as it is.
                    shards = (_widen(shard, stored, number, both_spaces) for shard in shards)
                for shard in check_shapes(shards, *both_spaces):
                    check_schema_fits(established, shard.schema)
                    established = established or shard.schema
                    manifest = manifest.add_columns(shard.schema)
                    holder = MemoryStorage(*both_spaces)
                    holder.add([shard])
                    if writer is None:
                        writer = self._writer(first)
                    for read in holder.read_episodes(range(shard.episodes), copy=False):
                        episode = _with_placeholder(read, both_spaces[0])
                        writer.write_episode(number, episode, shard.schema)
                        number += 1
                    steps += shard.steps
                if writer is not None:
                    writer.commit()
                    added = self.compute_checksums(range(first, number))
                    manifest = manifest.note_checksums(first, added)
                    manifest = manifest.note_nbytes(writer.largest_nbytes)
                    steps += manifest.total_steps
                    manifest = replace(manifest, total_episodes=number, total_steps=steps)
                if recording is not None:
                    manifest = manifest.note_recording(recording)
                if manifest is not self._manifest:
                    self._commit(manifest)
            except BaseException:
                if writer is not None:
                    writer.discard()
                raise
            self._established = established
            return range(first, number)

    def _check_counted(self) -> None:
        """Raise if not all episodes are there that another program has counted."""
        total = self.total_episodes
        if count_checksums(self._manifest.checksums) >= total:
            return
        found = sum(number < total for number in self.list_stored_episodes())
        if found < total:
            raise DatasetDamagedError(
                f"{self._folder / MANIFEST_NAME} counts {total} episodes, but the data has {found} "
                "of them, so nothing is added to it; verify_dataset says what is damaged"
            )

    def _merge_metadata(self, changes: Mapping[int, Change]) -> None:
        numbers = sorted(changes)
        with self._hold_lock(), _as_write_error(self._folder):
            before = self._manifest
            for episode in self.read_episode_metadata(numbers):
                merge_change(episode, changes[episode.id])
            by_others = self._find_rewritten(numbers)
            writer: MetadataWriter | None = None
            try:
                writer = self._metadata_writer()
                with_sidecar: set[int] = set()
                read = self._read_attributes(numbers)
                for number, (attributes, entry) in zip(numbers, read, strict=True):
                    episode = self._describe(number, attributes, entry)
                    change = _Change(changes[number], entry is not None, number in by_others)
                    if self._write_metadata(writer, episode, change):
                        with_sidecar.add(number)
                writer.commit()
                self._manifest = replace(before, staged=writer.stage.name)
                renewed = self._compute_renewed(numbers, by_others, with_sidecar)
                self._manifest = self._manifest.renew_checksums(renewed)
                if self._published:
                    self._write_manifest(self._manifest)
            except BaseException:
                self._manifest = before
                if writer is not None:
                    writer.discard()
                raise
            # It has happened: readers find staged files, and the next writer moves what is left.
            with suppress(OSError):
                self._finish_staged()

    def _find_rewritten(self, numbers: Sequence[int]) -> set[int]:
        """Find the episodes whose attributes are not those that this project has written.

        Raises:
            DatasetDamagedError: The attributes of one are damaged, which new checksums would hide.
        """
        kept = {number: self.get_checksums(number) for number in numbers}
        found = {number for number in numbers if kept[number] is None}
        guarded = [number for number in numbers if number not in found]
        checksums = self.compute_attributes_checksums(guarded)
        for number, checksum in zip(guarded, checksums, strict=True):
            known = kept[number]
            if known is not None and checksum != known.attributes:
                if not self.has_rewritten_attributes(number, known):
                    raise self._make_damage_error(number, self.find_attributes_file(number))
                found.add(number)
        return found

    def _write_metadata(
        self, writer: MetadataWriter, episode: EpisodeMetadata, change: _Change
    ) -> bool:
        """Write what is said of an episode anew, and return whether that is a new sidecar, too."""
        # That the final observation is not known may be told by the number of rows alone.
        values = {key: value for key, value in change.values.items() if key != FINAL_OBSERVATION}
        merged = normalize_entry(merge_change(episode, values))
        changed = values.keys() - {"id", "total_steps"}
        added, is_complete = encode_change(merged, sorted(changed))
        if not self.holds_array_attributes:
            is_complete &= not any(isinstance(value, np.ndarray) for value in added.values())
        sidecar: Sidecar | None = None
        if change.has_entry or not is_complete:
            self._check_contents(episode.id)
            sidecar = replace_entry(self._read_sidecar(episode.id), merged)
        writer.write(
            episode.id, changed, added, sidecar, as_another_program=change.was_made_by_others
        )
        return sidecar is not None

    def _check_contents(self, number: int) -> None:
        """Raise if an episode is damaged, before its checksums are of the damage."""
        kept = self.get_checksums(number)
        if kept is not None:
            (found,) = self.compute_checksums([number])
            if found.contents != kept.contents:
                raise self._make_damage_error(number, self.find_data_file(number))

    def _make_damage_error(self, number: int, file: str) -> DatasetDamagedError:
        return DatasetDamagedError(
            f"{self._folder / file}: episode {number} is not what was written, so nothing is "
            "changed; verify_dataset says what is damaged"
        )

    def _compute_renewed(
        self, numbers: Sequence[int], by_others: Collection[int], with_sidecar: Collection[int]
    ) -> dict[int, EpisodeChecksums]:
        """Compute the checksums of episodes whose metadata was written anew.

        Args:
            numbers: The episodes.
            by_others: Those whose attributes keep the checksums by which it is told that others
                have changed them.
            with_sidecar: Those that have a new sidecar.
        """
        renewed: dict[int, EpisodeChecksums] = {}
        for number, checksum in zip(
            numbers, self.compute_attributes_checksums(numbers), strict=True
        ):
            kept = self.get_checksums(number)
            if kept is not None:
                contents = kept.contents
                if number in with_sidecar:
                    ((contents, _),) = map(astuple, self.compute_checksums([number]))
                attributes = kept.attributes if number in by_others else checksum
                renewed[number] = EpisodeChecksums(contents, attributes)
        return renewed

    def find_file(self, name: str) -> Path:
        """Return where a file is; one that a killed process has staged may wait to be moved.

        Args:
            name: Its name relative to the data folder.
        """
        staged = self._manifest.staged
        if staged and (self._folder / staged / name).exists():
            return self._folder / staged / name
        return self._folder / name

    def _finish_staged(self) -> None:
        """Move staged files to where they belong; until then readers find them."""
        if not self._manifest.staged:
            return
        stage = self._folder / self._manifest.staged
        # An episode's sidecar, which says all, is moved before its attributes.
        for path in sorted(stage.rglob("*")):
            if path.is_file():
                target = self._folder / path.relative_to(stage)
                os.replace(path, target)
                sync_folder(target.parent)
        manifest = replace(self._manifest, staged="")
        if self._published:
            self._write_manifest(manifest)
        self._manifest = manifest
        shutil.rmtree(stage, ignore_errors=True)

    def _find_schema(self) -> Schema | None:
        if self._established is None and self.total_episodes:
            (episode,) = self.read_episodes([0])
            known = {FINAL_OBSERVATION: episode.final_observation_known}
            bare = replace(episode, infos={}, extras={}, options=None, metadata=known)
            self._established = encode_episodes(
                [bare], self.observation_space, self.action_space, {}
            ).schema
        return self._established

    def _commit(self, manifest: PublicManifest) -> None:
        """Replace the manifest, which counts the episodes that belong to the dataset."""
        if self._published:
            self._write_manifest(manifest)
        self._manifest = manifest
        self._lengths = None

    def _write_manifest(self, manifest: PublicManifest) -> None:
        replace_manifest(self._folder, manifest.to_json(self._data_nbytes()))

    def save(self) -> None:
        """Make a new dataset complete and durable, or finish what a killed process has begun."""
        if self._published:
            if any(self._folder.glob(f"{STAGE_PREFIX}*")):
                with self._hold_lock():
                    pass
        else:
            with _as_write_error(self._folder):
                self._finish()
            self._write_manifest(self._manifest)

    def _finish(self) -> None:
        """Make sure that even a dataset without episodes has all its files."""

    def compact(self) -> None:
        """Do nothing: a format that stores episodes one by one has nothing to join."""

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata in one step; see `Storage.update_metadata`."""
        check_updatable(self._manifest.metadata, changes, _FIXED_KEYS)
        checked = normalize_metadata(changes)
        with self._hold_lock():
            metadata = {**self._manifest.metadata, **checked}
            self._commit(replace(self._manifest, metadata=metadata))

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        manifest = self._manifest
        return f"{self._folder} {manifest.uid} {manifest.total_episodes} {manifest.total_steps}"

    def newer_episodes(self) -> int:
        """Return the number of episodes that others have added and `refresh` would load."""
        return self._read_current().total_episodes - self.total_episodes if self._published else 0

    def refresh(self) -> bool:
        """Load the episodes that other processes added, and return whether there were any.

        Raises:
            DatasetChangedError: Another dataset has taken this one's place.
        """
        if not self._published:
            return False
        current = self._read_current()
        if current == self._manifest:
            return False
        self._manifest, self._lengths = current, None
        return True

    def _read_current(self) -> PublicManifest:
        known = self._manifest
        current = self.read_manifest(self._folder, known.given_spaces)
        same_spaces = all(
            current.metadata[key] == known.metadata[key]
            if key in known.given_spaces
            else one == other or is_same_space(one, other)
            for key, one, other in (
                ("observation_space", current.observation_space, known.observation_space),
                ("action_space", current.action_space, known.action_space),
            )
        )
        check_not_replaced(
            self._folder,
            is_same=current.uid == known.uid
            and same_spaces
            and current.total_episodes >= known.total_episodes,
        )
        # Spaces of others' classes may equal none but themselves.
        return replace(
            current,
            observation_space=known.observation_space,
            action_space=known.action_space,
        )

    @contextmanager
    def _tell_if_replaced(self) -> Iterator[None]:
        """Raise that the dataset is gone, or another one, rather than what follows from that."""
        self._check_not_replaced()
        try:
            yield
        except DatasetDamagedError:
            self._check_not_replaced()
            raise
        self._check_not_replaced()

    def _check_not_replaced(self) -> None:
        if not self._published:
            return
        stamp = _read_stamp(self._folder)
        if stamp != self._stamp:
            self._manifest = replace(self._manifest, staged=self._read_current().staged)
            self._stamp = stamp

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """Hold the dataset's lock, after loading its newest state."""
        if not self._published:
            yield
            return
        with lock_dataset(self._folder):
            self.refresh()
            # What is written next would make damage look as if it had been written.
            check_seal(read_metadata(self._folder), self._folder)
            self._finish_staged()
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove the files that killed processes have left; nobody else writes under the lock."""
        for name in (MANIFEST_NAME, MAIN_FILE):
            for path in self._folder.glob(f".{name}.*"):
                with suppress(OSError):
                    path.unlink()
        for path in self._folder.glob(f"{STAGE_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


def _read_stamp(folder: Path) -> _Stamp:
    """Return what changes whenever the metadata of a dataset is replaced.

    Raises:
        DatasetNotFoundError: There is no dataset any more.
    """
    # Before 0.5 the public Minari kept the metadata in the file of the data, and adds to that.
    for name in (MANIFEST_NAME, MAIN_FILE):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.stat(folder / name)
            return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
    raise DatasetNotFoundError(f"{folder} is gone: its dataset was deleted, or moved")


@contextmanager
def _as_write_error(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one of the tree, which names the folder."""
    try:
        yield
    except OSError as error:
        if isinstance(error, MinariError):
            raise
        raise DatasetWriteError(f"{folder}: {error}") from error


def _reopen(kind: type[PublicStorage], folder: Path, given_spaces: GivenSpaces) -> PublicStorage:
    # A bound method would be pickled by way of its class, which some picklers follow for ever.
    return kind.open(folder, given_spaces)


def _make_unsaved(
    kind: type[PublicStorage], folder: Path, manifest: PublicManifest
) -> PublicStorage:
    return kind(folder, manifest, published=False)


def _widen(
    data: ShardData,
    stored: Schema | None,
    first: int,
    both_spaces: tuple[spaces.Space[Any], spaces.Space[Any]],
) -> ShardData:
    """Return data with the dtypes of what is stored, if these are wider; else as it is.

    Args:
        data: The data.
        stored: The columns of what is stored, if there is something.
        first: The number of the first episode.
        both_spaces: The spaces of observations and actions.

    Raises:
        DataError: Casting would change a number.
    """
    if stored is None or widen_schema(stored, data.schema) is not stored:
        return data
    wider = widen_schema(data.schema, stored)
    if wider is None or wider is data.schema:
        return data
    widened = widen_shard(data, wider)
    try:
        pieces = [[np.asarray(piece) for piece in some] for some in widened.pieces]
    except DataError:
        holder = MemoryStorage(*both_spaces)
        holder.add([data])
        holder.check_casts(wider, first)
        raise
    return replace(widened, pieces=pieces)


def _with_placeholder(episode: EpisodeData, space: spaces.Space[Any]) -> EpisodeData:
    if episode.final_observation_known:
        return episode
    rows = add_placeholder(space, episode.observations, len(episode), episode.id)
    return replace(episode, observations=rows)


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
