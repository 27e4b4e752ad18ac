"""What a killed process has left in a public layout goes with the next change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, MinariDataset, create_dataset_from_buffers

BUFFER = EpisodeBuffer(
    observations=np.zeros((3, 2), np.float32),
    actions=np.zeros(2, np.int64),
    rewards=np.ones(2),
    terminations=np.array([False, True]),
    truncations=np.zeros(2, bool),
)


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: dataset.update_dataset_from_buffer([BUFFER]),
        lambda dataset: dataset.storage.update_metadata({"author": "A"}),
    ],
    ids=["append", "metadata"],
)
def test_temporary_files_of_a_killed_process_are_removed_by_the_next_change(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data_format: str,
    change: Callable[[MinariDataset], None],
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    dataset = create_dataset_from_buffers(
        "left-v0",
        [BUFFER],
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    data = tmp_path / "left-v0" / "data"
    before = {path.name for path in data.iterdir()} - {".lock"}
    (data / f".main_data.hdf5.{'0' * 32}").write_bytes(b"half")
    (data / f".metadata.json.{'0' * 32}").write_bytes(b"half")
    change(dataset)
    left = {path.name for path in data.iterdir()} - {".lock", "1"}
    assert left == before
