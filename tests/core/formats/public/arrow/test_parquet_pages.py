"""What the pages of a Parquet file claim is read of files of every kind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.arrow.pages import read_page_claims

ROWS = 20_000


def some_table() -> pa.Table:
    rng = np.random.default_rng(0)
    images = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(4 * ROWS, np.uint8)), 4)
    return pa.table(
        {
            "rewards": rng.normal(size=ROWS),
            "observations": images,
            "infos": pa.StructArray.from_arrays(
                [pa.array([f"text {row}" for row in range(ROWS)])], ["text"]
            ),
            "truncations": np.zeros(ROWS, bool),
        }
    )


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_all_pages_of_a_file_are_found(
    tmp_path: Path, version: str, codec: str, dictionary: bool
) -> None:
    path = tmp_path / "t.parquet"
    options: Any = {
        "data_page_version": version,
        "compression": codec,
        "use_dictionary": dictionary,
        "write_page_checksum": version == "1.0",
    }
    parquet.write_table(some_table(), path, row_group_size=7000, data_page_size=4096, **options)
    metadata = parquet.read_metadata(path)
    claims = read_page_claims(path.read_bytes(), metadata)
    # A number of 8 bytes, four of 1, a reference and a flag; those of dictionaries come twice.
    row = 8 + 4 * 1 + 8 + 1
    assert row * ROWS <= claims.nbytes <= (2 if dictionary else 1) * row * ROWS
    columns = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
    assert 4096 <= claims.largest <= max(column.total_uncompressed_size for column in columns)


def test_a_damaged_head_of_a_page_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(some_table(), path)
    metadata, content = parquet.read_metadata(path), path.read_bytes()
    for value in (0x00, 0x1C, 0xFC, 0xFF):
        for place in range(4, 30):
            damaged = content[:place] + bytes([value]) * 40 + content[place + 40 :]
            with suppress(DatasetDamagedError):
                read_page_claims(damaged, metadata)
    with pytest.raises(DatasetDamagedError, match="of 2000"):
        read_page_claims(content[:2000], metadata)
    with pytest.raises(DatasetDamagedError, match="page"):
        read_page_claims(content[:4] + bytes(len(content) - 4), metadata)
