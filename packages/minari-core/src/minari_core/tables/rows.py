"""The rows of tables: steps, or episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np

from minari_core.errors import DataError
from minari_core.messages import format_value
from minari_core.sampling.gathering.info_rows import read_step_infos
from minari_core.storage.base import Storage
from minari_core.tables.gathering import (
    Columns,
    concatenate_columns,
    gather_episodes,
    gather_steps,
    iterate_pieces,
)

Rows: TypeAlias = Literal["steps", "episodes"]


def iterate_columns(
    storage: Storage, indices: Sequence[int], rows: Rows, *, next_observations: bool = False
) -> Iterator[Columns]:
    """Gather the columns of a table in chunks of some dozens of megabytes, at least one.

    Args:
        storage: The storage.
        indices: The indices of the episodes, in order.
        rows: What a row is.
        next_observations: Also give steps the observations that they led to.

    Raises:
        DataError: ``rows`` is neither; or some episodes have a column that others have not.
    """
    if rows not in get_args(Rows):
        raise DataError(f"rows is {format_value(rows)}, neither 'steps' nor 'episodes'")
    if len(indices):
        yield from _iterate_columns(storage, indices, rows, next_observations)
    elif storage.total_episodes:
        first = next(_iterate_columns(storage, [0], rows, next_observations))
        yield {name: leaf[:0] for name, leaf in first.items()}
    else:
        yield {"episode_id": np.zeros(0, dtype=np.int64)}


def gather_columns(
    storage: Storage, indices: Sequence[int], rows: Rows, *, next_observations: bool = False
) -> Columns:
    """Gather the columns of a whole table; as `iterate_columns`."""
    if rows == "steps" and len(indices):
        # All at once, so that rows of mapped files are copied once.
        pieces = [piece for some in iterate_pieces(storage, indices) for piece in some]
        step_infos = read_step_infos(storage.metadata)
        return gather_steps(pieces, step_infos, next_observations=next_observations)
    chunks = iterate_columns(storage, indices, rows, next_observations=next_observations)
    return concatenate_columns(list(chunks))


def _iterate_columns(
    storage: Storage, indices: Sequence[int], rows: Rows, next_observations: bool
) -> Iterator[Columns]:
    step_infos = read_step_infos(storage.metadata)
    if rows == "episodes":
        yield from gather_episodes(storage, indices, step_infos)
        return
    for pieces in iterate_pieces(storage, indices):
        yield gather_steps(pieces, step_infos, next_observations=next_observations)
