"""Ids of datasets: what they are made of, and what is said of those that break a rule."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core.errors import DatasetIdError
from minari_core.local.dataset_id import DatasetId, check_namespace, parse_dataset_id


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("LunarLander-v2-test-v0", DatasetId("", "LunarLander-v2-test", 0)),
        ("D4RL/door/human-v12", DatasetId("D4RL/door", "human", 12)),
        ("_é9/a--v3", DatasetId("_é9", "a-", 3)),
    ],
)
def test_an_id_is_a_namespace_a_name_and_a_version(text: str, wanted: DatasetId) -> None:
    assert parse_dataset_id(text) == wanted
    assert str(wanted) == text


@pytest.mark.parametrize(
    ("broken", "rule", "advice"),
    [
        ("a-v01", "the version '01' of dataset id 'a-v01' has leading zeros", "a-v1"),
        ("x/a-v000", "the version '000' of dataset id 'x/a-v000' has leading zeros", "x/a-v0"),
        ("a", "dataset id 'a' does not end in '-v' and a version number", "a-v0"),
        ("a-v", "dataset id 'a-v' does not end in '-v' and a version number", "a-v0"),
        ("-v0", "dataset id '-v0' must start with a letter, a digit or '_', and not", "name-v0"),
        ("", "dataset id '' is empty", "name-v0"),
        ("/", "dataset id '/' begins with '/'", "name-v0"),
        ("/a-v0", "dataset id '/a-v0' begins with '/'", "a-v0"),
        ("gs://b/D4RL/a-v0", "is the URL of a remote dataset, where the id of", "D4RL/a-v0"),
        ("file:///b/a-v0", "; download_dataset() makes a remote one local", "b/a-v0"),
        ("hf://", "'hf://' is the URL of a remote dataset", "name-v0"),
        ("x/a-v0/", "dataset id 'x/a-v0/' ends with '/'", "x/a-v0"),
        ("x//a-v3", "dataset id 'x//a-v3' has nothing between two of '/'", "x/a-v3"),
        ("-a-v0", "dataset id '-a-v0' must start with a letter, a digit or '_'", "a-v0"),
        ("../a-v0", "part '..' of dataset id '../a-v0' must start with a letter", "a-v0"),
        ("my data-v0", "dataset id 'my data-v0' may have letters, digits", "my_data-v0"),
        ("a\\b/c-v1", r"part 'a\\b' of dataset id 'a\\b/c-v1' may have letters", "a_b/c-v1"),
        ("a-v1.0", "dataset id 'a-v1.0' may have letters, digits, '_' and '-' only", "a-v1_0-v0"),
        ("Data/a-v0", "part 'Data' of dataset id 'Data/a-v0' is the name", "Data_/a-v0"),
        ("nul/a-v0", "part 'nul' of dataset id 'nul/a-v0' is a name that Windows", "nul_/a-v0"),
        ("a-v" + "9" * 5000, "has 5003 characters, more than 120", "a-v" + "9" * 20),
        ("x" * 130 + "-v0", "has 133 characters, more than 120", "x" * 117 + "-v0"),
        ("名" * 100 + "-v0", "takes 303 bytes in UTF-8, more than 255", "名" * 84 + "-v0"),
        ("名" * 86 + "/a-v0", "takes 258 bytes in UTF-8, more than 255", "名" * 85 + "/a-v0"),
        ("x/" * 39 + "a-v0", "has 40 parts, more than 32", "x/" * 31 + "a-v0"),
    ],
)
def test_a_broken_id_is_told_by_its_rule_and_mended(broken: str, rule: str, advice: str) -> None:
    with pytest.raises(DatasetIdError, match=re.escape(rule)) as raised:
        parse_dataset_id(broken)
    assert str(raised.value).endswith(f"; write for example {advice!r}")


@pytest.mark.parametrize(
    ("broken", "rule", "advice"),
    [
        ("", "namespace '' is empty", "name"),
        ("a/.b", "part '.b' of namespace 'a/.b' must start with", "a/b"),
        ("con", "namespace 'con' is a name that Windows reserves", "con_"),
        ("x/" * 39 + "x", "has 40 parts, more than 32", "/".join("x" * 32)),
    ],
)
def test_a_broken_namespace_is_told_likewise(broken: str, rule: str, advice: str) -> None:
    with pytest.raises(DatasetIdError, match=re.escape(rule)) as raised:
        check_namespace(broken)
    assert str(raised.value).endswith(f"; write for example {advice!r}")


@given(
    st.text(st.sampled_from("aé-_v01/. \\\nc"), max_size=20)
    | st.text()
    | st.text(st.sampled_from("名a-v0/"), min_size=60, max_size=300)
)
def test_whatever_is_told_to_write_breaks_no_rule(text: str) -> None:
    for check in (parse_dataset_id, check_namespace):
        try:
            check(text)
        except DatasetIdError as error:
            advice = ast.literal_eval(str(error).rpartition("; write for example ")[2])
            check(advice)
