"""What a public format holds of an episode, what goes beside it, and what a dataset's files are."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns import FixedColumn, MaskedColumn, StructColumn, TextColumn
from minari_core.columns.variable import JsonColumn
from minari_core.environments.env_specs import env_spec_from_json, env_spec_to_json
from minari_core.environments.space_json import space_to_json
from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.errors import DatasetDamagedError, EpisodeIndexError, SpaceError
from minari_core.formats.public.attributes import (
    decode_attributes,
    encode_attributes,
    encode_change,
    is_of_key,
    nest_attributes,
    replace_attributes,
)
from minari_core.formats.public.batching import batch_indices, estimate_row_nbytes
from minari_core.formats.public.checksums import (
    EpisodeChecksums,
    add_checksums,
    count_checksums,
    find_redescribed,
    get_checksums,
    is_seal_broken,
    is_sealed,
    replace_checksums,
    seal,
)
from minari_core.formats.public.files import (
    belongs_to_dataset,
    count_episodes,
    has_staged_files,
    is_beyond_last_episode,
    parse_episode_number,
)
from minari_core.formats.public.limits import estimate_missing, estimate_nbytes, measure_nbytes
from minari_core.formats.public.metadata_file import PublicManifest, create_manifest, parse_manifest
from minari_core.formats.public.short_columns import complete_episode, find_short_rows
from minari_core.formats.public.sidecar import Sidecar, restore_sidecar, split_dict
from minari_core.formats.public.spaces import (
    check_holdable,
    find_oldest_reader,
    is_image_space,
    is_plain_name,
    is_plain_text,
)
from minari_core.testing.expectations import expect_same
from tests.core.helpers.info_strategies import canonical, json_values, keys

BOX = spaces.Box(-9, 9, (2,), np.float32)
NUMBER = FixedColumn(np.dtype("f8"))


def episode(steps: int = 2, **changes: Any) -> EpisodeData:
    fields: dict[str, Any] = {
        "id": 0,
        "observations": np.zeros((steps + 1, 2), np.float32),
        "actions": np.zeros(steps, np.int64),
        "rewards": np.zeros(steps),
        "terminations": np.zeros(steps, bool),
        "truncations": np.zeros(steps, bool),
        "infos": {},
        "seed": None,
        "options": None,
        "metadata": {},
        "extras": {},
    }
    return EpisodeData(**{**fields, **changes})


@given(
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.dictionaries(keys, json_values, max_size=3),
    st.dictionaries(keys, json_values, max_size=3),
)
@settings(max_examples=150)
def test_attributes_that_are_complete_say_all_of_an_episode(
    seed: int | None, options: Any, metadata: Any
) -> None:
    attributes, is_complete = encode_attributes(
        episode(seed=seed, options=options, metadata=metadata), 7
    )
    assert (attributes["id"], attributes["total_steps"]) == (7, 2)
    found = decode_attributes(attributes)
    assert found[0] == seed
    if is_complete:
        assert canonical(found[1], empty_dicts=True) == canonical(options, empty_dicts=True)
        assert canonical(found[2], empty_dicts=True) == canonical(metadata, empty_dicts=True)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("x" * (32 << 10), True),
        ("x" * ((32 << 10) + 1), False),
        ("a\0", False),
        (np.str_("a"), False),
        (2**63 - 1, True),
        (2**63, False),
        (-(2**63), True),
        (-(2**63) - 1, False),
        (True, True),
        (0.5, True),
        (np.float32(1), False),
        (None, False),
        ([1], False),
        (np.zeros(4096), True),
        (np.zeros(4097), False),
        (np.zeros(0), False),
        (np.array(1.0), False),
        (np.array(["a"]), False),
        (np.ma.zeros(2), False),
        ({}, False),
        ({"a": 1}, True),
        ({"a": {"b": None}}, False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_an_attribute_is_a_text_a_number_or_an_array_that_hdf5_keeps(
    value: Any, held: bool
) -> None:
    _, is_complete = encode_attributes(episode(metadata={"key": value}), 0)
    assert is_complete == held
    changed = EpisodeMetadata(0, 2, None, None, {"key": value})
    attributes, is_complete = encode_change(changed, ["key"])
    assert is_complete == held
    assert "total_steps" not in attributes
    in_options = EpisodeMetadata(0, 2, 5, {"key": value}, {})
    attributes, is_complete = encode_change(in_options, ["seed", "options", "gone"])
    assert is_complete == held
    assert attributes["seed"] == 5


def test_what_is_no_attribute_is_left_to_the_sidecar() -> None:
    for key in ("id", "seed", "options", "total_steps"):
        attributes, is_complete = encode_attributes(episode(metadata={key: "x", "y": 1}), 3)
        assert not is_complete
        assert attributes == {"id": 3, "total_steps": 2, "y": 1}
    for options, is_full in (({}, False), ({"a": 1}, True), (None, True)):
        assert encode_attributes(episode(options=options), 0)[1] == is_full
    for count, is_full in ((998, True), (999, False)):
        many = {str(number): number for number in range(count)}
        assert encode_attributes(episode(metadata=many), 0)[1] == is_full
        assert encode_change(EpisodeMetadata(0, 1, None, None, many), many)[1]
    many = {str(number): number for number in range(1001)}
    assert not encode_change(EpisodeMetadata(0, 1, None, None, many), many)[1]
    seeded, _ = encode_attributes(episode(seed=2**63), 0)
    assert seeded["seed"].dtype == np.uint64
    assert type(encode_attributes(episode(seed=2**63 - 1), 0)[0]["seed"]) is int


def test_attributes_are_nested_by_their_names() -> None:
    flat = {"a/b/c": np.int64(1), "a/d": np.arange(2), "x": np.float32(0.5), "x/y": 2, "z": "t"}
    found = nest_attributes(flat)
    assert (found["a"]["b"], found["z"]) == ({"c": 1}, "t")
    assert type(found["a"]["b"]["c"]) is int
    assert found["a"]["d"].tolist() == [0, 1]
    assert found["x"] == 0.5
    assert replace_attributes({"a": 1, "a/b": 2, "ab": 3}, ["a"], {"n": 4}) == {"ab": 3, "n": 4}
    assert is_of_key("options/low", ["options"])
    assert not is_of_key("options2", ["options"])


@pytest.mark.parametrize(
    ("seed", "read"),
    [
        (7, 7),
        ("7", 7),
        ("x", None),
        (7.0, 7),
        (np.array([7]), 7),
        (np.array([7.0]), 7),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_a_seed_is_read_in_whatever_form_it_was_stored(seed: Any, read: int | None) -> None:
    assert decode_attributes({"seed": seed, "options": 5})[:2] == (read, None)


@pytest.mark.parametrize("seed", [1.5, np.array([1, 2]), np.zeros(0), np.inf])
def test_a_seed_that_is_no_whole_number_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        decode_attributes({"seed": seed})


MASKED = np.ma.array([1.0, 2, 3], mask=[False, False, True])


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (MASKED, [1.0, 2.0]),
        (np.ma.array([1.0, 2], mask=[True, True]), None),
        (np.ma.array([1.0, 2], mask=[False, False]), None),
        (np.ma.array(np.zeros((2, 2)), mask=[[False, False], [True, True]]), [[0.0, 0.0]]),
        (np.ma.array(np.zeros((2, 2)), mask=[[False, False], [False, True]]), None),
        (np.ma.array(np.zeros((2, 2)), mask=[[False, True], [True, True]]), None),
        (np.ma.array([1.0], mask=[True]), []),
        (np.ma.array(np.zeros((2, 0))), None),
        (np.zeros(2), None),
        (["a", None], ["a"]),
        (["a", None, None], None),
        (["a", "b"], None),
        ([None], []),
        ([], None),
    ],
    ids=repr,
)
def test_rows_of_which_the_last_alone_is_missing_are_those_before(value: Any, short: Any) -> None:
    found = find_short_rows(value)
    assert (None if found is None else list(map(_plain, found))) == short
    if isinstance(found, np.ndarray):
        assert type(found) is np.ndarray


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def test_columns_that_are_a_row_short_are_completed() -> None:
    whole = episode(infos={"a": np.arange(3), "in": {"t": ["x"] * 3}})
    assert complete_episode(whole, BOX) is whole
    short = episode(
        infos={"a": np.arange(2), "b": np.arange(3), "in": {"t": ["x", "y"]}, "n": np.ones((2, 2))},
        extras={
            "e": np.zeros((2, 0)),
            "m": np.ma.array([1, 2], mask=[True, False]),
            "s": np.array(5),
        },
    )
    found = complete_episode(short, BOX)
    assert found.infos["a"].tolist() == [0, 1, None]
    assert found.infos["a"].dtype == np.int64
    assert found.infos["b"] is short.infos["b"]
    assert found.infos["in"]["t"] == ["x", "y", None]
    assert found.infos["n"].tolist() == [[1, 1], [1, 1], [None, None]]
    assert [row is None for row in found.extras["e"]] == [False, False, True]
    assert found.extras["m"].tolist() == [None, 2, None]
    assert found.extras["s"] is short.extras["s"]
    unknown = complete_episode(episode(observations=np.zeros((2, 2))), BOX)
    assert unknown.metadata == {"final_observation_known": False}
    assert len(unknown.observations) == 2
    placed = complete_episode(episode(metadata={"final_observation_known": False}), BOX)
    assert len(placed.observations) == 2
    # Infos of T rows of an episode of which one is a row long are not those of T+1.
    assert complete_episode(episode(infos={"a": np.arange(9)}), BOX).infos["a"].tolist() == [
        *range(9)
    ]


def put(value: Any, column: Any, *, shorten: bool = False, key: str = "k") -> tuple[Any, Any]:
    """What a public format holds of an info, and what is restored from it and the sidecar."""
    sidecar = Sidecar()
    infos = {key: value}
    public = split_dict(infos, StructColumn({key: column}), ("infos",), sidecar, shorten=shorten)
    restored = dict(public)
    restore_sidecar(sidecar.columns_to_json(), iter(sidecar.arrays), 3, restored, copy=True)
    return public, restored.get(key)


@pytest.mark.parametrize(
    ("value", "column", "is_public"),
    [
        (np.arange(3.0), NUMBER, True),
        (np.arange(3, dtype=">f8"), FixedColumn(np.dtype(">f8")), False),
        (np.arange(3) * 1j, FixedColumn(np.dtype("c16")), False),
        (np.zeros((3, 0)), FixedColumn(np.dtype("f8"), (0,)), False),
        (["a", "é", ""], TextColumn(), True),
        (["a", "b\0", ""], TextColumn(), False),
        (["a", None, "b"], MaskedColumn(TextColumn()), False),
        ([["a"], 1, None], MaskedColumn(JsonColumn()), False),
        (
            np.ma.array([1, 2, 3], mask=[False, True, False]),
            MaskedColumn(FixedColumn(np.dtype("i8"))),
            False,
        ),
        ({"x": np.arange(3.0)}, StructColumn({"x": NUMBER}), True),
        ({}, StructColumn({}), True),
    ],
    ids=repr,
)
def test_an_info_is_restored_from_where_it_lies(value: Any, column: Any, is_public: bool) -> None:
    public, restored = put(value, column)
    assert ("k" in public) == is_public
    expect_same(restored, value)
    public, restored = put(value, column, key="a/b")
    assert public == {}
    expect_same(restored, value)


def test_floats_that_are_missing_are_not_a_number_for_others_and_missing_here() -> None:
    public, restored = put(
        np.ma.array([1.0, 2, 3], mask=[False, True, False]), MaskedColumn(NUMBER)
    )
    assert np.isnan(public["k"]).tolist() == [False, True, False]
    assert restored.tolist() == [1, None, 3]
    public, _ = put(MASKED, MaskedColumn(NUMBER), shorten=True)
    assert public["k"].tolist() == [1, 2]
    assert put(np.ma.masked_all(3), MaskedColumn(NUMBER)) == ({}, None)
    assert put([None] * 3, MaskedColumn(TextColumn())) == ({}, None)
    deep = {"x": {"y": np.ma.masked_all(3)}, "z": {}}
    struct = StructColumn({"x": StructColumn({"y": MaskedColumn(NUMBER)}), "z": StructColumn({})})
    public, restored = put(deep, struct)
    assert public == {"k": {"z": {}}}


def test_arrays_and_columns_of_a_sidecar_fit_each_other() -> None:
    columns = json.dumps([[["infos", "x"], NUMBER.to_json()]])
    with pytest.raises(DatasetDamagedError, match="the arrays of infos/x are missing"):
        restore_sidecar(columns, iter([]), 3, {}, copy=True)
    with pytest.raises(DatasetDamagedError, match="arrays that belong to no column"):
        restore_sidecar(columns, iter([np.zeros(3)] * 2), 3, {}, copy=True)
    extras, entry = restore_sidecar(
        json.dumps([[["extras", "a", "b"], NUMBER.to_json()]]), iter([np.ones(3)]), 3, {}, copy=True
    )
    assert extras["a"]["b"].tolist() == [1, 1, 1]
    assert entry is None
    sidecar = Sidecar()
    sidecar.add_entry(episode(seed=5, options={"a": [1]}, metadata={"b": None, "c": 2}))
    for rows in (2, 4):
        with pytest.raises(DatasetDamagedError, match=r"of an episode of \[2\] steps, not of"):
            restore_sidecar(sidecar.columns_to_json(), iter(sidecar.arrays), rows, {}, copy=True)
    _, entry = restore_sidecar(sidecar.columns_to_json(), iter(sidecar.arrays), 3, {}, copy=True)
    assert entry == (5, {"a": [1]}, {"c": 2})


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 10**7), st.integers(1, 4000))
def test_indices_are_batched_so_that_none_comes_twice_and_all_in_order(
    indices: list[int], steps: int, side: int
) -> None:
    space = spaces.Box(0, 255, (side,), np.uint8)
    batches = list(batch_indices(indices, 10, steps, space))
    assert [index for batch in batches for index in batch] == indices
    nbytes = max(1.0, steps / 10 * (side + 16))
    most = int(min(max((4 << 20) / nbytes, 1), 512))
    size = 1
    for number, batch in enumerate(batches):
        assert len(set(batch)) == len(batch) <= min(size, most)
        is_full = len(batch) == min(size, most)
        is_cut = number + 1 < len(batches) and batches[number + 1][0] in batch
        assert is_full or is_cut or number == len(batches) - 1
        size = size * 2 if is_full else size


def test_indices_before_a_wrong_one_are_read() -> None:
    batches = batch_indices([1, 2, 3, 4, 10], 10, 10, BOX)
    assert [next(batches) for _ in range(3)] == [[1], [2, 3], [4]]
    with pytest.raises(EpisodeIndexError, match="no episode 10 among 10"):
        next(batches)
    assert list(batch_indices([], 0, 0, BOX)) == []


def test_memory_is_estimated_by_what_is_said_of_rows() -> None:
    nested = spaces.Dict(a=BOX, t=spaces.Tuple([spaces.Text(3), spaces.Discrete(2)]))
    assert estimate_row_nbytes(BOX) == 8 + 16
    assert estimate_row_nbytes(nested) == 24 + 64 + 24
    infos = StructColumn(
        {"m": MaskedColumn(NUMBER), "in": StructColumn({"f": FixedColumn(np.dtype("f4"), (3,))})}
    )
    manifest = PublicManifest(
        {}, BOX, BOX, 10, 100, infos=infos, extras=StructColumn({"t": TextColumn()})
    )
    assert estimate_nbytes(manifest) == (16 + 24 + 24 + 9 + 12) * 110
    largest = PublicManifest({}, BOX, BOX, 1, 1, largest_nbytes=10**6)
    assert estimate_nbytes(largest) == 10**6
    assert estimate_missing({}, infos) == 21
    assert estimate_missing({"in": {}}, infos) == 9 + 12
    assert estimate_missing({"in": {"f": 1}, "m": None}, infos) == 0
    value = {"a": np.zeros(3), "t": ["ab", "é"], "n": (5, None)}
    assert measure_nbytes(value) == 24 + (8 + 2) + (8 + 4)


CHECKSUMS = st.builds(EpisodeChecksums, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


@given(st.lists(CHECKSUMS, max_size=4), st.integers(0, 6), st.lists(CHECKSUMS, max_size=3))
def test_checksums_of_episodes_are_found_by_their_index(
    known: list[EpisodeChecksums], first: int, added: list[EpisodeChecksums]
) -> None:
    text = add_checksums("", 0, known)
    assert count_checksums(text) == len(known)
    longer = add_checksums(text, first, added)
    wanted = [*known[:first], *[None] * (first - len(known)), *added]
    assert count_checksums(longer) == len(wanted)
    assert [get_checksums(longer, number) for number in range(len(wanted) + 1)] == [*wanted, None]
    if wanted:
        other = EpisodeChecksums(1, 2)
        replaced = replace_checksums(longer, {len(wanted) - 1: other})
        assert get_checksums(replaced, len(wanted) - 1) == other
        assert [get_checksums(replaced, n) for n in range(len(wanted) - 1)] == wanted[:-1]


def test_a_seal_tells_what_no_other_program_changes_from_what_some_do() -> None:
    content: dict[str, Any] = {"data_format": "hdf5", "author": "a", "total_steps": 1}
    content["minari_core"] = {"version": 1}
    assert not is_sealed(content)
    assert not is_sealed({"data_format": "hdf5"})
    sealed = {**content, "minari_core": seal(content)}
    assert is_sealed(sealed)
    assert not is_seal_broken(sealed)
    assert find_redescribed(sealed) == []
    assert is_seal_broken({**sealed, "data_format": "arrow"})
    assert is_seal_broken({**sealed, "minari_core": {**sealed["minari_core"], "version": 2}})
    assert is_seal_broken({**sealed, "minari_core": 5})
    assert not is_seal_broken({**sealed, "total_steps": 9, "author": "b"})
    assert find_redescribed({**sealed, "total_steps": 9, "author": "b", "new": 1}) == [
        "author",
        "new",
    ]
    del sealed["author"]
    assert find_redescribed(sealed) == ["author"]
    assert find_redescribed({"minari_core": {"described": 5}}) == []
    # Damage may have renamed the part, or taken all of it away.
    assert is_sealed({"minari_cors": sealed["minari_core"]})
    assert is_sealed({"minari_core": {}})
    assert is_sealed({"minari_core": {"version": 1, "described": {}}})
    described = zlib.crc32(json.dumps("a").encode())
    assert sealed["minari_core"]["described"] == {"author": described}


@pytest.mark.parametrize(
    ("data_format", "name", "belongs"),
    [
        ("hdf5", "main_data.hdf5", True),
        ("hdf5", "additional_data_0.hdf5", True),
        ("hdf5", "0/main_data.hdf5", False),
        ("hdf5", "notes.txt", False),
        ("arrow", "0/part-0.arrow", True),
        ("arrow", "9/part-0.arrow", True),
        ("arrow", "10/part-0.arrow", False),
        ("arrow", "01/part-0.arrow", False),
        ("arrow", "0/part-0.parquet", False),
        ("arrow", "0/_part.arrow", False),
        ("arrow", "0/.part.arrow", False),
        ("arrow", "0/metadata.json", True),
        ("arrow", "0/_minari_core.npz", True),
        ("arrow", "0/deep/metadata.json", False),
        ("arrow", "x/metadata.json", False),
        ("parquet", "0/part-0.parquet", True),
        ("columnar", "shard-1.h5", True),
        ("columnar", "metadata.json", False),
        ("columnar", ".lock", False),
        ("columnar", "a/.b", False),
    ],
)
def test_files_of_a_dataset_are_told_by_their_names(
    data_format: str, name: str, belongs: bool
) -> None:
    metadata: dict[str, Any] = {"data_format": data_format, "total_episodes": 10}
    assert belongs_to_dataset(name, metadata) == belongs
    is_beyond = data_format == "arrow" and name.startswith("10/")
    assert is_beyond_last_episode(name, metadata) == is_beyond


def test_what_metadata_counts_and_stages_is_read_whatever_it_is() -> None:
    assert count_episodes({"total_episodes": 5}) == 5
    assert count_episodes({"total_episodes": "5"}) == 0
    assert count_episodes({}) == 0
    assert has_staged_files({"minari_core": {"staged": ".update-1"}})
    others: list[Any] = [{}, {"staged": ""}, 5, None]
    for own in others:
        assert not has_staged_files({"minari_core": own})
    numbers = {"0": 0, "7": 7, "9" * 19: int("9" * 19), "9" * 20: None, "01": None, "-1": None}
    assert {name: parse_episode_number(name) for name in numbers} == numbers


def image(low: int = 0, high: int = 255, shape: Any = (32, 32), dtype: Any = np.uint8) -> Any:
    return spaces.Box(low, high, shape, dtype)


@pytest.mark.parametrize(
    ("space", "is_image"),
    [
        (image(), True),
        (image(shape=(32, 32, 3)), True),
        (image(shape=(31, 32)), False),
        (image(shape=(32, 31)), False),
        (image(shape=(32, 32, 3, 1)), False),
        (image(shape=(1024,)), False),
        (image(low=1), False),
        (image(high=254), False),
        (image(dtype=np.int16), False),
        (spaces.MultiBinary((32, 32)), False),
    ],
)
def test_an_image_is_what_the_public_minari_takes_for_one(space: Any, is_image: bool) -> None:
    assert is_image_space(space) == is_image
    assert find_oldest_reader([BOX, spaces.Dict(a=space)], "hdf5") == (
        "0.5.4" if is_image else "0.5.2" if isinstance(space, spaces.MultiBinary) else "0.5.0"
    )
    assert find_oldest_reader([BOX], "parquet") == "0.5.3"
    assert find_oldest_reader([spaces.MultiDiscrete([2])], "parquet") == "0.5.3"


class Own(spaces.Space[Any]):
    pass


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (spaces.Dict({"a/b": BOX}), "x cannot be .*: 'a/b' is no name that HDF5 keeps as one key"),
        (spaces.Dict(a=spaces.Sequence(BOX)), r"x\['a'\] cannot .* no place for a Sequence space"),
        (spaces.Tuple([BOX, spaces.Graph(BOX, None)]), r"x\[1\] cannot .* a Graph space"),
        (
            spaces.Box(0, 1, (2,), np.longdouble),
            "no numbers of dtype" if np.dtype("g").itemsize > 8 else "",
        ),
        (spaces.Text(3, charset="a\0"), r"its charset has '\\x00'"),
        (spaces.Text(3, charset="a\ud800"), r"its charset has '\\ud800'"),
        (Own(), "no place for a Own space"),
        (Own(shape=(2,), dtype=np.float32), ""),
    ],
)
def test_a_space_that_a_format_cannot_hold_is_named(space: Any, told: str) -> None:
    if not told:
        check_holdable(space, "x", "hdf5", holds_empty_spaces=True)
        return
    with pytest.raises(SpaceError, match=told):
        check_holdable(space, "x", "hdf5", holds_empty_spaces=True)


@pytest.mark.parametrize("space", [spaces.Dict(), spaces.Tuple([]), image(shape=(0, 2))])
def test_arrow_holds_no_column_without_elements(space: Any) -> None:
    nested = spaces.Dict(a=space)
    check_holdable(nested, "x", "hdf5", holds_empty_spaces=True)
    with pytest.raises(
        SpaceError, match=r"x\['a'\] cannot be stored in data format 'arrow': Arrow"
    ):
        check_holdable(nested, "x", "arrow", holds_empty_spaces=False)


def test_names_and_texts_survive_in_hdf5_or_are_told_before() -> None:
    for name in ("a", "..", "é", "a b"):
        assert is_plain_name(name)
    for odd in ("", ".", "a/b", "a\0", "\ud800", "\udfff", 5, None):
        assert not is_plain_name(odd)
    assert is_plain_text("a/b\ud7ff\ue000")


def test_a_manifest_is_read_back_and_names_what_is_malformed(tmp_path: Any) -> None:
    metadata: dict[str, Any] = {
        "dataset_id": "a-v0",
        "author": "Ada",
        "author_email": ["x", "y"],
        "observation_space": json.dumps(
            {"type": "Box", "shape": [2], "dtype": "float32", "low": [0, 0], "high": [1, 1]}
        ),
        "action_space": json.dumps({"type": "Discrete", "dtype": "int64", "start": 0, "n": 3}),
    }
    manifest = create_manifest({**metadata, "total_steps": 9, "minari_core": 5}, "hdf5")
    assert (manifest.total_episodes, manifest.total_steps, manifest.stores_jpeg) == (0, 0, False)
    content = json.loads(manifest.note_recording("r").note_nbytes(7).to_json(2_345_678))
    assert content["dataset_size"] == 2.3
    assert content["author"] == ["Ada"]
    again = parse_manifest(content, tmp_path)
    assert again.metadata["author"] == "Ada"
    assert again.metadata["author_email"] == ["x", "y"]
    assert (again.uid, again.recordings, again.largest_nbytes) == (manifest.uid, ("r",), 7)
    assert again.note_recording("r") is again
    assert again.note_nbytes(3).largest_nbytes == 7
    for number in range(70):
        again = again.note_recording(str(number))
    assert again.recordings == tuple(map(str, range(6, 70)))
    for key, value, told in [
        ("total_episodes", -1, "'total_episodes' is -1, not a count"),
        ("total_steps", True, "'total_steps' is True, not a count"),
        ("total_steps", 2**63, "not a count"),
        ("jpeg_encoding", 1, "'jpeg_encoding' is 1, not true or false"),
        ("algorithm_name", 5, "'algorithm_name' is 5, not text"),
        ("algorithm_name", ["a"], "'algorithm_name' is \\['a'\\], not text"),
        ("minari_core", [], "is \\[\\], not an object"),
        ("observation_space", "{", "observation_space"),
    ]:
        with pytest.raises(DatasetDamagedError, match=told):
            parse_manifest({**content, key: value}, tmp_path)
    exact = {**content, "minari_core": {**content["minari_core"], "exact": {"author": 5}}}
    with pytest.raises(DatasetDamagedError, match="'author' is 5, not text"):
        parse_manifest(exact, tmp_path)
    odd = {**content, "minari_core": {"largest_episode_nbytes": True, "recordings": ["a", 5]}}
    read = parse_manifest(odd, tmp_path)
    assert (read.largest_nbytes, read.recordings, read.uid) == (0, ("a",), "")


@pytest.mark.parametrize(
    ("arguments", "is_exact"), [({}, False), ({"n": 3}, False), ({"n": (1, 2)}, True)]
)
def test_an_environment_keeps_the_types_that_the_public_minari_would_lose(
    arguments: dict[str, Any], is_exact: bool, tmp_path: Any
) -> None:
    spec = EnvSpec("CartPole-v1", entry_point="somewhere:Env", kwargs=arguments)
    text = env_spec_to_json(spec)
    space = space_to_json(BOX)
    metadata = {"env_spec": text, "observation_space": space, "action_space": space}
    content = json.loads(create_manifest(metadata, "hdf5").to_json(0))
    assert ("env_spec" in content["minari_core"]["exact"]) == is_exact
    found = parse_manifest(content, tmp_path)
    assert env_spec_from_json(str(found.metadata["env_spec"])).kwargs == arguments


@pytest.mark.parametrize(
    ("version", "flag", "stores"),
    [
        ("0.5.3", None, True),
        ("0.5.2", None, False),
        ("0.4.3", None, False),
        ("0.5.4", True, True),
        ("0.5.4", False, False),
        (None, None, True),
    ],
)
def test_images_are_jpeg_where_the_metadata_or_its_release_says_so(
    version: str | None, flag: bool | None, stores: bool
) -> None:
    metadata: dict[str, Any] = {}
    if version is not None:
        metadata["minari_version"] = version
    if flag is not None:
        metadata["jpeg_encoding"] = flag
    assert PublicManifest(metadata, BOX, BOX, 0, 0).stores_jpeg == stores
