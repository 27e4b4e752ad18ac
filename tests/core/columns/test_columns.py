"""Columns, the JSON beside them, and where episodes lie: each is undone by its inverse."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym_spaces
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minari_core.columns import (
    AXES,
    FixedColumn,
    JsonColumn,
    MaskedColumn,
    OneOfColumn,
    RaggedColumn,
    Schema,
    StructColumn,
    TextColumn,
    choose_column,
    join_pieces,
    schema_from_json,
)
from minari_core.columns.base import escape_key
from minari_core.columns.exact import cast_exactly
from minari_core.columns.fixed import as_numeric_array
from minari_core.columns.joining import split_rows
from minari_core.columns.untyped import encode_dynamic, freeze
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import check_seed, encode_episodes
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.shard_data import ShardData
from minari_core.errors import DataError, DatasetDamagedError, FormatError
from minari_core.formats.columnar.episode_index import EpisodeIndex
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.shard_folder import ShardFolder, WholeShards
from minari_core.json_values import from_json_text, to_json_text
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same
from tests.core.helpers.info_strategies import json_values, keys
from tests.core.helpers.space_strategies import spaces, values_of

NUMBERS = ["i1", "u1", "i4", "i8", "u8", "f2", "f4", "f8", ">f8", "c16", "?"]


@given(json_values)
def test_a_json_value_is_read_back_to_the_bit(value: Any) -> None:
    text = to_json_text(value, "value")
    json.loads(text, parse_constant=pytest.fail)
    expect_same(from_json_text(text), value)


def test_no_whole_number_is_too_large_for_json() -> None:
    for number in (10**5000, -(10**5000), 2**64, 2**64 + 1, -(2**64) - 1):
        found = from_json_text(to_json_text([number], "x"))
        # Such numbers have no repr that pytest could show.
        same = found == [number]
        assert same


def test_what_json_cannot_keep_is_an_error_that_says_where() -> None:
    for value in (object(), b"x", 1j, {1, 2}, np.array([1j]), np.array(["x"], dtype=object)):
        with pytest.raises(DataError, match=r"options\.a\[1\]"):
            to_json_text({"a": [0, value]}, "options")
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(DataError, match="deep"):
        to_json_text(deep, "options")
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DataError, match="deep"):
        to_json_text(endless, "options")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "9" * 5000,
        '{"$float":[]}',
        '{"$float":"x"}',
        '{"$int":5}',
        '{"$int":"zz"}',
        '{"$text":[-1]}',
        '{"$text":["a"]}',
        '{"$tuple":3}',
        '{"$dict":[[[],1]]}',
        '{"$dict":5}',
        '{"$array":{}}',
        '{"$array":{"dtype":"<U900000000","shape":[1],"data":["x"]}}',
        '{"$array":{"dtype":"O","shape":[],"data":[1]}}',
        '{"$array":{"dtype":"<f8","shape":[99999999999999999999],"data":[]}}',
        '{"$array":{"dtype":"<i1","shape":[1],"data":[300]}}',
        '{"$array":{"dtype":"<f8","shape":[3],"data":[1]}}',
        '{"$array":{"dtype":"<f8","shape":["a"],"data":[1]}}',
        '{"$array":{"dtype":"nonsense","shape":[1],"data":[1]}}',
    ],
)
def test_malformed_json_values_are_value_errors(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_json_text(text)


@given(keys, keys)
def test_two_keys_never_share_a_path(one: str, other: str) -> None:
    assert (escape_key(one) == escape_key(other)) == (one == other)
    for key in (one, other):
        escaped = escape_key(key)
        assert escaped not in ("", ".")
        assert not set("/\0") & set(escaped)
        escaped.encode("utf-8")


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_schema_is_read_back_from_its_json(space: Any, seed: int) -> None:
    values = values_of(space, np.random.default_rng(seed), 3)
    columns = dict.fromkeys(AXES, choose_column(space, values))
    dropped: dict[str, str] = {}
    encoded = encode_dynamic([None, {"a": [1, 2]}, {"b": "x", "a": [1]}], "x", dropped)
    assert encoded is not None
    schema = Schema({**columns, "infos": encoded[0]})
    assert schema_from_json(json.loads(json.dumps(schema.to_json()))) == schema
    assert not dropped


FIXED = {"kind": "fixed", "dtype": "<f8", "shape": [2]}


@pytest.mark.parametrize(
    "column",
    [
        None,
        [],
        {},
        {"kind": "fixed"},
        {**FIXED, "dtype": "O"},
        {**FIXED, "dtype": "f8,f8"},
        {**FIXED, "dtype": 8},
        {**FIXED, "shape": [-1]},
        {**FIXED, "shape": [2.0]},
        {**FIXED, "shape": [True]},
        {**FIXED, "shape": [10**30]},
        {**FIXED, "shape": [2**40, 0]},
        {**FIXED, "shape": [1] * 64},
        {**FIXED, "shape": 3},
        {"kind": "ragged", "dtype": "<f8", "dimensions": 0},
        {"kind": "ragged", "dtype": "<f8", "dimensions": 10**12},
        {"kind": "struct", "fields": [FIXED]},
        {"kind": "struct", "fields": {"a": None}},
        {"kind": "tuple", "items": {"a": FIXED}},
        {"kind": "masked"},
        {"kind": "graph", "nodes": FIXED, "edges": 5, "edge_links": FIXED},
    ],
)
def test_a_malformed_column_is_damage(column: Any) -> None:
    described = {**dict.fromkeys(AXES, FIXED), "infos": column}
    with pytest.raises(DatasetDamagedError, match="infos"):
        schema_from_json(described)


def test_a_kind_of_column_that_is_not_known_is_a_matter_of_the_version() -> None:
    for column in ({"kind": "video"}, {"kind": 7}, {**FIXED, "rows_per_chunk": 5}):
        described = {**dict.fromkeys(AXES, FIXED), "infos": column}
        with pytest.raises(FormatError, match="infos"):
            schema_from_json(described)


def test_a_schema_that_is_nested_without_end_is_damage() -> None:
    column: dict[str, Any] = FIXED
    for _ in range(300):
        column = {"kind": "masked", "value": column}
    with pytest.raises(DatasetDamagedError):
        schema_from_json({**dict.fromkeys(AXES, FIXED), "infos": column})


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
@settings(max_examples=200)
def test_a_number_changes_its_dtype_only_where_it_keeps_its_value(
    source: str, target: str, data: st.DataObject
) -> None:
    kind = np.dtype(source).kind
    value: Any
    edges = [-(2**63), 2**63 - 1, 2**53 + 1, 2**24 + 1, 0, 1, -1, 127, 255, 65504, 2**64 - 1, 2**63]
    if kind in "iu":
        limits = np.iinfo(source)
        edges = [edge for edge in edges if limits.min <= edge <= limits.max]
        value = data.draw(st.sampled_from(edges) | st.integers(int(limits.min), int(limits.max)))
    elif kind == "b":
        value = data.draw(st.booleans())
    else:
        value = data.draw(st.floats() | st.sampled_from([float(edge) for edge in edges]))
    with np.errstate(all="ignore"):
        array = np.array([value]).astype(source)
    cast = cast_exactly(array, np.dtype(target))
    if cast is not None:
        assert cast.dtype == target
        one, other = array.tolist()[0], cast.tolist()[0]
        assert one == other or (one != one and other != other)
        if not isinstance(one, complex) and not isinstance(other, complex):
            assert math.copysign(1, one) == math.copysign(1, other)
        assert (kind == "b") == (cast.dtype.kind == "b")
    else:
        # Whatever is refused does not survive the way there and back, or is no number there.
        assert source != target


@pytest.mark.parametrize(
    "values", [[2**63 + 1, -1], [2**53 + 1, 0.5], [True, 2], [[1, 2], [True, 3]]]
)
def test_a_list_whose_numbers_numpy_would_change_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="x: "):
        as_numeric_array(values, "x")
    dropped: dict[str, str] = {}
    encoded = encode_dynamic([freeze(values)], "x", dropped)
    assert encoded is not None
    column, arrays = encoded
    assert column.bind(iter(arrays), 1, copy=True)(0, 1) == [values]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    @property
    def __array__(self) -> Any:
        raise RuntimeError("no")


def test_nothing_in_an_info_makes_recording_raise() -> None:
    endless: list[Any] = []
    endless.append(endless)
    values: list[Any] = [
        Unprintable(),
        endless,
        10**5000,
        {Unprintable(): 1},
        [Unprintable()],
        np.ma.masked,
        np.ma.array([1, 2], mask=[True, False]),
        np.array([None]),
        np.datetime64("2020-01-01"),
        np.array([("a", 1)], dtype=[("x", "U1"), ("y", "i4")]),
        np.float64(1).astype("longdouble"),
        (x for x in "abc"),
        memoryview(b"x"),
        {"a": {"b": {"c": object()}}},
    ]
    for value in values:
        for beside in (None, 1, "text", {"a": 1}, [1, 2], np.zeros(2)):
            dropped: dict[str, str] = {}
            encoded = encode_dynamic([freeze(value), freeze(beside)], "info", dropped)
            assert encoded is None or all(len(a) >= 0 for a in encoded[1])


def test_dicts_that_are_nested_too_deep_for_columns_are_kept_as_json() -> None:
    deep: dict[str, Any] = {"x": 1}
    for _ in range(80):
        deep = {"d": deep}
    data = encode_episodes(
        [EpisodeBuffer(**_fields(1), infos={"deep": [deep, deep]}, metadata={"deep": deep})],
        gym_spaces.Discrete(2),
        gym_spaces.Discrete(2),
        {},
    )
    assert schema_from_json(json.loads(json.dumps(data.schema.to_json()))) == data.schema


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


@pytest.mark.parametrize("seed", [1.5, "7", True, -1, 2**64, np.float64(3)])
def test_a_seed_that_would_be_changed_is_refused(seed: Any) -> None:
    with pytest.raises(DataError, match="seed"):
        check_seed(seed)


def test_pieces_that_differ_are_joined_row_by_row() -> None:
    fixed, wider = np.arange(3), np.arange(2) + 0.5
    masked = np.ma.array([1, 2], mask=[False, True])
    expect_same(join_pieces([fixed, wider]), np.concatenate([fixed, wider]))
    joined = join_pieces([fixed, masked])
    assert isinstance(joined, np.ma.MaskedArray)
    assert joined.tolist() == [0, 1, 2, 1, None]
    assert join_pieces([fixed, ["a", None]]) == [0, 1, 2, "a", None]
    assert join_pieces([masked, ["a"]]) == [1, None, "a"]
    assert join_pieces([np.array([2**53 + 1]), np.array([0.5])]) == [2**53 + 1, 0.5]
    expect_same(join_pieces([np.zeros(1, bool), np.ones(1, int)]), [np.False_, np.int64(1)])
    expect_same(
        join_pieces([np.zeros((1, 2)), np.ones((1, 3))]), [np.zeros(2), np.ones(3)], "shapes"
    )
    assert join_pieces([{"a": fixed}, ["x"]]) == [{"a": 0}, {"a": 1}, {"a": 2}, "x"]
    joined = join_pieces([{"a": fixed}, {"b": np.ones(2)}], [3, 2])
    assert joined == {"a": [0, 1, 2, None, None], "b": [None, None, None, 1.0, 1.0]}
    assert join_pieces([{"a": {"b": fixed}}, {"a": {}}], [3, 1]) == {"a": {"b": [0, 1, 2, None]}}


def test_a_row_of_a_wholly_masked_array_has_no_value() -> None:
    masked = np.ma.array(np.zeros((2, 3)), mask=[[True] * 3, [False] * 3])
    found = split_rows(masked, 2)
    assert found[0] is None
    expect_same(found[1], np.zeros(3))


@pytest.mark.parametrize(
    ("column", "arrays"),
    [
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, 3, 2])]),
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, -1, 2])]),
        (TextColumn(), [np.zeros(2, "u1"), np.array([0, 2])]),
        (TextColumn(), [np.frombuffer(b"\xff\xff", "u1"), np.array([0, 1, 2])]),
        (JsonColumn(), [np.frombuffer(b"{}", "u1"), np.array([0, 1, 2])]),
        (
            RaggedColumn(np.dtype("f8"), 1),
            [np.zeros(3), np.array([0, 1, 3]), np.array([[1], [-1]])],
        ),
        (RaggedColumn(np.dtype("f8"), 1), [np.zeros(3), np.array([0, 1, 3]), np.array([[1], [3]])]),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, 5]), np.array([0, 1, 2]), np.zeros(2, "i8")],
        ),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, -1]), np.array([0, 1, 2]), np.zeros(2, "i8")],
        ),
        (
            OneOfColumn((FixedColumn(np.dtype("i8")),)),
            [np.array([0, 0]), np.array([0, 0, 1]), np.zeros(1, "i8")],
        ),
        (FixedColumn(np.dtype("f8")), [np.zeros(3)]),
        (MaskedColumn(FixedColumn(np.dtype("f8"))), [np.zeros(3, bool), np.zeros(2)]),
        (StructColumn({"a": FixedColumn(np.dtype("f8"))}), [np.zeros(1)]),
    ],
)
def test_arrays_that_do_not_fit_their_column_are_damage(column: Any, arrays: list[Any]) -> None:
    with pytest.raises(DatasetDamagedError):
        column.bind(iter(arrays), 2, copy=True)(0, 2)


def _borders(draw: st.DrawFn, total: int, shards: int) -> list[int]:
    inner = draw(st.lists(st.integers(0, total), min_size=shards - 1, max_size=shards - 1))
    return [0, *sorted(inner), total]


@st.composite
def _layouts(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int, int]]]:
    """The lengths of episodes, and the counts of shards that cut them anywhere."""
    lengths = draw(st.lists(st.integers(1, 5), max_size=6))
    shards = draw(st.integers(1, 5))
    steps = _borders(draw, sum(lengths), shards)
    rows = _borders(draw, sum(lengths) + len(lengths), shards)
    if draw(st.booleans()) and lengths:
        # Clean borders, as between checkpoints.
        firsts = [0, *itertools.accumulate(lengths)]
        places = _borders(draw, len(lengths), shards)
        steps = [firsts[place] for place in places]
        rows = [firsts[place] + place for place in places]
    ends = np.cumsum(lengths).tolist()
    episodes = [sum(low < end <= high for end in ends) for low, high in itertools.pairwise(steps)]
    counts = zip(
        [high - low for low, high in itertools.pairwise(rows)],
        [high - low for low, high in itertools.pairwise(steps)],
        episodes,
        strict=True,
    )
    return lengths, list(counts)


@given(_layouts())
@settings(max_examples=300)
def test_episodes_lie_where_counting_every_row_finds_them(
    snapshot: tuple[list[int], list[tuple[int, int, int]]],
) -> None:
    lengths, counts = snapshot
    index = EpisodeIndex(np.array(lengths, dtype=np.int64), counts)
    assert len(index) == len(lengths)
    flat_rows = [(s, row) for s, (rows, _, _) in enumerate(counts) for row in range(rows)]
    flat_steps = [(s, step) for s, (_, steps, _) in enumerate(counts) for step in range(steps)]
    entries = [(s, place) for s, (_, _, number) in enumerate(counts) for place in range(number)]
    step = 0
    for episode, length in enumerate(lengths):
        rows, steps = index.locate(episode)
        wanted_rows = flat_rows[step + episode : step + episode + length + 1]
        assert [(s, r) for s, start, stop in rows for r in range(start, stop)] == wanted_rows
        wanted_steps = flat_steps[step : step + length]
        assert [(s, r) for s, start, stop in steps for r in range(start, stop)] == wanted_steps
        assert index.entry(episode) == entries[episode]
        assert index.entry(episode)[0] == wanted_steps[-1][0]
        step += length
    whole = list(index.whole_shards())
    assert [e for _, _, first, stop in whole for e in range(first, stop)] == list(
        range(len(lengths))
    )
    for first_shard, stop_shard, first, stop in whole:
        for episode in range(first, stop):
            rows, steps = index.locate(episode)
            assert all(first_shard <= s < stop_shard for s, _, _ in rows + steps)


@given(_layouts(), st.integers(-3, 3))
def test_lengths_that_do_not_add_up_are_damage(
    snapshot: tuple[list[int], list[tuple[int, int, int]]], change: int
) -> None:
    lengths, counts = snapshot
    assume(change and lengths)
    with pytest.raises(DatasetDamagedError):
        EpisodeIndex(np.array([lengths[0] + change, *lengths[1:]], dtype=np.int64), counts)


def test_lengths_whose_sum_overflows_are_damage() -> None:
    lengths = np.array([2**62] * 4 + [5], dtype=np.int64)
    with pytest.raises(DatasetDamagedError):
        EpisodeIndex(lengths, [(10, 5, 5)])


POSITION = gym_spaces.Box(-np.inf, np.inf, (2,), np.float64)


def _axes(data: ShardData) -> list[str]:
    """Along what each array of a shard runs."""
    return [AXES[part] for part, column in data.schema.groups.items() for _ in column.arrays(part)]


def cut(data: ShardData, rows: list[int], steps: list[int]) -> list[ShardData]:
    """A shard of fixed columns as several, cut inside its episodes."""
    axes = _axes(data)
    lengths = np.concatenate(data.pieces[axes.index("episodes")])
    ends = np.cumsum(lengths)
    episodes = np.searchsorted(ends, steps, side="right").tolist()
    borders = {
        "rows": [0, *rows, data.rows],
        "steps": [0, *steps, data.steps],
        "episodes": [0, *episodes, data.episodes],
    }
    shards: list[ShardData] = []
    for number in range(len(rows) + 1):
        places = {axis: slice(b[number], b[number + 1]) for axis, b in borders.items()}
        pieces = [
            [np.concatenate(array)[places[axis]]]
            for axis, array in zip(axes, data.pieces, strict=True)
        ]
        counts = [places[axis].stop - places[axis].start for axis in ("rows", "steps", "episodes")]
        shards.append(ShardData(data.schema, pieces, *counts))
    return shards


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
@settings(max_examples=40)
def test_episodes_that_go_across_shards_are_read_whole(
    tmp_path_factory: Any, lengths: list[int], data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("cut")
    buffers = [_without_variable_parts(number, steps) for number, steps in enumerate(lengths)]
    whole = encode_episodes(buffers, POSITION, gym_spaces.Discrete(3), {})
    shards = data.draw(st.integers(0, 3))
    row_cuts = sorted(
        data.draw(st.lists(st.integers(0, whole.rows), min_size=shards, max_size=shards))
    )
    step_cuts = sorted(
        data.draw(st.lists(st.integers(0, whole.steps), min_size=shards, max_size=shards))
    )
    metadata: dict[str, Any] = {
        "data_format": "columnar",
        "observation_space": space_to_json(POSITION),
        "action_space": space_to_json(gym_spaces.Discrete(3)),
    }
    storage = ShardFolder(folder, Manifest(metadata, Snapshot(uid="x")))
    storage.add(cut(whole, row_cuts, step_cuts))
    indices = np.array(
        data.draw(
            st.just(list(range(len(lengths))))
            | st.lists(st.integers(0, len(lengths) - 1), max_size=8)
        ),
        dtype=np.int64,
    )
    for copy in (True, False):
        for number, episode in zip(
            indices.tolist(), storage.read_episodes(indices, copy=copy), strict=True
        ):
            _expect(episode, buffers[number])
    _check_runs(storage, indices)
    (folder / "other").mkdir()
    other = ShardFolder(folder / "other", Manifest(metadata, Snapshot(uid="y")))
    other.append_storage(storage, indices.tolist())
    other.compact()
    for number, episode in zip(
        indices.tolist(), other.read_episodes(range(len(indices))), strict=True
    ):
        _expect(episode, buffers[number])


def _check_runs(storage: ShardFolder, indices: Any) -> None:
    """The runs cover what is wanted in order, and copy only what must be."""
    groups = list(storage.index.whole_shards())
    covered: list[int] = []
    for run in storage.split_selection(indices):
        first, stop = run.first, run.stop
        if isinstance(run, WholeShards):
            inside = [group for group in groups if first <= group[0] and group[1] <= stop]
            assert (inside[0][0], inside[-1][1]) == (first, stop)
            covered += [episode for group in inside for episode in range(group[2], group[3])]
        else:
            copied = indices[first:stop].tolist()
            for group in groups:
                wanted = list(range(group[2], group[3]))
                for place in range(len(copied) - len(wanted) + 1):
                    assert copied[place : place + len(wanted)] != wanted
            covered += copied
    assert covered == indices.tolist()


def _without_variable_parts(number: int, steps: int) -> EpisodeBuffer:
    buffer = simple_episode(number, steps)
    buffer.options, buffer.metadata = None, {"number": number}
    return buffer


def _expect(episode: EpisodeData, buffer: EpisodeBuffer) -> None:
    for name in ("observations", "actions", "rewards", "terminations", "infos", "seed", "metadata"):
        expect_same(getattr(episode, name), getattr(buffer, name), name)


def test_an_info_that_changes_its_type_between_shards_of_an_episode_is_kept(tmp_path: Path) -> None:
    metadata: dict[str, Any] = {
        "data_format": "columnar",
        "observation_space": space_to_json(POSITION),
        "action_space": space_to_json(gym_spaces.Discrete(3)),
    }
    storage = ShardFolder(tmp_path, Manifest(metadata, Snapshot(uid="x")))
    parts: list[Any] = [
        np.arange(3),
        ["a", None, "b"],
        np.zeros((3, 2)),
        np.ones((3, 4)),
        {"x": np.arange(3)},
        None,
    ]
    pieces = [
        encode_episodes(
            [EpisodeBuffer(**_vector_fields(2), infos=None if part is None else {"it": part})],
            POSITION,
            gym_spaces.Discrete(3),
            {},
        )
        for part in parts
    ]
    shards = []
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        arrays: list[list[Any]] = []
        for axis, (array,) in zip(_axes(piece), piece.pieces, strict=True):
            if axis == "episodes":
                arrays.append([np.array([17]) if is_last else array[:0]])
            else:
                # Behind the last row of all, there is no step.
                more = axis == "steps" and not is_last
                arrays.append([np.zeros(3, array.dtype) if more else array])
        shards.append(ShardData(piece.schema, arrays, 3, 2 if is_last else 3, int(is_last)))
    storage.add(shards)
    (episode,) = storage.read_episodes([0])
    assert len(episode) == 17
    wanted: list[Any] = [np.int64(0), np.int64(1), np.int64(2), "a", None, "b"]
    wanted += [np.zeros(2)] * 3 + [np.ones(4)] * 3 + [{"x": np.int64(n)} for n in range(3)]
    expect_same(episode.infos["it"], wanted + [None] * 3, "it")


def _vector_fields(steps: int) -> dict[str, Any]:
    return {**_fields(steps), "observations": np.zeros((steps + 1, 2))}


def test_a_key_that_json_would_change_is_left_out_with_a_warning() -> None:
    dropped: dict[str, str] = {}
    infos = {"\ud83d\ude00": [1, 2], "😀": [3, 4], "\ud83d": [5, 6]}
    data = encode_episodes(
        [EpisodeBuffer(**_fields(1), infos=infos)],
        gym_spaces.Discrete(2),
        gym_spaces.Discrete(2),
        dropped,
    )
    infos_column = data.schema.groups["infos"]
    assert isinstance(infos_column, StructColumn)
    assert list(infos_column.fields) == ["😀", "\ud83d"]
    assert len(dropped) == 1
