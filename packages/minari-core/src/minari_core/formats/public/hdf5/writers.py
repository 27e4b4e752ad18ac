"""Write episodes into the public HDF5 layout, and change the metadata of stored ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DataError, DatasetWriteError
from minari_core.files import MAIN_FILE, sync_file, sync_folder
from minari_core.formats.public.attributes import Attributes, is_of_key, replace_attributes
from minari_core.formats.public.episode_writer import (
    EpisodeWriter,
    MetadataWriter,
    name_temporary_file,
)
from minari_core.formats.public.files import OWN_KEY
from minari_core.formats.public.hdf5.new_objects import (
    create_group,
    create_guarded_group,
    write_array,
    write_attribute,
)
from minari_core.formats.public.hdf5.writable_file import WritableFile
from minari_core.formats.public.jpeg import encode_jpegs
from minari_core.formats.public.sidecar import COLUMNS_NAME, Sidecar
from minari_core.formats.public.spaces import is_image_space

_TEXT = h5py.string_dtype(encoding="utf-8")


class Hdf5EpisodeWriter(EpisodeWriter):
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
            write_attribute(group, name, value)
        observations, actions = self._spaces
        self._write_value(group, "observations", episode.observations, observations)
        self._write_value(group, "actions", episode.actions, actions)
        for name in ("rewards", "terminations", "truncations"):
            write_array(group, name, getattr(episode, name))
        _write_infos(create_group(group, "infos"), infos)
        if sidecar:
            _write_sidecar(group, sidecar)

    def _write_value(self, group: Any, name: str, value: Any, space: spaces.Space[Any]) -> None:
        if isinstance(space, spaces.Dict):
            inner = create_group(group, name)
            for key, subspace in space.spaces.items():
                self._write_value(inner, key, value[key], subspace)
        elif isinstance(space, spaces.Tuple):
            inner = create_group(group, name)
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
            write_array(group, name, value)

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


class Hdf5MetadataWriter(MetadataWriter):
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
        write_attribute(group, key, value)
    del file[before]


def _write_sidecar(group: Any, sidecar: Sidecar) -> None:
    own = create_group(group, OWN_KEY)
    text = np.frombuffer(sidecar.columns_to_json().encode("utf-8"), dtype=np.uint8)
    write_array(own, COLUMNS_NAME, text)
    for index, array in enumerate(sidecar.arrays):
        write_array(own, str(index), array)


def _remove_episodes(file: h5py.File, first: int) -> None:
    """Remove what an append left that was killed between its two renames."""
    for name in list(file):
        number = name.removeprefix("episode_")
        if not number.isdecimal() or int(number) >= first:
            del file[name]


def _write_infos(group: Any, infos: dict[str, Any]) -> None:
    for key, value in infos.items():
        if isinstance(value, dict):
            _write_infos(create_group(group, key), value)
        elif isinstance(value, list):
            _write_text(group, key, value)
        else:
            write_array(group, key, value)


def _write_text(group: Any, name: str, rows: list[str]) -> None:
    group.create_dataset(name, data=np.array(rows, dtype=object), dtype=_TEXT)
