"""Arrays of an ``.npz`` file, read and written a piece at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from minari.interchange.files import name_read_errors
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.formats.public.limits import FREE_NBYTES, MOST_PACKED

_SUFFIX = ".npy"


def list_arrays(path: Path) -> set[str]:
    """Return the names of the arrays in a file; empty if it is no such file."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as file:
        return {name[: -len(_SUFFIX)] for name in file.namelist() if name.endswith(_SUFFIX)}


def list_others(file: zipfile.ZipFile) -> list[str]:
    """Return the names of what in a file is no array."""
    return [name for name in file.namelist() if not name.endswith(_SUFFIX)]


class ArrayReader:
    """The rows of one array, in their order. Pickles are never loaded."""

    def __init__(self, file: zipfile.ZipFile, name: str) -> None:
        """Read what the array is.

        Raises:
            DataError: There is no such array, or it holds objects.
            DatasetDamagedError: It claims more bytes than the file can hold.
        """
        self._where = f"{file.filename}: {name}"
        if name + _SUFFIX not in file.namelist():
            raise DataError(f"{self._where} is not there")
        with name_read_errors(self._where):
            entry = file.getinfo(name + _SUFFIX)
            self._stream = file.open(entry)
            version = np.lib.format.read_magic(self._stream)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_fortran, dtype = read_header(self._stream)
        is_plain = bool(shape) and min(shape) >= 0 and not is_fortran
        if dtype.hasobject or dtype.kind not in "biuf" or not is_plain:
            raise DataError(f"{self._where} is {dtype} of shape {shape}, not rows of numbers")
        self.shape: tuple[int, ...] = shape
        """The shape, rows first."""
        self.dtype: np.dtype[Any] = dtype
        """The dtype."""
        self._row_nbytes = dtype.itemsize * prod(shape[1:])
        claimed = self._row_nbytes * shape[0]
        if claimed > FREE_NBYTES + MOST_PACKED * entry.compress_size or claimed > entry.file_size:
            raise DatasetDamagedError(
                f"{self._where} claims {claimed} bytes, of which the file has {entry.compress_size}"
            )

    def take(self, rows: int) -> npt.NDArray[Any]:
        """Read the next rows.

        Raises:
            DatasetDamagedError: The file ends before them, or their checksum is wrong.
        """
        nbytes = rows * self._row_nbytes
        with name_read_errors(self._where):
            data = self._stream.read(nbytes)
        if len(data) < nbytes:
            raise DatasetDamagedError(f"{self._where} is cut short")
        return np.frombuffer(bytearray(data), self.dtype).reshape(rows, *self.shape[1:])

    def take_all(self) -> npt.NDArray[Any]:
        """Read all rows."""
        return self.take(self.shape[0])

    def close(self) -> None:
        """Close the array."""
        self._stream.close()


class ArraysWriter:
    """Writes arrays one after another."""

    def __init__(self, path: Path, *, compressed: bool) -> None:
        kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        self._file = zipfile.ZipFile(path, "x", kind, allowZip64=True)

    def __enter__(self) -> ArraysWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, name: str, rows: int, pieces: Iterable[npt.NDArray[Any]]) -> None:
        """Write an array.

        Args:
            name: What it is called.
            rows: The number of its rows.
            pieces: These rows, some at a time, of one dtype and shape.

        Raises:
            DataError: A piece has another dtype or shape than the first.
        """
        with self._file.open(name + _SUFFIX, "w", force_zip64=True) as stream:
            first: npt.NDArray[Any] | None = None
            for piece in pieces:
                if first is None:
                    first = piece
                    self._write_header(stream, piece, rows)
                elif (piece.dtype, piece.shape[1:]) != (first.dtype, first.shape[1:]):
                    raise DataError(
                        f"{name} is {piece.dtype} of shape {piece.shape[1:]} a row, and before it "
                        f"was {first.dtype} of shape {first.shape[1:]}"
                    )
                stream.write(np.ascontiguousarray(piece).tobytes())

    def write_text(self, name: str, text: str) -> None:
        """Write a text, as its bytes in UTF-8."""
        data = np.frombuffer(text.encode(), np.uint8)
        self.write(name, len(data), [data])

    @staticmethod
    def _write_header(stream: IO[bytes], piece: npt.NDArray[Any], rows: int) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(piece.dtype),
            "fortran_order": False,
            "shape": (rows, *piece.shape[1:]),
        }
        np.lib.format.write_array_header_2_0(stream, header)
