"""Checksums of an episode's group, which do not depend on where in the file it lies.

Whoever opens the file to add something moves and rewrites parts of it, so that bytes of the file
tell nothing. The arrays of an episode are never rewritten; its attributes may be. The library
guards the group itself: its header has a checksum, and attributes are numbered as they are made.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from h5py import h5, h5a, h5p

from minari_core.formats.public.hdf5.file import Hdf5File, is_group, names_in


def compute_contents_checksum(file: Hdf5File, number: int) -> int:
    """Compute the CRC-32 of the names, types, shapes and values of all arrays of an episode."""
    plain = file.plain_episode(number)
    tree = _read_tree(file, file.episode(number)) if plain is None else plain[0]
    return _add_tree(0, tree)


def compute_attribute_checksums(file: Hdf5File, number: int) -> Iterator[int]:
    """Compute the CRC-32 of the first attribute of an episode, of the first two, and so on.

    They are in the order in which they were made. The last checksum is that of all.
    """
    group = file.episode(number)
    order, checksum = _find_order(group), 0
    yield checksum
    for index in range(h5a.get_num_attrs(group)):
        attribute = h5a.open(group, index=index, index_type=order)
        checksum = zlib.crc32(attribute.name, checksum)
        checksum = _add_array(checksum, np.asarray(file.read_attribute(attribute)))
        yield checksum


def has_replaced_attributes(file: Hdf5File, number: int) -> bool:
    """Return whether attributes of an episode were removed, as those are that get a new value."""
    group = file.episode(number)
    order = _find_order(group)
    numbers = [
        h5a.get_info(group, index=index, index_type=order).corder
        for index in range(h5a.get_num_attrs(group))
    ]
    return any(found != wanted for found, wanted in zip(numbers, count(), strict=False))


def _find_order(group: Any) -> int:
    tracked = group.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    return int(h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME)


def _read_tree(file: Hdf5File, group: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in names_in(group):
        stored = file.open(group, name)
        tree[name] = _read_tree(file, stored) if is_group(stored) else file.read_array(stored)
    return tree


def _add_tree(checksum: int, tree: dict[str, Any]) -> int:
    for name, value in sorted(tree.items()):
        checksum = zlib.crc32(name.encode("utf-8") + b"\0", checksum)
        if isinstance(value, dict):
            # What is below it, and where that ends.
            checksum = zlib.crc32(b"{", checksum)
            checksum = zlib.crc32(b"}", _add_tree(checksum, value))
        else:
            checksum = _add_array(checksum, value)
    return checksum


def _add_array(checksum: int, array: np.ndarray[Any, Any]) -> int:
    checksum = zlib.crc32(f"{array.dtype.kind}{array.shape}".encode("ascii"), checksum)
    if array.dtype.kind not in "OU":
        checksum = zlib.crc32(array.dtype.str.encode("ascii"), checksum)
        return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, checksum)
    for value in array.reshape(-1).tolist():
        data = _to_bytes(value)
        checksum = zlib.crc32(len(data).to_bytes(8, "little") + data, checksum)
    return checksum


def _to_bytes(value: Any) -> bytes:
    """Return a text, or a row of variable length, as bytes."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else np.asarray(value).tobytes()
