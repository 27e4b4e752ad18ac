"""Widen the dtype of a buffer when numbers of another dtype are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.columns import Array, cast_exactly, find_wider_dtype, holds_all
from minari_core.errors import DataError
from minari_core.messages import warn_caller

_WHOLE = "iu"


class DtypeWidener:
    """Choose a wider dtype for a column when new values have another one than earlier values."""

    def __init__(self, space: spaces.Space[Any], name: str) -> None:
        """Prepare for values of a space.

        Args:
            space: The space.
            name: What to call the column in messages.
        """
        self._name = name
        # A number that is not whole is no value of a Discrete space, whatever its dtype.
        self._is_whole = not isinstance(space, spaces.Box)
        self._are_written_floats = True
        self._has_warned = False

    def note_written(self, rows: Array) -> None:
        """Note values that leave the buffer, and must fit a wider dtype later."""
        if rows.dtype.kind in _WHOLE and rows.dtype.itemsize == 8 and not self._is_whole:
            self._are_written_floats &= cast_exactly(rows, np.dtype(np.float64)) is not None

    def find_dtype(
        self, rows: Array, values: Array, others: Sequence[Array] = ()
    ) -> np.dtype[np.generic]:
        """Find the dtype that holds the rows of a buffer, what was written of it, and new values.

        Args:
            rows: All rows of the buffer.
            values: The new values, of the same shape.
            others: What the buffer holds beside the rows, of the same dtype.

        Raises:
            DataError: No dtype holds all of them exactly.
        """
        dtype = find_wider_dtype(rows.dtype, values.dtype)
        if dtype is None or (self._is_whole and dtype.kind not in _WHOLE):
            raise self._refuse(rows, values)
        for known in (rows, values, *others):
            if not holds_all(known.dtype, dtype) and cast_exactly(known, dtype) is None:
                raise self._refuse(rows, values)
        if not holds_all(rows.dtype, dtype) and not self._are_written_floats:
            raise self._refuse(rows, values)
        if not self._has_warned:
            self._has_warned = True
            warn_caller(
                f"{self._name}: {values.dtype} after {rows.dtype}; all are stored as {dtype}, "
                "which holds them exactly (to choose the dtype, let the environment, the policy or "
                "a step_data_callback return one)"
            )
        return dtype

    def _refuse(self, rows: Array, values: Array) -> DataError:
        return DataError(
            f"{self._name}: {values.dtype} after {rows.dtype}, and one column has one dtype, which "
            "must hold all values exactly; let the environment, the policy or a "
            "step_data_callback convert it"
        )
