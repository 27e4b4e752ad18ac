"""Arrays that a damaged entry places outside their file."""

from __future__ import annotations

import numpy as np
import pytest

from minari_core.columns.base import ArraySpec
from minari_core.errors import DatasetDamagedError
from minari_core.formats.shards.reader import _view_contiguous

SPEC = ArraySpec("rewards/values", np.dtype(np.int16), (3,))


@pytest.mark.parametrize(
    ("offset", "rows", "is_inside"),
    [
        (0, 0, True),
        (0, 4, True),
        (6, 3, True),
        (24, 0, True),
        (-2, 1, False),
        (2, 4, False),
        (26, 0, False),
        (0, 5, False),
        (0, 2**40, False),
    ],
)
def test_an_array_lies_in_its_file_or_is_damage(offset: int, rows: int, is_inside: bool) -> None:
    contents = np.arange(12, dtype=np.int16)
    view = contents.data.cast("B")
    if is_inside:
        found = _view_contiguous(view, SPEC, offset, rows, "shard-1.h5")
        first = offset // 2
        assert found.tolist() == contents[first : first + 3 * rows].reshape(-1, 3).tolist()
        return
    stop = offset + 6 * rows
    with pytest.raises(DatasetDamagedError, match=f"lie at bytes {offset} to {stop} of 24"):
        _view_contiguous(view, SPEC, offset, rows, "shard-1.h5")
