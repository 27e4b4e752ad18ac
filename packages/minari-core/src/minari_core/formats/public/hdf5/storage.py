"""The public Minari's ``"hdf5"``: one group an episode in ``main_data.hdf5``.

An append writes a copy of the file and renames it, so that a reader finds the old file or the new
one, even after a crash. That costs a copy of the whole file each time: data that is added in many
small steps is better stored as ``"columnar"`` and converted when it is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from gymnasium import spaces

from minari_core.columns import Array
from minari_core.environments.given_spaces import GivenSpaces
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DataError, DatasetDamagedError, DatasetWriteError
from minari_core.files import name_damage, sync_file, sync_folder
from minari_core.formats.columnar.manifest import MANIFEST_NAME
from minari_core.formats.public.attributes import Attributes, is_of_key, replace_attributes
from minari_core.formats.public.checksums import EpisodeChecksums
from minari_core.formats.public.episode_writer import (
    EpisodeWriter,
    MetadataWriter,
    name_temporary_file,
)
from minari_core.formats.public.files import (
    FILE_FORMAT,
    MAIN_FILE,
    OWN_KEY,
    parse_episode_number,
)
from minari_core.formats.public.hdf5.checksums import (
    compute_attribute_checksums,
    compute_contents_checksum,
    create_guarded_group,
    has_replaced_attributes,
)
from minari_core.formats.public.hdf5.file import Hdf5File, names_in
from minari_core.formats.public.hdf5.reader import EpisodeReader
from minari_core.formats.public.hdf5.root_attributes import read_root_metadata
from minari_core.formats.public.hdf5.writable_file import WritableFile
from minari_core.formats.public.jpeg import encode_jpegs
from minari_core.formats.public.limits import estimate_nbytes
from minari_core.formats.public.metadata_file import PublicManifest, parse_manifest
from minari_core.formats.public.sidecar import COLUMNS_NAME, Sidecar
from minari_core.formats.public.spaces import is_image_space
from minari_core.formats.public.storage.base import PublicStorage

_TEXT = h5py.string_dtype(encoding="utf-8")


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
                with name_damage(self._name(number)):
                    episodes.append(reader.read(number, copy=copy))
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
        return _Writer(main, first, both_spaces, jpeg, merge=not self._published)

    def _metadata_writer(self) -> MetadataWriter:
        return _MetadataWriter(self._folder)

    def _finish(self) -> None:
        main = self._folder / MAIN_FILE
        if not main.exists():
            WritableFile(main, is_new=True).close()
        sync_file(main)


class _Writer(EpisodeWriter):
    """Write groups into a file of their own, or into a copy of the dataset's."""

    holds_short_columns: ClassVar[bool] = True

    def __init__(
        self,
        main: Path,
        first: int,
        both_spaces: tuple[spaces.Space[Any], spaces.Space[Any]],
        jpeg: bool,
        *,
        merge: bool,
    ) -> None:
        self._main = main
        self._spaces = both_spaces
        self._jpeg = jpeg
        # A dataset that nobody else sees need not be copied: what is added is moved into it.
        self._merge = merge and main.exists()
        self._path = name_temporary_file(main)
        copies = main.exists() and not merge
        try:
            if copies:
                shutil.copyfile(main, self._path)
            self._file = WritableFile(self._path, is_new=not copies)
        except BaseException:
            self._path.unlink(missing_ok=True)
            raise
        if copies:
            try:
                self._file.run(lambda file: _remove_episodes(file, first))
            except BaseException:
                self.discard()
                raise

    def write(
        self,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        sidecar: Sidecar,
    ) -> None:
        self._file.run(lambda file: self._write(file, number, episode, infos, attributes, sidecar))

    def _write(
        self,
        file: h5py.File,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        sidecar: Sidecar,
    ) -> None:
        group = create_guarded_group(file, f"episode_{number}")
        for name, value in attributes.items():
            group.attrs[name] = value
        observations, actions = self._spaces
        self._write_value(group, "observations", episode.observations, observations)
        self._write_value(group, "actions", episode.actions, actions)
        for name in ("rewards", "terminations", "truncations"):
            group.create_dataset(name, data=getattr(episode, name))
        _write_infos(group.create_group("infos"), infos)
        if sidecar:
            _write_sidecar(group, sidecar)

    def _write_value(self, group: Any, name: str, value: Any, space: spaces.Space[Any]) -> None:
        if isinstance(space, spaces.Dict):
            inner = group.create_group(name)
            for key, subspace in space.spaces.items():
                self._write_value(inner, key, value[key], subspace)
        elif isinstance(space, spaces.Tuple):
            inner = group.create_group(name)
            for index, subspace in enumerate(space.spaces):
                self._write_value(inner, f"_index_{index}", value[index], subspace)
        elif isinstance(space, spaces.Text):
            _write_text(group, name, value)
        elif self._jpeg and is_image_space(space):
            frames = [np.frombuffer(f, dtype=np.uint8) for f in encode_jpegs(value, name)]
            rows = np.empty(len(frames), dtype=object)
            rows[:] = frames
            group.create_dataset(name, data=rows, dtype=h5py.vlen_dtype(np.uint8))
        else:
            group.create_dataset(name, data=value)

    def commit(self) -> None:
        self._file.close()
        if self._merge:
            self._move_episodes()
            return
        sync_file(self._path)
        os.replace(self._path, self._main)
        sync_folder(self._main.parent)

    def _move_episodes(self) -> None:
        target = WritableFile(self._main, is_new=False)
        try:
            with h5py.File(self._path) as source:
                for name in source:
                    target.run(partial(source.copy, name))
        finally:
            target.close()
        self._path.unlink()

    def discard(self) -> None:
        with suppress(DatasetWriteError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class _MetadataWriter(MetadataWriter):
    """Write attributes into a copy of the dataset's file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder
        self._path = self.stage / MAIN_FILE
        self._file: WritableFile | None = None
        try:
            shutil.copyfile(folder / MAIN_FILE, self._path)
            self._file = WritableFile(self._path, is_new=False)
        except BaseException:
            self.discard()
            raise

    def write(
        self,
        number: int,
        changed: Collection[str],
        attributes: Attributes,
        sidecar: Sidecar | None,
        *,
        as_another_program: bool,
    ) -> None:
        def change(file: h5py.File) -> None:
            name = f"episode_{number}"
            if file.get(name, getlink=True, getclass=True) is not h5py.HardLink:
                raise DataError(
                    f"episode {number} lies in another file than {MAIN_FILE}, so that what is said "
                    "of it cannot be changed here; convert the dataset, which puts it into one file"
                )
            if as_another_program:
                _change_attributes(file[name], changed, attributes)
            else:
                _renew_group(file, name, replace_attributes(file[name].attrs, changed, attributes))
            if sidecar is not None:
                if OWN_KEY in file[name]:
                    del file[name][OWN_KEY]
                _write_sidecar(file[name], sidecar)

        if self._file is not None:
            self._file.run(change)

    def commit(self) -> None:
        if self._file is not None:
            self._file.close()
        sync_file(self._path)
        sync_folder(self.stage)
        sync_folder(self._folder)

    def discard(self) -> None:
        with suppress(DatasetWriteError):
            if self._file is not None:
                self._file.close()
        super().discard()


def _change_attributes(group: Any, changed: Collection[str], attributes: Attributes) -> None:
    for name in list(group.attrs):
        if is_of_key(name, changed):
            del group.attrs[name]
    for name, value in attributes.items():
        group.attrs[name] = value


def _renew_group(file: h5py.File, name: str, attributes: Attributes) -> None:
    """Put the contents of a group into a new one, whose attributes are numbered from the first on.

    In the old one, numbers of removed attributes would be missing, as where others change some.
    """
    before = f"{name}~"
    file.move(name, before)
    group, old = create_guarded_group(file, name), file[before]
    for child in old:
        group[child] = old[child]
    for key, value in attributes.items():
        group.attrs[key] = value
    del file[before]


def _write_sidecar(group: Any, sidecar: Sidecar) -> None:
    own = group.create_group(OWN_KEY)
    text = np.frombuffer(sidecar.columns_to_json().encode("utf-8"), dtype=np.uint8)
    own.create_dataset(COLUMNS_NAME, data=text)
    for index, array in enumerate(sidecar.arrays):
        own.create_dataset(str(index), data=array)


def _remove_episodes(file: h5py.File, first: int) -> None:
    """Remove what an append left that was killed between its two renames."""
    for name in list(file):
        number = name.removeprefix("episode_")
        if not number.isdecimal() or int(number) >= first:
            del file[name]


def _write_infos(group: Any, infos: dict[str, Any]) -> None:
    for key, value in infos.items():
        if isinstance(value, dict):
            _write_infos(group.create_group(key), value)
        elif isinstance(value, list):
            _write_text(group, key, value)
        else:
            group.create_dataset(key, data=value)


def _write_text(group: Any, name: str, rows: list[str]) -> None:
    group.create_dataset(name, data=np.array(rows, dtype=object), dtype=_TEXT)
