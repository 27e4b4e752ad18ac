"""The public Minari's ``"hdf5"``: one group an episode in ``main_data.hdf5``.

An append writes a copy of the file and renames it, so that a reader finds the old file or the new
one, even after a crash. That costs a copy of the whole file each time: data that is added in many
small steps is better stored as ``"columnar"`` and converted when it is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from minari_core.columns import Array
from minari_core.environments.given_spaces import GivenSpaces
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.files import MAIN_FILE, MANIFEST_NAME, name_damage, sync_file
from minari_core.formats.public.attributes import Attributes
from minari_core.formats.public.checksums import EpisodeChecksums
from minari_core.formats.public.episode_writer import EpisodeWriter, MetadataWriter
from minari_core.formats.public.files import FILE_FORMAT, parse_episode_number
from minari_core.formats.public.hdf5.checksums import (
    compute_attribute_checksums,
    compute_contents_checksum,
    has_replaced_attributes,
)
from minari_core.formats.public.hdf5.file import Hdf5File, names_in
from minari_core.formats.public.hdf5.reader import EpisodeReader
from minari_core.formats.public.hdf5.root_attributes import read_root_metadata
from minari_core.formats.public.hdf5.writable_file import WritableFile
from minari_core.formats.public.hdf5.writers import Hdf5EpisodeWriter, Hdf5MetadataWriter
from minari_core.formats.public.limits import estimate_nbytes
from minari_core.formats.public.metadata_file import PublicManifest, parse_manifest
from minari_core.formats.public.storage.base import PublicStorage


class Hdf5Storage(PublicStorage):
    """A dataset in the public Minari's HDF5 layout."""

    data_format: ClassVar[str] = FILE_FORMAT
    holds_empty_spaces: ClassVar[bool] = True

    @classmethod
    def read_manifest(cls, folder: Path, given_spaces: GivenSpaces) -> PublicManifest:
        """Read the manifest, or before 0.5 the HDF5 attributes that were there in its stead."""
        if (folder / MANIFEST_NAME).exists():
            return super().read_manifest(folder, given_spaces)
        return parse_manifest(read_root_metadata(folder), folder, given_spaces)

    def _read(self, numbers: Sequence[int], *, copy: bool) -> Iterator[EpisodeData]:
        # Windows replaces no file that is mapped.
        copy = copy or os.name != "posix"
        episodes: list[EpisodeData] = []
        with self._open() as file:
            reader = self._reader(file)
            for number in numbers:
                try:
                    episodes.append(reader.read(number, copy=copy))
                except Exception:
                    with name_damage(self._name(number)):
                        raise
        yield from episodes

    def _read_attributes(self, numbers: Sequence[int]) -> Iterator[tuple[Attributes, Any]]:
        if not len(numbers):
            return
        with self._open() as file:
            reader = self._reader(file)
            found = []
            for number in numbers:
                with name_damage(self._name(number)):
                    found.append(reader.read_attributes(number))
        yield from found

    def compute_checksums(self, numbers: Sequence[int]) -> Iterator[EpisodeChecksums]:
        """Compute the checksums of episodes: of what is stored, wherever in the file it lies."""
        with self._open() as file:
            for number in numbers:
                with name_damage(self._name(number)):
                    contents = compute_contents_checksum(file, number)
                    *_, attributes = compute_attribute_checksums(file, number)
                yield EpisodeChecksums(contents, attributes)

    def compute_attributes_checksums(self, numbers: Sequence[int]) -> Iterator[int]:
        """Compute the checksums of the attributes of episodes alone."""
        if not numbers:
            return
        with self._open() as file:
            for number in numbers:
                with name_damage(self._name(number)):
                    *_, checksum = compute_attribute_checksums(file, number)
                yield checksum

    def has_rewritten_attributes(self, number: int, kept: EpisodeChecksums) -> bool:
        """Return whether attributes were added after those that were kept, or took their place."""
        with self._open() as file, name_damage(self._name(number)):
            added = kept.attributes in compute_attribute_checksums(file, number)
            return added or has_replaced_attributes(file, number)

    def _count_observations(self, numbers: Sequence[int]) -> Iterator[int | None]:
        if not numbers:
            return
        with self._open() as file:
            reader = self._reader(file)
            for number in numbers:
                with name_damage(self._name(number)):
                    rows = reader.count_observations(number)
                yield rows

    def _read_sidecar(self, number: int) -> tuple[str, Iterator[Array]] | None:
        with self._open() as file, name_damage(self._name(number)):
            found = self._reader(file).read_sidecar(number)
            return None if found is None else (found[0], iter(list(found[1])))

    def _open(self) -> Hdf5File:
        path, expected = self.find_file(MAIN_FILE), estimate_nbytes(self._manifest)
        try:
            return Hdf5File(path, expected, self._folder)
        except DatasetDamagedError:
            if path.exists():
                raise
            # A staged file has been moved meanwhile.
            return Hdf5File(self._folder / MAIN_FILE, expected)

    def _reader(self, file: Hdf5File) -> EpisodeReader:
        version = str(self.metadata.get("minari_version", ""))
        repair = not self._manifest.uid and version.startswith("0.5.3")
        return EpisodeReader(file, self.observation_space, self.action_space, repair_images=repair)

    def _name(self, number: int) -> str:
        return f"episode {number} of {self._folder / MAIN_FILE}"

    def find_data_file(self, number: int) -> str:
        """Return the file that holds all episodes."""
        return MAIN_FILE

    def find_attributes_file(self, number: int) -> str:
        """Return the file that holds all episodes."""
        return MAIN_FILE

    def check_common_file(self) -> None:
        """Raise if ``main_data.hdf5`` cannot be opened."""
        self._open().close()

    def list_stored_episodes(self) -> list[int]:
        """List the indices of all groups of episodes."""
        with self._open() as file, name_damage(MAIN_FILE):
            names = [name.removeprefix("episode_") for name in names_in(file.root)]
        return sorted(n for n in map(parse_episode_number, names) if n is not None)

    def _writer(self, first: int) -> EpisodeWriter:
        both_spaces = self.observation_space, self.action_space
        jpeg = self._manifest.stores_jpeg
        main = self._folder / MAIN_FILE
        return Hdf5EpisodeWriter(main, first, both_spaces, jpeg, merge=not self._published)

    def _metadata_writer(self) -> MetadataWriter:
        return Hdf5MetadataWriter(self._folder)

    def _finish(self) -> None:
        main = self._folder / MAIN_FILE
        if not main.exists():
            WritableFile(main, is_new=True).close()
        sync_file(main)
