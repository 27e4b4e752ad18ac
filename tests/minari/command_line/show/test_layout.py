"""How a summary is laid out where it is full, empty, damaged or narrow."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from rich.console import Console

from minari.command_line.show.space_text import format_space
from minari.command_line.show.summary import Summary, print_summary
from minari.distributions.returns import EpisodeStatistics
from minari.serialization import serialize_space

FULL = """\
farm/drive-v0

Episodes       1,200
Steps          34,567
Stored         columnar
In             gs://farm
Environment    Drive-v1(speed=2.5, name='x'), at most 90 steps
Evaluated on   Hard-v0
Needs          farm, rain
Algorithm      by hand
Author         Ada
E-mail         ada@farm.example
Code           https://farm.example
License        MIT
DOI            10.1/2
Cite as        Ada 2026
Tags           corn, rye
Splits         cannot be read: split 'train' is x
Combined from  a-v0, b-v0
Reference      random 0, expert 0
Written by     minari-core 0.7.0
farm           {'size': 3}

Observations
  unknown

Actions
  Tuple
    0: Discrete(2)
    1: Discrete(3)
"""
NARROW = """\
x-v0

Stored  columnar
In      here

Observations
  Dict
    a-rather-long-ke
    y: Discrete(2)

Actions
  Discrete(3)

Returns
  none

Lengths
mean 2, std 0.8165,
min 1, median 2,
max 3
1  ##############  1
2  ##############  1
3  ##############  1
"""
NOTHING = """\
x-v0

Stored  7 B, hdf5
In      here

Observations
  cannot be read: space: not JSON

Actions
  unknown
"""


def show(width: int, **fields: Any) -> str:
    shown = io.StringIO()
    described: dict[str, Any] = {
        "dataset_id": "x-v0",
        "location": "here",
        "metadata": {},
        "nbytes": None,
    }
    summary = Summary(**{**described, "statistics": None, **fields})
    print_summary(summary, Console(file=shown, width=width, color_system=None))
    return "".join(f"{line.rstrip()}\n" for line in shown.getvalue().splitlines())


def describe_environment(name: str, **fields: Any) -> str:
    plain = {"id": name, "entry_point": "farm:Drive", "reward_threshold": None}
    more = {"nondeterministic": False, "max_episode_steps": None, "order_enforce": True}
    last = {"disable_env_checker": False, "kwargs": {}, "additional_wrappers": []}
    return json.dumps({**plain, **more, **last, "vector_entry_point": None, **fields})


def test_everything_that_is_said_has_a_line() -> None:
    metadata = {
        "data_format": "columnar",
        "total_episodes": 1200,
        "total_steps": 34567,
        "env_spec": describe_environment(
            "Drive-v1", max_episode_steps=90, kwargs={"speed": 2.5, "name": "x"}
        ),
        "eval_env_spec": describe_environment("Hard-v0"),
        "requirements": ["farm", "rain"],
        "algorithm_name": "by hand",
        "author": ["Ada"],
        "author_email": ["ada@farm.example"],
        "code_permalink": "https://farm.example",
        "license": "MIT",
        "doi": "10.1/2",
        "citation": "Ada\n2026",
        "tags": ["corn", "rye"],
        "splits": {"train": "x"},
        "parents": "nobody",
        "combined_datasets": ["a-v0", "b-v0"],
        "ref_min_score": 0,
        "ref_max_score": 0,
        "num_episodes_average_score": 100,
        "minari_version": "0.7.0",
        "minari_core": {"x": 1},
        "dataset_id": "other-v0",
        "farm": {"size": 3},
        "action_space": serialize_space(spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3)])),
    }
    found = show(100, dataset_id="farm/drive-v0", location="gs://farm", metadata=metadata)
    assert found.partition("Splits")[0] == FULL.partition("Splits")[0]
    assert "\nSplits         cannot be read: " in found
    assert found.partition("Combined")[2] == FULL.partition("Combined")[2]


def test_what_is_narrow_is_folded_where_it_can_be_read() -> None:
    statistics = EpisodeStatistics(np.array([1, 2, 3]), np.array([np.nan, np.inf, np.nan]))
    keyed = spaces.Dict({"a-rather-long-key": spaces.Discrete(2)})
    metadata = {
        "data_format": "columnar",
        "observation_space": serialize_space(keyed),
        "action_space": serialize_space(spaces.Discrete(3)),
    }
    shown = io.StringIO()
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    summary = Summary(
        dataset_id="x-v0", location="here", metadata=metadata, nbytes=None, statistics=statistics
    )
    print_summary(summary, Console(file=file, width=20, color_system=None))
    file.seek(0)
    shown.write(file.read())
    assert "".join(f"{line.rstrip()}\n" for line in shown.getvalue().splitlines()) == NARROW


def test_a_line_of_a_histogram_is_cut_and_never_folded() -> None:
    statistics = EpisodeStatistics(np.full(3, 123_456), None)
    shown = show(9, statistics=statistics).splitlines()
    assert shown[-1] == "123,456"


def test_what_is_damaged_is_said_and_the_rest_is_shown() -> None:
    found = show(200, nbytes=7, metadata={"observation_space": "{", "action_space": 3})
    start, middle, end = NOTHING.partition("space: not JSON")
    assert found.startswith(start)
    assert found.endswith(end)
    assert middle in found
    for spec, text in ((3, "its spec is damaged"), ("{", "its spec cannot be read: ")):
        assert f"\nEnvironment  {text}" in show(200, metadata={"env_spec": spec})
    assert "Episodes" not in show(200, metadata={"total_episodes": "many"})


@pytest.mark.parametrize("total", [3, "3", None])
def test_parts_are_counted_of_as_many_episodes_as_there_are(total: Any) -> None:
    metadata = {"total_episodes": total, "splits": {"train": [[0, 2]], "all": [[0, 3]]}}
    shown = show(200, metadata=metadata)
    if total == 3:
        assert "\nSplits    train (2), all (3)\n" in shown
    else:
        assert "cannot be read: " in shown


def test_the_components_of_returns_are_shown_up_to_the_fourth() -> None:
    for components, more in ((4, None), (5, "… and 1 components more")):
        statistics = EpisodeStatistics(np.ones(2, int), np.zeros((2, components)))
        shown = show(60, statistics=statistics).splitlines()
        assert sum(line.startswith("Returns, component") for line in shown) == 4
        assert [line for line in shown if line.startswith("…")] == [more] * (more is not None)
    single = EpisodeStatistics(np.ones(2, int), np.zeros((2, 1)))
    assert "\nReturns\n" in show(60, statistics=single)


def test_a_summary_for_scripts_says_null_where_nothing_is_known() -> None:
    def convert(statistics: EpisodeStatistics | None) -> tuple[Any, Any]:
        said = Summary(
            dataset_id="x-v0",
            location="here",
            metadata={"a": 1},
            nbytes=3,
            statistics=statistics,
        ).to_json()
        assert (said["dataset_id"], said["place"], said["nbytes"]) == ("x-v0", "here", 3)
        assert said["metadata"] == {"a": 1}
        lengths: Any = said["lengths"]
        return lengths and lengths["count"], said["returns"]

    lengths = np.array([1, 2])
    assert convert(None) == (None, None)
    assert convert(EpisodeStatistics(lengths, None)) == (2, None)
    assert convert(EpisodeStatistics(lengths, np.full(2, np.nan))) == (2, None)
    assert convert(EpisodeStatistics(lengths, np.full((2, 2), np.nan))) == (2, [None, None])
    assert convert(EpisodeStatistics(lengths[:0], np.zeros(0))) == (None, None)
    _, returns = convert(EpisodeStatistics(lengths, np.array([[1.0], [2.0]])))
    assert [each["max"] for each in returns] == [2.0]
    _, returns = convert(EpisodeStatistics(lengths, np.array([1.0, 2.0])))
    assert returns["max"] == 2.0


def test_spaces_inside_spaces_are_named() -> None:
    box, node = spaces.Box(0, 1, (2,)), spaces.Discrete(3)
    assert format_space(spaces.Sequence(box)) == [
        "Sequence",
        "  each: Box(0.0, 1.0, (2,), float32)",
    ]
    assert format_space(spaces.Graph(box, node)) == [
        "Graph",
        "  node: Box(0.0, 1.0, (2,), float32)",
        "  edge: Discrete(3)",
    ]
    assert format_space(spaces.Graph(box, None)) == [
        "Graph",
        "  node: Box(0.0, 1.0, (2,), float32)",
    ]
    assert format_space(spaces.Text(7, min_length=2, charset="abc")) == [
        "Text(2 to 7 of 3 characters)"
    ]
    one_of = getattr(spaces, "OneOf", None)
    if one_of is not None:
        assert format_space(one_of([node, node])) == [
            "OneOf",
            "  0: Discrete(3)",
            "  1: Discrete(3)",
        ]


def test_long_spaces_are_cut_short() -> None:
    for inner, lines in ((39, 40), (40, 41)):
        many = spaces.Dict({str(number): spaces.Discrete(2) for number in range(inner)})
        found = format_space(many)
        assert len(found) == lines
        assert (found[-1] == "…") == (lines == 41)
    for size in range(20, 40):
        space = spaces.MultiDiscrete(np.full(size, 100))
        (line,) = format_space(space)
        whole = " ".join(str(space).split())
        assert line == (whole if len(whole) <= 120 else f"{whole[:120]}…")
    lengths = [
        len(" ".join(str(spaces.MultiDiscrete(np.full(n, 100))).split())) for n in range(20, 40)
    ]
    assert min(lengths) < 120 < max(lengths)
