"""Tell images from other arrays."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
import numpy.typing as npt

_SMALLEST = 8


def is_image(rows: object) -> TypeGuard[npt.NDArray[np.uint8]]:
    """Tell images by their dtype and shape, (height, width) or with 1, 3 or 4 channels last.

    Args:
        rows: A leaf of what was recorded, with one row a step.
    """
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8:
        return False
    shape = rows.shape[1:]
    has_channels = len(shape) == 3 and shape[2] in (1, 3, 4)
    return (len(shape) == 2 or has_channels) and min(shape[:2]) >= _SMALLEST
