"""Files of a layout, which are untrusted: found within a folder, and read no larger than sense."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError, MinariError
from minari_core.files import check_plain, make_read_error, may_not_read, sync_file

_LARGEST_JSON = 1 << 30


def find_file(root: Path, relative: str) -> Path:
    """Return the path of a file within a folder.

    Links are followed within the folder alone, and to the files that Hugging Face's cache keeps
    beside its snapshots.

    Raises:
        DataError: It lies outside.
        DatasetNotFoundError: There is no such file.
    """
    path = root / relative
    if not path.is_file():
        raise DatasetNotFoundError(f"{root} has no file {relative}")
    homes = [root.resolve()]
    if homes[0].parent.name == "snapshots":
        homes.append(homes[0].parent.parent / "blobs")
    if not any(path.resolve().is_relative_to(home) for home in homes):
        raise DataError(f"{root}: {relative} leads out of the folder; links are not followed")
    return path


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        DatasetDamagedError: It is no such file.
    """
    with name_read_errors(str(path)):
        check_plain(path, may_be_link=True)
        if path.stat().st_size > _LARGEST_JSON:
            raise DatasetDamagedError(f"{path} is larger than {_LARGEST_JSON} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise DatasetDamagedError(f"{path} is no JSON object")
        return found


def read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Read the JSON objects of a file that has one a line.

    Raises:
        DatasetDamagedError: It cannot be read, or a line is none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise DatasetDamagedError(f"{path}: line {number} is no JSON object")
                yield found
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, DatasetDamagedError):
            raise
        raise DatasetDamagedError(f"{path} cannot be read: {error}") from error


def check_readable(path: Path) -> None:
    """Raise unless a path is a folder, or a plain file that may be read.

    Raises:
        DatasetNotFoundError: There is nothing.
        DatasetAccessError: It may not be read.
        DatasetDamagedError: It is a pipe or a device, which could block for ever.
    """
    with name_read_errors(str(path)):
        if not path.exists():
            raise DatasetNotFoundError(f"there is no file or folder {path}")
        if not path.is_dir():
            check_plain(path, may_be_link=True)
            path.open("rb").close()


@contextmanager
def name_read_errors(where: str) -> Iterator[None]:
    """Turn whatever reading a file raises into an error of the tree that names it.

    A library that meets damage raises whatever it comes across.

    Args:
        where: The file, in words.
    """
    try:
        yield
    except MinariError:
        raise
    except Exception as error:
        if may_not_read(error):
            raise make_read_error(where, error) from error
        raise DatasetDamagedError(
            f"{where} cannot be read: {type(error).__name__}: {error}"
        ) from error


def copy_shared_files(folder: Path) -> None:
    """Replace the files of a folder that have other names elsewhere by copies of their own."""
    for file in folder.iterdir():
        if file.is_file() and file.stat().st_nlink > 1:
            copy = file.with_name(f".{file.name}.part")
            shutil.copyfile(file, copy)
            os.replace(copy, file)
            sync_file(file)
