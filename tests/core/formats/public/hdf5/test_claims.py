"""What rows of variable length cost of what may be taken for them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.hdf5 import claims
from minari_core.formats.public.hdf5.claims import BoundedReader, map_file
from minari_core.formats.public.limits import Budget

POINTER = 8


@pytest.mark.parametrize("piece", [None, 1, 1 << 20])
def test_rows_of_variable_length_cost_their_bytes_once(
    piece: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [np.arange(length) for length in (3, 0, 5, 1)]
    texts = ["", "é", "abcd"]
    path = tmp_path / "main_data.hdf5"
    with h5py.File(path, "w") as written:
        ragged = written.create_dataset("ragged", (4,), h5py.vlen_dtype("<i8"))
        for index, row in enumerate(rows):
            ragged[index] = row
        written["texts"] = np.array(texts, dtype=h5py.string_dtype())
    with h5py.File(path) as file:
        # A file that cannot be mapped is read in pieces.
        content = map_file(file.id) if piece is None else None
        assert (content is None) == (piece is not None)
        monkeypatch.setattr(claims, "_PIECE_NBYTES", piece)
        for name, values, nbytes in (("ragged", rows, 9 * 8), ("texts", texts, 6)):
            whole, heap = Budget(1000), Budget(nbytes)
            reader = BoundedReader(path.stat().st_size, lambda: content, whole, heap)
            found = reader.read_array(file[name].id)

            assert whole.left == 1000 - len(values) * POINTER - nbytes
            assert heap.left == 0
            if name == "ragged":
                assert [row.tolist() for row in found] == [row.tolist() for row in rows]
            else:
                assert [row.decode() for row in found] == texts
            with pytest.raises(DatasetDamagedError):
                reader.read_array(file[name].id)
