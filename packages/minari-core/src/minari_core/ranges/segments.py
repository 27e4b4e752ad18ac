"""Hold the blocks of one object: in files of the cache that processes share, or in memory.

A segment in the cache is two files. The blocks file has a line of JSON, and 4 bytes for each block:
its CRC-32 if the block is there, else 0. It names the data file, a sparse one, in which blocks lie
where they lie in the object. A block is written first and its CRC after it, so that whoever is
killed leaves nothing behind that is believed. Neither file ever shrinks; a segment is removed by
unlinking both, and whoever has mapped them reads on. A process maps the data privately, so that
blocks for which the cache has no room lie in its own memory, among those that the cache has.
"""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minari_core.locks import Holder, identify_self
from minari_core.ranges.blocks import BLOCK_NBYTES, Blocks, split_blocks
from minari_core.ranges.claims import Claims, NoClaims, open_claims
from minari_core.ranges.source import ObjectVersion
from minari_core.storage.file_map import map_file, map_memory

BLOCKS_SUFFIX, DATA_SUFFIX = ".blocks", ".data"
_HEADER_NBYTES = 4096
_VERSION = 1
_NO_CRC = 0xFFFFFFFF
"""Stands for a CRC-32 that is 0, which means that a block is not there."""


class Segment:
    """The blocks of one version of an object that are at hand: in the cache, or only here."""

    def __init__(self, version: ObjectVersion, file: SegmentFile | None = None) -> None:
        """Start with the blocks that the cache has.

        Args:
            version: The version of the object that they are of.
            file: Its files in the cache; None where the cache cannot be used.
        """
        self.version = version
        """The version of the object that they are of."""
        self._file = file
        self._memory = map_memory(max(version.size, 1)) if file is None else file.memory
        self.contents = self._memory[: version.size].toreadonly()
        """The bytes of the object; those of blocks that are not at hand are meaningless."""
        self._is_held = np.zeros(-(-version.size // BLOCK_NBYTES), dtype=np.bool_)

    def find(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Return which blocks are at hand, whoever stored them."""
        found: npt.NDArray[np.bool_] = self._is_held[blocks]
        return found if self._file is None else found | self._file.find(blocks)

    def share(
        self, block: int, content: bytes | memoryview, crcs: Sequence[int] | None = None
    ) -> bool:
        """Add blocks to the cache, and return whether it had room; see `SegmentFile.store`."""
        if self._file is None:
            return False
        try:
            self._file.store(block, content, crcs)
        except OSError:
            return False
        return True

    def hold(self, block: int, content: bytes | memoryview) -> None:
        """Add neighbouring blocks for this process alone, given the first of them."""
        start = block * BLOCK_NBYTES
        self._memory[start : start + len(content)] = content
        self._is_held[block : block + -(-len(content) // BLOCK_NBYTES)] = True

    def find_held(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Return which blocks only this process has."""
        return self._is_held[blocks]

    def claim(self, *, shares: bool) -> Claims:
        """Open claims of blocks that are to be fetched; see `take_turns`.

        Args:
            shares: Whether what is fetched is meant for the cache, and so for others.
        """
        return self._file.claim() if shares and self._file is not None else NoClaims()


class SegmentFile:
    """Blocks in two files, which other processes read and add to at the same time."""

    def __init__(self, path: Path, header: dict[str, object]) -> None:
        """Open the files; see `open_segment`."""
        self.path = path
        """The blocks file."""
        size, tag = header["size"], header["tag"]
        if type(size) is not int or not (tag is None or isinstance(tag, str)):
            raise ValueError("its header is malformed")
        self.version = ObjectVersion(size, tag)
        self._size = size
        name = str(header["data"])
        if name != os.path.basename(name) or not name.endswith(DATA_SUFFIX):
            raise ValueError("its header names another file")
        self.data_path = path.with_name(name)
        """The data file."""
        with open(self.data_path, "rb") as data, open(path, "rb") as table:
            if os.fstat(data.fileno()).st_size != size:
                raise ValueError("its data has another size")
            blocks = -(-size // BLOCK_NBYTES)
            if os.fstat(table.fileno()).st_size != _HEADER_NBYTES + 4 * blocks:
                raise ValueError("its table has another size")
            self.memory = map_file(data, privately=True)
            """The bytes of the object; what is written here is seen by this process alone."""
            mapped = map_file(table)
        self._crcs = np.frombuffer(mapped, dtype="<u4", offset=_HEADER_NBYTES)
        maker = header["maker"]
        # What an earlier run of the machine wrote may not all have reached the disk.
        self._is_doubted = not isinstance(maker, list) or Holder(*maker).is_from_before()
        self._is_checked = np.zeros(blocks if self._is_doubted else 0, dtype=np.bool_)

    def find(self, blocks: Blocks) -> npt.NDArray[np.bool_]:
        """Return which blocks are at hand."""
        found: npt.NDArray[np.bool_] = self._crcs[blocks] != 0
        if self._is_doubted:
            for index in np.flatnonzero(found & ~self._is_checked[blocks]).tolist():
                found[index] = self._is_checked[blocks[index]] = self._check(int(blocks[index]))
        return found

    def find_all(self) -> bool:
        """Return whether all blocks are at hand."""
        return bool(self.find(np.arange(len(self._crcs))).all())

    def _check(self, block: int) -> bool:
        start = block * BLOCK_NBYTES
        content = self.memory[start : start + BLOCK_NBYTES]
        return (zlib.crc32(content) or _NO_CRC) == int(self._crcs[block])

    def store(
        self, block: int, content: bytes | memoryview, crcs: Sequence[int] | None = None
    ) -> None:
        """Add neighbouring blocks: their bytes, and then their CRC-32.

        Args:
            block: The first of them.
            content: All bytes of all of them.
            crcs: The CRC-32 of each, where they were computed already.

        Raises:
            OSError: There is no room for them.
        """
        _write_at(self.data_path, block * BLOCK_NBYTES, content)
        if crcs is None:
            crcs = [zlib.crc32(piece) for piece in split_blocks(content)]
        table = np.array([crc or _NO_CRC for crc in crcs], dtype="<u4").tobytes()
        _write_at(self.path, _HEADER_NBYTES + 4 * block, table)
        if self._is_doubted:
            self._is_checked[block : block + len(crcs)] = True

    def claim(self) -> Claims:
        """Open claims of blocks that are to be fetched."""
        return open_claims(self.path, _HEADER_NBYTES)


def open_segment(path: Path, version: ObjectVersion | None) -> SegmentFile | None:
    """Open the files of the segment of an object; make them if its version is known.

    Args:
        path: Its blocks file.
        version: The version of the object; None opens what there is, of whichever version.

    Returns:
        The files; None if there are none of that version and none could be made.

    Raises:
        OSError: The file system refused.
    """
    for _ in range(3):
        found = _open_existing(path)
        if version is None or (found is not None and found.version == version):
            return found
        if found is not None:
            remove_segment(path)
        _make(path, version)
    return None


def remove_segment(path: Path) -> None:
    """Remove a segment; who has it open reads on.

    Args:
        path: Its blocks file.
    """
    header = _read_header(path)
    with suppress(OSError):
        path.unlink()
    if header is not None:
        name = os.path.basename(str(header.get("data")))
        if name.endswith(DATA_SUFFIX):
            with suppress(OSError):
                path.with_name(name).unlink()


def measure_segments(folder: Path) -> dict[Path, tuple[int, float]]:
    """Measure the segments of a folder.

    Returns:
        For each blocks file the room that its data takes on the disk, and the time of its last use.
    """
    nbytes: dict[str, int] = {}
    used: dict[str, float] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith(DATA_SUFFIX):
                    status = entry.stat()
                    # A sparse file takes less than its size, of which Windows says nothing.
                    taken = 512 * getattr(status, "st_blocks", -(-status.st_size // 512))
                    stem = entry.name.removesuffix(DATA_SUFFIX).rpartition(".")[0]
                    nbytes[stem] = nbytes.get(stem, 0) + taken
                elif entry.name.endswith(BLOCKS_SUFFIX):
                    used[entry.name.removesuffix(BLOCKS_SUFFIX)] = entry.stat().st_mtime
    return {
        folder / f"{stem}{BLOCKS_SUFFIX}": (nbytes.get(stem, 0), time)
        for stem, time in used.items()
    }


def _open_existing(path: Path) -> SegmentFile | None:
    header = _read_header(path)
    if header is None:
        return None
    try:
        found = SegmentFile(path, header)
        with suppress(OSError):  # the time of the last use
            os.utime(path)
        return found
    except FileNotFoundError:  # removed just now, or by somebody who was killed over it
        with suppress(OSError):
            path.unlink()
    except (AttributeError, KeyError, TypeError, ValueError):
        remove_segment(path)
    return None


def _read_header(path: Path) -> dict[str, object] | None:
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(_HEADER_NBYTES))
    except FileNotFoundError:
        return None
    except ValueError:
        header = {}
    if not isinstance(header, dict) or header.get("version") != _VERSION:
        return {}
    return header


def _make(path: Path, version: ObjectVersion) -> None:
    unique = uuid.uuid4().hex
    data = path.with_name(f"{path.stem}.{unique}{DATA_SUFFIX}")
    staged = path.with_name(f".{unique}{BLOCKS_SUFFIX}")
    maker = identify_self()
    header = {
        "version": _VERSION,
        "size": version.size,
        "tag": version.tag,
        "data": data.name,
        "maker": [maker.host, maker.machine, maker.process, maker.started],
    }
    text = json.dumps(header).encode("ascii")
    if len(text) >= _HEADER_NBYTES or version.size < 1:
        return
    try:
        with open(data, "wb") as file:
            file.truncate(version.size)
        with open(staged, "wb") as file:
            file.write(text.ljust(_HEADER_NBYTES))
            file.truncate(_HEADER_NBYTES + 4 * -(-version.size // BLOCK_NBYTES))
        try:
            os.link(staged, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            os.replace(staged, path)
    except FileExistsError:  # another process was faster
        data.unlink(missing_ok=True)
    except BaseException:
        data.unlink(missing_ok=True)
        raise
    finally:
        staged.unlink(missing_ok=True)


def _write_at(path: Path, offset: int, content: bytes | memoryview) -> None:
    # The file is opened each time: a process may have few open files, and datasets many shards.
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        waiting = memoryview(content)
        while len(waiting):
            waiting = waiting[file.write(waiting) :]
