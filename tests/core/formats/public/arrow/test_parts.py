"""Values as Arrow has them, and what files of Arrow and Parquet claim before they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces

from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError
from minari_core.formats.public.arrow import bounded
from minari_core.formats.public.arrow.batches import check_rows, join_batches, limit_batches
from minari_core.formats.public.arrow.bounded import BoundedParquet
from minari_core.formats.public.arrow.claims import BatchClaim, read_claims
from minari_core.formats.public.arrow.values import (
    count_row_nbytes,
    decode_infos,
    decode_numbers,
    decode_value,
    encode_infos,
    encode_value,
    list_texts,
)
from minari_core.formats.public.limits import Budget
from minari_core.testing.expectations import expect_same

BOX = spaces.Box(-9, 9, (2, 3), np.float32)


class Own(spaces.Space[Any]):
    """A class of others, whose values the public Minari writes as lists."""


OWN = Own((2,), np.float64)


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (BOX, np.arange(18, dtype=np.float32).reshape(3, 2, 3)),
        (spaces.Box(-9, 9, (), np.float64), np.arange(3.0)),
        (spaces.Discrete(9), np.arange(3)),
        (spaces.MultiBinary(2), np.eye(3, 2, dtype=np.int8)),
        (spaces.Text(3), ["a", "", "é"]),
        (spaces.Dict(a=spaces.Discrete(9), b=spaces.Text(3)), {"a": np.arange(3), "b": ["x"] * 3}),
        (spaces.Tuple([spaces.Discrete(9), BOX]), (np.arange(3), np.ones((3, 2, 3), np.float32))),
        (OWN, np.ones((3, 2))),
    ],
)
@pytest.mark.parametrize("padding", [0, 1])
def test_values_are_decoded_to_what_was_encoded(space: Any, value: Any, padding: int) -> None:
    array = encode_value(space, value, padding, "x", jpeg=False)
    assert len(array) == 3 + padding
    expect_same(decode_value(space, array, 3, "x", Budget(0)), value)
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        with pytest.raises(DatasetDamagedError, match=f"x has {3 + padding} rows, not 5"):
            decode_value(space, array, 5, "x", Budget(0))
    if not isinstance(space, spaces.Text | spaces.Discrete | spaces.Tuple | spaces.Dict):
        lists = pa.array(array.to_pylist(), pa.list_(pa.from_numpy_dtype(value.dtype)))
        if isinstance(space, Own):
            expect_same(decode_value(space, lists, 3, "x", Budget(0)), value)


def test_images_are_padded_with_an_image_and_decoded_within_their_budget() -> None:
    space = spaces.Box(0, 255, (32, 40), np.uint8)
    images = np.full((2, 32, 40), 70, np.uint8)
    array = encode_value(space, images, 1, "x", jpeg=True)
    assert array[2].as_py() == array[1].as_py()
    found = decode_value(space, array, 2, "x", Budget(2 * 32 * 40))
    assert np.abs(found.astype(int) - 70).max() < 3
    with pytest.raises(DatasetDamagedError, match="claim 2560 bytes, more than the 2559"):
        decode_value(space, array, 2, "x", Budget(2 * 32 * 40 - 1))
    plain = encode_value(space, images, 1, "x", jpeg=False)
    assert decode_value(space, plain, 2, "x", Budget(0)).tolist() == images.tolist()


@pytest.mark.parametrize("dtype", [">i4", "c16", "U1", np.longdouble])
def test_numbers_that_arrow_does_not_have_are_refused(dtype: Any) -> None:
    if np.dtype(dtype).kind == "f" and np.dtype(dtype).itemsize == 8:
        pytest.skip("a long double is a double here")
    value = np.zeros(3, dtype)
    with pytest.raises(DataError, match="x: Arrow has no numbers of dtype"):
        encode_value(spaces.Discrete(2), value, 0, "x", jpeg=False)
    with pytest.raises(DataError, match=r"infos\['k'\]: Arrow has no numbers"):
        encode_infos({"k": value}, "infos")


@pytest.mark.parametrize(
    ("space", "array", "told"),
    [
        (spaces.Dict(a=BOX), pa.array([1]), "x is of type int64, not a struct"),
        (spaces.Dict(a=BOX), pa.array([{"b": 1}]), "x"),
        (
            spaces.Dict(a=spaces.Text(2)),
            pa.array([{"a": 1}]),
            r"x\['a'\] is of type int64, not text",
        ),
        (spaces.Text(2), pa.array(["a", None]), "x is of type string, not text in each row"),
        (BOX, pa.array([1.0, 2.0]), r"x is of type double with 2 rows, not numbers of shape"),
        (spaces.Discrete(2), pa.array([1, None]), "x has rows without a value"),
        (spaces.Discrete(2), pa.array(["a"]), "x is of type string with 1 rows, not numbers"),
        (
            spaces.Box(-9, 9, (2,), np.float32),
            pa.array([[1.0, None]], pa.list_(pa.float64(), 2)),
            "x has elements without a value",
        ),
        (
            spaces.Box(-9, 9, (2,), np.float32),
            pa.array([[1.0, 2.0, 3.0]], pa.list_(pa.float64(), 3)),
            r"not numbers of shape \(2,\) a row",
        ),
        (OWN, pa.array([[1.0], [1.0, 2.0]]), "not numbers of shape"),
    ],
)
def test_an_array_that_does_not_fit_its_space_is_told(space: Any, array: Any, told: str) -> None:
    with pytest.raises(DatasetDamagedError, match=told):
        decode_value(space, array, 1 if len(array) == 1 else 2, "x", Budget(0))


def test_infos_keep_their_shapes_and_dicts() -> None:
    infos = {
        "n": np.arange(3, dtype=np.int16),
        "v": np.ones((3, 2)),
        "m": np.arange(18.0).reshape(3, 2, 3),
        "t": ["a", None, "b"],
        "in": {"k": np.zeros(3, bool), "none": {}},
        "empty": {},
    }
    array = encode_infos(infos, "infos")
    found = decode_infos(array, "infos")
    assert list(found) == ["n", "v", "m", "t", "in"]
    for key in ("n", "v", "m", "t"):
        expect_same(found[key], infos[key])
    assert list(found["in"]) == ["k"]
    assert encode_infos({}, "infos") is None
    assert encode_infos({"a": {"b": {}}}, "infos") is None
    shapes = {field.name: field.metadata for field in array.type}
    assert (shapes["m"], shapes["v"]) == ({b"shape": b"2,3"}, None)


def shaped(text: bytes) -> Any:
    values = pa.array([[1.0] * 6] * 2, pa.list_(pa.float64(), 6))
    field = pa.field("m", values.type, metadata={b"shape": text})
    return pa.StructArray.from_arrays([values], fields=[field])


@pytest.mark.parametrize(
    ("text", "shape"),
    [(b"2,3", (2, 3)), (b"6", (6,)), (b"1,6,1", (1, 6, 1)), (b"\x02\x03", (2, 3)), (b"\x06", (6,))],
)
def test_a_shape_is_read_as_each_release_wrote_it(text: bytes, shape: tuple[int, ...]) -> None:
    assert decode_infos(shaped(text), "infos")["m"].shape == (2, *shape)


@pytest.mark.parametrize("text", [b"2,4", b"", b"\x02\x04", b"2,3,", b"x"])
def test_a_shape_of_another_number_of_elements_is_damage(text: bytes) -> None:
    with pytest.raises(DatasetDamagedError, match=r"infos\['m'\] has rows of 6 numbers, and b'"):
        decode_infos(shaped(text), "infos")


def test_columns_are_measured_by_their_types() -> None:
    kind = pa.struct(
        [
            ("a", pa.float64()),
            ("b", pa.list_(pa.int16(), 3)),
            ("c", pa.string()),
            ("d", pa.struct([("e", pa.bool_())])),
        ]
    )
    assert count_row_nbytes(kind) == 8 + 6 + 0 + 1
    assert decode_numbers(pa.array([True, False]), "x").tolist() == [True, False]


def test_batches_are_read_while_they_may_be() -> None:
    batches = [pa.RecordBatch.from_pydict({"x": np.arange(4.0)}) for _ in range(3)]
    nbytes = sum(batch.nbytes for batch in batches)
    assert list(limit_batches(batches, nbytes, 12)) == batches
    with pytest.raises(DatasetDamagedError, match="it has 12 rows, but its metadata says 11"):
        list(limit_batches(batches, nbytes, 11))
    with pytest.raises(
        DatasetDamagedError, match=f"claim {nbytes} bytes, more than the {nbytes - 1}"
    ):
        list(limit_batches(batches, nbytes - 1, 12))
    few = limit_batches(batches, nbytes, 7)
    assert next(few).num_rows == 4
    with pytest.raises(DatasetDamagedError, match="it has 8 rows"):
        next(few)
    check_rows(5, 5)


@pytest.mark.parametrize("at_once", [0, 1, 10**6])
def test_equal_texts_of_joined_batches_are_in_memory_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari_core.formats.public.arrow.batches._JOINED_NBYTES", at_once)
    texts = ["x" * 100, "y" * 100]
    batches = [
        pa.RecordBatch.from_pydict({"t": pa.array(texts[: 1 + number % 2] * 4).dictionary_encode()})
        for number in range(6)
    ]
    rows = sum(batch.num_rows for batch in batches)
    table = join_batches(batches, batches[0].schema, 10**6, rows)
    assert table.num_rows == rows
    assert table.column("t").to_pylist() == [
        text for batch in batches for text in batch.column("t").to_pylist()
    ]
    assert {tuple(chunk.dictionary.to_pylist()) for chunk in table.column("t").chunks} == {
        tuple(texts)
    }
    with pytest.raises(DatasetDamagedError, match="rows, but its metadata says"):
        join_batches(batches, batches[0].schema, 10**6, rows - 1)
    with pytest.raises(DatasetDamagedError, match="claim"):
        join_batches(batches, batches[0].schema, 100, rows)
    assert join_batches([], batches[0].schema, 10**6, 0).num_rows == 0


@pytest.mark.parametrize("codec", [None, "zstd", "lz4"])
def test_claims_of_an_arrow_file_are_those_of_its_batches(tmp_path: Path, codec: Any) -> None:
    path = tmp_path / "one.arrow"
    batches = [
        pa.RecordBatch.from_pydict(
            {
                "x": np.arange(size, dtype=np.float64),
                "t": pa.array(["ab"] * size).dictionary_encode(),
            }
        )
        for size in (1000, 3, 0)
    ]
    options = pa.ipc.IpcWriteOptions(compression=codec, emit_dictionary_deltas=True)
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, batches[0].schema, options=options) as to,
    ):
        for batch in batches[:2]:
            to.write_batch(batch)
    claims = read_claims(path.read_bytes())
    assert [claim.rows for claim in claims if claim.rows] == [1000, 3]
    assert sum(claim.rows == 0 for claim in claims) >= 1
    if codec is None:
        assert {claim.nbytes for claim in claims} == {0}
    else:
        # Of each row a number of 8 bytes and an index of 4.
        by_rows = {claim.rows: claim.nbytes for claim in claims}
        assert 1000 * 12 <= by_rows[1000] <= 1000 * 12 + 400
        assert 3 * 12 <= by_rows[3] <= 3 * 12 + 200
    assert BatchClaim(0, 0) in claims or codec is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not end as an Arrow file does"),
        (b"ARROW1", "does not end as an Arrow file does"),
        (b"abcARROW1", "does not end as an Arrow file does"),
        (b"\0\0\0\0ARROW1", "its last table has 0 bytes"),
        (b"\1\0\0\0ARROW1", "its last table has 1 bytes"),
        (b"\xff\xff\xff\xffARROW1", "its last table has -1 bytes"),
        (b"x\1\0\0\0ARROW1", ""),
    ],
)
def test_what_is_no_arrow_file_is_told(content: bytes, told: str) -> None:
    with pytest.raises(DatasetDamagedError, match=told or "Arrow file|byte"):
        read_claims(content)


def write_parquet(path: Path, rows: int = 10, **columns: Any) -> Path:
    parquet.write_table(pa.table({"x": np.arange(rows), **columns}), path)
    return path


@pytest.mark.parametrize("rows", [1, 3, 10, 11])
@pytest.mark.parametrize("has_texts", [False, True])
def test_a_parquet_file_is_read_some_rows_at_a_time(
    tmp_path: Path, rows: int, has_texts: bool
) -> None:
    more: Any = {"t": [str(row) for row in range(10)]} if has_texts else {}
    with BoundedParquet(write_parquet(tmp_path / "one.parquet", **more)) as file:
        assert file.total == 10
        assert file.schema.names == ["x", *more]
        tables = list(file.iterate(rows))
        assert all(0 < len(table) <= rows for table in tables)
        assert [row for table in tables for row in table.column("x").to_pylist()] == [*range(10)]
        assert file.read(["x"]).column_names == ["x"]
        assert len(file.read([*reversed(file.schema.names)])) == 10
        with pytest.raises(DatasetDamagedError, match="is no whole Parquet file"):
            file.read(["gone"])
    texts = list_texts(parquet.read_metadata(tmp_path / "one.parquet").schema)
    assert texts == ["t"] * has_texts


def test_rows_of_long_texts_are_read_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet(tmp_path / "one.parquet", t=["abc" * 9] * 10)
    monkeypatch.setattr(bounded, "FREE_NBYTES", 1)
    with BoundedParquet(path) as file:
        sizes = [len(batch) for batch in file._file.iter_batches(1)]
        assert sizes == [1] * 10
        assert [len(table) for table in file.iterate(4)] == [4, 4, 2]
    monkeypatch.setattr(bounded, "limit_unsaid_nbytes", lambda nbytes: 1)
    with pytest.raises(DatasetDamagedError, match=r"one\.parquet: its arrays claim"):
        BoundedParquet(path)


def test_a_parquet_file_that_is_not_there_or_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"there is no file .*gone\.parquet"):
        BoundedParquet(tmp_path / "gone.parquet")
    (tmp_path / "one.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetDamagedError, match=r"one\.parquet is no whole Parquet file"):
        BoundedParquet(tmp_path / "one.parquet")
    with BoundedParquet(write_parquet(tmp_path / "empty.parquet", 0)) as file:
        assert (file.total, len(file.read(["x"]))) == (0, 0)
        assert list(file.iterate(5)) == []
