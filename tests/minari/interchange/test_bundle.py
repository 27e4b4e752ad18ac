"""A folder with a dataset and, beside it, what others look for."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as parquet
import pytest
import yaml

import minari
from minari import MinariDataset
from minari.interchange.layouts import recognize_layout
from minari_core.errors import DatasetDamagedError, MetadataError
from minari_core.testing.expectations import expect_same_episode
from tests.hub.bundle.examples import RAI, make_dataset
from tests.minari.interchange.conformance import LayoutConformance

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

SAID: dict[str, Any] = {
    "url": "https://farm.example/drive",
    "date_published": date(2026, 1, 2),
    "rai": RAI,
}


class TestBundle(LayoutConformance):
    layout: ClassVar[str] = "bundle"
    file_name: ClassVar[str] = "drive"
    writing: ClassVar[dict[str, Any]] = SAID
    kept_apart: ClassVar[frozenset[str]] = frozenset({"rai"})

    def make_dataset(self) -> MinariDataset:
        dataset = make_dataset()
        dataset.set_splits({"train": [0, 1], "test": [2]})
        return dataset

    def test_metadata_of_the_dataset_comes_back(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()
        minari.export_dataset(dataset, tmp_path / "out", "bundle")

        again = minari.import_dataset(tmp_path / "out", "again-v0", license="MIT")

        new = {"dataset_id", "license", "parents", "tags"}
        assert {key: again.metadata[key] for key in again.metadata if key not in new} == {
            key: dataset.metadata[key] for key in dataset.metadata if key not in new
        }
        assert again.metadata["tags"] == ["driving", "corn"]
        assert again.metadata["license"] == "MIT"

    def test_what_is_beside_the_data_says_what_is_said_and_nothing_else(
        self, tmp_path: Path
    ) -> None:
        dataset = self.make_dataset()

        losses = minari.export_dataset(dataset, tmp_path / "out", "bundle", rai=RAI)

        assert {loss.what for loss in losses} == {"url", "date_published", "rai"}
        readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
        header = yaml.safe_load(readme.split("---\n")[1])
        assert header["license"] == "cc-by-4.0"
        files = [each["data_files"] for each in header["configs"]]
        assert files == ["steps.parquet", "episodes.parquet"]
        assert parquet.read_table(tmp_path / "out" / files[0]).equals(dataset.to_arrow())
        croissant = json.loads((tmp_path / "out" / "croissant.json").read_bytes())
        assert croissant["rai:dataBiases"] == RAI["dataBiases"]
        assert not croissant.keys() & {"url", "datePublished", "rai:dataUseCases"}
        assert {file["contentUrl"] for file in croissant["distribution"]} > set(files)
        for file in croissant["distribution"]:
            content = (tmp_path / "out" / file["contentUrl"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert "title: " in (tmp_path / "out" / "CITATION.cff").read_text(encoding="utf-8")

    def test_it_is_a_dataset_that_changes_nothing_of_the_one_it_is_of(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()
        minari.export_dataset(dataset[:2], tmp_path / "out", "bundle")

        view = minari.load_dataset(tmp_path / "out")

        assert view.metadata["splits"] == {"train": [[0, 2]]}
        for episode, copy in zip(dataset[:2], view, strict=True):
            expect_same_episode(episode, copy)
        for file in (tmp_path / "out" / "data").iterdir():
            assert file.stat().st_nlink == 1

    def test_the_table_of_steps_is_bounded_or_left_out(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()

        losses = minari.export_dataset(
            dataset, tmp_path / "small", "bundle", largest_table_nbytes=20_000
        )
        minari.export_dataset(dataset, tmp_path / "none", "bundle", tables=False)

        assert (
            "first 1 of 3 episodes" in {loss.what: loss.reason for loss in losses}["steps.parquet"]
        )
        for folder in ("small", "none"):
            again = minari.import_dataset(tmp_path / folder, f"{folder}-v0")
            assert again.total_steps == dataset.total_steps
        assert not list((tmp_path / "none").glob("*.parquet"))

    def test_answers_that_croissant_does_not_ask_for_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MetadataError, match="no 'colour'"):
            minari.export_dataset(
                self.make_dataset(), tmp_path / "out", "bundle", rai={"colour": "red"}
            )
        assert not (tmp_path / "out").exists()

    def test_a_link_or_a_changed_byte_is_an_error(self, tmp_path: Path) -> None:
        minari.export_dataset(self.make_dataset(), tmp_path / "out", "bundle")
        data = tmp_path / "out" / "data"
        (tmp_path / "linked").mkdir()
        (tmp_path / "linked" / "data").symlink_to(data)
        shard = next(data.glob("shard-*"))
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 1
        shard.write_bytes(content)

        for folder, message in (("linked", "is a link"), ("out", shard.name)):
            with pytest.raises(DatasetDamagedError, match=message):
                minari.import_dataset(tmp_path / folder, "again-v0")
        assert "again-v0" not in minari.list_local_datasets()


def test_the_folder_of_a_local_dataset_is_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = make_dataset("drive-v0")

    layout = recognize_layout(tmp_path / "drive-v0")
    again = minari.import_dataset(tmp_path / "drive-v0", "copy-v0", data_format="parquet")

    assert layout is not None
    assert layout.name == "bundle"
    for episode, copy in zip(dataset, again, strict=True):
        expect_same_episode(episode, copy)
