"""An upload to the Hugging Face Hub brings tables and descriptions, which downloads pass over."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import date

import pyarrow.parquet as parquet
import pytest
import yaml

import minari
from minari_hub import (
    download_dataset,
    list_remote_datasets,
    upload_dataset,
    verify_remote_dataset,
)
from minari_hub.command_line.app import app
from tests.helpers.command_line import CommandLine
from tests.hub.helpers.datasets import files_of, is_intact, make_shards
from tests.hub.helpers.hugging_face_server import HuggingFaceServer

URL = "hf://farama"


def test_tables_of_each_dataset_are_shown_and_the_dataset_comes_down_without_them(
    hugging_face: HuggingFaceServer,
) -> None:
    by_hand = "---\nconfigs:\n- config_name: mine\n  data_files: mine.csv\n---\n# By hand\n"
    hugging_face.put("farama/farm", "README.md", by_hand.encode())
    ids = ["farm/door/a-v0", "farm/b-v1"]
    steps = {}
    for dataset_id in ids:
        steps[dataset_id] = make_shards(dataset_id, shards=2, steps=20).to_arrow()
        upload_dataset(
            dataset_id,
            remote_path=URL,
            token="secret",
            date_published=date(2026, 1, 2),
            rai={"dataCollection": "Drawn at random."},
        )

    files = hugging_face.repositories["farama/farm"].files
    text = files["README.md"].decode()
    assert "# By hand" in text
    assert yaml.safe_load(text.split("---\n")[1])["configs"] == [
        {"config_name": "mine", "data_files": "mine.csv"},
        {"config_name": "door.a-v0.steps", "data_files": "door/a-v0/steps.parquet"},
        {"config_name": "door.a-v0.episodes", "data_files": "door/a-v0/episodes.parquet"},
        {"config_name": "b-v1.steps", "data_files": "b-v1/steps.parquet"},
        {"config_name": "b-v1.episodes", "data_files": "b-v1/episodes.parquet"},
    ]
    assert "Not said by whoever published it: description, license, citation" in text
    assert parquet.read_table(io.BytesIO(files["b-v1/steps.parquet"])).equals(steps["farm/b-v1"])
    croissant = json.loads(files["door/a-v0/croissant.json"])
    assert croissant["url"] == "https://huggingface.co/datasets/farama/farm"
    assert croissant["rai:dataCollection"] == "Drawn at random."
    for file in croissant["distribution"]:
        content = files[f"door/a-v0/{file['contentUrl']}"]
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert sorted(list_remote_datasets(URL)) == sorted(ids)
    before = files_of(ids[0])
    for dataset_id in ids:
        minari.delete_dataset(dataset_id)
    assert verify_remote_dataset(ids[0], remote_path=URL).problems == ()
    download_dataset(ids[0], remote_path=URL)
    assert is_intact({ids[0]: before})


def test_what_is_said_and_how_large_the_tables_are_are_options_of_the_command_line(
    hugging_face: HuggingFaceServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = CommandLine(app, "minari-hub", capsys, monkeypatch)
    make_shards("farm/a-v0", shards=2, steps=20)
    make_shards("farm/b-v0", shards=2, steps=20)
    upload = ("upload", "--remote", URL, "--token", "secret")

    refused = [
        hub(*upload, "farm/a-v0", *options)
        for options in (
            ("--rai", "dataBiases"),
            ("--rai", "colour=red"),
            ("--date", "soon"),
            ("--largest-table", "much"),
            ("--largest-table", "1kB", "--no-tables"),
        )
    ]
    said = ("--rai", "dataBiases=night", "--rai", "dataBiases=rain", "--date", "2026-01-02")
    assert hub(*upload, "farm/a-v0", *said, "--largest-table", "1kB").code == 0
    assert hub(*upload, "farm/b-v0", "--no-tables").code == 0

    assert [done.code for done in refused] == [2, 1, 2, 2, 2]
    files = hugging_face.repositories["farama/farm"].files
    croissant = json.loads(files["a-v0/croissant.json"])
    assert croissant["rai:dataBiases"] == ["night", "rain"]
    assert croissant["datePublished"] == "2026-01-02"
    assert "of the first 1 of 2 episodes" in croissant["recordSet"][0]["description"]
    assert not {name for name in files if name.startswith("b-v0/") and name.endswith(".parquet")}
    assert "b-v0/croissant.json" in files
