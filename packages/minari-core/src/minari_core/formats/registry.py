"""The registry of data formats, by the name that a dataset's metadata gives."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from gymnasium.spaces import Space

from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.errors import DatasetNotFoundError, FormatError
from minari_core.files import MAIN_FILE, MANIFEST_NAME, may_be
from minari_core.formats.columnar.manifest import (
    Manifest,
    get_data_format,
    read_manifest,
    read_metadata,
)
from minari_core.formats.public.files import OWN_KEY
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Format:
    """The code of a format, as ``module:name``, which is imported when it is first needed."""

    storage: str
    """Its class of `Storage`, which has ``open`` and ``create``; see `StorageClass`."""
    check: str = "minari_core.formats.verification.reading:check_by_reading"
    """Its `minari_core.formats.verification.report.Check`."""
    stores_jpeg: bool = False
    """Whether it can store images as JPEG."""


_PUBLIC_CHECK = "minari_core.formats.verification.public:check_public_dataset"
FORMATS: dict[str, Format] = {
    "columnar": Format(
        "minari_core.formats.columnar.dataset_folder:ColumnarStorage",
        "minari_core.formats.verification.columnar:check_columnar_dataset",
    ),
    "hdf5": Format(
        "minari_core.formats.public.hdf5.storage:Hdf5Storage", _PUBLIC_CHECK, stores_jpeg=True
    ),
    "arrow": Format(
        "minari_core.formats.public.arrow.storage:ArrowStorage", _PUBLIC_CHECK, stores_jpeg=True
    ),
    "parquet": Format(
        "minari_core.formats.public.arrow.storage:ParquetStorage", _PUBLIC_CHECK, stores_jpeg=True
    ),
}
"""Every data format, by its name."""

DEFAULT_FORMAT = "columnar"


class StorageClass(Protocol):
    """The interface of the storage class of a registered format."""

    def check_space(self, space: Space[Any], where: str) -> None:
        """Raise unless it can hold every value of a space; see `Storage.check_space`."""
        ...

    def open(self, folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> Storage:
        """Open a dataset."""
        ...

    def create(
        self,
        folder: Path,
        metadata: Mapping[str, JsonValue],
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> Storage:
        """Create an empty dataset in an empty folder."""
        ...


def list_formats(*, storing_jpeg: bool = False) -> tuple[str, ...]:
    """List the names of all formats.

    Args:
        storing_jpeg: List only those that can store images as JPEG.
    """
    return tuple(
        name for name, registered in FORMATS.items() if registered.stores_jpeg >= storing_jpeg
    )


def check_format(data_format: str | None) -> str:
    """Return the name of a format that can be written; None is the default.

    Raises:
        FormatError: There is no such format.
        MissingDependencyError: It needs a package that is not installed; the message names it.
    """
    if data_format is None:
        return DEFAULT_FORMAT
    if data_format not in FORMATS:
        raise FormatError(
            f"No storage implemented for {data_format}. Available formats: {', '.join(FORMATS)}"
        )
    _load(FORMATS[data_format].storage)
    return data_format


def check_format_holds(
    data_format: str, observation_space: Space[Any], action_space: Space[Any]
) -> None:
    """Raise unless a format can hold the values of two spaces, before there are any.

    Raises:
        FormatError: There is no such format.
        SpaceError: It cannot hold a space; the message names it.
    """
    storage_class: StorageClass = _load(FORMATS[check_format(data_format)].storage)
    storage_class.check_space(observation_space, "observation_space")
    storage_class.check_space(action_space, "action_space")


def load_check(folder: Path, metadata: Mapping[str, JsonValue]) -> object:
    """Load the `minari_core.formats.verification.report.Check` of a dataset.

    Raises:
        FormatError: Its format is unknown here.
    """
    return _load(_find_format(folder, metadata).check)


def read_dataset_metadata(folder: str | Path) -> dict[str, JsonValue]:
    """Read the metadata of a dataset as its files give it, whatever its format.

    Args:
        folder: The ``data`` folder of a dataset.

    Raises:
        DatasetNotFoundError: The folder holds no dataset.
        DatasetDamagedError: Its metadata is malformed.
    """
    try:
        metadata = read_metadata(folder)
    except DatasetNotFoundError:
        if not _is_without_manifest(Path(folder)):
            raise
        from minari_core.formats.public.hdf5.root_attributes import read_root_metadata

        return read_root_metadata(Path(folder))
    metadata.pop(OWN_KEY, None)
    return metadata


def open_storage(folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> Storage:
    """Open the storage of a dataset, whatever its format.

    Args:
        folder: The ``data`` folder of a dataset.
        given_spaces: The spaces that stand for those whose types are unknown.

    Raises:
        DatasetNotFoundError: The folder holds no dataset.
        DatasetDamagedError: Its metadata is malformed.
        FormatError: Its format, or the version of it, cannot be read by what is installed.
        MissingDependencyError: Its format needs a package that is not installed.
    """
    manifest = Manifest({}) if _is_without_manifest(folder) else read_manifest(folder)
    storage_class = _load(_find_format(folder, manifest.metadata).storage)
    # A manifest that lists ten thousand shards is not parsed twice.
    is_read = get_data_format(manifest.metadata) == DEFAULT_FORMAT
    opened: Storage = (
        storage_class(folder, manifest, given_spaces)
        if is_read
        else storage_class.open(folder, given_spaces)
    )
    return opened


def new_storage(
    folder: Path,
    metadata: Mapping[str, JsonValue],
    data_format: str,
    given_spaces: GivenSpaces = NONE_GIVEN,
) -> Storage:
    """Create an empty dataset in an empty folder that no other process reads.

    Others can read it after `Storage.save`.

    Args:
        folder: The folder.
        metadata: The metadata; the spaces as JSON text.
        data_format: The name of the format.
        given_spaces: The spaces that stand for those whose types are unknown.

    Raises:
        SpaceError: The format cannot hold a space; the message names it.
    """
    storage_class: StorageClass = _load(FORMATS[check_format(data_format)].storage)
    return storage_class.create(folder, metadata, given_spaces)


def _is_without_manifest(folder: Path) -> bool:
    """Return whether a dataset is of before 0.5, when there were no manifests."""
    has_manifest = may_be(folder / MANIFEST_NAME, bool)  # of whatever kind
    return not has_manifest and may_be(folder / MAIN_FILE, stat.S_ISREG)


def _find_format(folder: Path, metadata: Mapping[str, JsonValue]) -> Format:
    data_format = get_data_format(metadata)
    if data_format not in FORMATS:
        raise FormatError(
            f"{folder} is in data format {data_format!r}, which this version of minari-core does "
            f"not read; known formats: {', '.join(FORMATS)}"
        )
    return FORMATS[data_format]


def _load(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
