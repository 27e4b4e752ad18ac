"""The public Minari's ``"hdf5"``: one group an episode in ``main_data.hdf5``.

An append writes a copy of the file and renames it, so that a reader, or whoever comes after a
crash, finds the old file or the new one. That costs a copy of the whole file each time: data that
is added to in many small steps is better kept as ``"columnar"`` and converted when complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.files import sync_folder
from minari_core.formats.columnar.manifest import MANIFEST_NAME
from minari_core.formats.public.attributes import Attributes
from minari_core.formats.public.base import (
    EpisodeWriter,
    PublicStorage,
    read_only,
    temporary_beside,
)
from minari_core.formats.public.files import MAIN_FILE, OWN_KEY
from minari_core.formats.public.hdf5.file import Hdf5File, damage_named
from minari_core.formats.public.hdf5.reader import KEPT_COLUMNS, EpisodeReader
from minari_core.formats.public.hdf5.root_attributes import read_root_attributes
from minari_core.formats.public.jpeg import encode_jpegs
from minari_core.formats.public.metadata_file import Description
from minari_core.formats.public.sidecar import Kept
from minari_core.formats.public.spaces import is_image_space

_TEXT = h5py.string_dtype(encoding="utf-8")


class Hdf5Storage(PublicStorage):
    """A dataset in the public Minari's HDF5 layout."""

    data_format: ClassVar[str] = "hdf5"

    @classmethod
    def describe(cls, folder: Path) -> Description:
        """Read what a dataset is, from its metadata file or, before 0.5, its HDF5 attributes."""
        if (folder / MANIFEST_NAME).exists():
            return super().describe(folder)
        return read_root_attributes(folder, folder / MAIN_FILE)

    def _read(self, numbers: Sequence[int], *, copy: bool) -> Iterator[EpisodeData]:
        episodes: list[EpisodeData] = []
        with Hdf5File(self._folder / MAIN_FILE) as file:
            reader = self._reader(file)
            for number in numbers:
                with damage_named(self._name(number)):
                    episodes.append(_named(self._name(number), reader.read, number))
        for episode in episodes:
            yield episode if copy else read_only(episode)

    def _read_attributes(self, numbers: Sequence[int]) -> Iterator[tuple[Attributes, Any]]:
        if not len(numbers):
            return
        with Hdf5File(self._folder / MAIN_FILE) as file:
            reader = self._reader(file)
            found = []
            for number in numbers:
                with damage_named(self._name(number)):
                    found.append(_named(self._name(number), reader.attributes, number))
        yield from found

    def _reader(self, file: Hdf5File) -> EpisodeReader:
        repair = str(self.metadata.get("minari_version", "")).startswith("0.5.3")
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
        Hdf5File(self._folder / MAIN_FILE).close()

    def _writer(self, first: int) -> EpisodeWriter:
        spaces_of = self.observation_space, self.action_space
        jpeg = self._description.jpeg
        main = self._folder / MAIN_FILE
        return _Writer(main, first, spaces_of, jpeg, merge=not self._published)

    def _finish(self) -> None:
        main = self._folder / MAIN_FILE
        if not main.exists():
            h5py.File(main, "w", track_order=True).close()
        _flush(main)


class _Writer(EpisodeWriter):
    """Writes groups into a file of their own, or into a copy of the dataset's."""

    def __init__(
        self,
        main: Path,
        first: int,
        spaces_of: tuple[spaces.Space[Any], spaces.Space[Any]],
        jpeg: bool,
        *,
        merge: bool,
    ) -> None:
        self._main = main
        self._spaces = spaces_of
        self._jpeg = jpeg
        # A dataset that nobody else sees need not be copied: what is added is moved into it.
        self._merge = merge and main.exists()
        self._path = temporary_beside(main)
        if not merge and main.exists():
            shutil.copyfile(main, self._path)
        self._file = h5py.File(self._path, "a", track_order=True)
        if not merge:
            for name in list(self._file):
                number = name.removeprefix("episode_")
                if not number.isdecimal() or int(number) >= first:
                    # An append that was killed between its two renames left it.
                    del self._file[name]

    def write(
        self,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        kept: Kept,
    ) -> None:
        group = self._file.create_group(f"episode_{number}")
        for name, value in attributes.items():
            group.attrs[name] = value
        observations, actions = self._spaces
        self._value(group, "observations", episode.observations, observations)
        self._value(group, "actions", episode.actions, actions)
        for name in ("rewards", "terminations", "truncations"):
            group.create_dataset(name, data=getattr(episode, name))
        _write_infos(group.create_group("infos"), infos)
        if kept:
            own = group.create_group(OWN_KEY)
            text = np.frombuffer(kept.described().encode("utf-8"), dtype=np.uint8)
            own.create_dataset(KEPT_COLUMNS, data=text)
            for index, array in enumerate(kept.arrays):
                own.create_dataset(str(index), data=array)

    def _value(self, group: Any, name: str, value: Any, space: spaces.Space[Any]) -> None:
        if isinstance(space, spaces.Dict):
            inner = group.create_group(name)
            for key, part in space.spaces.items():
                self._value(inner, key, value[key], part)
        elif isinstance(space, spaces.Tuple):
            inner = group.create_group(name)
            for index, part in enumerate(space.spaces):
                self._value(inner, f"_index_{index}", value[index], part)
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
            with h5py.File(self._path) as source, h5py.File(self._main, "a") as target:
                for name in source:
                    source.copy(name, target)
            self._path.unlink()
            return
        _flush(self._path)
        os.replace(self._path, self._main)
        sync_folder(self._main.parent)

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


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


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _named(where: str, read: Any, number: int) -> Any:
    try:
        return read(number)
    except DatasetDamagedError as error:
        if where in str(error):
            raise
        raise DatasetDamagedError(f"{where}: {error}") from error
