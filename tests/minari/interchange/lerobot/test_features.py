"""What columns become as features, and what descriptions of features are believed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minari import DataError
from minari.interchange.lerobot.files.features import (
    Feature,
    find_incomplete,
    is_valid_shape,
    list_features,
    make_array,
    make_table,
    order_axes,
    plan_features,
    read_description,
    write_mapping,
)
from minari.interchange.lerobot.files.paths import fill_template
from minari.interchange.lerobot.reading.frames import read_column
from minari_core.tables.gathering import join_name

PICTURE = np.zeros((2, 8, 9, 3), np.uint8)
COLUMNS: list[tuple[str, Any, str, str]] = [
    ("episode_id", np.zeros(2, int), "", ""),
    ("step", np.zeros(2, int), "", ""),
    ("terminated", np.zeros(2, bool), "", ""),
    ("truncated", np.zeros(2, bool), "", ""),
    ("gone", np.zeros(2), "", ""),
    ("observation", np.zeros((2, 3), np.float32), "observation.state", "float32"),
    (join_name("observation", ("a/b",)), np.zeros((2, 3)), "observation.a_b", "float32"),
    (join_name("observation", ("eye",)), PICTURE, "observation.images.eye", "image"),
    (join_name("observation", ("image",)), PICTURE, "observation.image", "image"),
    (join_name("observation", ("x", 0)), np.zeros(2, np.int8), "observation.x.0", "int8"),
    ("action", np.zeros(2, np.int64), "action", "int64"),
    (join_name("action", ("arm",)), np.zeros((2, 1)), "action.arm", "float32"),
    ("reward", np.zeros(2), "next.reward", "float32"),
    (join_name("info", ("speed",)), np.zeros(2, bool), "next.speed", "bool"),
    (join_name("info", ("done",)), np.zeros(2, bool), "next.done_2", "bool"),
    (join_name("info", ("own",)), ["a", "b"], "info.own", "string"),
    (join_name("extra", ("value",)), np.zeros((2, 2, 2, 2, 2, 2)), "extra.value", "float32"),
    (join_name("extra", ("deep",)), np.zeros((2, 1, 1, 1, 1, 1, 1)), "", ""),
    (join_name("extra", ("none",)), np.zeros((2, 0)), "", ""),
    (join_name("extra", ("long",)), np.zeros(2, np.longdouble), "", ""),
    (join_name("extra", ("complex",)), np.zeros(2, complex), "", ""),
    (join_name("extra", ("mixed",)), ["a", 1], "", ""),
    (join_name("extra", ("index",)), np.zeros(2), "extra.index", "float32"),
]


def test_columns_become_features_by_their_names_and_kinds() -> None:
    columns = {column: leaf for column, leaf, _, _ in COLUMNS}

    features = plan_features(columns, {"gone"}, ["own"], as_video=False)

    assert [(each.column, each.name, each.dtype) for each in features] == [
        (column, name, dtype) for column, _, name, dtype in COLUMNS if name
    ]
    for each in features:
        leaf = columns[each.column]
        assert each.shape == (() if isinstance(leaf, list) else leaf.shape[1:])
        assert each.is_exact == (isinstance(leaf, list) or leaf.dtype != np.float64)
    said: Any = list_features(features)
    assert said["observation.state"] == {"dtype": "float32", "shape": [3], "names": None}
    assert said["action"] == {"dtype": "int64", "shape": [1], "names": None}
    names = ["height", "width", "channels"]
    assert said["observation.image"] == {"dtype": "image", "shape": [8, 9, 3], "names": names}
    own = {"timestamp": "float32", "next.done": "bool", "next.truncated": "bool"}
    own |= dict.fromkeys(["frame_index", "episode_index", "index", "task_index"], "int64")
    for name, dtype in own.items():
        assert said[name] == {"dtype": dtype, "shape": [1], "names": None}
    assert write_mapping(features)["observation.state"] == {"column": "observation", "shape": [3]}


@pytest.mark.parametrize(
    ("shape", "dtype", "lerobot_shape"),
    [
        ((8, 9), "video", (8, 9, 1)),
        ((8, 9, 1), "video", (8, 9, 1)),
        ((8, 9, 3), "video", (8, 9, 3)),
        ((8, 9, 4), "image", (8, 9, 4)),
    ],
)
def test_images_become_videos_unless_they_are_transparent(
    shape: tuple[int, ...], dtype: str, lerobot_shape: tuple[int, ...]
) -> None:
    leaf = np.zeros((2, *shape), np.uint8)
    (feature,) = plan_features({"observation": leaf}, (), (), as_video=True)
    assert (feature.dtype, feature.is_exact, feature.is_visual) == (dtype, dtype == "image", True)
    assert feature.lerobot_shape == lerobot_shape
    assert feature.name == "observation.image"


def test_what_is_missing_or_changes_somewhere_is_incomplete() -> None:
    leaves: list[tuple[str, object]] = [
        ("same", np.zeros(2)),
        ("shape", np.zeros((2, 1))),
        ("dtype", np.zeros(2)),
        ("text", ["a"]),
        ("either", np.zeros(2)),
        ("masked", np.ma.array([1.0, 2.0], mask=[False, True])),
        ("whole", np.ma.array([1.0, 2.0])),
        ("none", ["a", None]),
        ("other", 3),
        ("same", np.ones(3)),
        ("shape", np.zeros((2, 2))),
        ("dtype", np.zeros(2, np.float32)),
        ("text", ["b", "c"]),
        ("either", ["a"]),
    ]
    assert find_incomplete(leaves) == {"shape", "dtype", "either", "masked", "none", "other"}


def test_arrays_are_laid_out_as_lerobot_reads_them() -> None:
    def make(leaf: Any, dtype: str) -> pa.Array:
        return make_array(leaf, Feature("x", "c", dtype, np.shape(leaf)[1:], is_exact=True))

    assert make(np.arange(2.0), "float32").type == pa.float32()
    assert make(np.arange(2.0)[:, None], "float32").to_pylist() == [0, 1]
    assert make(np.arange(4).reshape(2, 2), "int64").type == pa.list_(pa.int64(), 2)
    rows = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    nested = make(rows, "int16")
    assert nested.type == pa.list_(pa.list_(pa.int16()))
    assert nested.to_pylist() == rows.tolist()
    assert make(["a", "b"], "string").to_pylist() == ["a", "b"]
    with pytest.raises(DataError, match="column 'c' has text that is no Unicode"):
        make(["\ud800"], "string")
    with np.errstate(all="raise"):
        assert make(np.array([1e300]), "float32").to_pylist() == [np.inf]
    images = make(PICTURE, "image")
    assert [set(each) for each in images.to_pylist()] == [{"bytes", "path"}] * 2
    assert [each["path"] for each in images.to_pylist()] == [None, None]

    features = [
        Feature("picture", "c", "image", (8, 9, 3), is_exact=True),
        Feature("matrix", "d", "int16", (2, 3), is_exact=True),
        Feature("vector", "e", "int64", (2,), is_exact=True),
    ]
    arrays = {"picture": images, "matrix": nested, "vector": make(np.zeros((2, 2), int), "int64")}
    table = make_table(arrays, features)
    assert table.schema.metadata == {
        b"huggingface": json.dumps({"info": {"features": {"picture": {"_type": "Image"}}}}).encode()
    }
    assert table.schema.field("vector").metadata is None
    assert table.schema.field("matrix").metadata == {
        b"ARROW:extension:name": b"datasets.features.features.Array2DExtensionType",
        b"ARROW:extension:metadata": b'[[2, 3], "int16"]',
    }
    assert make_table({"vector": arrays["vector"]}, features[2:]).schema.metadata is None


@pytest.mark.parametrize(
    ("said", "shape"),
    [
        ({"shape": [3, 8, 9], "names": ["channels", "height", "width"]}, (8, 9, 3)),
        ({"shape": [3, 8, 9], "names": ["channel", "height", "width"]}, (8, 9, 3)),
        ({"shape": [8, 9, 3], "names": ["height", "width", "channels"]}, (8, 9, 3)),
        ({"shape": [8, 9, 3], "names": []}, (8, 9, 3)),
        ({"shape": [8, 9, 3], "names": {"channels": 1}}, (8, 9, 3)),
        ({"shape": [8, 9, 3]}, (8, 9, 3)),
    ],
)
def test_channels_come_last(said: Any, shape: tuple[int, ...]) -> None:
    assert order_axes(said) == shape


def test_shapes_are_lists_of_sizes_above_0() -> None:
    for shape in ([], [1], [2**31 - 1, 3]):
        assert is_valid_shape(shape)
    wrong: list[Any] = [[0], [-1], [2**31], [True], [1.0], ["1"], (1,), None, [1, 0]]
    assert not any(map(is_valid_shape, wrong))
    whole: dict[str, Any] = {"dtype": "image", "shape": [8, 9, 3]}
    assert read_description("x", whole, "info.json") is whole
    assert read_description("x", {"dtype": "int8", "shape": [2]}, "info.json")
    spoilt: list[Any] = [[], {"shape": [1]}, {"dtype": 3, "shape": [1]}]
    for said in (*spoilt, {"dtype": "int8", "shape": [0]}):
        with pytest.raises(DataError, match=r"^info\.json: feature 'x' has no dtype and shape$"):
            read_description("x", said, "info.json")
    for dtype in ("image", "video"):
        with pytest.raises(DataError, match=r"feature 'x' holds images of shape \[8, 9\]"):
            read_description("x", {"dtype": dtype, "shape": [8, 9]}, "info.json")


def test_paths_are_filled_with_numbers_of_so_many_digits() -> None:
    values: dict[str, int | str] = {"chunk": 7, "video_key": "eye"}
    assert fill_template("a/{chunk:03d}/{video_key}-{chunk}", values, "x") == "a/007/eye-7"
    assert fill_template("{chunk:03x}{{", values, "x") == "{chunk:03x}{{"
    with pytest.raises(DataError, match=r"^x: path '\{other\}' has the field 'other'$"):
        fill_template("{other}", values, "x")


LISTS = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (pa.array(LISTS, pa.list_(pa.float64())), [2]),
        (pa.array(LISTS, pa.large_list(pa.float64())), [2]),
        (pa.array(LISTS, pa.list_(pa.float64(), 2)), [2]),
        (pa.array([[[1.0], [2.0]], [[3.0], [4.0]]]), [2, 1]),
        (pa.chunked_array([LISTS[:1], LISTS[1:]]), [2]),
        (pa.chunked_array([LISTS]), [2]),
        (pa.array([1.0, 2.0]), [1]),
        (pa.array([1.0, 2.0]), [1, 1]),
        (pa.chunked_array([], pa.float64()), [1]),
    ],
    ids=str,
)
def test_columns_of_numbers_have_the_shape_of_their_feature(array: Any, shape: list[int]) -> None:
    found: Any = read_column(array, {"dtype": "float64", "shape": shape}, "x")
    assert found.tolist() == np.reshape(array.to_pylist(), (len(array), *shape)).tolist()


@pytest.mark.parametrize(
    ("array", "said", "sentence"),
    [
        (pa.array([1.0, None]), {"shape": [1]}, "a value is missing"),
        (pa.array([[1.0, None]]), {"shape": [2]}, "a value is missing"),
        (pa.array([[1.0], [2.0, 3.0]]), {"shape": [2]}, "a value is not of the shape [2]"),
        (pa.array([[1.0], [2.0, 3.0, 4.0]]), {"shape": [2]}, "a value is not of the shape [2]"),
        (
            pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
            {"shape": [1, 2]},
            "of the shape [1, 2]",
        ),
        (pa.array([[[1.0, 2.0]]]), {"shape": [2]}, "of the shape [2]"),
        (pa.array([[[1.0, 2.0]]]), {"shape": [2, 1]}, "of the shape [2, 1]"),
        (pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)), {"shape": [1]}, "of the shape [1]"),
        (pa.array([1.0]), {"shape": [2]}, "of the shape [2]"),
        (
            pa.array([1.0]),
            {"dtype": "float32", "shape": [1]},
            "are float64, and the feature is float32",
        ),
        (pa.array([b"x"]), {"dtype": "int8", "shape": [1]}, "values of type binary are no numbers"),
        (
            pa.array([1.0]),
            {"dtype": "image", "shape": [8, 9, 3]},
            "values of type double are no images",
        ),
        (
            pa.array([{"path": "x"}]),
            {"dtype": "image", "shape": [8, 9, 3]},
            "values of type struct<path: string> are no images",
        ),
        (
            pa.array([{"bytes": None, "path": "x"}], pa.struct([("bytes", pa.binary())])),
            {"dtype": "image", "shape": [8, 9, 3]},
            "an image lies in a file of its own, and is not followed",
        ),
    ],
)
def test_columns_that_are_not_what_their_feature_says_are_refused(
    array: Any, said: Any, sentence: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_column(array, said, "file: x")
    assert str(caught.value).startswith("file: x: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("shape", [(8, 9, 3), (8, 9, 1), (8, 9, 4)])
def test_images_of_a_column_have_the_axes_of_their_feature(shape: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (2, *shape), np.uint8)
    array = make_array(pictures, Feature("x", "c", "image", shape, is_exact=True))
    said = {"dtype": "image", "shape": list(shape)}
    np.testing.assert_array_equal(np.asarray(read_column(array, said, "x")), pictures)
    first = {"dtype": "image", "shape": [shape[2], 8, 9], "names": ["channels", "h", "w"]}
    np.testing.assert_array_equal(np.asarray(read_column(array, first, "x")), pictures)
    wrong = {"dtype": "image", "shape": [8, 9, 3 if shape[2] != 3 else 4]}
    with pytest.raises(DataError, match="x: an image is of shape"):
        read_column(array, wrong, "x")
    texts = pa.array(["a", "b"], pa.large_string())
    assert read_column(texts, {"dtype": "string", "shape": [1]}, "x") == ["a", "b"]
