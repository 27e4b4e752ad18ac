"""A shard that is written a part at a time holds what it was given, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import DataError, DatasetWriteError, EpisodeBuffer
from minari_core.episodes.shard_data import ShardData
from minari_core.episodes.stream import encode_shards
from minari_core.formats.shards.reader import open_shard
from minari_core.formats.shards.writer import GrowingShard, write_shard

SPACE: spaces.Tuple[Any] = spaces.Tuple(
    [spaces.Box(-9, 9, (2,), np.float32), spaces.Box(0, 9, (0,), np.int64)]
)
STEPS = (3, 1, 4)


def test_a_shard_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    data = next(parts())
    writes: tuple[Callable[[], object], ...] = (
        lambda: write_shard(tmp_path / "gone", data, 0),
        lambda: GrowingShard(tmp_path / "gone", data.schema, (1, 1, 1)),
    )
    for write in writes:
        with pytest.raises(DatasetWriteError, match=r"could not write shard .*gone"):
            write()


def parts() -> Iterator[ShardData]:
    """Encode three episodes, each by itself."""
    for number, steps in enumerate(STEPS):
        episode = EpisodeBuffer(
            observations=(
                np.full((steps + 1, 2), number, np.float32),
                np.zeros((steps + 1, 0), np.int64),
            ),
            actions=np.arange(steps) + 10 * number,
            rewards=np.arange(float(steps)),
            terminations=[False] * steps,
            truncations=[False] * steps,
            infos={"sometimes": np.ma.MaskedArray(np.arange(steps + 1), [True] + [False] * steps)},
        )
        yield from encode_shards([episode], SPACE, spaces.Discrete(99))


def grow(folder: Path, counts: tuple[int, int, int]) -> GrowingShard:
    return GrowingShard(folder, next(parts()).schema, counts)


def test_it_holds_all_parts_one_after_the_other(tmp_path: Path) -> None:
    shard = grow(tmp_path, (sum(STEPS) + 3, sum(STEPS), 3))
    for part in parts():
        shard.write(part)
    entry = shard.finish()
    reader = open_shard(tmp_path, entry, next(parts()).schema)
    assert reader.counts == (11, 8, 3)
    assert reader.read("actions", 0, 8, copy=True).tolist() == [0, 1, 2, 10, 20, 21, 22, 23]
    assert reader.read("episodes", 0, 3, copy=True)["length"].tolist() == list(STEPS)
    wide, empty = reader.read("observations", 0, 11, copy=True)
    assert wide[:, 1].tolist() == [0] * 4 + [1] * 2 + [2] * 5
    assert empty.shape == (11, 0)
    assert reader.read("infos", 0, 6, copy=True)["sometimes"].tolist() == [None, 1, 2, 3, None, 1]
    with h5py.File(tmp_path / entry.file) as file:
        assert file["actions"][()].tolist() == [0, 1, 2, 10, 20, 21, 22, 23]


def test_more_rows_than_were_promised_are_refused_and_the_file_is_removed(tmp_path: Path) -> None:
    shard = grow(tmp_path, (5, 4, 2))
    first, _, third = parts()
    shard.write(first)
    with pytest.raises(DataError, match="room for"):
        shard.write(third)
    assert list(tmp_path.iterdir()) == []
    shard.discard()


def test_fewer_rows_than_were_promised_are_refused(tmp_path: Path) -> None:
    shard = grow(tmp_path, (11, 8, 3))
    shard.write(next(parts()))
    with pytest.raises(DataError, match="fewer rows"):
        shard.finish()
    shard.discard()
    assert list(tmp_path.iterdir()) == []
