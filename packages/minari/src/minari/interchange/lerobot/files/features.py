"""Features, as LeRobot calls its columns: how columns of tables are named, typed and laid out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari_core.errors import DataError
from minari_core.images import is_image
from minari_core.json_values import JsonValue
from minari_core.tables.gathering import Columns, Leaf, split_name
from minari_core.tables.images import encode_images

STATE, PICTURE, PICTURES = "observation.state", "observation.image", "observation.images"
REWARD, DONE, TRUNCATED = "next.reward", "next.done", "next.truncated"
INDEX_TYPES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""The features that every dataset of LeRobot has, and their dtypes."""

_MOST_AXES = 5
_OWN = ("episode_id", "step", "terminated", "truncated")


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of a table, as LeRobot has it."""

    name: str
    """The name of the feature."""
    column: str
    """The name of the column."""
    dtype: str
    """``image``, ``video``, ``string``, or the name of a dtype of numpy."""
    shape: tuple[int, ...]
    """The shape of a row of the column."""
    is_exact: bool
    """Whether all of the column's values are what it was."""

    @property
    def is_visual(self) -> bool:
        """Whether it holds images."""
        return self.dtype in ("image", "video")

    @property
    def lerobot_shape(self) -> tuple[int, ...]:
        """The shape as ``info.json`` has it: of at least one axis, images of three."""
        if self.is_visual:
            return (*self.shape[:2], self.shape[2] if len(self.shape) == 3 else 1)
        return self.shape or (1,)

    def describe(self) -> dict[str, JsonValue]:
        """Return its entry in ``info.json``."""
        names: JsonValue = ["height", "width", "channels"] if self.is_visual else None
        return {"dtype": self.dtype, "shape": list(self.lerobot_shape), "names": names}


def plan_features(
    columns: Columns, incomplete: Collection[str], step_infos: Collection[str], *, as_video: bool
) -> list[Feature]:
    """Choose what of the columns of a table of steps LeRobot can hold.

    Args:
        columns: The columns of some steps.
        incomplete: The columns that some step has no value in.
        step_infos: The infos that belong to steps, not to what these returned.
        as_video: Write images as videos.
    """
    features: list[Feature] = []
    taken = {*INDEX_TYPES, DONE, TRUNCATED}
    for column, leaf in columns.items():
        if column in _OWN or column in incomplete:
            continue
        dtype = _choose_dtype(leaf, as_video=as_video)
        if dtype is None:
            continue
        shape = () if isinstance(leaf, list) else leaf.shape[1:]
        name = _make_unique(_name_feature(column, is_image(leaf), step_infos), taken)
        taken.add(name)
        is_exact = dtype != "video" and (isinstance(leaf, list) or leaf.dtype != np.float64)
        features.append(Feature(name, column, dtype, shape, is_exact))
    return features


def find_incomplete(leaves: Iterable[tuple[str, object]]) -> set[str]:
    """Find the columns that have no value, or one of another kind, in some row.

    Args:
        leaves: The columns of one episode after another.
    """
    kinds: dict[str, object] = {}
    found: set[str] = set()
    for column, leaf in leaves:
        if isinstance(leaf, np.ndarray):
            kind: object = (leaf.dtype, leaf.shape[1:])
            is_whole = not np.ma.is_masked(leaf)
        else:
            values = list(leaf) if isinstance(leaf, list) else [leaf]
            kind, is_whole = str, all(isinstance(value, str) for value in values)
        if not is_whole or kinds.setdefault(column, kind) != kind:
            found.add(column)
    return found


def make_array(leaf: Leaf, feature: Feature) -> pa.Array:
    """Make the Arrow array that LeRobot reads a feature from.

    Args:
        leaf: The column.
        feature: The feature, which is no video.

    Raises:
        DataError: Some text is no Unicode.
    """
    if feature.dtype == "string":
        try:
            return pa.array(leaf, type=pa.string())
        except UnicodeEncodeError as error:
            raise DataError(
                f"column {feature.column!r} has text that is no Unicode: {error}"
            ) from error
    values: npt.NDArray[Any] = np.asarray(leaf)
    if feature.dtype == "image":
        files = pa.array(encode_images(values), type=pa.binary())
        return pa.StructArray.from_arrays(
            [files, pa.nulls(len(files), pa.string())], names=["bytes", "path"]
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=feature.dtype)
    array = pa.array(values.reshape(-1))
    if feature.lerobot_shape == (1,):
        return array
    if len(feature.shape) == 1:
        return pa.FixedSizeListArray.from_arrays(array, feature.shape[0])
    # `datasets` takes its arrays of more axes from lists without a fixed size alone.
    for size in reversed(feature.shape):
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def make_table(arrays: Mapping[str, pa.Array], features: Iterable[Feature]) -> pa.Table:
    """Make a table that the library ``datasets`` of Hugging Face knows the types of.

    Args:
        arrays: The columns.
        features: What some of them are.
    """
    said: dict[str, dict[bytes, bytes]] = {}
    images: dict[str, JsonValue] = {}
    for each in features:
        if each.dtype == "image":
            images[each.name] = {"_type": "Image"}
        elif len(each.shape) > 1:
            kind = f"datasets.features.features.Array{len(each.shape)}DExtensionType"
            said[each.name] = {
                b"ARROW:extension:name": kind.encode(),
                b"ARROW:extension:metadata": json.dumps([each.shape, each.dtype]).encode(),
            }
    fields = [pa.field(name, array.type, metadata=said.get(name)) for name, array in arrays.items()]
    metadata = {b"huggingface": json.dumps({"info": {"features": images}}).encode()}
    schema = pa.schema(fields, metadata=metadata if images else None)
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def list_features(features: Iterable[Feature]) -> dict[str, JsonValue]:
    """Return the features of ``info.json``."""
    said: dict[str, JsonValue] = {each.name: each.describe() for each in features}
    for name in (DONE, TRUNCATED):
        said[name] = {"dtype": "bool", "shape": [1], "names": None}
    for name, dtype in INDEX_TYPES.items():
        said[name] = {"dtype": dtype, "shape": [1], "names": None}
    return said


def _choose_dtype(leaf: Leaf, *, as_video: bool) -> str | None:
    if isinstance(leaf, list):
        return "string" if all(isinstance(value, str) for value in leaf) else None
    if is_image(leaf):
        return "video" if as_video and leaf.shape[3:] != (4,) else "image"
    axes = leaf.ndim - 1
    if leaf.dtype.kind not in "biuf" or leaf.dtype.itemsize > 8 or axes > _MOST_AXES:
        return None
    if 0 in leaf.shape[1:]:
        return None
    return "float32" if leaf.dtype == np.float64 else leaf.dtype.name


def _name_feature(column: str, is_picture: bool, step_infos: Collection[str]) -> str:
    group, *keys = (part.replace("/", "_") for part in split_name(column))
    path = ".".join(keys)
    if group == "observation":
        if is_picture and not path.startswith("image"):
            return f"{PICTURES}.{path}" if keys else PICTURE
        return f"{group}.{path}" if keys else STATE
    if group == "info" and keys[0] not in step_infos:
        return f"next.{path}"
    return {"reward": REWARD}.get(column, ".".join([group, *keys]))


def _make_unique(name: str, taken: Collection[str]) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique


def order_axes(said: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the shape of the images of a feature with its channels last.

    Args:
        said: Its entry in ``info.json``.
    """
    shape = tuple(said["shape"])
    names = said.get("names")
    is_first = isinstance(names, list) and bool(names) and str(names[0]).startswith("channel")
    return (*shape[1:], shape[0]) if is_first else shape


def write_mapping(features: Iterable[Feature]) -> dict[str, JsonValue]:
    """Return which columns the features are, for the sidecar."""
    return {each.name: {"column": each.column, "shape": list(each.shape)} for each in features}


def is_valid_shape(shape: object) -> bool:
    """Return whether a value that was read is a shape."""
    return isinstance(shape, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 31
        for size in shape
    )


def read_description(name: str, said: object, where: str) -> Mapping[str, Any]:
    """Check the entry of a feature in ``info.json``.

    Raises:
        DataError: It is none; the message names file and feature.
    """
    if (
        not isinstance(said, dict)
        or not isinstance(said.get("dtype"), str)
        or not is_valid_shape(said.get("shape"))
    ):
        raise DataError(f"{where}: feature {name!r} has no dtype and shape")
    if said["dtype"] in ("image", "video") and len(said["shape"]) != 3:
        raise DataError(f"{where}: feature {name!r} holds images of shape {said['shape']}")
    return said
