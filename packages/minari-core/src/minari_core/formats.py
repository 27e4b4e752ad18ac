"""The data formats that are installed, by the name that a dataset's metadata gives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minari_core.columnar_storage import ColumnarStorage
from minari_core.columns import JsonValue
from minari_core.errors import FormatError
from minari_core.manifest import read_metadata
from minari_core.storage import Storage

DEFAULT_FORMAT = ColumnarStorage.data_format

_FORMATS = {ColumnarStorage.data_format: ColumnarStorage}


def check_format(data_format: str | None) -> str:
    """The name of a format that can be written; None is the default.

    Raises:
        FormatError: There is no such format.
    """
    if data_format is None:
        return DEFAULT_FORMAT
    if data_format not in _FORMATS:
        raise FormatError(
            f"data format {data_format!r} is unknown here; known formats: {', '.join(_FORMATS)}"
        )
    return data_format


def open_storage(folder: Path) -> Storage:
    """Open the data of a dataset, whatever its format.

    Args:
        folder: The ``data`` folder of a dataset.

    Raises:
        DatasetNotFoundError: The folder holds no dataset.
        DatasetDamagedError: Its metadata is malformed.
        FormatError: Its format, or the version of it, cannot be read by what is installed.
    """
    data_format = read_metadata(folder).get("data_format")
    if data_format not in _FORMATS:
        raise FormatError(
            f"{folder} is in data format {data_format!r}, which this version of minari-core does "
            f"not read; known formats: {', '.join(_FORMATS)}"
        )
    return _FORMATS[str(data_format)].open(folder)


def new_storage(folder: Path, metadata: Mapping[str, JsonValue], data_format: str) -> Storage:
    """Start a dataset in an empty folder that nobody else looks into.

    It is readable by others after `Storage.save`.
    """
    return _FORMATS[check_format(data_format)].create(folder, metadata)
