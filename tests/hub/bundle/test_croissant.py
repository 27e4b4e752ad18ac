"""Croissant of a dataset has what the specification requires, and nothing that nobody said."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from minari_core.errors import MetadataError
from minari_core.messages import MinariWarning
from minari_hub.bundle.files import write_bundle
from minari_hub.bundle.publication import Publication
from tests.hub.bundle.examples import RAI, make_dataset, write_example


def read_croissant(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_every_property_that_the_specification_requires_is_there(tmp_path: Path) -> None:
    write_example(tmp_path)

    content = read_croissant(tmp_path)

    required = {"@context", "@type", "conformsTo", "name", "description", "license", "url"}
    assert content.keys() >= required | {"creator", "datePublished", "distribution", "recordSet"}
    assert content["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert content["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert content["version"] == "3.0.0"
    assert content["creator"] == [
        {"@type": "sc:Person", "name": "Ada"},
        {"@type": "sc:Person", "name": "Bob"},
    ]
    assert content["datePublished"] == "2026-01-02"
    assert {key[4:]: content[key] for key in content if key.startswith("rai:")} == RAI
    for file in content["distribution"]:
        data = (tmp_path / file["contentUrl"]).read_bytes()
        assert file["contentSize"] == f"{len(data)} B"
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file.keys() >= {"@id", "name", "encodingFormat"}
    ids = [file["@id"] for file in content["distribution"]]
    assert ids == ["steps.parquet", "episodes.parquet", "data.json"]
    for records in content["recordSet"]:
        assert records.keys() >= {"@id", "name", "field", "key", "description"}
        for field in records["field"]:
            assert field.keys() >= {"@id", "name", "dataType"}
            assert ("source" in field) != ("data" in records)


def test_fields_have_the_types_and_shapes_of_their_columns(tmp_path: Path) -> None:
    write_example(tmp_path)

    steps, episodes, splits = read_croissant(tmp_path)["recordSet"]

    kinds = {
        field["name"]: (field["dataType"], field.get("arrayShape")) for field in steps["field"]
    }
    assert kinds == {
        "episode_id": ("cr:Int64", None),
        "step": ("cr:Int64", None),
        "observation.camera": ("sc:ImageObject", None),
        "observation.frame": ("cr:Float64", "2,3"),
        "observation.position": ("cr:Float32", "3"),
        "action": ("cr:Int64", None),
        "reward": ("cr:Float64", None),
        "terminated": ("sc:Boolean", None),
        "truncated": ("sc:Boolean", None),
    }
    assert {"seed", "length", "return"} <= {field["name"] for field in episodes["field"]}
    assert splits["data"] == [
        {"splits/name": "train", "splits/first": 0, "splits/stop": 2},
        {"splits/name": "test", "splits/first": 2, "splits/stop": 3},
    ]


def test_what_nobody_said_is_absent_and_listed(tmp_path: Path) -> None:
    dataset = make_dataset()
    said = Publication(dataset.id, {})

    write_bundle(dataset, said, tmp_path, {})

    content = read_croissant(tmp_path)
    assert content.keys() == {
        *("@context", "@type", "conformsTo", "name", "version", "distribution", "recordSet"),
    }
    unsaid = said.list_unsaid()
    assert unsaid[:6] == ["description", "license", "author", "citation", "url", "date_published"]
    assert len(unsaid) == 26
    assert not (tmp_path / "CITATION.cff").exists()


def test_without_pyarrow_files_are_described_and_a_warning_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith(("minari_core.tables.arrow", "minari_core.tables.parquet")):
            monkeypatch.delitem(sys.modules, name)
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.warns(MinariWarning, match=r"pip install 'minari-hub\[tables\]'"):
        assert write_example(tmp_path) is None

    content = read_croissant(tmp_path)
    assert [file["@id"] for file in content["distribution"]] == ["data.json"]
    assert [records["@id"] for records in content["recordSet"]] == ["splits"]
    assert (tmp_path / "CITATION.cff").exists()


@pytest.mark.parametrize(
    "rai",
    [{"dataBias": "none"}, {"dataCollection": ["a"]}, {"dataBiases": [1]}, {"dataBiases": " "}],
)
def test_answers_that_croissant_has_no_room_for_are_an_error(rai: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match=next(iter(rai))):
        Publication("a-v0", {}, rai=rai)
