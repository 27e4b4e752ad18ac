"""JSON keeps values to the bit, or says which it cannot keep."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from minari_core.errors import DataError, MinariError
from minari_core.json_values import from_json_text, to_json_text
from minari_core.testing.expectations import expect_same
from tests.core.helpers.info_strategies import json_values
from tests.core.helpers.numbered import create

pytestmark = pytest.mark.filterwarnings("ignore:.*whoever uses the dataset")


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


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\0\xff\n"),
        *(1j, complex(-0.0, float("nan")), complex(float("-inf"), -0.0)),
        *(np.array([1j, complex("nan")]), np.zeros((0, 2), np.complex64)),
    ],
)
def test_bytes_and_complex_numbers_are_read_back_to_the_bit(value: Any) -> None:
    text = to_json_text({"x": [value], 5: value}, "value")
    json.loads(text, parse_constant=pytest.fail)
    expect_same(from_json_text(text), {"x": [value], 5: value})


def test_what_json_cannot_keep_is_an_error_that_says_where() -> None:
    for value in (object(), {1, 2}, np.array(["x"], dtype=object), np.array([1], "M8[s]")):
        with pytest.raises(DataError, match=r"options\.a\[1\]"):
            to_json_text({"a": [0, value]}, "options")
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(DataError, match="deep"):
        to_json_text(deep, "options")
    deepest: list[Any] = []
    for _ in range(99):
        deepest = [deepest]
    assert from_json_text(to_json_text(deepest, "options")) == deepest
    with pytest.raises(DataError, match="nested more than 100 deep"):
        to_json_text([deepest], "options")
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
        '{"$bytes":5}',
        '{"$bytes":"0"}',
        '{"$complex":5}',
        '{"$complex":[1,"x"]}',
        '{"$complex":[1,2,3]}',
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


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (datetime.datetime(2026, 11, 27, 20), "give its .isoformat()"),
        (datetime.date(2026, 11, 27), "give its .isoformat()"),
        (datetime.time(20, 30), "give its .isoformat()"),
        (datetime.timedelta(hours=1), "give its .total_seconds()"),
        (np.datetime64("2026-11-27"), "give its .astype(str)"),
        (np.zeros(2, "m8[s]"), "give its .astype(str)"),
        (Path("folder"), "give str() of it"),
    ],
)
def test_of_what_json_cannot_say_it_is_said_what_to_give(value: Any, advice: str) -> None:
    dataset = create()
    refusals: tuple[Callable[[], object], ...] = (
        lambda: create("tests/other-v0", description=value),
        lambda: dataset.storage.update_metadata({"made": value}),
        lambda: dataset.storage.update_metadata({"all": [{"made": value}]}),
        lambda: dataset.storage.update_episode_metadata([{"made": value}], [0]),
        lambda: dataset.storage.update_episode_metadata([{"made": [1, value]}], [0]),
        lambda: to_json_text([value], "options"),
    )
    for refused in refusals:
        with pytest.raises(MinariError, match=re.escape(advice)):
            refused()


def test_only_text_is_bounded_by_the_bytes_of_its_array(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, text = np.arange(9), np.array(["abc", "de"])
    kept = to_json_text(text, "value")
    monkeypatch.setattr("minari_core.json_values._LARGEST_TEXT_ARRAY_NBYTES", 23)
    assert repr(from_json_text(to_json_text(numbers, "value"))) == repr(numbers)
    with pytest.raises(DataError, match="an array of text with 24 bytes is too large for JSON"):
        to_json_text(text, "value")
    with pytest.raises(ValueError, match="an array of dtype <U3 and 2 elements"):
        from_json_text(kept)
    monkeypatch.setattr("minari_core.json_values._LARGEST_TEXT_ARRAY_NBYTES", 24)
    assert repr(from_json_text(to_json_text(text, "value"))) == repr(text)
