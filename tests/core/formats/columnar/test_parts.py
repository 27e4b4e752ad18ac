"""What lies where, what ends early, and what may be changed: small parts beside slow twins."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.columns import AXES, FixedColumn, MaskedColumn, Schema, StructColumn, TextColumn
from minari_core.columns.base import Column
from minari_core.columns.variable import JsonColumn
from minari_core.episodes.episode import EpisodeMetadata
from minari_core.errors import (
    DatasetDamagedError,
    DatasetNotFoundError,
    EpisodeIndexError,
    FormatError,
    IncompatibleDatasetsError,
    MetadataError,
)
from minari_core.formats.columnar.episode_ends import (
    find_early_ends,
    find_unknown_finals,
    may_have_unknown_finals,
)
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.columnar.episode_index import ShardBorders
from minari_core.formats.columnar.manifest import (
    Manifest,
    Snapshot,
    check_updatable,
    encode_manifest,
    get_data_format,
    normalize_metadata,
    parse_manifest,
    read_manifest,
    read_metadata,
    replace_manifest,
)
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.reading import _leave_last_out, limit_pieces
from minari_core.formats.columnar.shard_folder import _counts_up
from minari_core.formats.shards.entry import ShardEntry
from minari_core.formats.shards.reader import ShardReader
from minari_core.storage.base import check_episode_index, check_spaces, slice_rows
from minari_core.storage.metadata_changes import collect_changes, merge_change
from minari_core.testing.examples import MOVE, POSITION

PIECES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=4)


def flatten(pieces: Any) -> list[tuple[int, int]]:
    return [(shard, row) for shard, first, stop in pieces for row in range(first, stop)]


@given(PIECES, st.integers(0, 16), st.integers(0, 16))
def test_rows_of_pieces_are_those_of_all_their_rows(
    parts: list[tuple[int, int]], start: int, stop: int
) -> None:
    pieces = [(shard, first, first + size) for shard, (first, size) in enumerate(parts)]
    limited = limit_pieces(pieces, start, stop)
    assert flatten(limited) == flatten(pieces)[start:stop]
    # There is always one, whose shard knows the columns.
    assert limited
    assert all(first < last for _, first, last in limited) or limited == [(0, *parts[0][:1] * 2)]
    assert flatten(_leave_last_out(pieces)) == flatten(pieces)[:-1]
    assert all(first < last for _, first, last in _leave_last_out(pieces))


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=6),
    st.sampled_from(["rows", "steps", "episodes"]),
    st.data(),
)
def test_neighbours_are_split_at_the_borders_of_shards(
    counts: Any, axis: Any, data: st.DataObject
) -> None:
    sizes = [dict(zip(("rows", "steps", "episodes"), each, strict=True))[axis] for each in counts]
    places = [(shard, row) for shard, size in enumerate(sizes) for row in range(size)]
    start = data.draw(st.integers(0, len(places)))
    stop = data.draw(st.integers(start, len(places)))
    borders = ShardBorders(counts)
    assert borders[axis].tolist() == [sum(sizes[:shard]) for shard in range(len(sizes) + 1)]
    if start < stop:
        assert flatten(borders.split(axis, start, stop)) == places[start:stop]


def test_more_rows_than_any_disk_holds_are_damage() -> None:
    assert ShardBorders([((1 << 62) - 1, 0, 0)])["rows"][-1] == (1 << 62) - 1
    for counts in ([(1 << 62, 0, 0)], [(1 << 61, 0, 0), (1 << 61, 0, 0)], [(0, 1 << 62, 0)]):
        with pytest.raises(DatasetDamagedError, match="more rows than any disk holds"):
            ShardBorders(counts)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_ends_are_early_where_their_episode_goes_on(
    lengths: list[int], data: st.DataObject
) -> None:
    starts = np.cumsum([0, *lengths])
    total = int(starts[-1])
    flagged = data.draw(st.lists(st.booleans(), min_size=total, max_size=total))
    others = data.draw(st.lists(st.booleans(), min_size=total, max_size=total))
    cut = data.draw(st.integers(0, total))
    flags = [(0, np.array(flagged[:cut], bool)), (cut, np.array(flagged[cut:], bool))]
    flags += [(0, np.array([*others, True], bool)), (5, None)]  # type: ignore[list-item]
    last = set((starts[1:] - 1).tolist())
    wanted = [n for n in range(total) if (flagged[n] or others[n]) and n not in last]
    assert find_early_ends(starts, flags).tolist() == wanted
    assert find_early_ends(starts, []).tolist() == []


def reader(metadata: Column | None, *arrays: Any) -> ShardReader:
    fields: dict[str, Column] = {"length": FixedColumn(np.dtype("i8"))}
    if metadata is not None:
        fields["metadata"] = metadata
    groups: dict[str, Column] = dict.fromkeys(AXES, StructColumn({}))
    schema = Schema({**groups, "episodes": StructColumn(fields)})
    return ShardReader("it", schema, [np.ones(3, np.int64), *arrays], (6, 3, 3))


FLAG = FixedColumn(np.dtype(bool))
KNOWN = np.array([True, False, True])


@pytest.mark.parametrize(
    ("metadata", "arrays", "unknown"),
    [
        (None, [], [False] * 3),
        (StructColumn({"x": FLAG}), [KNOWN], [False] * 3),
        (StructColumn({"final_observation_known": FLAG}), [KNOWN], [False, True, False]),
        (
            StructColumn({"final_observation_known": MaskedColumn(FLAG)}),
            [np.array([True, True, False]), np.array([False, True, False])],
            [True, False, False],
        ),
        (
            StructColumn({"final_observation_known": JsonColumn()}),
            [np.frombuffer(b"falsetrue0", "u1"), np.array([0, 5, 9, 10])],
            [True, False, False],
        ),
        (
            JsonColumn(),
            [
                np.frombuffer(b'{"final_observation_known":false}{}{}', "u1"),
                np.array([0, 33, 35, 37]),
            ],
            [True, False, False],
        ),
    ],
)
def test_final_observations_that_are_not_known_are_found(
    metadata: Column | None, arrays: list[Any], unknown: list[bool]
) -> None:
    shard = reader(metadata, *arrays)
    assert find_unknown_finals(shard).tolist() == unknown
    has_column = metadata is not None and metadata != StructColumn({"x": FLAG})
    assert may_have_unknown_finals(shard.schema) == has_column


def test_a_flag_tells_it_and_nothing_else_of_the_entries_is_read() -> None:
    broken = [np.zeros(9, "u1"), np.array([0, 5, 3, 9])]
    for flag, arrays in ((FLAG, [KNOWN]), (MaskedColumn(FLAG), [np.array([True] * 3), KNOWN])):
        column = StructColumn({"final_observation_known": flag, "text": TextColumn()})
        shard = reader(column, *arrays, *broken)
        assert find_unknown_finals(shard).tolist() == [False, True, False]
        with pytest.raises(DatasetDamagedError):
            shard.read("episodes", 0, 3, copy=False)


def test_an_entry_is_decoded_in_the_types_of_python() -> None:
    entries = {
        "length": np.array([1, 2]),
        "seed": np.ma.array([5, 6], mask=[False, True]),
        "options": [{"a": 1}, None],
        "metadata": {
            "n": np.array([1.5, 2.5]),
            "v": np.ma.array([[1, 2], [3, 4]], mask=[[False, False], [True, True]]),
            "t": ["x", None],
            "in": {"k": np.array([True, False])},
        },
    }
    seed, options, metadata = decode_entry(entries, 0)
    assert (type(seed), seed, options) == (int, 5, {"a": 1})
    assert metadata.pop("v").tolist() == [1, 2]
    assert metadata == {"n": 1.5, "t": "x", "in": {"k": True}}
    assert type(metadata["n"]) is float
    assert decode_entry(entries, 1) == (None, None, {"n": 2.5, "in": {"k": False}})
    assert decode_entry({"length": np.array([1])}, 0) == (None, None, {})


def test_indices_that_count_up_are_known() -> None:
    for indices, size, counts in [
        ([3, 4, 5], 3, True),
        ([3, 4, 5], 4, False),
        ([3, 5, 4], 3, False),
        ([3, 3, 5], 3, False),
        ([5, 4, 3], 3, False),
        ([7], 1, True),
    ]:
        assert _counts_up(np.array(indices), size) == counts


def test_metadata_becomes_plain_json_or_says_what_does_not() -> None:
    given_metadata = {"a": np.int64(1), "b": (1, 2), "c": {"d": np.arange(2)}, "e": {3, 1}}
    assert normalize_metadata(given_metadata) == {
        "a": 1,
        "b": [1, 2],
        "c": {"d": [0, 1]},
        "e": [1, 3],
    }
    for key, value, told in [
        (5, 1, "metadata key 5 is a int, not text"),
        ("columnar", 1, "metadata key 'columnar' is the format's own"),
        ("x", float("nan"), "metadata x: nan is not JSON; metadata are text"),
        ("x", object(), "metadata x: object"),
        ("x", {"y": {5: 1}}, r"metadata x\.y: the key 5 is not text"),
    ]:
        with pytest.raises(MetadataError, match=told):
            normalize_metadata({key: value})  # type: ignore[dict-item]


def test_what_the_data_depends_on_cannot_be_changed() -> None:
    check_updatable({"dataset_id": "a"}, {"author": "x"})
    check_updatable({}, {"dataset_id": "a-v0"})
    for metadata, changes in [
        ({"dataset_id": "a"}, {"dataset_id": "b"}),
        ({}, {"dataset_id": 5}),
        ({}, {"env_spec": "x", "total_steps": 1}),
    ]:
        with pytest.raises(MetadataError, match="You are not allowed to update values for"):
            check_updatable(metadata, changes)  # type: ignore[arg-type]
    with pytest.raises(MetadataError, match="for author, env_spec: the data"):
        check_updatable({}, {"author": 1, "env_spec": 2}, frozenset({"author"}))


def manifest() -> Manifest:
    schema = Schema(dict.fromkeys(AXES, FixedColumn(np.dtype("i8"))))
    entry = ShardEntry(
        "a.h5",
        1_234_567,
        5,
        0,
        5,
        4,
        1,
        tuple((64, {"rows": 5, "steps": 4, "episodes": 1}[axis]) for axis in AXES.values()),
    )
    snapshot = Snapshot((schema,), (entry, replace(entry, file="b.h5")), "u", ("r1",))
    return Manifest({"data_format": "columnar", "dataset_id": "a-v0"}, snapshot)


def test_a_manifest_is_read_back_and_sums_itself_up(tmp_path: Path) -> None:
    text = encode_manifest(manifest())
    read = parse_manifest(text, "/data")
    assert read == manifest()
    assert (read.snapshot.total_episodes, read.snapshot.total_steps) == (2, 8)
    # Whoever writes it with other white space, or in another order, has not damaged it.
    content = json.loads(text)
    spaced = json.dumps({**content, "author": "x"}, indent=1).encode()
    assert parse_manifest(spaced, "/data").snapshot == manifest().snapshot
    (tmp_path / "metadata.json").write_bytes(text)
    assert read_metadata(tmp_path)["dataset_size"] == 2.5
    assert get_data_format({}) == "hdf5"
    assert get_data_format({"data_format": "arrow"}) == "arrow"
    plain = encode_manifest(Manifest({"data_format": "arrow", "total_steps": 3}))
    assert json.loads(plain) == {"data_format": "arrow", "total_steps": 3, "total_episodes": 0}
    replace_manifest(tmp_path, b"other")
    assert (tmp_path / "metadata.json").read_bytes() == b"other"


EDITS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda c: c.update(total_episodes=3), "its total_episodes is 3, but its shards have 2"),
    (lambda c: c.update(total_steps=9), "its total_steps is 9, but its shards have 8"),
    (lambda c: c.update(observation_space="x"), "are not those that their checksum was made of"),
    (lambda c: c["columnar"].update(uid="v"), "the checksum of 'columnar' is not that of its text"),
    (lambda c: c["columnar"].update(crc32=1), "the checksum of 'columnar' is not that of its text"),
]


@pytest.mark.parametrize(("edit", "told"), EDITS)
def test_a_contradiction_is_an_error_unless_somebody_is_told(edit: Any, told: str) -> None:
    content = json.loads(encode_manifest(manifest()))
    edit(content)
    text = json.dumps(content).encode()
    with pytest.raises(DatasetDamagedError) as raised:
        parse_manifest(text, "/data")
    assert str(raised.value).startswith("/data is damaged: ")
    assert told in str(raised.value)
    found: list[str] = []
    assert parse_manifest(text, "/data", found.append).snapshot.total_steps == 8
    assert [told in each for each in found] == [True]


@pytest.mark.parametrize(
    ("edit", "error", "told"),
    [
        (lambda c: c["columnar"].update(version=0), DatasetDamagedError, "format version 0"),
        (lambda c: c["columnar"].update(version=True), DatasetDamagedError, "format version True"),
        (lambda c: c["columnar"].update(version=2), FormatError, "version 2 is newer than 1"),
        (
            lambda c: c["columnar"].update(schemas={}),
            DatasetDamagedError,
            "'schemas' is not a list",
        ),
        (lambda c: c.update(columnar=None), DatasetDamagedError, "it does not list the shards"),
        (lambda c: c.update(dataset_id=5), DatasetDamagedError, "'dataset_id' is 5, not text"),
        (lambda c: c.update(data_format=5), DatasetDamagedError, "'data_format' is 5, not text"),
        (lambda c: c.update(total_steps=True), DatasetDamagedError, "'total_steps' is True, not a"),
        (lambda c: c.update(total_steps=-1), DatasetDamagedError, "'total_steps' is -1, not a co"),
    ],
)
def test_a_manifest_that_makes_no_sense_says_why(
    edit: Any, error: type[Exception], told: str
) -> None:
    content = json.loads(encode_manifest(manifest()))
    edit(content)
    with pytest.raises(error) as raised:
        parse_manifest(json.dumps(content).encode(), "/data")
    assert told in str(raised.value)
    assert str(raised.value).startswith("/data")


def test_a_manifest_may_be_as_large_as_the_bound_and_no_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = encode_manifest(manifest())
    (tmp_path / "metadata.json").write_bytes(text)
    bound = "minari_core.formats.columnar.manifest._LARGEST_NBYTES"
    monkeypatch.setattr(bound, len(text))
    assert read_manifest(tmp_path) == manifest()
    monkeypatch.setattr(bound, len(text) - 1)
    with pytest.raises(DatasetDamagedError, match=f"is larger than {len(text) - 1} bytes"):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_says_whether_it_is_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFoundError, match=r"in data path .*: metadata\.json is missing"):
        read_manifest(tmp_path)
    with pytest.raises(
        DatasetNotFoundError, match="gone doesn't exist, so that it holds no dataset"
    ):
        read_manifest(tmp_path / "gone")
    (tmp_path / "metadata.json").write_text("[1]")
    with pytest.raises(DatasetDamagedError, match="is not a JSON object"):
        read_manifest(tmp_path)


def entry_of(**metadata: Any) -> EpisodeMetadata:
    return EpisodeMetadata(3, 5, 7, {"o": 1}, metadata)


def test_changes_of_an_episode_are_merged_in_their_order() -> None:
    changes = collect_changes([{"a": 1, "b": 2}, {"a": 3}, {"c": None}], [0, 0, 1])
    assert changes == {0: {"a": 3, "b": 2}, 1: {"c": None}}
    merged = merge_change(
        entry_of(a=0, c=4), {"a": 3, "c": None, "seed": None, "options": {"p": 2}}
    )
    assert merged == EpisodeMetadata(3, 5, None, {"p": 2}, {"a": 3})
    same = {"id": 3, "total_steps": np.int64(5), "final_observation_known": True}
    assert merge_change(entry_of(), same).metadata == {"final_observation_known": True}
    assert merge_change(entry_of(), {"seed": np.int64(9)}).seed == 9
    refused: list[tuple[dict[str, Any], str]] = [
        ({"id": 4}, "episode 3: id is 3 and cannot become 4: the steps depend on it"),
        ({"total_steps": 5.0}, r"total_steps is 5 and cannot become 5\.0"),
        ({"final_observation_known": False}, "final_observation_known is True and cannot become"),
    ]
    for change, told in refused:
        with pytest.raises(MetadataError, match=told):
            merge_change(entry_of(), change)


@pytest.mark.parametrize(
    ("metadatas", "indices", "told"),
    [
        ([{}], [0, 1], "different lengths: 1 metadatas for at least 2 episodes"),
        ([{}, {}], [0], "different lengths: more than 1 metadatas for 1 episodes"),
        ([{}], [], "different lengths: more than 0 metadatas for 0 episodes"),
        ([5], [4], "episode 4: its metadata is 5, not a dict"),
        ([{"seed": -1}], [4], "episode 4: seed -1 is not between"),
        ([{"options": 5}], [4], "episode 4: options are 5, not a dict"),
        ([{"x": object()}], [4], r"episode 4: metadata cannot hold metadata\['x'\] \(a value of"),
    ],
)
def test_changes_that_cannot_be_kept_are_refused(
    metadatas: list[Any], indices: list[int], told: str
) -> None:
    with pytest.raises(MetadataError, match=told):
        collect_changes(metadatas, indices)


def test_an_index_is_a_whole_number_of_an_episode_that_is_there() -> None:
    assert [check_episode_index(each, 3) for each in (0, np.int64(2), True)] == [0, 2, 1]
    for wrong, told in [
        (3, "no episode 3 among 3"),
        (-1, "no episode -1"),
        (1.0, "1.0 is not a who"),
    ]:
        with pytest.raises(EpisodeIndexError, match=told):
            check_episode_index(wrong, 3)
    rows = {"a": np.arange(5), "t": (["a", "b", "c"],)}
    found: Any = slice_rows(rows, slice(1, 3))
    assert (found["a"].tolist(), found["t"]) == ([1, 2], (["b", "c"],))


def test_storages_of_other_spaces_are_told_apart() -> None:
    one, other = MemoryStorage(POSITION, MOVE), MemoryStorage(POSITION, POSITION)
    check_spaces(one, MemoryStorage(POSITION, MOVE))
    with pytest.raises(
        IncompatibleDatasetsError, match=r"action_space differs: Box.* not fit Disc"
    ):
        check_spaces(one, other)
    assert "total_episodes=0" in repr(one)
    assert "data_path" not in repr(one)


def test_text_is_no_schema_of_final_observations() -> None:
    assert may_have_unknown_finals(reader(TextColumn()).schema)
