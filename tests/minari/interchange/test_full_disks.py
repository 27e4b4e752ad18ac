"""Exports to disks that fill soon: nothing more is read, and nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari_core import EpisodeData, MinariDataset
from minari_core.errors import DatasetWriteError

resource = pytest.importorskip("resource", reason="limits the size of files")

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
_EPISODES, _NBYTES = 40, 16 << 10


class Counted(MinariDataset):
    """Counts the episodes that are read of it."""

    read = 0

    def iterate_episodes(
        self, episode_indices: Iterable[int] | None = None, *, copy: bool = True
    ) -> Iterator[EpisodeData]:
        for episode in super().iterate_episodes(episode_indices, copy=copy):
            self.read += 1
            yield episode


@contextmanager
def limited_files(nbytes: int) -> Iterator[None]:
    """Let no file grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("layout", ["robomimic", "isaaclab", "d4rl"])
def test_an_export_ends_when_the_disk_is_full_before_it_reads_the_rest(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    made = minari.create_dataset_from_buffers(
        "a-v0",
        [
            minari.EpisodeBuffer(
                observations=np.zeros((2, _NBYTES // 8)),
                actions=np.zeros((1, 1)),
                rewards=[0.0],
                terminations=[True],
                truncations=[False],
            )
        ]
        * _EPISODES,
        observation_space=spaces.Box(-1, 1, (_NBYTES // 8,), np.float64),
        action_space=spaces.Box(-1, 1, (1,), np.float64),
    )
    dataset = Counted(made.storage)
    surveyed = _EPISODES if layout == "d4rl" else 0

    with limited_files(8 * _NBYTES), pytest.raises(DatasetWriteError, match="cannot be written"):
        minari.export_dataset(dataset, tmp_path / "out.hdf5", layout)

    assert dataset.read - surveyed < _EPISODES // 2
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
