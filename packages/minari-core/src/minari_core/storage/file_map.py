"""Map files into memory without keeping them open.

A process may have few open files, some 256 to 1024, and a dataset may have ten thousand shards.
A map needs no open file, but Python's own keeps one, unless Python 3.13 or later is told not to.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from functools import cache
from typing import Any, BinaryIO, Protocol

import numpy as np


class Contents(Protocol):
    """The bytes of a file, as a map of it has them, or as they are fetched from elsewhere."""

    def __len__(self) -> int:
        """The size of the file."""
        ...

    def __getitem__(self, key: slice, /) -> memoryview:
        """Some bytes."""
        ...


def map_file(file: BinaryIO) -> memoryview:
    """Map all bytes of an open file; they stay mapped for as long as anything views them.

    Args:
        file: The file, which can be closed at once.

    Returns:
        Read-only bytes.

    Raises:
        OSError: The system refused. ``ENOMEM`` says that the process has too many maps.
        ValueError: The file is empty.
    """
    if sys.platform == "win32":  # whose maps do not count as open files
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False))
    mapped = _Map(file.fileno(), os.fstat(file.fileno()).st_size)
    return np.asarray(mapped).data


def expect_random_reads(contents: memoryview) -> None:
    """Tell the system that bytes of a map are read here and there.

    It reads some megabytes more than it is asked for else, which is well where a file is read from
    end to end, or read so often that all of it is soon in memory.

    Args:
        contents: What `map_file` returned.
    """
    if sys.platform == "linux":
        address = np.frombuffer(contents, np.uint8).__array_interface__["data"][0]
        _load_library().madvise(address, len(contents), mmap.MADV_RANDOM)  # advice may be ignored


class _Map:
    """Mapped memory that numpy sees as an array of bytes, whose base this object is."""

    __slots__ = ("__array_interface__", "__weakref__")

    def __init__(self, descriptor: int, nbytes: int) -> None:
        if nbytes == 0:
            raise ValueError("an empty file cannot be mapped")
        library = _load_library()
        address = library.mmap(None, nbytes, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address in (None, _FAILED):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.__array_interface__: dict[str, Any] = {
            "data": (address, True),
            "typestr": "|u1",
            "shape": (nbytes,),
            "version": 3,
        }
        # When the process ends, the system takes maps away by itself.
        weakref.finalize(self, library.munmap, address, nbytes).atexit = False


_FAILED = ctypes.c_void_p(-1).value


@cache
def _load_library() -> ctypes.CDLL:
    """Load the library of C, with the types of what is called here."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library
