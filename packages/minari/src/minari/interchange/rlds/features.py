"""Features of TensorFlow Datasets: what ``features.json`` says, and how values lie in examples."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from minari.interchange.rlds.examples import Values
from minari_core.errors import DataError
from minari_core.images import is_image
from minari_core.json_values import JsonValue
from minari_core.tables.images import decode_images, encode_images

_MODULE = "tensorflow_datasets.core.features"
_DTYPES = frozenset(
    f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)
) | {"bool"}
_MOST_ELEMENTS = 1 << 32


@dataclass(frozen=True, slots=True)
class Feature:
    """What a leaf of an episode is: one value a step, or one of the episode."""

    kind: Literal["tensor", "image", "text"]
    """What it holds."""
    dtype: str = "object"
    """The dtype of numpy; of text ``object``."""
    shape: tuple[int | None, ...] = ()
    """The shape of a value."""
    encoding: str = "none"
    """How a tensor lies in an example: as numbers (``none``), or its ``bytes``, or ``zlib``."""
    is_flat: bool = False
    """Whether the images have no axis for their one channel, which theirs all have."""

    def describe(self) -> dict[str, JsonValue]:
        """Return its entry in ``features.json``."""
        shape: JsonValue = {"dimensions": [str(size) for size in self.shape]} if self.shape else {}
        if self.kind == "text":
            return {"pythonClassName": f"{_MODULE}.text_feature.Text", "text": {}}
        if self.kind == "image":
            image: JsonValue = {"shape": shape, "dtype": self.dtype, "encodingFormat": "png"}
            return {"pythonClassName": f"{_MODULE}.image_feature.Image", "image": image}
        return {
            "pythonClassName": f"{_MODULE}.tensor_feature.Tensor",
            "tensor": {"shape": shape, "dtype": self.dtype, "encoding": self.encoding},
        }


def choose_feature(leaf: object) -> Feature | None:
    """Choose the feature that holds a leaf of one row a step exactly; None if there is none.

    An example holds float32 and int64 alone, so that TensorFlow Datasets would round float64:
    it is written as bytes, which are read as what they were. float16 becomes float32 and back.

    Args:
        leaf: An array, or a list of values.
    """
    if isinstance(leaf, list):
        return Feature("text") if all(map(_is_text, leaf)) else None
    if not isinstance(leaf, np.ndarray) or np.ma.is_masked(leaf) or leaf.dtype.name not in _DTYPES:
        return None
    shape = leaf.shape[1:]
    if is_image(leaf):
        if len(shape) == 2:
            return Feature("image", "uint8", (*shape, 1), is_flat=True)
        return Feature("image", "uint8", shape)
    encoding = "bytes" if leaf.dtype == np.float64 else "none"
    return Feature("tensor", leaf.dtype.name, shape, encoding) if 0 not in shape else None


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def encode_leaf(leaf: Any, feature: Feature) -> Values:
    """Return the values of an example, of all rows of a leaf."""
    if feature.kind == "text":
        return [str(value).encode() for value in leaf]
    values: npt.NDArray[Any] = np.ascontiguousarray(leaf)
    if feature.kind == "image":
        return encode_images(values)
    if feature.encoding == "bytes":
        data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        size = len(data) // max(len(values), 1)
        return [data[start : start + size] for start in range(0, len(data), size or 1)]
    flat = values.reshape(-1)
    if flat.dtype.kind == "f":
        return flat.astype(np.float32)
    return flat.view(np.int64) if flat.dtype == np.uint64 else flat.astype(np.int64)


def decode_leaf(values: Values | None, feature: Feature, count: int, where: str) -> Any:
    """Return the rows of a leaf.

    Args:
        values: The values of an example; None if it has none.
        feature: What they are.
        count: The number of rows.
        where: Names file, episode and feature for an error message.

    Raises:
        DataError: They are of another number, type or size.
    """
    if values is None:
        raise DataError(f"{where} is missing")
    if feature.kind in ("text", "image") or feature.encoding != "none":
        if not isinstance(values, list) or len(values) != count:
            raise DataError(f"{where} has {len(values)} values, not bytes of {count} steps")
        return _decode_bytes(values, feature, where)
    shape = tuple(-1 if size is None else size for size in feature.shape)
    if isinstance(values, list) and not values:
        values = np.zeros(0, dtype=np.float32)
    if isinstance(values, list) or (None not in feature.shape) != (
        len(values) == count * prod(shape)
    ):
        raise DataError(
            f"{where} has {len(values)} values, not those of {count} steps of shape {list(shape)}"
        )
    dtype = np.dtype(feature.dtype)
    if dtype == np.uint64:
        found: npt.NDArray[Any] = values.view(np.uint64)
    elif dtype.kind == "f":
        found = values.astype(dtype)
    else:
        found = values.astype(dtype)
        if not np.array_equal(found.astype(np.int64), values):
            raise DataError(f"{where} has numbers beyond {feature.dtype}")
    try:
        return found.reshape(count, *shape)
    except ValueError as error:
        raise DataError(f"{where} has values of other shapes than {list(shape)}") from error


def _decode_bytes(values: list[bytes], feature: Feature, where: str) -> Any:
    if feature.kind == "text":
        try:
            return [value.decode() for value in values]
        except UnicodeDecodeError as error:
            raise DataError(f"{where} has text that is no Unicode: {error}") from error
    if None in feature.shape[:2] and feature.kind == "image":
        images = decode_images(values, where)
        return images if images.ndim == 4 else images[..., None]
    shape = tuple(size or 0 for size in feature.shape)
    if feature.kind == "image":
        images = decode_images(values, where, size=(shape[0], shape[1]))
        if len(images) and images.shape[1:] not in (shape, shape[:2] if shape[2] == 1 else shape):
            raise DataError(f"{where} has images of shape {images.shape[1:]}, not {list(shape)}")
        return images.reshape(len(values), *(shape[:2] if feature.is_flat else shape))
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    nbytes = prod(shape) * dtype.itemsize
    rows = [_decompress(v, nbytes, where) for v in values] if feature.encoding == "zlib" else values
    if any(len(row) != nbytes for row in rows):
        raise DataError(f"{where} has values of other sizes than {nbytes} bytes")
    joined = np.frombuffer(b"".join(rows), dtype=dtype).astype(np.dtype(feature.dtype))
    return joined.reshape(len(values), *shape)


def _decompress(value: bytes, nbytes: int, where: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(value, nbytes + 1)
    except zlib.error as error:
        raise DataError(f"{where} cannot be decompressed: {error}") from error


def read_features(said: object, where: str, path: str = "") -> Iterator[tuple[str, Feature | None]]:
    """List the leaves that ``features.json`` describes, by their names in an example.

    Args:
        said: What it says of a feature.
        where: The file.
        path: The name of the feature.

    Yields:
        The name of a leaf, such as ``steps/observation/image``, and its feature; None if it is of
        a kind that is not read.

    Raises:
        DataError: It describes no features.
    """
    if not isinstance(said, dict) or path.count("/") > 50:
        raise DataError(f"{where}: feature {path!r} is not described")
    if isinstance(said.get("featuresDict"), dict):
        inner = said["featuresDict"].get("features")
        for key, part in (inner if isinstance(inner, dict) else {}).items():
            yield from read_features(part, where, f"{path}/{key}" if path else key)
    elif path == "steps" and isinstance(said.get("sequence"), dict):
        yield from read_features(said["sequence"].get("feature"), where, path)
    else:
        yield path, _read_leaf(said)


def _read_leaf(said: Mapping[str, Any]) -> Feature | None:
    if isinstance(said.get("text"), dict):
        return Feature("text")
    for kind in ("tensor", "image"):
        described = said.get(kind)
        if not isinstance(described, dict):
            continue
        shape = _read_shape(described.get("shape"))
        dtype, encoding = described.get("dtype"), described.get("encoding") or "none"
        if dtype in ("string", "object") and kind == "tensor" and shape == ():
            return Feature("text")
        if shape is None or dtype not in _DTYPES or encoding not in ("none", "bytes", "zlib"):
            return None
        if kind == "image":
            is_plain = len(shape) == 3 and shape[2] in (1, 3, 4) and dtype == "uint8"
            return Feature("image", "uint8", shape) if is_plain else None
        is_plain = shape.count(None) == 0 and prod(size or 0 for size in shape) < _MOST_ELEMENTS
        return Feature("tensor", dtype, shape, encoding) if is_plain else None
    return None


def _read_shape(said: object) -> tuple[int | None, ...] | None:
    sizes = said.get("dimensions", []) if isinstance(said, dict) else None
    if not isinstance(sizes, list):
        return None
    found: list[int | None] = []
    for size in sizes:
        if not isinstance(size, str | int) or not str(size).lstrip("-").isdecimal():
            return None
        found.append(int(size) if int(size) > 0 else None)
    return tuple(found)


def describe_features(features: Mapping[str, Feature]) -> dict[str, JsonValue]:
    """Return ``features.json`` of leaves by their names in an example."""
    tree: dict[str, Any] = {}
    for name, feature in features.items():
        *parents, last = name.split("/")
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[last] = feature
    return _describe(tree, "")


def _describe(tree: Mapping[str, Any] | Feature, name: str) -> dict[str, JsonValue]:
    if isinstance(tree, Feature):
        return tree.describe()
    features: JsonValue = {key: _describe(part, key) for key, part in tree.items()}
    described: dict[str, JsonValue] = {
        "pythonClassName": f"{_MODULE}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    if name != "steps":
        return described
    return {
        "pythonClassName": f"{_MODULE}.dataset_feature.Dataset",
        "sequence": {"feature": described, "length": "-1"},
    }
