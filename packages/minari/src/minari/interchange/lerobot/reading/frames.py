"""The frames of a dataset of LeRobot, as columns, some dozens of megabytes at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minari.interchange.files import find_file
from minari.interchange.lerobot.files.features import order_axes
from minari.interchange.lerobot.reading.index import Index
from minari.interchange.lerobot.reading.rows import RowStream
from minari_core.errors import DataError
from minari_core.tables.gathering import Columns, Leaf
from minari_core.tables.images import decode_images

_CHUNK_NBYTES = 1 << 26
_MOST_ROWS = 1 << 14
_OWN = ("episode_index", "frame_index", "task_index", "timestamp")


def iterate_frames(index: Index, names: Sequence[str]) -> Iterator[Columns]:
    """Read features of all frames, in order.

    Args:
        index: The dataset.
        names: The features, besides ``episode_index``, ``frame_index``, ``task_index`` and
            ``timestamp``.

    Raises:
        DataError: A feature is missing, or not of its shape, or the frames are not those that the
            metadata describes; the message names file and column.
        DatasetDamagedError: A file cannot be read.
    """
    said = index.features
    videos = [name for name in names if said[name]["dtype"] == "video"]
    others = [name for name in names if name not in videos]
    row_nbytes = sum(prod(said[name]["shape"]) * 8 for name in names) + 64
    most_rows = max(min(_CHUNK_NBYTES // row_nbytes, _MOST_ROWS), 1)
    lengths = np.array([episode.length for episode in index.episodes], dtype=np.int64)
    ends = np.cumsum(lengths)
    with ExitStack() as stack:
        decoders: Mapping[str, Any] = {}
        if videos:
            from minari.interchange.lerobot.reading.video import VideoFrames

            decoders = {name: stack.enter_context(VideoFrames(index, name)) for name in videos}
        begun = 0
        for relative, count in _list_files(index):
            path = find_file(index.root, relative)
            stream = RowStream(path, [*_OWN, *others])
            stack.callback(stream.close)
            absent = [name for name in (*_OWN, *others) if name not in stream.schema.names]
            if absent:
                raise DataError(f"{path} has no column {absent[0]!r}")
            if stream.total != count:
                raise DataError(f"{path} has {stream.total} rows, and its episodes {count} frames")
            for start in range(begun, begun + count, most_rows):
                stop = min(start + most_rows, begun + count)
                table = stream.take(stop - start)
                rows = np.arange(start, stop)
                episodes = np.searchsorted(ends, rows, side="right")
                steps = rows - (ends - lengths)[episodes]
                columns: Columns = {
                    name: read_column(table[name], said.get(name, {}), f"{path}: {name}")
                    for name in (*_OWN, *others)
                }
                _check_order(columns, episodes, steps, str(path))
                for name, decoder in decoders.items():
                    columns[name] = decoder.read(episodes, steps)
                yield columns
            stream.close()
            begun += count


def _list_files(index: Index) -> Iterator[tuple[str, int]]:
    """List the files of data, and the number of frames in each."""
    name, count = None, 0
    seen: set[str] = set()
    for number, episode in enumerate(index.episodes):
        if episode.data != name:
            if name is not None:
                yield name, count
            if episode.data in seen:
                raise DataError(
                    f"{index.root}: episode {number} lies in {episode.data}, and others between "
                    "it and those before in the same file do not"
                )
            seen.add(episode.data)
            name, count = episode.data, 0
        count += episode.length
    if name is not None:
        yield name, count


def _check_order(
    columns: Columns,
    episodes: npt.NDArray[np.int64],
    steps: npt.NDArray[np.int64],
    where: str,
) -> None:
    for name, wanted in (("episode_index", episodes), ("frame_index", steps)):
        found = np.asarray(columns[name])
        if found.shape != wanted.shape or not np.array_equal(found, wanted):
            row = int(np.argmax(found != wanted)) if found.shape == wanted.shape else 0
            raise DataError(
                f"{where}: a row that is frame {steps[row]} of episode {episodes[row]} by the "
                f"metadata has {name} {found[row]}"
            )


def read_column(array: Any, said: Mapping[str, Any], where: str) -> Leaf:
    """Read a column as an array of the shape that a feature says.

    Args:
        array: The column.
        said: The feature; empty for numbers, one a row.
        where: Names file and column for an error message.

    Raises:
        DataError: A value is missing, or of another type or shape.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if isinstance(array, pa.ChunkedArray):  # older releases combine none into one
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if array.null_count:
        raise DataError(f"{where}: a value is missing")
    dtype = said.get("dtype")
    if dtype == "image":
        return _read_images(array, said, where)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        texts: list[object] = array.to_pylist()
        return texts
    shape = tuple(said.get("shape", ()))
    values = array
    while not _is_plain(values.type):
        if not (
            pa.types.is_list(values.type)
            or pa.types.is_large_list(values.type)
            or pa.types.is_fixed_size_list(values.type)
        ):
            raise DataError(f"{where}: values of type {values.type} are no numbers")
        values = values.flatten()
        if values.null_count:
            raise DataError(f"{where}: a value is missing")
    numbers = np.asarray(values.to_numpy(zero_copy_only=False))
    if dtype is not None and numbers.dtype.name != dtype:
        raise DataError(f"{where}: values are {numbers.dtype.name}, and the feature is {dtype}")
    if numbers.size != len(array) * prod(shape) or not _has_shape(array, shape):
        raise DataError(f"{where}: a value is not of the shape {list(shape)} of the feature")
    return numbers.reshape(len(array), *shape)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _has_shape(array: Any, shape: Sequence[int]) -> bool:
    """Return whether all lists are as long as a shape says."""
    if _is_plain(array.type):
        return prod(shape) == 1
    values = array
    for size in shape:
        if _is_plain(values.type):
            return False
        if pa.types.is_fixed_size_list(values.type):
            if values.type.list_size != size:
                return False
        else:
            lengths = np.asarray(values.value_lengths())
            if (lengths != size).any():
                return False
        values = values.flatten()
    return _is_plain(values.type)


def _read_images(array: Any, said: Mapping[str, Any], where: str) -> Leaf:
    if not pa.types.is_struct(array.type) or array.type.get_field_index("bytes") < 0:
        raise DataError(f"{where}: values of type {array.type} are no images")
    files = array.field("bytes")
    if files.null_count:
        raise DataError(f"{where}: an image lies in a file of its own, and is not followed")
    shape = order_axes(said)
    images = decode_images(files.to_pylist(), where, size=(shape[0], shape[1]))
    if len(images) and images.shape[1:] not in (shape, shape[:2] if shape[2] == 1 else shape):
        raise DataError(f"{where}: an image is of shape {images.shape[1:]}, not {shape}")
    return images.reshape(len(array), *shape)
