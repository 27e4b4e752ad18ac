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


def map_file(file: BinaryIO, *, privately: bool = False) -> memoryview:
    """Map all bytes of an open file; they stay mapped for as long as anything views them.

    Args:
        file: The file, which can be closed at once.
        privately: Whether the bytes may be written to, which changes nothing but what this process
            sees, and takes memory of its own. What others write into the file is seen elsewhere.

    Returns:
        The bytes, read-only if they are not private.

    Raises:
        OSError: The system refused. ``ENOMEM`` says that the process has too many maps.
        ValueError: The file is empty.
    """
    if sys.platform == "win32":  # whose maps do not count as open files
        access = mmap.ACCESS_COPY if privately else mmap.ACCESS_READ
        return memoryview(mmap.mmap(file.fileno(), 0, access=access))
    flags, protection = mmap.MAP_SHARED, mmap.PROT_READ
    if privately:
        flags, protection = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(file.fileno(), 0, flags=flags, prot=protection, trackfd=False))
    mapped = _Map(file.fileno(), os.fstat(file.fileno()).st_size, flags, protection)
    return np.asarray(mapped).data


def map_memory(nbytes: int) -> memoryview:
    """Map bytes that are 0, take memory once they are written to, and belong to this process."""
    if sys.platform == "win32":
        return memoryview(mmap.mmap(-1, nbytes))
    return memoryview(
        mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)
    )


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

    def __init__(self, descriptor: int, nbytes: int, flags: int, protection: int) -> None:
        if nbytes == 0:
            raise ValueError("an empty file cannot be mapped")
        library = _load_library()
        address = library.mmap(None, nbytes, protection, flags, descriptor, 0)
        if address in (None, _FAILED):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.__array_interface__: dict[str, Any] = {
            "data": (address, not protection & mmap.PROT_WRITE),
            "typestr": "|u1",
            "shape": (nbytes,),
            "version": 3,
        }
        # When the process ends, the system takes maps away by itself.
        weakref.finalize(self, library.munmap, address, nbytes).atexit = False


_FAILED = ctypes.c_void_p(-1).value
# Memory is promised only when it is written to. Python has the name since 3.12.
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)


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
