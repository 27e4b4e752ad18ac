"""Memory while a Parquet file of many row groups is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from minari_core.formats.public.arrow.bounded import BoundedParquet

_GROUPS, _ROWS, _WIDTH = 12, 1 << 13, 16


def test_row_groups_that_were_read_are_forgotten(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(_GROUPS * _ROWS, _WIDTH))
    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), _WIDTH)
    path = tmp_path / "steps.parquet"
    parquet.write_table(pa.table({"observation": rows}), path, row_group_size=_ROWS)
    before, held, count = pa.total_allocated_bytes(), [0], 0

    with BoundedParquet(path) as file:
        for table in file.iterate(1 << 11):
            count += len(table)
            held.append(pa.total_allocated_bytes() - before)

    assert count == len(values)
    assert max(held) < values.nbytes * 2 / 3
