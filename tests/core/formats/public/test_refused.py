"""What the system refuses to open is not called damaged."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    combine_datasets,
    create_dataset_from_buffers,
    list_leftovers,
    list_local_datasets,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import DatasetAccessError, DatasetBusyError, DatasetWriteError
from minari_core.formats.public.files import list_files
from tests.core.helpers.refusing import unreadable, without_descriptors, without_privileges

pytestmark = [
    pytest.mark.filterwarnings("ignore::minari_core.MinariWarning"),
    pytest.mark.skipif(sys.platform != "linux", reason="takes privileges away as Linux does"),
]

FORMATS = ("columnar", "hdf5", "arrow", "parquet")


@pytest.fixture(params=FORMATS)
def dataset(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> MinariDataset:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffer = EpisodeBuffer(
        observations=np.ones((5, 2), np.float32),
        actions=np.zeros(4, np.int64),
        rewards=np.ones(4),
        terminations=np.arange(4) == 3,
        truncations=np.zeros(4, bool),
        infos={"late": [None, *range(4)]},
    )
    create_dataset_from_buffers(
        "refused-v0",
        [buffer, buffer],
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=request.param,
    )
    return load_dataset("refused-v0")


def read(dataset: MinariDataset) -> None:
    # An object that has read nothing has mapped nothing.
    load_dataset(dataset.id)[1]


def read_metadata(dataset: MinariDataset) -> None:
    list(load_dataset(dataset.id).storage.get_episode_metadata([1]))


def data_files(dataset: MinariDataset) -> list[Path]:
    """The files that hold episode 1."""
    folder = Path(str(dataset.spec.data_path))
    if (folder / "1").is_dir():
        return [*(folder / "1").iterdir(), folder / "1"]
    return [*folder.glob("shard-*"), *folder.glob("main_data.hdf5")][:1]


def test_a_file_that_may_not_be_read_is_said_to_be_that(dataset: MinariDataset) -> None:
    for path in data_files(dataset):
        with unreadable(path):
            with pytest.raises(DatasetAccessError, match="may not be read"):
                without_privileges(lambda: read(dataset))
            report = without_privileges(lambda: verify_dataset(dataset.id))
            assert "may not be read" in str(report.problems) or "Permission" in str(report.problems)
    assert verify_dataset(dataset.id).ok


def sample(dataset: MinariDataset) -> None:
    load_dataset(dataset.id).statistics()


@pytest.mark.parametrize(
    "work", [read, read_metadata, sample, lambda each: verify_dataset(each.id)]
)
def test_a_process_that_can_open_no_more_files_is_told_so(
    dataset: MinariDataset, work: Callable[[MinariDataset], object]
) -> None:
    work(dataset)  # loads what it needs
    for free in range(4):
        # What needs no more than there are succeeds.
        with without_descriptors(free), suppress(DatasetBusyError):
            work(dataset)
    with (
        without_descriptors(0),
        pytest.raises(DatasetBusyError, match="as many files are open as may be"),
    ):
        work(dataset)
    work(dataset)


def test_no_list_is_empty_because_no_more_files_can_be_opened(dataset: MinariDataset) -> None:
    assert list_local_datasets().keys() == {dataset.id}
    for work in (list_local_datasets, list_leftovers):
        with without_descriptors(0), pytest.raises(DatasetBusyError, match="as many files"):
            work()


def test_a_dataset_that_no_more_files_can_be_opened_for_is_not_created(
    dataset: MinariDataset, tmp_path: Path
) -> None:
    def create() -> None:
        combine_datasets([dataset], f"made-{uuid.uuid4().hex}-v0")

    create()
    for free in range(8):
        before = list_local_datasets().keys()
        with without_descriptors(free):
            try:
                create()
                continue
            except (DatasetBusyError, DatasetWriteError) as error:
                said = str(error)
        assert "Too many open files" in said
        assert said.endswith(
            "as many files are open as may be: close some, or let the process have more of them"
        )
        assert list_local_datasets().keys() == before
    create()
    assert not list_leftovers()


@pytest.mark.parametrize("dataset", ["arrow", "parquet"], indirect=True)
def test_files_that_cannot_be_listed_are_not_left_out(dataset: MinariDataset) -> None:
    folder = Path(str(dataset.spec.data_path))
    metadata = dict(dataset.storage.metadata)
    assert len(list_files(folder, metadata)) == 6
    with unreadable(folder / "1"), pytest.raises(DatasetAccessError, match="may not be read"):
        without_privileges(lambda: list_files(folder, metadata))
    with without_descriptors(0), pytest.raises(DatasetBusyError):
        list_files(folder, metadata)
