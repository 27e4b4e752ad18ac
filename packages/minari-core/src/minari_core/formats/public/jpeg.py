"""Images as JPEG, which the public Minari stores unless it is told not to."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import DataError, DatasetDamagedError, MissingDependencyError
from minari_core.formats.public.limits import Budget

_START = b"\xff\xd8\xff"


def is_jpeg(data: bytes) -> bool:
    """Return whether bytes begin like a JPEG file."""
    return data[:3] == _START


def decode_jpegs(
    frames: Sequence[bytes], shape: tuple[int, ...] | None, where: str, budget: Budget
) -> npt.NDArray[np.uint8]:
    """Decode one image a row.

    Args:
        frames: JPEG files; bytes after the end of an image are ignored.
        shape: The shape of an image, or None if it is not known.
        where: The column's name for an error message.
        budget: What all images may take in memory.

    Raises:
        DatasetDamagedError: A row is no JPEG file, or an image of another shape, or all images
            take more than they may.
        MissingDependencyError: Pillow is not installed.
    """
    image_module = _import_pillow(where)
    if shape is not None:
        budget.take(len(frames) * prod(shape))
    images: list[npt.NDArray[np.uint8]] = []
    for row, frame in enumerate(frames):
        try:
            with image_module.open(io.BytesIO(frame), formats=["JPEG"]) as image:
                # Before it is decoded: a small file may claim to be a large image.
                found = (image.height, image.width, len(image.getbands()))
                if shape is not None and prod(found) != prod(shape):
                    raise DatasetDamagedError(
                        f"{where}: row {row} is an image of shape {found}, not {shape}"
                    )
                if shape is None:
                    budget.take(prod(found))
                images.append(np.asarray(image, dtype=np.uint8))
        except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
            if isinstance(error, DatasetDamagedError):
                raise
            raise DatasetDamagedError(f"{where}: row {row} is no JPEG image: {error}") from error
    if len({image.shape for image in images}) > 1:
        raise DatasetDamagedError(f"{where}: the images have different shapes")
    stacked = np.stack(images) if images else np.zeros((0, *(shape or ())), dtype=np.uint8)
    return stacked if shape is None else stacked.reshape(len(images), *shape)


def encode_jpegs(images: npt.NDArray[Any], where: str) -> list[bytes]:
    """Encode one image a row as the public Minari does, which loses detail.

    Raises:
        DataError: Images of this shape have no JPEG form.
        MissingDependencyError: Pillow is not installed.
    """
    image_module = _import_pillow(where)
    encoded: list[bytes] = []
    for image in images:
        buffer = io.BytesIO()
        try:
            image_module.fromarray(image).save(buffer, format="JPEG")
        except (OSError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: images of shape {image.shape} cannot be stored as JPEG ({error}); "
                "store them without jpeg_encoding"
            ) from error
        encoded.append(buffer.getvalue())
    return encoded


def _import_pillow(where: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            f"{where}: images stored as JPEG need Pillow; pip install 'minari-core[jpeg]'"
        ) from error
    return Image
