"""No operation leaves a file open, however often it is done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from minari_core import combine_datasets, convert_dataset, delete_dataset, load_dataset
from minari_core.datasets.dataset import MinariDataset
from minari_core.local.verifying import verify_dataset
from minari_core.testing import simple_episode
from tests.core.helpers.numbered import create

DESCRIPTORS = Path("/proc/self/fd")


def commit(dataset: MinariDataset, number: int) -> None:
    dataset.update_dataset_from_buffer([simple_episode(number, 2)])


def compact(dataset: MinariDataset, number: int) -> None:
    commit(dataset, number)
    dataset.compact()


def describe(dataset: MinariDataset, number: int) -> None:
    dataset.storage.update_metadata({"number": number})


def read(dataset: MinariDataset, number: int) -> None:
    assert len(list(load_dataset(dataset.id))) == len(dataset)


def sample(dataset: MinariDataset, number: int) -> None:
    load_dataset(dataset.id).sample_transitions(4)


def make_and_delete(dataset: MinariDataset, number: int) -> None:
    create("tests/other-v0")
    combine_datasets([dataset, load_dataset("tests/other-v0")], "tests/both-v0")
    convert_dataset(dataset, "tests/converted-v0", data_format="columnar")
    for name in ("other", "both", "converted"):
        delete_dataset(f"tests/{name}-v0")


def verify(dataset: MinariDataset, number: int) -> None:
    assert verify_dataset(dataset.id).problems == ()


@pytest.mark.filterwarnings("ignore:.*is (set to )?None")
@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="only Linux lists a process's open files")
@pytest.mark.parametrize("work", [commit, compact, describe, read, sample, make_and_delete, verify])
def test_no_file_stays_open(work: Callable[[MinariDataset, int], None]) -> None:
    dataset = create()
    # What is loaded and opened once is not counted.
    work(dataset, 100)
    before = len(os.listdir(DESCRIPTORS))
    for number in range(5):
        work(dataset, number)
    assert len(os.listdir(DESCRIPTORS)) == before
