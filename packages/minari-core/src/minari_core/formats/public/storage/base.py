"""The base of the public formats: a manifest, and episodes that are stored one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.episodes import Episode, encode_episodes
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.episodes.final_observation import FINAL_OBSERVATION, add_placeholder
from minari_core.episodes.fit import check_schema_fits, check_shapes, widen_schema
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_shards
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.files import MANIFEST_NAME, wrap_write_errors
from minari_core.formats.columnar.episode_entry import normalize_entry
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.public.attributes import encode_change
from minari_core.formats.public.checksums import EpisodeChecksums, count_checksums
from minari_core.formats.public.episode_writer import EpisodeWriter, MetadataWriter
from minari_core.formats.public.sidecar import Sidecar, replace_entry
from minari_core.formats.public.storage.reading import PublicReader
from minari_core.formats.shards.joining import widen_shard
from minari_core.storage.base import Storage, check_spaces
from minari_core.storage.metadata_changes import Change, merge_change


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the metadata of an episode."""

    values: Change
    """The new values."""
    has_entry: bool
    """Whether its sidecar has an entry, which says all."""
    was_made_by_others: bool
    """Whether its attributes are not those that this project has written."""


class PublicStorage(PublicReader):
    """A dataset in a format of the public Minari, which is read and written."""

    holds_array_attributes: ClassVar[bool] = True
    """Whether arrays among the attributes of an episode stay arrays."""

    @abstractmethod
    def _writer(self, first: int) -> EpisodeWriter:
        """Begin an append whose first episode has the index ``first``."""

    @abstractmethod
    def _metadata_writer(self) -> MetadataWriter:
        """Begin to rewrite the metadata of episodes."""

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
        with self._hold_lock(), wrap_write_errors(self._folder):
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
        with self._hold_lock(), wrap_write_errors(self._folder):
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
        """Rewrite the metadata of an episode, and return whether its sidecar was rewritten, too."""
        # That the final observation is not known may be told by the number of rows alone.
        values = {key: value for key, value in change.values.items() if key != FINAL_OBSERVATION}
        merged = normalize_entry(merge_change(episode, values))
        changed = values.keys() - {"id", "total_steps"}
        added, is_complete = encode_change(merged, sorted(changed, key=repr))
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

    def _find_schema(self) -> Schema | None:
        if self._established is None and self.total_episodes:
            (episode,) = self.read_episodes([0])
            known = {FINAL_OBSERVATION: episode.final_observation_known}
            bare = replace(episode, infos={}, extras={}, options=None, metadata=known)
            self._established = encode_episodes(
                [bare], self.observation_space, self.action_space, {}
            ).schema
        return self._established


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
