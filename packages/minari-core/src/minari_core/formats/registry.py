"""The data formats that are installed, by the name that a dataset's metadata gives."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

from minari_core.errors import FormatError
from minari_core.files import may_be
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import MANIFEST_NAME, read_metadata
from minari_core.formats.public.files import BEFORE_NAMED, MAIN_FILE
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage

DEFAULT_FORMAT = ColumnarStorage.data_format


_MODULES = {
    ColumnarStorage.data_format: ("minari_core.formats.columnar.dataset_folder", "ColumnarStorage"),
    "hdf5": ("minari_core.formats.public.hdf5.storage", "Hdf5Storage"),
    "arrow": ("minari_core.formats.public.arrow.storage", "ArrowStorage"),
    "parquet": ("minari_core.formats.public.arrow.storage", "ParquetStorage"),
}


class _StorageClass(Protocol):
    """What a class of storages offers beside its instances."""

    def open(self, folder: Path) -> Storage:
        """Open a dataset."""
        ...

    def create(self, folder: Path, metadata: Mapping[str, JsonValue]) -> Storage:
        """Start an empty dataset."""
        ...


def list_formats() -> tuple[str, ...]:
    """The names of all formats."""
    return tuple(_MODULES)


def check_format(data_format: str | None) -> str:
    """The name of a format that can be written; None is the default.

    Raises:
        FormatError: There is no such format.
        MissingDependencyError: It needs a package that is not installed; the message names it.
    """
    if data_format is None:
        return DEFAULT_FORMAT
    if data_format not in _MODULES:
        raise FormatError(
            f"data format {data_format!r} is unknown here; known formats: {', '.join(_MODULES)}"
        )
    _storage_class(data_format)
    return data_format


def holds_dataset(folder: Path) -> bool:
    """Whether a ``data`` folder looks like that of a dataset, in whatever format.

    A folder that may not be looked into does: who opens it is told what is the matter.
    """
    return may_be(folder / MANIFEST_NAME, stat.S_ISREG) or may_be(folder / MAIN_FILE, stat.S_ISREG)


def read_dataset_metadata(folder: Path) -> dict[str, JsonValue]:
    """Read the metadata of a dataset as its files say it, whatever its format.

    Args:
        folder: The ``data`` folder of a dataset.

    Raises:
        DatasetNotFoundError: The folder holds no dataset.
        DatasetDamagedError: Its metadata is malformed.
    """
    if _is_without_manifest(folder):
        from minari_core.formats.public.hdf5.root_attributes import root_metadata

        return root_metadata(folder, folder / MAIN_FILE)
    metadata = read_metadata(folder)
    metadata.pop("minari_core", None)
    return metadata


def open_storage(folder: Path) -> Storage:
    """Open the data of a dataset, whatever its format.

    Args:
        folder: The ``data`` folder of a dataset.

    Raises:
        DatasetNotFoundError: The folder holds no dataset.
        DatasetDamagedError: Its metadata is malformed.
        FormatError: Its format, or the version of it, cannot be read by what is installed.
        MissingDependencyError: Its format needs a package that is not installed.
    """
    if _is_without_manifest(folder):
        return _storage_class(BEFORE_NAMED).open(folder)
    data_format = read_metadata(folder).get("data_format", BEFORE_NAMED)
    if data_format not in _MODULES:
        raise FormatError(
            f"{folder} is in data format {data_format!r}, which this version of minari-core does "
            f"not read; known formats: {', '.join(_MODULES)}"
        )
    return _storage_class(str(data_format)).open(folder)


def new_storage(folder: Path, metadata: Mapping[str, JsonValue], data_format: str) -> Storage:
    """Start a dataset in an empty folder that nobody else looks into.

    It is readable by others after `Storage.save`.

    Raises:
        SpaceError: The format cannot hold a space; the message names it.
    """
    return _storage_class(check_format(data_format)).create(folder, metadata)


def _is_without_manifest(folder: Path) -> bool:
    """Whether a dataset is in the layout of before there were manifests."""
    has_manifest = may_be(folder / MANIFEST_NAME, bool)  # of whatever kind
    return not has_manifest and may_be(folder / MAIN_FILE, stat.S_ISREG)


def _storage_class(data_format: str) -> _StorageClass:
    """The class of a format's storages, imported when it is needed first."""
    module, name = _MODULES[data_format]
    found: _StorageClass = getattr(import_module(module), name)
    return found
