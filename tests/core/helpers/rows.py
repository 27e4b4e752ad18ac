"""Compare rows of infos."""

from __future__ import annotations

from typing import Any

import numpy as np


def expect_same_rows(found: Any, wanted: Any) -> None:
    """Compare row by row, since what has one shape in one dataset may have many in another."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, part in wanted.items():
            expect_same_rows(found[key], part)
        return
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        is_absent = other is None or bool(np.ma.getmaskarray(other).all() and np.size(other))
        assert is_absent == (one is None or bool(np.ma.getmaskarray(one).all() and np.size(one)))
        if not is_absent:
            assert np.asarray(one).dtype == np.asarray(other).dtype
            np.testing.assert_array_equal(one, other)
