"""Create groups, datasets and attributes of numbers at the cost of what HDF5 does for them.

The high-level interface of h5py settles a dozen options for each, which takes several times as long
as a short episode takes to write. What is created here is the same, but for the time in it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5p, h5s, h5t


def create_guarded_group(file: h5py.File, name: str) -> h5py.Group:
    """Create a group whose header has a checksum, and whose attributes are numbered.

    By that, attributes that a program has changed are told from those that were damaged.
    """
    return h5py.Group(h5g.create(file.id, name.encode("utf-8"), gcpl=_guarded()))


def create_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Create a group in another one."""
    if not _is_simple(name):
        return parent.create_group(name)
    return h5py.Group(h5g.create(parent.id, name.encode("ascii")))


def write_array(group: h5py.Group, name: str, value: Any) -> None:
    """Create a dataset of an array, in one block."""
    array = np.asarray(value, order="C")
    if array.dtype.kind not in "biufc" or not _is_simple(name):
        group.create_dataset(name, data=value)
        return
    space = h5s.create_simple(array.shape)
    stored = h5d.create(group.id, name.encode("ascii"), _type_of(array.dtype), space, _untimed())
    if array.size:
        stored.write(h5s.ALL, h5s.ALL, array)


def write_attribute(group: h5py.Group, name: str, value: Any) -> None:
    """Create an attribute that the group does not have."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not _is_simple(name):
        group.attrs[name] = value
        return
    space = h5s.create_simple(array.shape) if array.ndim else h5s.create(h5s.SCALAR)
    h5a.create(group.id, name.encode("ascii"), _type_of(array.dtype), space).write(
        np.ascontiguousarray(array).reshape(array.shape)
    )


def _is_simple(name: str) -> bool:
    """Return whether HDF5 needs no options for a name."""
    return name.isascii() and "/" not in name and name != "."


@lru_cache(maxsize=256)
def _type_of(dtype: np.dtype[Any]) -> Any:
    return h5t.py_create(dtype, logical=True)


@lru_cache(maxsize=1)
def _guarded() -> Any:
    options = h5p.create(h5p.GROUP_CREATE)
    options.set_attr_creation_order(h5p.CRT_ORDER_TRACKED)
    return options


@lru_cache(maxsize=1)
def _untimed() -> Any:
    options = h5p.create(h5p.DATASET_CREATE)
    options.set_obj_track_times(False)
    return options
