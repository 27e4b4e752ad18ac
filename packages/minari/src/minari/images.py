"""Tell images from other arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_SMALLEST = 8


def is_image(rows: npt.NDArray[Any]) -> bool:
    """Tell images by their dtype and shape, (height, width) or with 1, 3 or 4 channels last.

    Args:
        rows: A leaf of what was recorded, with one row a step.
    """
    shape = rows.shape[1:]
    return (
        rows.dtype == np.uint8
        and not isinstance(rows, np.ma.MaskedArray)
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))
        and min(shape[:2]) >= _SMALLEST
    )
