"""Episodes are read whole, whichever shards they lie in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.columns import (
    AXES,
)
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import encode_episodes
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.shard_data import ShardData
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.shard_folder import ShardFolder, WholeShards
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same


def _fields(steps: int) -> dict[str, Any]:
    zeros = np.zeros(steps, dtype=np.int64)
    return {
        "observations": np.zeros(steps + 1, dtype=np.int64),
        "actions": zeros,
        "rewards": zeros.astype(np.float64),
        "terminations": zeros.astype(bool),
        "truncations": zeros.astype(bool),
    }


POSITION = gym_spaces.Box(-np.inf, np.inf, (2,), np.float64)


def _axes(data: ShardData) -> list[str]:
    """Along what each array of a shard runs."""
    return [AXES[part] for part, column in data.schema.groups.items() for _ in column.arrays(part)]


def cut(data: ShardData, rows: list[int], steps: list[int]) -> list[ShardData]:
    """A shard of fixed columns as several, cut inside its episodes."""
    axes = _axes(data)
    lengths = np.concatenate(data.pieces[axes.index("episodes")])
    ends = np.cumsum(lengths)
    episodes = np.searchsorted(ends, steps, side="right").tolist()
    borders = {
        "rows": [0, *rows, data.rows],
        "steps": [0, *steps, data.steps],
        "episodes": [0, *episodes, data.episodes],
    }
    shards: list[ShardData] = []
    for number in range(len(rows) + 1):
        places = {axis: slice(b[number], b[number + 1]) for axis, b in borders.items()}
        pieces = [
            [np.concatenate(array)[places[axis]]]
            for axis, array in zip(axes, data.pieces, strict=True)
        ]
        counts = [places[axis].stop - places[axis].start for axis in ("rows", "steps", "episodes")]
        shards.append(ShardData(data.schema, pieces, *counts))
    return shards


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
@settings(max_examples=40)
def test_episodes_that_go_across_shards_are_read_whole(
    tmp_path_factory: Any, lengths: list[int], data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("cut")
    buffers = [_without_variable_parts(number, steps) for number, steps in enumerate(lengths)]
    whole = encode_episodes(buffers, POSITION, gym_spaces.Discrete(3), {})
    shards = data.draw(st.integers(0, 3))
    row_cuts = sorted(
        data.draw(st.lists(st.integers(0, whole.rows), min_size=shards, max_size=shards))
    )
    step_cuts = sorted(
        data.draw(st.lists(st.integers(0, whole.steps), min_size=shards, max_size=shards))
    )
    metadata: dict[str, Any] = {
        "data_format": "columnar",
        "observation_space": space_to_json(POSITION),
        "action_space": space_to_json(gym_spaces.Discrete(3)),
    }
    storage = ShardFolder(folder, Manifest(metadata, Snapshot(uid="x")))
    storage.add(cut(whole, row_cuts, step_cuts))
    indices = np.array(
        data.draw(
            st.just(list(range(len(lengths))))
            | st.lists(st.integers(0, len(lengths) - 1), max_size=8)
        ),
        dtype=np.int64,
    )
    for copy in (True, False):
        for number, episode in zip(
            indices.tolist(), storage.read_episodes(indices, copy=copy), strict=True
        ):
            _expect(episode, buffers[number])
    _check_runs(storage, indices)
    (folder / "other").mkdir()
    other = ShardFolder(folder / "other", Manifest(metadata, Snapshot(uid="y")))
    other.append_storage(storage, indices.tolist())
    other.compact()
    for number, episode in zip(
        indices.tolist(), other.read_episodes(range(len(indices))), strict=True
    ):
        _expect(episode, buffers[number])


def _check_runs(storage: ShardFolder, indices: Any) -> None:
    """The runs cover what is wanted in order, and copy only what must be."""
    groups = list(storage.index.whole_shards())
    covered: list[int] = []
    for run in storage.split_selection(indices):
        first, stop = run.first, run.stop
        if isinstance(run, WholeShards):
            inside = [group for group in groups if first <= group[0] and group[1] <= stop]
            assert (inside[0][0], inside[-1][1]) == (first, stop)
            covered += [episode for group in inside for episode in range(group[2], group[3])]
        else:
            copied = indices[first:stop].tolist()
            for group in groups:
                wanted = list(range(group[2], group[3]))
                for place in range(len(copied) - len(wanted) + 1):
                    assert copied[place : place + len(wanted)] != wanted
            covered += copied
    assert covered == indices.tolist()


def _without_variable_parts(number: int, steps: int) -> EpisodeBuffer:
    buffer = simple_episode(number, steps)
    buffer.options, buffer.metadata = None, {"number": number}
    return buffer


def _expect(episode: EpisodeData, buffer: EpisodeBuffer) -> None:
    for name in ("observations", "actions", "rewards", "terminations", "infos", "seed", "metadata"):
        expect_same(getattr(episode, name), getattr(buffer, name), name)


def test_an_info_that_changes_its_type_between_shards_of_an_episode_is_kept(tmp_path: Path) -> None:
    metadata: dict[str, Any] = {
        "data_format": "columnar",
        "observation_space": space_to_json(POSITION),
        "action_space": space_to_json(gym_spaces.Discrete(3)),
    }
    storage = ShardFolder(tmp_path, Manifest(metadata, Snapshot(uid="x")))
    parts: list[Any] = [
        np.arange(3),
        ["a", None, "b"],
        np.zeros((3, 2)),
        np.ones((3, 4)),
        {"x": np.arange(3)},
        None,
    ]
    pieces = [
        encode_episodes(
            [EpisodeBuffer(**_vector_fields(2), infos=None if part is None else {"it": part})],
            POSITION,
            gym_spaces.Discrete(3),
            {},
        )
        for part in parts
    ]
    shards = []
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        arrays: list[list[Any]] = []
        for axis, (array,) in zip(_axes(piece), piece.pieces, strict=True):
            if axis == "episodes":
                arrays.append([np.array([17]) if is_last else array[:0]])
            else:
                # Behind the last row of all, there is no step.
                more = axis == "steps" and not is_last
                arrays.append([np.zeros(3, array.dtype) if more else array])
        shards.append(ShardData(piece.schema, arrays, 3, 2 if is_last else 3, int(is_last)))
    storage.add(shards)
    (episode,) = storage.read_episodes([0])
    assert len(episode) == 17
    wanted: list[Any] = [np.int64(0), np.int64(1), np.int64(2), "a", None, "b"]
    wanted += [np.zeros(2)] * 3 + [np.ones(4)] * 3 + [{"x": np.int64(n)} for n in range(3)]
    expect_same(episode.infos["it"], wanted + [None] * 3, "it")


def _vector_fields(steps: int) -> dict[str, Any]:
    return {**_fields(steps), "observations": np.zeros((steps + 1, 2))}
