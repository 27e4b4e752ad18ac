"""Columns become arrays, frames and files, and are read back, each dtype and gap for itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from gymnasium import spaces
from PIL import Image

from minari_core import create_dataset_from_buffers
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError
from minari_core.tables import gathering
from minari_core.tables.arrow import JSON_FIELD, make_table, unite_tables
from minari_core.tables.assembling import iterate_episodes
from minari_core.tables.frames import make_frame
from minari_core.tables.gathering import (
    Columns,
    concatenate_columns,
    iterate_pieces,
    join_name,
    split_name,
)
from minari_core.tables.images import decode_images, encode_images
from minari_core.tables.reading import read_table
from minari_core.tables.source import STEP_COLUMNS, open_table
from minari_core.tables.structure import append_rows, nest, nest_by_names
from tests.core.helpers.recorded import DESCRIBED, VECTOR, record, stored


def mask(values: Any, missing: Sequence[Any]) -> np.ma.MaskedArray[Any, Any]:
    array = np.asarray(values)
    gaps = np.broadcast_to(np.reshape(missing, (-1, *(1 for _ in array.shape[1:]))), array.shape)
    return np.ma.MaskedArray(array, gaps)


def expect_leaf(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert (one is None) is (other is None)
            assert np.array_equal(one, other)
        return
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    missing = np.ma.getmaskarray(wanted)
    assert np.array_equal(np.ma.getmaskarray(found), missing)
    assert np.array_equal(np.ma.getdata(found)[~missing], np.ma.getdata(wanted)[~missing])


LEAVES: dict[str, Any] = {
    "observation": np.arange(6, dtype=np.float32).reshape(3, 2),
    "info.number": np.array([1, 2, 3], np.int8),
    "info.gap": mask([1.5, 0, 2.5], [0, 1, 0]),
    "info.flag": mask([True, False, False], [0, 0, 1]),
    "info.whole": mask(np.array([1, 0, 2**63], np.uint64), [0, 1, 0]),
    "info.text": ["a", None, ""],
    "info.ragged": [np.arange(2), None, np.arange(0)],
    "info.image": np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8),
    "info.rgb": mask(np.arange(3 * 192, dtype=np.uint8).reshape(3, 8, 8, 3), [1, 0, 0]),
    "info.one": np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1),
    "info.matrix": np.arange(12).reshape(3, 2, 2),
    "info.none": [None, None, None],
}


def test_every_kind_of_column_is_read_back_as_it_was() -> None:
    found = read_table(make_table(LEAVES, {}))
    assert list(found) == list(LEAVES)
    for name in set(LEAVES) - {"info.matrix"}:
        expect_leaf(found[name], LEAVES[name])
    # Of infos, in which something may be missing, vectors are lists.
    expect_leaf(found["info.matrix"], list(LEAVES["info.matrix"]))


def test_a_table_says_which_columns_are_images_and_which_text_is_json() -> None:
    table = make_table({"a": LEAVES["info.image"], "b": ["x"] * 3}, {b"own": b"1"})
    assert table.schema.metadata == {
        b"own": b"1",
        b"huggingface": b'{"info": {"features": {"a": {"_type": "Image"}}}}',
    }
    values = ["x", 1, None]
    with pytest.raises(DataError, match=r"column 'info.c' has values of the types int, str, which"):
        make_table({"info.c": values}, {})
    written = make_table({"info.c": values}, {}, as_json=True)
    assert written.schema.metadata is None or b"huggingface" not in written.schema.metadata
    assert written["info.c"].to_pylist() == ['"x"', "1", None]
    assert written.schema.field("info.c").metadata == {JSON_FIELD: b"1"}
    assert read_table(written) == {"info.c": values}
    complex_ones = mask([1j, 2j], [0, 1])
    with pytest.raises(DataError, match="column 'x' has values of dtype complex128"):
        make_table({"x": complex_ones}, {})
    assert read_table(make_table({"x": complex_ones}, {}, as_json=True)) == {"x": [1j, None]}
    with pytest.raises(DataError, match="column 't' has text that is no Unicode"):
        make_table({"t": ["\ud800"]}, {})
    assert str(make_table({"seed": [None, 2**64 - 1]}, {})["seed"].type) == "uint64"
    assert str(make_table({"options": [None]}, {})["options"].type) == "string"


def test_vectors_without_elements_and_missing_ones_are_lists() -> None:
    table = make_table(
        {"info.empty": mask(np.zeros((2, 0)), [0, 1]), "info.v": mask([[1, 2], [3, 4]], [1, 0])}, {}
    )
    assert table["info.v"].to_pylist() == [None, [3, 4]]
    assert table["info.empty"].to_pylist() == [[], []]
    assert str(table.schema.field("info.v").type) == "list<item: int64>"


def test_tables_wait_until_each_column_has_a_type() -> None:
    leaves: list[Any] = [[None, None], np.array([1.5, 2.5]), [None, None]]
    nothing, numbers, more = (make_table({"a": leaf, "b": np.arange(2)}, {}) for leaf in leaves)
    drawn: list[int] = []

    def draw() -> Any:
        for number, table in enumerate((nothing, numbers, more)):
            drawn.append(number)
            yield table

    united = unite_tables(draw())
    assert next(united)["a"].to_pylist() == [None, None]
    assert drawn == [0, 1]
    assert [str(table["a"].type) for table in united] == ["double", "double"]
    only = list(unite_tables([nothing, more]))
    assert [str(table["a"].type) for table in only] == ["null", "null"]
    assert list(unite_tables([])) == []
    texts = make_table({"a": ["x", "y"], "b": np.arange(2)}, {})
    with pytest.raises(DataError, match=r"a column has values of different types: .*as_json=True"):
        list(unite_tables([numbers, texts]))
    marked = make_table({"a": ["x", 1], "b": np.arange(2)}, {}, as_json=True)
    with pytest.raises(DataError, match="column 'a' is text in some episodes and something else"):
        list(unite_tables([texts, marked]))
    assert len(list(unite_tables([marked, nothing, marked]))) == 3


def test_a_frame_has_nullable_columns_only_where_something_is_missing() -> None:
    frame = make_frame({**LEAVES, "seed": [None, 1, 2**64 - 1]})
    kinds = {str(name): str(frame[name].dtype) for name in frame}
    assert kinds["observation.0"] == kinds["observation.1"] == "float32"
    assert kinds["info.number"] == "int8"
    assert kinds["info.gap"] == "Float64"
    assert kinds["info.flag"] == "boolean"
    assert kinds["info.whole"] == kinds["seed"] == "UInt64"
    assert kinds["info.text"] in ("object", "str")
    assert kinds["info.image"] == "object"
    assert frame["info.gap"].isna().tolist() == [False, True, False]
    assert frame["info.whole"][2] == 2**63
    assert frame["info.ragged"][1] is None
    assert frame["info.matrix.1.0"].tolist() == [2, 6, 10]
    # pandas has no nullable float16.
    small = make_frame({"x": mask(np.array([1, 2], np.float16), [0, 1])})
    assert small["x"].tolist() == [1.0, None]
    with pytest.raises(DataError, match=r"two columns of a data frame would be called 'a.1'"):
        make_frame({"a": np.zeros((1, 2)), "a.1": np.zeros(1)})
    for name in set(LEAVES) - {"observation", "info.matrix", "info.rgb"}:
        found = read_table(frame)[name]
        wanted = LEAVES[name]
        expect_leaf(found, list(wanted) if "image" in name or "one" in name else wanted)


def test_columns_of_pandas_are_missing_where_pandas_says_so() -> None:
    frame = pd.DataFrame(
        {
            "plain": [1.0, np.nan],
            "nullable": pd.array([1, None], dtype="Int16"),
            "whole": pd.array([1, 2], dtype="Int16"),
            "object": ["x", float("nan")],
            "na": pd.array(["x", None], dtype="string"),
        }
    )
    found = read_table(frame)
    assert type(found["plain"]) is np.ndarray
    expect_leaf(found["nullable"], mask(np.array([1, 0], np.int16), [0, 1]))
    expect_leaf(found["whole"], np.array([1, 2], np.int16))
    assert found["object"] == found["na"] == ["x", None]


def test_arrow_arrays_of_other_layouts_are_read() -> None:
    table = pa.table(
        {
            "words": pa.array(["x", "y", "x"]).dictionary_encode(),
            "large": pa.array(["x", None, "z"], pa.large_string()),
            "lists": pa.array([[1], None, []], pa.large_list(pa.int8())),
            "nothing": pa.nulls(3),
        }
    )
    found = read_table(table)
    assert found["words"] == ["x", "y", "x"]
    assert found["large"] == ["x", None, "z"]
    assert found["nothing"] == [None, None, None]
    expect_leaf(found["lists"], [np.array([1], np.int8), None, np.zeros(0, np.int8)])
    assert read_table(table.to_batches()[0])["large"] == ["x", None, "z"]
    assert len(read_table(table.schema.empty_table())["large"]) == 0
    vector = pa.array([[1.0, None]], pa.list_(pa.float64(), 2))
    with pytest.raises(DataError, match="column 'v' has a vector of which an element is missing"):
        read_table(pa.table({"v": vector}))
    with pytest.raises(DataError, match=r"column 'd' is date32\[day\], which is no column of a"):
        read_table(pa.table({"d": pa.array([0], pa.date32())}))
    images = pa.StructArray.from_arrays(
        [pa.array([None, None], pa.binary()), pa.nulls(2, pa.string())], names=["bytes", "path"]
    )
    assert read_table(pa.table({"i": images})) == {"i": [None, None]}


def make_image(mode: str, size: tuple[int, int] = (3, 2), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, format=kind)
    return file.getvalue()


def test_images_of_one_size_and_of_8_bits_a_channel_are_decoded() -> None:
    rng = np.random.default_rng(0)
    for shape in ((2, 3), (2, 3, 3), (2, 3, 4)):
        frames = rng.integers(0, 256, (2, *shape), np.uint8)
        assert np.array_equal(decode_images(encode_images(frames), "x"), frames)
    assert decode_images([make_image("RGB", kind="JPEG")], "x").shape == (1, 2, 3, 3)
    assert decode_images([], "x").shape == (0, 0, 0)
    one, other = make_image("L"), make_image("L", (2, 3))
    assert decode_images([one], "x", (2, 3)).shape == (1, 2, 3)
    for files, size, said in (
        ([one, other], None, r"^column 'x': image 1 is of size \(3, 2\), and others of \(2, 3\)$"),
        ([one], (3, 2), r"^column 'x': image 0 is of size \(2, 3\), and others of \(3, 2\)$"),
        ([make_image("I;16")], None, r"^column 'x': image 0 is of Pillow's mode 'I(;16)?', and"),
        ([make_image("L", kind="BMP")], None, r"^column 'x': image 0 cannot be decoded: "),
        ([one, make_image("RGB")], None, r"^column 'x': image 1 has other channels than the first"),
        ([one[:-30]], None, r"^column 'x': image 0 cannot be decoded: "),
    ):
        with pytest.raises(DataError, match=said):
            decode_images(files, "x", size)


def test_episodes_are_read_in_lists_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [3, 1, 4, 9, 2, 2]
    with stored(record(VECTOR, VECTOR, lengths, 0), on_disk=False) as dataset:
        storage = get_raw_storage(dataset)

        def list_pieces(nbytes: int) -> list[list[tuple[int, int, int]]]:
            monkeypatch.setattr("minari_core.tables.gathering._CHUNK_NBYTES", nbytes)
            return [
                [(piece.episode.id, piece.start, piece.stop) for piece in some]
                for some in iterate_pieces(storage, range(6))
            ]

        def count_steps(nbytes: int) -> int:
            monkeypatch.setattr("minari_core.tables.gathering._CHUNK_NBYTES", nbytes)
            return gathering._count_steps_of_chunk(storage, [0])

        whole = [(episode, 0, length) for episode, length in enumerate(lengths)]
        assert list_pieces(1 << 26) == [whole]
        # As many steps as fit, and an episode of more by itself, in pieces.
        nbytes, many = 1 << 26, count_steps(1 << 26)
        step_nbytes = next(
            one
            for one in range(nbytes // (many + 1) + 1, nbytes // many + 1)
            if count_steps(2 * one) == 2 > count_steps(2 * one - 1)
        )
        assert count_steps(2 * step_nbytes + 1) == 2
        assert list_pieces(8 * step_nbytes) == [
            *(whole[:3], [(3, 0, 8)], [(3, 8, 9)], whole[4:]),
        ]
        assert list_pieces(4 * step_nbytes) == [
            *(whole[:2], whole[2:3], [(3, 0, 4)], [(3, 4, 8)], [(3, 8, 9)], whole[4:]),
        ]
        assert list_pieces(1) == [
            [(episode, step, step + 1)] if length > 1 else [(episode, 0, 1)]
            for episode, length in enumerate(lengths)
            for step in range(length)
        ]
        monkeypatch.setattr("minari_core.tables.gathering._MOST_EPISODES", 4)
        assert list_pieces(1 << 26) == [whole[:4], whole[4:]]


def test_names_of_columns_are_joined_and_split_at_dots_that_are_not_escaped() -> None:
    for keys in ((), ("a",), ("a.b", 0), ("\\", "x\\.y"), ("", "..")):
        assert split_name(join_name("info", keys)) == ["info", *map(str, keys)]
    assert join_name("a", ("b.c", 1)) == r"a.b\.c.1"


def test_rows_of_one_dtype_are_joined_to_arrays_and_others_to_lists() -> None:
    chunks: list[Columns] = [
        {"a": np.zeros(1), "b": np.zeros(1), "c": mask([1.0], [1]), "d": ["x"]},
        {"a": np.ones(2), "b": np.ones(2, np.int8), "c": np.ones(1), "d": [None]},
    ]
    joined = concatenate_columns(chunks)
    assert type(joined["a"]) is np.ndarray
    assert joined["a"].tolist() == [0, 1, 1]
    assert joined["b"] == [0, 1, 1]
    assert isinstance(joined["b"], list)
    expect_leaf(joined["c"], mask([1.0, 1.0], [1, 0]))
    assert joined["d"] == ["x", None]
    apart = concatenate_columns([{"c": mask([[1.0], [2.0]], [0, 1])}, {"c": np.zeros((1, 2))}])
    expect_leaf(apart["c"], [np.array([1.0]), None, np.zeros(2)])


def test_rows_are_appended_where_some_are_missing() -> None:
    expect_leaf(append_rows(np.zeros(1), np.ones(2)), np.array([0.0, 1.0, 1.0]))
    expect_leaf(append_rows(None, np.ones(2)), mask([0.0, 1.0, 1.0], [1, 0, 0]))
    expect_leaf(append_rows(np.ones((1, 2)), None), mask([[1.0, 1.0], [0, 0]], [0, 1]))
    expect_leaf(append_rows(mask([1.0], [0]), np.ones(1)), np.array([1.0, 1.0]))
    assert append_rows(["a"], None) == ["a", None]
    assert append_rows(None, [None]) == [None, None]
    nested = append_rows({"a": (np.zeros(1), ["x"])}, None)
    expect_leaf(nested["a"][0], mask([0.0, 0.0], [0, 1]))
    assert nested["a"][1] == ["x", None]
    other = append_rows(None, (np.zeros(1),))
    expect_leaf(other[0], mask([0.0, 0.0], [1, 0]))


def test_columns_lie_in_the_structure_of_their_space() -> None:
    space = spaces.Dict(
        {
            "v": spaces.Box(-1, 1, (2,), np.float64),
            "m": spaces.Box(-1, 1, (1, 2), np.float64),
            "t": spaces.Tuple((spaces.Discrete(2), spaces.Text(3))),
            "n": spaces.Box(-1, 1, (0, 2), np.float32),
        }
    )
    columns: Columns = {
        "x.v": [[1, 2], [3, 4]],
        "x.m.0.0": np.zeros(2),
        "x.m.0.1": np.ones(2),
        "x.t.0": np.arange(2),
        "x.t.1": ["a", "b"],
    }
    found = nest(columns, "x", space)
    assert found["v"].tolist() == [[1, 2], [3, 4]]
    assert found["m"].tolist() == [[[0, 1]], [[0, 1]]]
    assert found["t"][0].tolist() == [0, 1]
    assert found["t"][1] == ["a", "b"]
    assert (found["n"].shape, found["n"].dtype) == ((2, 0, 2), np.float32)
    with pytest.raises(DataError, match=r"no column 'x.m', which the x space asks for"):
        nest({key: leaf for key, leaf in columns.items() if key != "x.m.0.1"}, "x", space)
    with pytest.raises(DataError, match=r"column 'x.v' has rows of different shapes"):
        nest({**columns, "x.v": [[1, 2], [3]]}, "x", space)
    by_name = nest_by_names({"x.0": np.zeros(2), "x.1": np.ones(2), "y": np.zeros(2)}, "x")
    assert by_name.tolist() == [[0, 1], [0, 1]]
    assert list(nest_by_names({"x.0": np.zeros(2), "x.2": np.ones(2)}, "x")) == ["0", "2"]
    assert list(nest_by_names({"x.0": ["a"], "x.1": ["b"]}, "x")) == ["0", "1"]
    assert nest_by_names({"y.0": np.zeros(2)}, "x") is None


STEPS: dict[str, Any] = {
    "episode_id": [5, 5],
    "observation": np.array([1.0, 2.0]),
    "action": np.array([0, 1]),
    "reward": np.array([1.0, 2.0]),
    "terminated": np.array([False, True]),
}


def assemble(*chunks: Columns, episodes: Columns | None = None) -> list[Any]:
    box = spaces.Box(-9, 9, (), np.float64)
    return list(iterate_episodes(chunks, episodes, box, spaces.Discrete(2)))


def test_what_steps_led_to_is_the_final_observation_and_must_fit_the_others() -> None:
    for following, wanted in (
        (np.array([2.0, 3.0]), [1.0, 2.0, 3.0]),
        (mask([2.0, 3.0], [1, 0]), [1.0, 2.0, 3.0]),
        (mask([2.0, 3.0], [0, 1]), [1.0, 2.0]),
    ):
        (episode,) = assemble({**STEPS, "next_observation": following})
        assert episode.observations.tolist() == wanted
    said = r"episode 5: next_observation of step 0 is not the observation after it; without next_"
    with pytest.raises(DataError, match=said):
        assemble({**STEPS, "next_observation": np.array([2.5, 3.0])})
    nan = {**STEPS, "observation": np.array([1.0, np.nan])}
    (episode,) = assemble({**nan, "next_observation": np.array([np.nan, 3.0])})
    assert np.isnan(episode.observations[1])
    known: Columns = {"episode_id": [5], "final_observation": np.array([4.0])}
    (episode,) = assemble(STEPS, episodes=known)
    assert episode.observations.tolist() == [1.0, 2.0, 4.0]


def test_an_episode_may_go_on_in_the_next_chunk_and_ends_where_nothing_says_so() -> None:
    first, second = (
        {name: leaf[part] for name, leaf in STEPS.items()} for part in (slice(0, 1), slice(1, 2))
    )
    (episode,) = assemble(first, second)
    assert episode.rewards.tolist() == [1.0, 2.0]
    assert (episode.terminations.tolist(), episode.truncations.tolist()) == (
        *([False, True], [False, False]),
    )
    (cut,) = assemble(first)
    assert (cut.terminations.tolist(), cut.truncations.tolist()) == ([False], [True])
    (open_end,) = assemble({**first, "truncated": np.array([False])})
    assert open_end.truncations.tolist() == [False]
    one, two = assemble(first, {**second, "episode_id": [6]})
    assert (len(one.rewards), len(two.rewards)) == (1, 1)
    with pytest.raises(DataError, match=r"the table has no column 'terminated'; a table of steps"):
        assemble({key: leaf for key, leaf in STEPS.items() if key != "terminated"})


def test_what_the_table_of_episodes_says_is_taken_and_checked() -> None:
    row: dict[str, Any] = {
        "episode_id": [4, 5],
        "length": np.array([1, 2]),
        "seed": mask([7, 8], [1, 0]),
        "options": ['{"a": 4}', '{"a": 5}'],
        "metadata": [None, None],
        "reset_info.x": [10, 20],
    }
    before: dict[str, Any] = {name: leaf[1:] for name, leaf in STEPS.items()}
    before.update({"episode_id": [4], "info.x": [3]})
    other, episode = assemble(before, {**STEPS, "info.x": [1, 2]}, episodes=row)
    assert (other.seed, other.options, other.infos) == (None, {"a": 4}, {"x": [10, 3]})
    assert (episode.seed, episode.options, episode.infos) == (8, {"a": 5}, {"x": [20, 1, 2]})
    wrong: list[tuple[dict[str, Any], str]] = [
        (
            {"length": np.array([1, 3])},
            r"episode 5: it has 2 steps, and .* says length 3; rows",
        ),
        ({"options": [None, "x"]}, r"episode 5: options is no JSON text: "),
        ({"options": [None, "[1]"]}, r"episode 5: options is list, not a JSON object"),
        ({"metadata": [None, 3]}, r"episode 5: metadata is int, not JSON text"),
        ({"episode_id": [4, 4]}, r"episode 4 is in the table of episodes twice"),
        ({"episode_id": [4, 6]}, r"episode 5 is not in the table of episodes"),
    ]
    for change, said in wrong:
        with pytest.raises(DataError, match=said):
            assemble(before, STEPS, episodes={**row, **change})
    with pytest.raises(DataError, match="the table of episodes has no column 'episode_id'"):
        assemble(STEPS, episodes={"length": np.array([2])})


def test_the_columns_that_are_asked_for_are_read_and_the_others_told(tmp_path: Any) -> None:
    table = pa.table({"observation": [1.0], "observation.x": [2.0], "observations": [3.0]})
    table = table.replace_schema_metadata({b"minari": b'{"author": "Ann", "rows": "steps"}'})
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(table, path)
    for given in (table, path, str(path)):
        source = open_table(given, STEP_COLUMNS)
        assert source.description == {"author": "Ann"}
        assert (list(source.columns), list(source.others)) == (
            *(["observation", "observation.x"], ["observations"]),
        )
        assert list(source.read_columns()) == ["observation", "observation.x"]
        assert list(source.read_columns("observation.x")) == ["observation.x"]
        assert source.read_columns("reward") == {}
        assert list(open_table(given).read_columns("observation")) == [
            *("observation", "observation.x")
        ]
    for text in (b"{", b"[]"):
        said = table.replace_schema_metadata({b"minari": text})
        assert open_table(said).description == {}
    assert open_table(SimpleNamespace()).columns == ()


def test_a_table_without_rows_has_the_columns_of_those_with_rows() -> None:
    with stored(record(VECTOR, VECTOR, [2], 0), on_disk=False) as dataset:
        whole, none = dataset.to_arrow(), dataset[:0].to_arrow()
        assert (none.num_rows, none.schema.names) == (0, whole.schema.names)
        assert list(dataset[:0].to_pandas("episodes")) == list(dataset.to_pandas("episodes"))
    nothing = create_dataset_from_buffers(
        "tests/nothing-v0",
        [],
        observation_space=VECTOR,
        action_space=VECTOR,
        **DESCRIBED,  # type: ignore[arg-type]  # each is text
    )
    assert nothing.to_arrow().schema.names == ["episode_id"]
    with pytest.raises(DataError, match=r"^rows is 'all', neither 'steps' nor 'episodes'$"):
        nothing.to_arrow("all")  # type: ignore[arg-type]  # from a caller
