"""What a card says: each rule, up to its bound and beyond it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from gymnasium import spaces

from minari_core.errors import DataError
from minari_hub.cards.card import Card, Extent
from minari_hub.cards.describing import describe_dataset
from minari_hub.cards.front_matter import name_size, update_front_matter
from minari_hub.cards.markdown import (
    escape_paragraphs,
    escape_text,
    format_code,
    format_link,
    format_table,
)
from minari_hub.cards.picture import check_picture
from minari_hub.cards.readme import update_readme
from minari_hub.cards.spaces import list_leaves
from tests.hub.bundle.examples import make_dataset
from tests.hub.cards.test_readme import front_matter_of, make_card

# As a Box may have it, whatever its type says.
WHOLE: Any = np.int64
TAGS = ["minari", "gymnasium", "offline-reinforcement-learning"]


def test_texts_are_shown_up_to_a_length() -> None:
    assert escape_text("x" * 300) == "x" * 300
    assert escape_text("x" * 301) == "x" * 299 + "…"
    assert escape_text("abcd", 3) == "ab…"
    assert escape_text(" a \n\t b\x00c ") == "a b c"
    paragraphs = "\n \n".join(["x" * 299] * 20)
    shown = escape_paragraphs(paragraphs)
    assert len(shown.replace("\n", "")) <= 4000
    assert shown.count("\n\n") == 13
    assert escape_paragraphs("- a\n\n\n1. b\n\n  \n\nc-1") == "&#45; a\n\n&#49;. b\n\nc-1"
    assert escape_paragraphs("abc", 2) == "ab"


def test_code_links_and_tables_are_markdown() -> None:
    assert format_code("a*b") == "`a*b`"
    for text in ("a`b", "a|b", "a\\b", "a<b", "a&b"):
        assert format_code(text) == f"<code>{escape_text(text)}</code>"
    assert format_link("http://a.b/c") == "<http://a.b/c>"
    assert format_link(f"https://{'a' * 501}") == f"<https://{'a' * 501}>"
    assert format_link(f"https://{'a' * 502}").startswith("https&#58;")
    table = format_table(("what", "value"), [("a", "b"), ("c", "d")])
    assert table == "| what | value |\n| --- | --- |\n| a | b |\n| c | d |"


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (spaces.Box(-1, 2, (2,), np.float32), "Box((2,), float32) from -1 to 2"),
        (
            spaces.Box(np.array([0, -3]), np.array([5, 1]), dtype=WHOLE),
            "Box((2,), int64) from -3 to",
        ),
        (spaces.Box(-np.inf, np.inf, ()), "Box((), float32) from -inf to inf"),
        (spaces.Box(0, 1, (0, 2)), "Box((0, 2), float32)"),
        (spaces.Discrete(3), "Discrete(3)"),
        (spaces.Discrete(3, start=-1), "Discrete(3) from -1"),
        (spaces.MultiDiscrete([2, 3]), "MultiDiscrete((2,))"),
        (spaces.Text(3), "Text"),
    ],
)
def test_a_space_is_said_in_words(space: spaces.Space[Any], shown: str) -> None:
    ((name, text),) = list_leaves("action", space)
    assert name == "action"
    assert text == shown if not shown.endswith("to") else text == f"{shown} 5"


def test_a_space_has_as_many_as_forty_rows() -> None:
    def names(count: int) -> list[tuple[str, str]]:
        return list_leaves("o", spaces.Tuple([spaces.Discrete(2)] * count))

    assert names(40) == [(f"o / {index}", "Discrete(2)") for index in range(40)]
    assert names(41) == [*names(40), ("…", "…")]
    inner = spaces.Dict({"a": spaces.Tuple([spaces.Text(1)]), "b": spaces.Discrete(2)})
    assert list_leaves("o", inner) == [("o / a / 0", "Text"), ("o / b", "Discrete(2)")]


def test_a_card_renders_what_it_knows_in_order() -> None:
    card = Card(
        "farm/a-v0",
        "hf://org/farm/a-v0",
        {
            "total_episodes": 1234, "total_steps": 5678, "algorithm_name": "by hand",
            "author": ["Ada", 3, "Bob"], "author_email": "a@b.c", "license": "MIT",
            "data_format": "columnar", "code_permalink": "https://a.b/c", "description": "Said.",
        },
        action_space=spaces.Discrete(2),
        env_id="ns/Cart-v1",
        lengths=Extent(2, 2, 2),
        notes=["A note."],
    )  # fmt: skip
    assert card.render(None) == (
        "## farm/a-v0\n\nSaid.\n\n"
        "| what | value |\n| --- | --- |\n"
        "| environment | `ns/Cart-v1` |\n| episodes | 1,234 |\n| steps | 5,678 |\n"
        "| steps of an episode | 2 |\n| algorithm | by hand |\n| author | Ada, Bob |\n"
        "| email | a&#64;b.c |\n| license | MIT |\n| format | columnar |\n"
        "| code | <https://a.b/c> |\n\n"
        "| space | is |\n| --- | --- |\n| action | `Discrete(2)` |\n\n"
        "A note.\n\n"
        '```python\nimport minari\n\ndataset = minari.load_dataset("hf://org/farm/a-v0", '
        "download=True)\n```"
    )
    assert card.tags == (*TAGS, "Cart-v1")
    bare = Card("a-v0", "", {})
    assert bare.render("p.gif") == (
        "## a-v0\n\n![An episode of a-v0](<p.gif>)\n\n"
        "| what | value |\n| --- | --- |\n| steps | 0 |\n\n"
        '```python\nimport minari\n\ndataset = minari.load_dataset("./")\n```'
    )
    assert (bare.tags, bare.license, bare.folder, bare.configs) == (tuple(TAGS), None, "", [])


@pytest.mark.parametrize(
    ("steps", "wanted"), [(0, 0), (3, 3), (-1, 0), (True, 0), ("3", 0), (None, 0), (2.0, 0)]
)
def test_steps_are_a_count_or_none(steps: Any, wanted: int) -> None:
    assert Card("a-v0", "", {"total_steps": steps}).steps == wanted


@pytest.mark.parametrize(
    ("env_id", "tag"),
    [("x" * 60, "x" * 60), ("x" * 61, None), ("a b", None), ("é", None), ("", None), (None, None)],
)
def test_an_environment_is_a_tag_where_its_id_may_be_one(
    env_id: str | None, tag: str | None
) -> None:
    assert Card("a-v0", "", {}, env_id=env_id).tags == (*TAGS, *([tag] if tag else []))


def test_tables_are_named_by_where_they_are() -> None:
    files = {"steps.parquet": Path("a"), "croissant.json": Path("b")}
    for dataset_id, url, name, path in (
        ("n/m/a-v0", "hf://org/n/m/a-v0", "m.a-v0.steps", "m/a-v0/steps.parquet"),
        ("a-v0", "hf://org/a-v0", "a-v0.steps", "steps.parquet"),
        ("n/a-v0", "", "n.a-v0.steps", "steps.parquet"),
    ):
        card = Card(dataset_id, url, {}, files=files)
        assert card.configs == [{"config_name": name, "data_files": path}]
        assert card.folder == path.removesuffix("steps.parquet")


def test_numbers_are_said_as_one_where_they_are_one() -> None:
    assert str(Extent(2.0, 2.0, 2.0)) == "2"
    assert str(Extent(1.23456789, 2, 3)) == "1.23457 to 3, mean 2"


@pytest.mark.parametrize(
    ("count", "is_measured"), [(3, True), (2, True), (0, False), (100_001, False), ("3", False)]
)
def test_episodes_are_measured_as_far_as_they_are_published(count: Any, is_measured: bool) -> None:
    folder = Path(str(make_dataset().spec.data_path))
    card = describe_dataset("n/a-v0", "url", folder, {"total_episodes": count}, None)
    assert card.observation_space is not None
    assert (card.lengths is not None) == is_measured
    if is_measured:
        assert card.lengths == Extent(*((2, 4, 6) if count == 3 else (4, 5, 6)))
        # Nothing says their returns.
        assert card.returns is None
    nothing = describe_dataset("n/a-v0", "url", folder / "none", {"total_episodes": 3}, Path("p"))
    assert nothing == Card("n/a-v0", "url", {"total_episodes": 3}, preview=Path("p"))


@pytest.mark.parametrize(("over", "is_right"), [(0, True), (1, False)])
def test_a_picture_has_at_most_ten_megabytes(over: int, is_right: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.PNG"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    with open(path, "r+b") as file:
        file.truncate((10 << 20) + over)
    if is_right:
        assert check_picture(path) == path
    else:
        with pytest.raises(DataError, match="is no picture"):
            check_picture(path)


@pytest.mark.parametrize(
    ("suffix", "content", "is_right"),
    [
        ("jpg", b"\xff\xd8\xff", True),
        ("jpeg", b"\xff\xd8\xff", True),
        ("gif", b"GIF87a", True),
        ("gif", b"GIF88a", False),
        ("webp", b"RIFF\n\x00\x00\x00WEBP", True),
        ("webp", b"RIFF1234WAVE", False),
        ("png", b" \x89PNG\r\n\x1a\n", False),
    ],
)
def test_a_picture_begins_as_its_kind_does(
    suffix: str, content: bytes, is_right: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    if is_right:
        assert check_picture(path) == path
    else:
        with pytest.raises(DataError, match="is no picture"):
            check_picture(path)


def test_every_size_has_its_name() -> None:
    names = ["n<1K"]
    for letter, after in (("K", "M"), ("M", "B"), ("B", "T")):
        borders = [f"1{letter}", f"10{letter}", f"100{letter}", f"1{after}"]
        names += [f"{one}<n<{other}" for one, other in pairwise(borders)]
    names.append("n>1T")
    for place, name in enumerate(names):
        smallest = 0 if place == 0 else 10 ** (place + 2)
        assert name_size(smallest) == name
        if place < len(names) - 1:
            assert name_size(10 ** (place + 3) - 1) == name
    assert name_size(10**30) == "n>1T"


def test_what_somebody_has_set_stays_and_lists_are_added_to() -> None:
    block = (
        "library_name: mine\ntask_categories:\n- other\ntags: [minari, 3]\n"
        "configs:\n- config_name: a-v0.steps\n  data_files: old.csv\n- plain\nsize_categories: x\n"
    )
    card = Card("a-v0", "hf://o/a-v0", {"license": "mit"}, files={"steps.parquet": Path("a")})
    found = front_matter_of(update_front_matter(f"---\n{block}---\nwords", card, 5000))
    assert found == {
        "library_name": "mine",
        "task_categories": ["other"],
        "tags": ["minari", "3", *TAGS[1:]],
        "configs": ["plain", {"config_name": "a-v0.steps", "data_files": "steps.parquet"}],
        "size_categories": ["1K<n<10K"],
        "license": "mit",
    }


@pytest.mark.parametrize("configs", ["{a: 1}", "\n- config_name: a\n  made: 2020-01-01"])
def test_configurations_that_json_cannot_have_stay(configs: str) -> None:
    card = Card("a-v0", "hf://o/a-v0", {}, files={"steps.parquet": Path("a")})
    before = yaml.safe_load(f"configs: {configs}")
    found = front_matter_of(update_front_matter(f"---\nconfigs: {configs}\n---\n", card, 1))
    assert found["configs"] == before["configs"]
    assert found["size_categories"] == ["n<1K"]


@pytest.mark.parametrize("newline", ["", "\n"])
def test_a_front_matter_ends_where_it_did(newline: str) -> None:
    text = update_front_matter(f"--- \na: 1\n---{newline}", make_card(), 1)
    assert front_matter_of(f"{text}\n")["a"] == 1
    assert text.count("---") == 2


def test_a_section_is_replaced_where_it_stands_and_the_others_count() -> None:
    text = "by hand"
    for dataset_id, steps in (("farm/a-v0", 400), ("farm/b-v0", 500)):
        text = update_readme(text, make_card(dataset_id, steps), None)
    changed = update_readme(text, make_card("farm/a-v0", 499, description="anew"), "a/p.gif")
    assert front_matter_of(changed)["size_categories"] == ["n<1K"]
    assert changed.index("by hand") < changed.index("## farm/a-v0") < changed.index("## farm/b-v0")
    assert changed.count("## farm/a-v0") == 1
    assert "![An episode of farm/a-v0](<a/p.gif>)" in changed
    more = update_readme(changed, make_card("farm/a-v0", 500), None)
    assert front_matter_of(more)["size_categories"] == ["1K<n<10K"]
    assert update_readme("  \n", make_card("farm/a-v0"), None).count("# farm\n") == 1
