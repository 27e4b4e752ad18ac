"""A process that reads a stream for ever, and ends when what it reads is not what was written."""

from __future__ import annotations

import os
import sys
import traceback
from itertools import count
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minari_core import open_stream
from tests.core.helpers.streams import LoggingSource

_PAUSE_SECONDS = 0.005

Rows = npt.NDArray[np.float32]


def check_batches(folder: Path, wanted: Rows, cache_nbytes: int, seed: int, most: int) -> None:
    """Read some batches of a stream, and its first episode; raise if a byte is wrong.

    Args:
        folder: The data of the dataset, whose observations say their numbers.
        wanted: All observations.
        cache_nbytes: The room that the cache has.
        seed: The seed of the order.
        most: How many batches to read at most.
    """
    source = LoggingSource(folder, Path(os.devnull), _PAUSE_SECONDS)
    stream = open_stream(source, cache_nbytes=cache_nbytes)
    for batch, _ in zip(stream.batches(512, seed=seed), range(most), strict=False):
        rows = batch.observations[:, 0].astype(int)
        if not (rows.min() >= 0 and rows.max() < len(wanted) - 1):
            raise RuntimeError(f"wrong bytes: rows {rows.min()} to {rows.max()}")
        np.testing.assert_array_equal(batch.observations, wanted[rows])
        np.testing.assert_array_equal(batch.next_observations, wanted[rows + 1])
    first = stream[0].observations
    np.testing.assert_array_equal(first, wanted[: len(first)])


def read_for_ever(folder: Path, wanted: Rows, cache_nbytes: int, seed: int, errors: Path) -> None:
    """Read until killed, or until something is wrong, which is written down."""
    try:
        for epoch in count(seed):
            check_batches(folder, wanted, cache_nbytes, epoch, 150)
    except BaseException:
        errors.write_text(traceback.format_exc())
        sys.exit(1)
