"""Write episodes into the public Arrow and Parquet layouts, and change their metadata."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DataError
from minari_core.files import sync_folder
from minari_core.formats.public.arrow import values as arrow_values
from minari_core.formats.public.attributes import Attributes, nest_attributes, replace_attributes
from minari_core.formats.public.episode_writer import EpisodeWriter, MetadataWriter
from minari_core.formats.public.files import EPISODE_METADATA, SIDECAR_FILE
from minari_core.formats.public.sidecar import COLUMNS_NAME, ENTRY, Sidecar

# Without white space, which tells a file from what another program makes of it.
_OWN_SEPARATORS = (",", ":")


class ArrowEpisodeWriter(EpisodeWriter):
    """Write folders after those that the dataset has."""

    def __init__(
        self,
        folder: Path,
        first: int,
        both_spaces: tuple[spaces.Space[Any], spaces.Space[Any]],
        data_format: str,
        jpeg: bool,
        write_table: Callable[[pa.Table, Path], None],
    ) -> None:
        self._folder = folder
        self._spaces = both_spaces
        self._data_format = data_format
        self._jpeg = jpeg
        self._write_table = write_table
        self._written: list[Path] = []
        for entry in os.scandir(self._folder):
            if entry.name.isdecimal() and int(entry.name) >= first:
                # An interrupted append left it.
                shutil.rmtree(entry.path)

    def write(
        self,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        sidecar: Sidecar,
    ) -> None:
        if episode.rewards.ndim > 1:
            raise DataError(
                f"episode {number}: rewards have shape {episode.rewards.shape[1:]} a step, but "
                f"data format {self._data_format!r} holds one number a step"
            )
        if any(isinstance(value, np.ndarray) for value in attributes.values()) and not any(
            path == ENTRY for path, _ in sidecar.columns
        ):
            sidecar.add_entry(episode)
        jpeg = self._jpeg
        observation_space, action_space = self._spaces
        columns = {
            "observations": arrow_values.encode_value(
                observation_space, episode.observations, 0, "observations", jpeg=jpeg
            ),
            "actions": arrow_values.encode_value(
                action_space, episode.actions, 1, "actions", jpeg=jpeg
            ),
            "rewards": pa.array(np.pad(episode.rewards, (0, 1))),
            "terminations": pa.array(np.pad(episode.terminations, (0, 1))),
            "truncations": pa.array(np.pad(episode.truncations, (0, 1))),
        }
        encoded_infos = arrow_values.encode_infos(infos, "infos")
        if encoded_infos is not None:
            columns["infos"] = encoded_infos
        folder = self._folder / str(number)
        folder.mkdir()
        self._written.append(folder)
        self._write_table(pa.table(columns), folder / f"part-0.{self._data_format}")
        _write_attributes(folder, attributes, _OWN_SEPARATORS)
        if sidecar:
            _write_sidecar(folder, sidecar)

    def commit(self) -> None:
        _sync_folders(self._written)
        sync_folder(self._folder)

    def discard(self) -> None:
        for folder in self._written:
            shutil.rmtree(folder, ignore_errors=True)


class ArrowMetadataWriter(MetadataWriter):
    """Write the small files of episodes, beside which their tables stay as they are."""

    def __init__(self, folder: Path, read: Callable[[int], Attributes]) -> None:
        super().__init__(folder)
        self._folder = folder
        self._read = read
        self._written: list[Path] = []

    def write(
        self,
        number: int,
        changed: Collection[str],
        attributes: Attributes,
        sidecar: Sidecar | None,
        *,
        as_another_program: bool,
    ) -> None:
        folder = self.stage / str(number)
        folder.mkdir()
        self._written.append(folder)
        whole = replace_attributes(self._read(number), changed, attributes)
        _write_attributes(folder, whole, None if as_another_program else _OWN_SEPARATORS)
        if sidecar is not None:
            _write_sidecar(folder, sidecar)

    def commit(self) -> None:
        _sync_folders(self._written)
        sync_folder(self.stage)
        sync_folder(self._folder)


def _write_attributes(
    folder: Path, attributes: Attributes, separators: tuple[str, str] | None
) -> None:
    metadata = json.dumps(nest_attributes(attributes), default=_to_plain, separators=separators)
    (folder / EPISODE_METADATA).write_text(metadata, encoding="ascii")


def _write_sidecar(folder: Path, sidecar: Sidecar) -> None:
    text = np.frombuffer(sidecar.columns_to_json().encode("utf-8"), dtype=np.uint8)
    arrays = {str(index): array for index, array in enumerate(sidecar.arrays)}
    # As np.savez does, which may be told to pickle nothing from numpy 2.1 on only.
    with zipfile.ZipFile(folder / SIDECAR_FILE, "w") as archive:
        for name, array in {COLUMNS_NAME: text, **arrays}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        for path in folder.iterdir():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        sync_folder(folder)


def _to_plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
