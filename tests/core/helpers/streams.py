"""Datasets on disk, and streams of the same bytes."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, MinariDataset
from minari_core.cache.entries import list_entries
from minari_core.environments.space_json import space_to_json
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.ranges.folder import FolderSource
from minari_core.ranges.source import ObjectVersion
from minari_core.testing import MemorySource

BOX = spaces.Box(-1, 1, (3,), np.float32)


def write_dataset(
    folder: Path, space: spaces.Space[Any] = BOX, lengths: tuple[int, ...] = (1, 5, 2, 30)
) -> MinariDataset:
    """A dataset of three shards, each with episodes of the lengths, and infos of several kinds."""
    space.seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    text = space_to_json(space)
    storage = ColumnarStorage.create(
        folder, {"dataset_id": "x-v0", "observation_space": text, "action_space": text}
    )
    for number in range(3):
        storage.append_episodes(list(_make_episodes(space, number, lengths)))
    storage.save()
    return MinariDataset(folder)


def _make_episodes(
    space: spaces.Space[Any], number: int, lengths: tuple[int, ...]
) -> Iterator[EpisodeBuffer]:
    random = np.random.default_rng(number)
    for steps in lengths:
        yield EpisodeBuffer(
            seed=number,
            options={"level": steps},
            observations=[space.sample() for _ in range(steps + 1)],
            actions=[space.sample() for _ in range(steps)],
            rewards=random.standard_normal(steps).tolist(),
            terminations=[False] * (steps - 1) + [True],
            truncations=[False] * steps,
            infos={
                "some": [None if row % 3 else row for row in range(steps + 1)],
                "text": [f"row {row}" for row in range(steps + 1)],
                "position": random.random((steps + 1, 2)),
            },
        )


def read_source(folder: Path) -> MemorySource:
    """The files of a dataset's folder as objects in memory."""
    return MemorySource(
        {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    )


def write_numbered(folder: Path, rows: int = 60_000) -> npt.NDArray[np.float32]:
    """A dataset of three shards whose observations say their numbers; return all of them."""
    folder.mkdir(parents=True)
    text = space_to_json(spaces.Box(-np.inf, np.inf, (4,), np.float32))
    action = space_to_json(spaces.Discrete(2))
    storage = ColumnarStorage.create(
        folder, {"dataset_id": "x-v0", "observation_space": text, "action_space": action}
    )
    random = np.random.default_rng(0)
    observations = random.standard_normal((rows, 4)).astype(np.float32)
    observations[:, 0] = np.arange(rows)
    for part in np.split(observations, 3):
        steps = len(part) - 1
        flags = np.zeros(steps, bool)
        storage.append_episodes(
            [EpisodeBuffer(None, None, None, part, flags.astype(int), flags * 1.0, flags, ~flags)]
        )
    storage.save()
    return observations


class LoggingSource(FolderSource):
    """A folder that writes down which ranges any process reads of it, and takes its time."""

    def __init__(self, folder: Path, log: Path, pause: float = 0.0) -> None:
        super().__init__(folder)
        self._log, self._pause = log, pause

    def read_ranges(
        self, name: str, ranges: Sequence[tuple[int, int]], *, version: ObjectVersion
    ) -> Iterator[tuple[int, bytes]]:
        lines = "".join(f"{name} {start} {stop}\n" for start, stop in ranges)
        with open(self._log, "ab", buffering=0) as file:
            file.write(lines.encode("ascii"))
        time.sleep(self._pause)
        yield from super().read_ranges(name, ranges, version=version)


def read_log(log: Path) -> list[tuple[str, int, int]]:
    """List what was read since the log was begun, and begin it anew."""
    lines = log.read_text(encoding="ascii").splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    parts = (line.split() for line in lines)
    return [(name, int(start), int(stop)) for name, start, stop in parts]


def count_blocks(read: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int], int]:
    """Count how often each block of a shard was read."""
    return Counter(
        (name, block)
        for name, start, stop in read
        if name.endswith(".h5")
        for block in range(start // BLOCK_NBYTES, -(-stop // BLOCK_NBYTES))
    )


def wait_until_unused(ending: str) -> None:
    """Wait until the threads of streams that nobody holds have ended, by the ends of their URLs."""
    for _ in range(500):
        gc.collect()
        entries = [entry for entry in list_entries() if entry.what.endswith(ending)]
        if not any(entry.is_in_use for entry in entries):
            return
        time.sleep(0.01)
    pytest.fail(f"{ending} is in use for ever")
