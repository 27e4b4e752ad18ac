"""JSON and summaries of a remote: each rule, up to its bound and beyond it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from minari_core.errors import MetadataError
from minari_core.formats.shards.entry import FORMAT_VERSION
from minari_hub.untrusted.json_objects import check_metadata, read_json_object
from minari_hub.untrusted.names import check_name, check_names
from minari_hub.untrusted.summary import KEY, LARGEST_ATTACHED, Summary

LARGEST_COUNT = 2**63 - 1


def nested(depth: int) -> dict[str, Any]:
    """An object of so many levels, of lists and objects in turn."""
    inner: Any = 1
    for level in range(depth - 1):
        inner = [inner] if level % 2 else {"a": inner}
    return {"x": [], "a": inner}


def test_an_object_is_read_up_to_its_size_and_depth() -> None:
    text = b'{"a": [1, {"b": null}]}'
    assert read_json_object(text, "it", len(text)) == {"a": [1, {"b": None}]}
    with pytest.raises(MetadataError, match=f"^it is larger than {len(text) - 1} bytes$"):
        read_json_object(text, "it", len(text) - 1)
    assert read_json_object(json.dumps(nested(100)).encode(), "it", 9999) == nested(100)
    with pytest.raises(MetadataError, match=r"^it is nested deeper than 100 levels$"):
        read_json_object(json.dumps(nested(101)).encode(), "it", 9999)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is not JSON: "),
        (b"{", "it is not JSON: "),
        (b"\xff", "it is not JSON: "),
        (b"[" * 100_000, "it is not JSON: "),
        (b"[]", "it is not a JSON object"),
        (b"3", "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
    ],
)
def test_what_is_no_object_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(MetadataError, match=f"^{why}"):
        read_json_object(text, "it", 1 << 20)


@pytest.mark.parametrize("key", ["dataset_id", "data_format", "minari_version", "env_spec"])
def test_what_should_be_text_is_text_or_nothing(key: str) -> None:
    check_metadata({}, "it")
    check_metadata({key: None}, "it")
    check_metadata({key: "x"}, "it")
    wrong: list[tuple[Any, str]] = [
        (3, "'3'"), (["x"] * 99, repr(str(["x"] * 99)[:80])), (False, "'False'"),
    ]  # fmt: skip
    for value, shown in wrong:
        with pytest.raises(MetadataError) as refused:
            check_metadata({key: value}, "it")
        assert str(refused.value) == f"it: {key!r} is {shown}, not text"
    with pytest.raises(MetadataError, match=r"is a number of very many digits, not text$"):
        check_metadata({key: 10**5000}, "it")


@pytest.mark.parametrize("key", ["total_episodes", "total_steps"])
def test_counts_are_whole_numbers_that_a_dataset_may_have(key: str) -> None:
    for count in (0, 1, LARGEST_COUNT):
        check_metadata({key: count}, "it")
    for value, rule in (
        (LARGEST_COUNT + 1, f"is larger than {LARGEST_COUNT}"),
        (10**5000, f"is larger than {LARGEST_COUNT}"),
        (-1, "is '-1', not a count"),
        (-LARGEST_COUNT, f"is '-{LARGEST_COUNT}', not a count"),
        (-(10**5000), "is a number of very many digits, not a count"),
        (1.0, "is '1.0', not a count"),
        (True, "is 'True', not a count"),
        (None, "is 'None', not a count"),
        ("1", "is '1', not a count"),
    ):
        content: Any = {key: value}
        with pytest.raises(MetadataError, match=f"^it: {key!r} {re.escape(rule)}$"):
            check_metadata(content, "it")


def test_a_manifest_is_summed_up_without_the_layout_of_its_arrays() -> None:
    manifest = {"dataset_id": "x-v0", "columnar": {"version": 1, "shards": []}, "total_steps": 3}
    summary = Summary.from_manifest(json.dumps(manifest).encode(), "it", 999)
    assert summary == Summary({"dataset_id": "x-v0", "total_steps": 3}, 1)
    attached = summary.to_attachment()
    assert json.loads(attached[KEY]) == {"metadata": summary.metadata, "format_version": 1}
    assert Summary.from_attached(attached, "it") == summary
    assert Summary.from_attached({"other": "{}"}, "it") is None
    public = Summary.from_manifest(b'{"data_format": "hdf5", "columnar": [1]}', "it", 999)
    assert public == Summary({"data_format": "hdf5"}, None)
    assert public.to_attachment() == {KEY: '{"metadata":{"data_format":"hdf5"}}'}
    with pytest.raises(MetadataError, match=r"^it is larger than 4 bytes"):
        Summary.from_manifest(b'{"a":1}', "it", 4)


@pytest.mark.parametrize("version", [0, -1, 1.5, True, "1", "x" * 200])
def test_a_version_that_is_no_count_is_refused(version: Any) -> None:
    rule = re.escape(f"it: format version {str(version)[:80]!r} is not a count")
    manifest = json.dumps({"columnar": {"version": version}}).encode()
    with pytest.raises(MetadataError, match=f"^{rule}$"):
        Summary.from_manifest(manifest, "it", 999)
    attached = {KEY: json.dumps({"metadata": {}, "format_version": version})}
    with pytest.raises(MetadataError, match=f"^{rule}$"):
        Summary.from_attached(attached, "it")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "it has no metadata"),
        ('{"metadata": []}', "it has no metadata"),
        ('{"metadata": {"dataset_id": 3}}', "it: 'dataset_id' is '3', not text"),
        ("\ud800", "it is not JSON"),
        (json.dumps({"metadata": {"a": "x" * (1 << 20)}}), "it is larger than 1048576 bytes"),
    ],
)
def test_a_summary_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(MetadataError, match=f"^{re.escape(why)}"):
        Summary.from_attached({KEY: text}, "it")


def test_a_summary_is_attached_where_a_bucket_keeps_it() -> None:
    frame = len('{"metadata":{"a":""}}') + len(KEY)
    largest = Summary({"a": "x" * (LARGEST_ATTACHED - frame)}, None)
    assert sum(map(len, largest.to_attachment().values())) + len(KEY) == LARGEST_ATTACHED
    assert Summary({"a": "x" * (LARGEST_ATTACHED - frame + 1)}, None).to_attachment() == {}


def test_a_summary_says_whether_its_dataset_is_readable_here() -> None:
    assert Summary({"data_format": "columnar"}, FORMAT_VERSION).is_readable_here
    assert not Summary({"data_format": "columnar"}, FORMAT_VERSION + 1).is_readable_here
    assert Summary({"data_format": "hdf5"}, None).is_readable_here
    assert not Summary({"data_format": "of tomorrow"}, None).is_readable_here


def test_names_are_bounded_in_parts_and_bytes() -> None:
    assert check_name("/".join(["a"] * 16)) == "/".join(["a"] * 16)
    with pytest.raises(ValueError, match=r"has 17 parts, more than 16$"):
        check_name("/".join(["a"] * 17))
    assert check_name("é" * 100)
    with pytest.raises(ValueError, match="a part of it has 201 bytes, more than 200; nothing was"):
        check_name("a" + "é" * 100)
    short, long = "." + "x" * 199, "." + "x" * 200
    with pytest.raises(ValueError, match=f"^remote file name '{re.escape(short)}' is refused"):
        check_name(short)
    shown = re.escape(long[:80])
    with pytest.raises(ValueError, match=f"^remote file name '{shown}'… is refused"):
        check_name(long)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a/b", "a/B"], "'a/b' and 'a/B' are one file on some systems"),
        (["é", "e\u0301"], "are one file on some systems"),
        (["a", "a/b/c"], "'a' is a file and the folder of 'a/b/c'"),
        (["A/b/c", "a/B"], "'a/B' is a file and the folder of 'A/b/c'"),
        (["a", "..", "b"], "'..' is refused: it leads out"),
    ],
)
def test_names_that_are_in_each_others_way_are_refused(names: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        check_names(names)


def test_names_that_are_not_are_returned_in_order() -> None:
    names = ["b/c", "a", "b/a", "bb", "a.b/c"]
    assert check_names(iter(names)) == names
