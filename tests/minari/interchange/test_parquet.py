"""Folders of Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pyarrow.parquet as parquet
import pytest

import minari
from minari import MinariDataset
from minari_core.tables import source
from minari_core.tables.source import open_table
from tests.minari.interchange.conformance import LayoutConformance, expect_same
from tests.minari.interchange.lerobot.helpers import make_rich_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


class TestParquet(LayoutConformance):
    layout: ClassVar[str] = "parquet"
    file_name: ClassVar[str] = "pendulum"

    def make_dataset(self) -> MinariDataset:
        env = minari.DataCollectorV0(gymnasium.make("Pendulum-v1"), record_infos=True)
        env.action_space.seed(0)
        for seed in range(3):
            env.reset(seed=seed)
            for _ in range(200):
                env.step(env.action_space.sample())
        dataset = minari.create_dataset_from_collector_env("pendulum/random-v0", env)
        env.close()
        return dataset

    def test_columns_of_which_a_dataset_has_none_are_told(self, tmp_path: Path) -> None:
        path = tmp_path / self.file_name
        minari.export_dataset(self.make_dataset(), path, self.layout)
        steps = parquet.read_table(path / "steps.parquet")
        parquet.write_table(steps.append_column("mood", [["fine"] * 600]), path / "steps.parquet")
        losses: list[minari.Loss] = []

        minari.import_dataset(path, "told-v0", losses=losses)

        assert [loss.what for loss in losses] == ["mood"]

    def test_splits_are_told_to_be_left_out(self, tmp_path: Path) -> None:
        dataset = self.make_dataset()
        dataset.set_splits({"train": [0, 1]})

        (loss,) = minari.export_dataset(dataset, tmp_path / self.file_name, self.layout)

        assert loss.what == "splits"


def test_images_are_read_some_at_a_time_and_come_back_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    dataset = make_rich_dataset()
    minari.export_dataset(dataset, tmp_path / "rich", "parquet", as_json=True)
    (whole,) = open_table(tmp_path / "rich/steps.parquet").iterate_columns()
    row = sum(leaf[:1].nbytes for leaf in whole.values() if isinstance(leaf, np.ndarray))
    monkeypatch.setattr(source, "_PIECE_NBYTES", 2 * row)

    pieces = list(open_table(tmp_path / "rich/steps.parquet").iterate_columns())
    made = minari.import_dataset(tmp_path / "rich", "again-v0")

    assert {len(piece["reward"]) for piece in pieces[:-1]} == {2}
    expect_same(made, dataset)
