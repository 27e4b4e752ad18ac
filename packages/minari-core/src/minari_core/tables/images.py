"""Images as PNG files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import DataError, MissingDependencyError

_MODES = ("L", "RGB", "RGBA")


def encode_images(frames: Iterable[npt.NDArray[np.uint8]]) -> list[bytes]:
    """Encode images as PNG files, without loss.

    Args:
        frames: Images of shape (height, width), or (height, width, channels) with 1, 3 or 4.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """
    image_module = _import_pillow()
    files = []
    for frame in frames:
        file = io.BytesIO()
        plain = frame[:, :, 0] if frame.ndim == 3 and frame.shape[2] == 1 else frame
        image_module.fromarray(plain).save(file, format="PNG", compress_level=1)
        files.append(file.getvalue())
    return files


def decode_images(
    files: Sequence[bytes], name: str, size: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """Decode PNG and JPEG files of one size.

    Args:
        files: The files.
        name: The column's name for an error message.
        size: The height and width that they have to be of; those of the first one if None.

    Returns:
        Shape (N, height, width, channels), or (N, height, width) for images of one channel.

    Raises:
        DataError: One is no such image, or of another size than the first.
        MissingDependencyError: Pillow is not installed.
    """
    image_module = _import_pillow()
    frames: npt.NDArray[np.uint8] | None = None
    for row, file in enumerate(files):
        try:
            with image_module.open(io.BytesIO(file), formats=["PNG", "JPEG"]) as image:
                # Before it is decoded: a small file may claim to be a large image.
                found = (image.height, image.width)
                size = found if size is None else size
                if found != size:
                    raise DataError(
                        f"column {name!r}: image {row} is of size {found}, and others of {size}"
                    )
                if image.mode not in _MODES:
                    raise DataError(
                        f"column {name!r}: image {row} is of Pillow's mode {image.mode!r}, and "
                        f"not of 8 bits a channel: {', '.join(_MODES)}"
                    )
                pixels = np.asarray(image, dtype=np.uint8)
        except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"column {name!r}: image {row} cannot be decoded: {error}") from error
        if frames is None:
            frames = np.empty((len(files), *pixels.shape), dtype=np.uint8)
        if pixels.shape != frames.shape[1:]:
            raise DataError(f"column {name!r}: image {row} has other channels than the first one")
        frames[row] = pixels
    return np.zeros((0, 0, 0), dtype=np.uint8) if frames is None else frames


def _import_pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError(
            "images in tables need Pillow; pip install 'minari-core[tables]'"
        ) from error
    return Image
