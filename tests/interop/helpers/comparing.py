"""Compare what two programs read of one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def show_columns(episode: Mapping[str, Any]) -> dict[str, Any]:
    """Return an episode whose rewards are float64, and whose infos are columns.

    The public Minari keeps rewards that are whole numbers as such, and shows nested infos of Arrow
    as one dict a row.
    """
    infos = {key: _transposed(value) for key, value in (episode["infos"] or {}).items()}
    rewards = np.asarray(episode["rewards"]).astype(np.float64)
    return {**episode, "rewards": rewards, "infos": infos}


def _transposed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _transposed(part) for key, part in value.items()}
    if len(value) and isinstance(value[0], Mapping):
        return {key: _transposed([row[key] for row in value]) for key in value[0]}
    return value


def expect_same(found: Any, wanted: Any, where: str) -> None:
    """Compare two values, dtypes and shapes included; text may be in bytes."""
    if isinstance(wanted, Mapping):
        assert isinstance(found, Mapping), where
        assert set(found) == set(wanted), where
        for key, value in wanted.items():
            expect_same(found[key], value, f"{where}[{key!r}]")
    elif (
        isinstance(wanted, np.ndarray)
        and isinstance(found, np.ndarray)
        and "O" not in (found.dtype.kind, wanted.dtype.kind)
    ):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), where
        assert found.tobytes() == wanted.tobytes(), where
    elif isinstance(wanted, list | tuple | np.ndarray):
        assert len(found) == len(wanted), where
        for row, (one, other) in enumerate(zip(found, wanted, strict=True)):
            expect_same(one, other, f"{where}[{row}]")
    else:
        one, other = (
            value.decode() if isinstance(value, bytes) else value for value in (found, wanted)
        )
        assert one == other, where
