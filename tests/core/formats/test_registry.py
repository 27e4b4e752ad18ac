"""A data format needs its own code and one entry in the registry, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import minari
from minari_core import MinariDataset
from minari_core.formats.registry import FORMATS, Format
from minari_core.local.locations import DATA_FOLDER, dataset_folder
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import create
from tests.core.helpers.toy_format import DATA_FILE, ToyStorage

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

DATASET_ID = "tests/toy-v0"


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MinariDataset:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    address = f"{ToyStorage.__module__}:{ToyStorage.__name__}"
    monkeypatch.setitem(FORMATS, ToyStorage.data_format, Format(address))
    return create(DATASET_ID, data_format="toy")


def data_file() -> Path:
    return dataset_folder(DATASET_ID) / DATA_FOLDER / DATA_FILE


def expect_same_episodes(one: MinariDataset, other: MinariDataset) -> None:
    for found, wanted in zip(one, other, strict=True):
        expect_same_episode(found, wanted)


def test_a_dataset_in_a_new_format_is_found_read_and_added_to(dataset: MinariDataset) -> None:
    assert minari.list_local_datasets()[DATASET_ID]["data_format"] == "toy"
    dataset.update_dataset_from_buffer([simple_episode(6, 4)])
    loaded = minari.load_dataset(DATASET_ID)
    expect_same_episodes(loaded, dataset)
    assert loaded.total_episodes == 7
    assert loaded.sample_transitions(5).rewards.shape == (5,)


def test_a_dataset_is_converted_to_a_new_format_and_back(dataset: MinariDataset) -> None:
    columnar = minari.convert_dataset(dataset, "tests/columnar-v0")
    back = minari.convert_dataset(columnar, "tests/back-v0", data_format="toy")
    expect_same_episodes(back, dataset)


def test_a_dataset_in_a_new_format_is_verified_by_reading_it() -> None:
    assert minari.verify_dataset(DATASET_ID).ok
    data_file().write_bytes(data_file().read_bytes()[:200])
    (problem,) = minari.verify_dataset(DATASET_ID).problems
    assert "the data cannot be opened" in problem.message


def test_a_dataset_in_a_new_format_is_uploaded_and_downloaded_with_all_its_files(
    dataset: MinariDataset, tmp_path: Path
) -> None:
    (tmp_path / "remote").mkdir()
    remote = (tmp_path / "remote").as_uri()
    content = data_file().read_bytes()
    minari.upload_dataset(DATASET_ID, remote_path=remote)
    minari.delete_dataset(DATASET_ID)
    minari.download_dataset(DATASET_ID, remote_path=remote)
    assert data_file().read_bytes() == content
    expect_same_episodes(minari.load_dataset(DATASET_ID), dataset)
