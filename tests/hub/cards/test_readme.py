"""A README keeps what people write in it, and shows whatever a dataset says as text."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
import yaml
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from minari_core.json_values import JsonValue
from minari_hub.cards.card import Card, Extent
from minari_hub.cards.front_matter import name_size, update_front_matter
from minari_hub.cards.markdown import escape_paragraphs, escape_text, format_code, format_link
from minari_hub.cards.readme import update_readme

HOSTILE = "</script><img src=x onerror=alert(1)> [me](javascript:x) | `a` <!-- minari: end of"


def make_card(dataset_id: str = "farm/a-v0", steps: int = 10, **metadata: JsonValue) -> Card:
    said: dict[str, JsonValue] = {"total_episodes": 2, "total_steps": steps, **metadata}
    return Card(dataset_id, f"hf://org/{dataset_id}", said)


def front_matter_of(text: str) -> dict[str, object]:
    found = re.match(r"---\n(.*?)^---\n", text, re.DOTALL | re.MULTILINE)
    assert found
    content = yaml.safe_load(found[1])
    assert isinstance(content, dict)
    return content


def test_a_new_readme_says_what_the_dataset_is_and_how_to_load_it() -> None:
    card = Card(
        "farm/a-v0",
        "hf://org/farm/a-v0",
        {"total_episodes": 2, "total_steps": 1234, "author": ["Ada", "Bob"], "license": "MIT"},
        spaces.Dict({"image": spaces.Box(0, 255, (8, 8, 3), np.uint8), "goal": spaces.Discrete(4)}),
        spaces.Tuple([spaces.Box(-1.0, 1.0, (2,)), spaces.MultiBinary(3)]),
        "CartPole-v1",
        lengths=Extent(3, 6.5, 10),
        returns=Extent(-2.5, 0.0, 2.5),
    )

    text = update_readme("", card, "a-v0/preview.gif")

    assert front_matter_of(text) == {
        "license": "mit",
        "library_name": "minari",
        "task_categories": ["reinforcement-learning"],
        "tags": ["minari", "gymnasium", "offline-reinforcement-learning", "CartPole-v1"],
        "size_categories": ["1K<n<10K"],
    }
    for line in (
        "# farm",
        "## farm/a-v0",
        "![An episode of farm/a-v0](<a-v0/preview.gif>)",
        "| environment | `CartPole-v1` |",
        "| steps | 1,234 |",
        "| steps of an episode | 3 to 10, mean 6.5 |",
        "| return of an episode | -2.5 to 2.5, mean 0 |",
        "| author | Ada, Bob |",
        "| observation / image | `Box((8, 8, 3), uint8) from 0 to 255` |",
        "| action / 1 | `MultiBinary((3,))` |",
        'dataset = minari.load_dataset("hf://org/farm/a-v0", download=True)',
    ):
        assert line in text.splitlines()


def test_datasets_have_a_section_each_and_count_together() -> None:
    first = update_readme("", make_card("farm/a-v0", 600), None)
    second = update_readme(first, make_card("farm/b-v0", 700), None)
    again = update_readme(second, make_card("farm/a-v0", 5, description="anew"), None)

    assert re.findall("(?m)^## (.*)", again) == ["farm/a-v0", "farm/b-v0"]
    assert front_matter_of(first)["size_categories"] == ["n<1K"]
    assert front_matter_of(second)["size_categories"] == ["1K<n<10K"]
    assert front_matter_of(again)["size_categories"] == ["n<1K"]
    assert "anew" in again


WRITTEN = """---
# kept
license: cc-by-4.0  # ours
tags:
- robots
'pretty_name': "A: farm"
configs:
- config_name: default
  data_files: "*.csv"
size_categories: n<1K
---
# A farm

By hand, before.
"""


def test_what_people_wrote_is_kept() -> None:
    once = update_readme(WRITTEN, make_card(steps=5000, license="mit"), None)
    edited = f"{once}\nBy hand, after.\n"
    twice = update_readme(edited, make_card("farm/b-v0", 1), None)

    for line in ("# kept", "license: cc-by-4.0  # ours", "# A farm", "By hand, before."):
        assert line in twice.splitlines()
    assert twice.index("By hand, before.") < twice.index("## farm/a-v0")
    assert twice.index("## farm/a-v0") < twice.index("By hand, after.")
    said = front_matter_of(twice)
    assert said["license"] == "cc-by-4.0"
    assert said["pretty_name"] == "A: farm"
    assert said["configs"] == [{"config_name": "default", "data_files": "*.csv"}]
    assert said["tags"] == ["robots", "minari", "gymnasium", "offline-reinforcement-learning"]
    assert said["size_categories"] == ["1K<n<10K"]


@pytest.mark.parametrize(
    "block",
    ["{license: mit}", "tags: [a,\n# odd\nb]\nx: 1", "- a list", "a: [", "? complex\n: key"],
)
def test_yaml_that_is_written_in_an_odd_way_loses_nothing(block: str) -> None:
    text = f"---\n{block}\n---\nwords\n"
    changed = update_front_matter(text, make_card(), 1)
    assert changed.endswith("---\nwords\n")
    try:
        before = yaml.safe_load(block)
    except yaml.YAMLError:
        before = None
    if isinstance(before, dict):
        after = front_matter_of(changed)
        assert {key: after[key] for key in before if key != "tags"} == {
            key: value for key, value in before.items() if key != "tags"
        }
    else:
        assert changed == text


@pytest.mark.parametrize(
    ("license", "said"),
    [
        (None, {}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("My-Terms-1.0", {"license": "other", "license_name": "my-terms-1.0"}),
        ("all\nrights: reserved", {"license": "other"}),
    ],
)
def test_a_license_is_named_as_the_hub_names_it_and_never_made_up(
    license: str | None, said: dict[str, str]
) -> None:
    text = update_front_matter("", make_card(license=license), 1)
    found = front_matter_of(text)
    assert {key: found[key] for key in found if key.startswith("license")} == said


def test_hostile_texts_are_shown_as_they_are() -> None:
    card = Card(
        "farm/a-v0",
        "hf://org/farm/a-v0",
        {
            **dict.fromkeys(("description", "algorithm_name", "license", "author"), HOSTILE),
            "code_permalink": "javascript:alert(1)",
            "total_steps": -1,
            "total_episodes": "many",
        },
        observation_space=spaces.Dict({HOSTILE: spaces.Discrete(2)}),
        env_id=HOSTILE,
    )

    text = update_readme("", card, None)
    again = update_readme(text, card, None)

    assert again == text
    assert not re.search(r"<(?!!--|code>|/code>)", text.partition("# farm")[2])
    assert "](javascript" not in text
    assert unescape(escape_text(HOSTILE)) == HOSTILE
    assert format_link("https://a.b/c|d") == "https&#58;//a.b/c&#124;d"
    assert format_link("https://a.b/c?d=1#e") == "<https://a.b/c?d=1#e>"
    assert front_matter_of(text)["license"] == "other"


@given(st.text())
def test_an_escaped_text_reads_as_the_text_in_one_line(text: str) -> None:
    escaped = escape_text(text, 10_000)
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    assert unescape(escaped) == plain
    assert not re.search(r"[<>`*_\[\]|\n]", escaped)
    assert not re.search(r"(?m)^[-\d]", escape_paragraphs(text))
    assert "`" not in format_code(text).strip("`")


@given(st.text(alphabet="a#-: |\n<!>minrd/v0", max_size=200))
def test_whatever_a_readme_has_stays_in_it(text: str) -> None:
    once = update_readme(text, make_card(), None)
    assert update_readme(once, make_card(), None) == once
    if not text.startswith("---"):
        assert text.rstrip() in once


@pytest.mark.parametrize(
    ("count", "name"),
    [(0, "n<1K"), (999_999, "100K<n<1M"), (10**6, "1M<n<10M"), (10**11, "100B<n<1T")],
)
def test_sizes_are_named_as_the_hub_names_them(count: int, name: str) -> None:
    assert name_size(count) == name
