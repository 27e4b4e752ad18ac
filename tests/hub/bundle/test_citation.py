"""CITATION.cff says what is said of a dataset, whatever its texts contain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from minari_hub.bundle.citation import format_citation
from minari_hub.bundle.licenses import SPDX_IDS
from minari_hub.bundle.publication import Publication
from tests.hub.bundle.examples import make_dataset, publish


def read_citation(said: Publication) -> dict[str, Any]:
    text = format_citation(said)
    assert text is not None
    content = yaml.load(text, yaml.BaseLoader)  # which makes nothing but text
    assert isinstance(content, dict)
    return content


def test_a_citation_has_all_that_is_said() -> None:
    dataset = make_dataset()

    assert read_citation(publish(dataset)) == {
        "cff-version": "1.2.0",
        "message": "If you use this dataset, please cite it as: @misc{drive, title={Drives}}",
        "type": "dataset",
        "title": "farm/drive-v3",
        "authors": [{"name": "Ada"}, {"name": "Bob"}],
        "version": "3",
        "abstract": "Driven \u2028 through \N{GRINNING FACE} 'fields': # of \"corn\".",
        "license": "CC-BY-4.0",
        "doi": "10.5281/zenodo.1234567",
        "date-released": "2026-01-02",
        "url": "https://farm.example/drive",
        "keywords": ["driving", "corn"],
    }


def test_what_the_schema_refuses_is_left_out() -> None:
    said = Publication(
        "a-v0",
        {"author": "Ada", "author_email": "nobody", "license": "ask me", "doi": "10.1234/a b"},
    )

    assert read_citation(said).keys() == {
        *("cff-version", "message", "type", "title", "authors", "version"),
    }


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_any_text_is_read_back_as_it_is(text: str) -> None:
    said = Publication("a-v0", {"author": "Ada", "description": text})

    assert read_citation(said)["abstract"] == text


def test_a_citation_is_valid_by_the_schema_of_the_format() -> None:
    check, jsonschema = map(pytest.importorskip, ("check_jsonschema", "jsonschema"))
    schemas = Path(check.__file__).parent / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "citation-file-format.json").read_text(encoding="utf-8"))

    jsonschema.validate(read_citation(publish(make_dataset())), schema)
    for license_id in SPDX_IDS:
        said = Publication("a-v0", {"author": "Ada", "license": license_id})
        jsonschema.validate(read_citation(said), schema)


def test_the_address_of_one_author_and_of_a_license_is_said() -> None:
    one: dict[str, Any] = {
        "author": "Ada",
        "author_email": ["no address", "a@b.cd"],
        "license": "https://a.b/l",
    }
    citation = read_citation(Publication("a-v0", one))
    assert citation["authors"] == [{"name": "Ada", "email": "a@b.cd"}]
    assert citation["license-url"] == "https://a.b/l"
    assert "license" not in citation
    assert citation["message"] == "If you use this dataset, please cite it."
    newer = read_citation(Publication("a-v0", {**one, "license": "cdla-permissive-2.0"}))
    assert newer["license-url"] == "https://spdx.org/licenses/CDLA-Permissive-2.0.html"
    # Of two it is not known whose it is, and nobody comes twice.
    several: list[dict[str, Any]] = [
        {"author": ["Ada", "Bob", "Ada"], "author_email": "a@b.cd"},
        {"author": "Ada", "author_email": ["a@b.cd", "b@b.cd"]},
    ]
    made = [read_citation(Publication("a-v0", metadata))["authors"] for metadata in several]
    assert made == [[{"name": "Ada"}, {"name": "Bob"}], [{"name": "Ada"}]]
    assert format_citation(Publication("a-v0", {"author": " "})) is None


@pytest.mark.parametrize(
    ("license", "address"),
    [
        (None, None),
        ("  ", None),
        ("mit ", "https://spdx.org/licenses/MIT.html"),
        ("http://a.b/c", "http://a.b/c"),
        ("http://a.b c", "http://a.b c"),
        ("ask me", "ask me"),
        (3, None),
    ],
)
def test_a_license_is_an_address_where_there_is_one(license: Any, address: str | None) -> None:
    assert Publication("a-v0", {"license": license}).license == address
