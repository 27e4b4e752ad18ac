"""What holds for every layout that is read and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import minari
from minari import MinariDataset
from minari.interchange.exchange import export_dataset, import_dataset
from minari.interchange.layouts import find_layout, recognize_layout
from minari_core.errors import DatasetExistsError
from minari_core.testing.expectations import expect_same_episode


class LayoutConformance:
    """The contract of a layout; a test class of each layout is derived from it."""

    layout: ClassVar[str]
    file_name: ClassVar[str]
    """What a file or folder of this layout is called."""
    reading: ClassVar[dict[str, Any]] = {}
    writing: ClassVar[dict[str, Any]] = {}
    kept_apart: ClassVar[frozenset[str]] = frozenset()
    """What the layout has no place for, and a sidecar has."""

    def make_dataset(self) -> MinariDataset:
        """Make a dataset of more than one episode that comes back as it was."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))

    def test_what_is_written_is_recognized_and_read_back_equal(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()
        path = tmp_path / "out" / self.file_name

        losses = export_dataset(dataset, path, self.layout, **self.writing)

        assert {loss.what for loss in losses} == self.kept_apart
        recognized = recognize_layout(path)
        assert recognized is not None
        assert recognized.name == self.layout
        left_out: list[Any] = []
        made = import_dataset(path, "again-v0", losses=left_out, **self.reading)
        assert left_out == []
        expect_same(made, dataset)

    def test_a_view_is_written_with_its_own_episodes_in_their_order(self, tmp_path: Path) -> None:
        view = self.make_dataset()[::-1]
        path = tmp_path / self.file_name

        export_dataset(view, path, self.layout, **self.writing)

        made = import_dataset(path, "again-v0", self.layout, **self.reading)
        for episode, again in zip(view, made, strict=True):
            np.testing.assert_array_equal(again.rewards, episode.rewards)

    def test_what_is_there_stays_unless_it_is_to_be_replaced(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()
        path = tmp_path / self.file_name
        path.write_bytes(b"mine")

        with pytest.raises(DatasetExistsError, match="is there already"):
            export_dataset(dataset, path, self.layout, **self.writing)
        assert path.read_bytes() == b"mine"
        export_dataset(dataset, path, self.layout, overwrite=True, **self.writing)
        assert len(import_dataset(path, "again-v0", **self.reading)) == len(dataset)

    def test_unknown_options_are_refused_with_those_that_there_are(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()

        with pytest.raises(
            TypeError, match=f"unexpected option 'colour' of layout '{self.layout}'"
        ):
            export_dataset(dataset, tmp_path / "x", self.layout, colour=1, **self.writing)
        assert [path.name for path in tmp_path.iterdir()] == ["root"]

    def test_a_damaged_file_is_an_error_of_the_tree_and_nothing_is_left(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / self.file_name
        export_dataset(self.make_dataset(), path, self.layout, **self.writing)
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        for file in files:
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2])
            try:
                import_dataset(path, "damaged-v0", self.layout, **self.reading)
            except (minari.MinariError, TypeError):
                assert "damaged-v0" not in minari.list_local_datasets()
            else:
                # Some files, such as statistics, are beside what is read.
                minari.delete_dataset("damaged-v0")
            file.write_bytes(whole)

    def test_the_layout_says_what_it_is(self) -> None:
        assert find_layout(self.layout).title


def expect_same(made: MinariDataset, wanted: MinariDataset) -> None:
    """Compare the spaces and episodes of datasets."""
    assert made.observation_space == wanted.observation_space
    assert made.action_space == wanted.action_space
    for episode, again in zip(wanted, made, strict=True):
        expect_same_episode(episode, again)
