"""What is left behind: nothing by who is refused, and what was killed is swept up in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import MinariDataset, create_dataset_from_buffers, delete_dataset, load_dataset
from minari_core.errors import DatasetNotFoundError
from minari_core.testing import simple_episode

EPISODE = simple_episode(0, 3)


def create(dataset_id: str, data_format: str = "columnar") -> MinariDataset:
    return create_dataset_from_buffers(
        dataset_id,
        [EPISODE],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Discrete(3),
        data_format=data_format,
        algorithm_name="none",
        author="Ada",
        author_email="ada@example.org",
        code_permalink="https://example.org",
    )


def test_a_creation_that_goes_on_for_days_is_not_swept_up(datasets_root: Path) -> None:
    folders = [datasets_root / ".staging" / name for name in ("create-slow", "create-dead")]
    two_days_ago = time.time() - 48 * 3600
    for folder in folders:
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "shard-1.h5").write_bytes(b"")
        for path in (folder / "data" / "shard-1.h5", folder / "data", folder):
            os.utime(path, (two_days_ago,) * 2)
    (folders[0] / "data" / "shard-1.h5").write_bytes(b"more")
    create("tests/good-v0")
    assert list((datasets_root / ".staging").iterdir()) == [folders[0]]


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_what_a_deleted_dataset_refuses_does_not_bring_its_folder_back(
    data_format: str, datasets_root: Path
) -> None:
    dataset = create("tests/gone-v0", data_format=data_format)
    delete_dataset("tests/gone-v0")
    with pytest.raises(DatasetNotFoundError, match="gone"):
        dataset.update_dataset_from_buffer([EPISODE])
    if data_format == "columnar":
        with pytest.raises(DatasetNotFoundError, match="gone"):
            dataset.compact()
    assert not (datasets_root / "tests" / "gone-v0").exists()
    create("tests/gone-v0")


def test_the_next_checkpoint_removes_what_one_that_was_killed_has_left(datasets_root: Path) -> None:
    create("tests/good-v0")
    data = datasets_root / "tests" / "good-v0" / "data"
    files = sorted(path.name for path in data.iterdir())
    for name in ("shard-0123.h5", ".metadata.json.0123"):
        (data / name).write_bytes(b"half")
    load_dataset("tests/good-v0").update_dataset_from_buffer([EPISODE])
    found = {path.name for path in data.iterdir()} - {".lock"}
    assert len(found) == len(files) + 1
    assert found.isdisjoint({"shard-0123.h5", ".metadata.json.0123"})
