"""Features one by one: what is chosen, how values lie in examples, and what is refused."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from minari import DataError
from minari.interchange.rlds.features import (
    Feature,
    choose_feature,
    decode_leaf,
    describe_features,
    encode_leaf,
    read_features,
)

DTYPES = ["bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))]
FLOATS = ["float16", "float32", "float64"]
MODULE = "tensorflow_datasets.core.features"


@pytest.mark.parametrize("dtype", [*DTYPES, *FLOATS])
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 3)])
def test_arrays_of_every_dtype_come_back_exactly(dtype: str, shape: tuple[int, ...]) -> None:
    rows = np.arange(2 * int(np.prod(shape))).reshape(2, *shape).astype(dtype)
    if dtype in FLOATS:
        rows[-1] = np.finfo(dtype).max
    elif dtype != "bool":
        rows[0], rows[-1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    feature = choose_feature(rows)
    assert feature == Feature("tensor", dtype, shape, "bytes" if dtype == "float64" else "none")
    values = encode_leaf(rows, feature)
    if dtype == "float64":
        assert isinstance(values, list)
        assert values == [row.astype("<f8").tobytes() for row in rows]
    else:
        assert np.asarray(values).dtype == (np.float32 if dtype in FLOATS else np.int64)
    found = decode_leaf(values, feature, 2, "x")
    assert found.dtype == rows.dtype
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize("shape", [(9, 8), (8, 9, 1), (8, 9, 3), (8, 9, 4)])
def test_images_come_back_with_the_axes_that_they_had(shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).integers(0, 255, (3, *shape), np.uint8)
    feature = choose_feature(rows)
    lasting = (*shape, 1) if len(shape) == 2 else shape
    assert feature == Feature("image", "uint8", lasting, is_flat=len(shape) == 2)
    assert feature is not None
    files = encode_leaf(rows, feature)
    np.testing.assert_array_equal(decode_leaf(files, feature, 3, "x"), rows)
    other = Feature("image", "uint8", (9, 9, 3))
    with pytest.raises(DataError, match="x"):
        decode_leaf(files, other, 3, "x")
    # Where no size is said, that of the images counts.
    free = Feature("image", "uint8", (None, None, lasting[2]))
    found = decode_leaf(files, free, 3, "x")
    np.testing.assert_array_equal(found, rows.reshape(3, *lasting))
    assert decode_leaf([], feature, 0, "x").shape == (0, *shape)


def test_texts_are_features_if_they_are_unicode() -> None:
    texts = ["a", "é 😀", ""]
    assert choose_feature(texts) == Feature("text")
    values = encode_leaf(texts, Feature("text"))
    assert values == [text.encode() for text in texts]
    assert decode_leaf(values, Feature("text"), 3, "x") == texts
    for leaf in (["a", 1], ["a", None], ["\ud800"], np.array(["a"]), np.zeros((2, 0)), 3):
        assert choose_feature(leaf) is None
    assert choose_feature(np.ma.array([1, 2], mask=[False, True])) is None
    assert choose_feature(np.zeros(2, np.longdouble)) is None
    assert choose_feature(np.zeros(2, complex)) is None
    assert choose_feature([]) == Feature("text")


@pytest.mark.parametrize(
    ("values", "feature", "sentence"),
    [
        (None, Feature("text"), "x is missing"),
        ([b"a"], Feature("text"), "x has 1 values, not bytes of 2 steps"),
        (np.zeros(2, np.int64), Feature("text"), "x has 2 values, not bytes of 2 steps"),
        ([b"\xff", b""], Feature("text"), "x has text that is no Unicode"),
        ([b"a", b"b"], Feature("tensor", "int8"), "x has 2 values, not those of 2 steps of shape"),
        (
            np.zeros(5, np.int64),
            Feature("tensor", "int8", (3,)),
            r"x has 5 values, not those of 2 steps of shape \[3\]",
        ),
        (np.array([1, 128]), Feature("tensor", "int8"), "x has numbers beyond int8"),
        (np.array([1, -1]), Feature("tensor", "uint8"), "x has numbers beyond uint8"),
        (np.array([1, 2]), Feature("tensor", "bool"), "x has numbers beyond bool"),
        (
            [bytes(8), bytes(7)],
            Feature("tensor", "float64", (), "bytes"),
            "x has values of other sizes than 8 bytes",
        ),
        ([b"x" * 9] * 2, Feature("tensor", "float64", (), "zlib"), "x cannot be decompressed"),
        (
            [zlib.compress(bytes(9)), zlib.compress(bytes(8))],
            Feature("tensor", "float64", (), "zlib"),
            "x has values of other sizes than 8 bytes",
        ),
    ],
)
def test_values_of_another_number_or_kind_are_refused(
    values: Any, feature: Feature, sentence: str
) -> None:
    with pytest.raises(DataError, match=f"^{sentence}"):
        decode_leaf(values, feature, 2, "x")


def test_values_are_unpacked_and_may_be_none() -> None:
    rows = np.arange(6.0).reshape(2, 3)
    packed = [zlib.compress(row.tobytes()) for row in rows]
    feature = Feature("tensor", "float64", (3,), "zlib")
    np.testing.assert_array_equal(decode_leaf(packed, feature, 2, "x"), rows)
    big = Feature("tensor", "int16", (2,), "bytes")
    found = decode_leaf([b"\x01\x00\x02\x01"], big, 1, "x")
    assert (found.tolist(), found.dtype) == ([[1, 258]], np.dtype(np.int16))
    assert decode_leaf([], Feature("tensor", "int8", (3,)), 0, "x").shape == (0, 3)
    assert decode_leaf([], Feature("tensor", "float32"), 0, "x").dtype == np.float32


def describe(kind: str, **fields: Any) -> dict[str, Any]:
    plain = {"shape": {"dimensions": ["2"]}, "dtype": "int8", "encoding": "none"}
    return {kind: {**plain, **fields}}


IMAGE = {"dimensions": ["8", "9", "3"]}


@pytest.mark.parametrize(
    ("said", "feature"),
    [
        ({"text": {}}, Feature("text")),
        (describe("tensor"), Feature("tensor", "int8", (2,))),
        (describe("tensor", encoding=None), Feature("tensor", "int8", (2,))),
        (describe("tensor", encoding="zlib"), Feature("tensor", "int8", (2,), "zlib")),
        (describe("tensor", encoding="lzma"), None),
        (describe("tensor", dtype="complex64"), None),
        (describe("tensor", shape={}), Feature("tensor", "int8", ())),
        (describe("tensor", shape={"dimensions": [2, "1"]}), Feature("tensor", "int8", (2, 1))),
        (describe("tensor", shape={"dimensions": ["-1"]}), None),
        (describe("tensor", shape={"dimensions": ["0"]}), None),
        (describe("tensor", shape={"dimensions": ["x"]}), None),
        (describe("tensor", shape={"dimensions": [2.0]}), None),
        (describe("tensor", shape={"dimensions": "2"}), None),
        (describe("tensor", shape=None), None),
        (
            describe("tensor", shape={"dimensions": [1 << 16, (1 << 16) - 1]}),
            Feature("tensor", "int8", (1 << 16, (1 << 16) - 1)),
        ),
        (describe("tensor", shape={"dimensions": [1 << 16, 1 << 16]}), None),
        (describe("tensor", dtype="string", shape={}), Feature("text")),
        (describe("tensor", dtype="object", shape={}), Feature("text")),
        (describe("tensor", dtype="string"), None),
        (describe("image", dtype="string", shape={}), None),
        (describe("image", dtype="uint8", shape=IMAGE), Feature("image", "uint8", (8, 9, 3))),
        (
            describe("image", dtype="uint8", shape={"dimensions": ["-1", "-1", "1"]}),
            Feature("image", "uint8", (None, None, 1)),
        ),
        (describe("image", dtype="uint8", shape={"dimensions": ["8", "9", "2"]}), None),
        (describe("image", dtype="uint8", shape={"dimensions": ["8", "9"]}), None),
        (describe("image", dtype="uint16", shape=IMAGE), None),
        ({"audio": {}}, None),
        ({"tensor": 3, "image": 3}, None),
    ],
)
def test_a_feature_is_what_its_description_says(said: Any, feature: Feature | None) -> None:
    assert list(read_features(said, "features.json", "a")) == [("a", feature)]


def test_features_are_named_by_the_way_to_them_and_written_as_they_are_read() -> None:
    features = {
        "steps/observation/image": Feature("image", "uint8", (8, 9, 3)),
        "steps/observation/deep/x": Feature("tensor", "float64", (2,), "bytes"),
        "steps/action": Feature("tensor", "float32", ()),
        "episode_metadata/note": Feature("text"),
    }
    said = describe_features(features)
    assert dict(read_features(said, "features.json")) == features
    steps: Any = said["featuresDict"]
    assert said["pythonClassName"] == f"{MODULE}.features_dict.FeaturesDict"
    described = steps["features"]["steps"]
    assert described["pythonClassName"] == f"{MODULE}.dataset_feature.Dataset"
    assert described["sequence"]["length"] == "-1"
    inner = described["sequence"]["feature"]["featuresDict"]["features"]
    assert inner["action"] == {
        "pythonClassName": f"{MODULE}.tensor_feature.Tensor",
        "tensor": {"shape": {}, "dtype": "float32", "encoding": "none"},
    }
    assert inner["observation"]["featuresDict"]["features"]["image"] == {
        "pythonClassName": f"{MODULE}.image_feature.Image",
        "image": {
            "shape": {"dimensions": ["8", "9", "3"]},
            "dtype": "uint8",
            "encodingFormat": "png",
        },
    }
    assert steps["features"]["episode_metadata"]["featuresDict"]["features"]["note"] == {
        "pythonClassName": f"{MODULE}.text_feature.Text",
        "text": {},
    }


def test_what_describes_no_features_is_refused() -> None:
    plain: list[Any] = [[], None, {"featuresDict": {"features": {"a": 3}}}]
    for said in plain:
        with pytest.raises(DataError, match=r"features.json: feature '.*' is not described"):
            list(read_features(said, "features.json"))
    assert list(read_features({"featuresDict": {}}, "x")) == []
    # A sequence is one of steps under that name alone.
    sequence: Any = {"sequence": {"feature": {"text": {}}}}
    assert list(read_features({"featuresDict": {"features": {"other": sequence}}}, "x")) == [
        ("other", None)
    ]
    deep: Any = {"text": {}}
    for _ in range(51):
        deep = {"featuresDict": {"features": {"a": deep}}}
    assert [feature for _, feature in read_features(deep, "x")] == [Feature("text")]
    with pytest.raises(DataError, match="is not described"):
        list(read_features({"featuresDict": {"features": {"a": deep}}}, "x"))
