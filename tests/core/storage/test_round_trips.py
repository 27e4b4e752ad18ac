"""Whatever is stored comes back: random spaces, random infos, random episodes."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces as gym_spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minari_core.columns.joining import split_rows
from minari_core.datasets.dataset import MinariDataset
from minari_core.environments.space_json import space_to_json
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.messages import MinariWarning
from minari_core.storage.base import Storage
from minari_core.testing.expectations import expect_same, expect_same_episode, split_space_rows
from tests.core.helpers.info_strategies import (
    anything,
    canonical,
    json_values,
    keys,
    may_be_left_out,
    without_what_was_left_out,
)
from tests.core.helpers.info_strategies import row_values as rows
from tests.core.helpers.space_strategies import spaces, value_of

DISCRETE = gym_spaces.Discrete(2)
seeds = st.integers(0, 2**32 - 1)
lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@contextlib.contextmanager
def new_storage(
    observation_space: gym_spaces.Space[Any], action_space: gym_spaces.Space[Any]
) -> Iterator[Storage]:
    with tempfile.TemporaryDirectory() as folder:
        described: dict[str, Any] = {
            "dataset_id": "tests/round-trip-v0",
            "observation_space": space_to_json(observation_space),
            "action_space": space_to_json(action_space),
        }
        ColumnarStorage.create(Path(folder), described).save()
        yield ColumnarStorage.open(Path(folder))


def reopen(storage: Storage) -> Storage:
    assert storage.data_path is not None
    return ColumnarStorage.open(storage.data_path)


def counted(steps: int, **fields: Any) -> EpisodeBuffer:
    zeros = np.zeros(steps, dtype=np.int64)
    return EpisodeBuffer(
        **{
            "observations": np.zeros(steps + 1, dtype=np.int64),
            "actions": zeros,
            "rewards": zeros.astype(np.float64),
            "terminations": zeros.astype(bool),
            "truncations": zeros.astype(bool),
            **fields,
        }
    )


@given(spaces(), spaces(), lengths, seeds, st.booleans())
@settings(max_examples=60)
def test_values_of_any_space_come_back_to_the_bit(
    observation_space: Any, action_space: Any, steps: list[int], seed: int, at_once: bool
) -> None:
    rng = np.random.default_rng(seed)
    observations = [[value_of(observation_space, rng) for _ in range(n + 1)] for n in steps]
    actions = [[value_of(action_space, rng) for _ in range(n)] for n in steps]
    buffers = [
        counted(n, observations=o, actions=a)
        for n, o, a in zip(steps, observations, actions, strict=True)
    ]
    with new_storage(observation_space, action_space) as storage:
        if at_once:
            storage.append_episodes(buffers)
        else:
            for buffer in buffers:
                storage.append_episodes([buffer])
        for copy in (True, False):
            episodes = reopen(storage).read_episodes(range(len(steps)), copy=copy)
            for index, episode in enumerate(episodes):
                count = steps[index]
                found = split_space_rows(observation_space, episode.observations, count + 1)
                expect_same(found, observations[index], f"observations of {index}")
                found = split_space_rows(action_space, episode.actions, count)
                expect_same(found, actions[index], f"actions of {index}")


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", "<f4"])
@pytest.mark.parametrize("steps", [3, 5000])
def test_numbers_of_either_byte_order_come_back(dtype: str, steps: int) -> None:
    rows = np.arange(2 * (steps + 1)).reshape(-1, 2).astype(dtype)
    lists = [row[: index % 3] for index, row in enumerate(rows)]
    infos = {"fixed": rows, "ragged": lists}
    space = gym_spaces.Box(-np.inf, np.inf, (2,), np.dtype(dtype).newbyteorder("=").type)
    with new_storage(space, DISCRETE) as storage:
        for count in (1, 3):
            buffer = counted(steps, observations=rows, infos=infos)
            storage.append_episodes([buffer] * count)
        storage.compact()
        again = reopen(storage)
        for episode in again.read_episodes(range(4)):
            assert episode.observations.dtype == rows.dtype
            assert np.array_equal(episode.observations, rows)
            assert np.array_equal(episode.infos["fixed"], rows)
            for found, row in zip(episode.infos["ragged"], lists, strict=True):
                assert np.array_equal(found, row)
        assert storage.data_path is not None
        sampled = MinariDataset(storage.data_path).sample_transitions(64)
        assert np.array_equal(sampled.observations, rows[sampled.time_steps])


@given(spaces(), lengths, seeds)
@settings(max_examples=30)
def test_what_was_read_can_be_stored_again_and_compacted(
    space: Any, steps: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    memory = MemoryStorage(space, DISCRETE)
    for count in steps:
        values = [value_of(space, rng) for _ in range(count + 1)]
        memory.append_episodes([counted(count, observations=values)])
    wanted = list(memory.read_episodes(range(len(steps))))
    with new_storage(space, DISCRETE) as storage:
        storage.append_storage(memory)
        storage.append_storage(storage, list(range(len(steps)))[::-1])
        for episode in wanted:
            storage.append_episodes([episode])
        storage.compact()
        again = list(reopen(storage).read_episodes(range(3 * len(steps))))
        for found, episode in zip(again, wanted + wanted[::-1] + wanted, strict=True):
            expect_same_episode(found, episode, ids=False)


@st.composite
def _episodes_with_infos(draw: st.DrawFn) -> list[tuple[int, dict[str, list[Any]]]]:
    names = draw(st.lists(keys, min_size=1, max_size=3, unique=True))
    episodes: list[tuple[int, dict[str, list[Any]]]] = []
    for count in draw(lengths):
        some = draw(st.lists(st.sampled_from(names), unique=True))
        episodes.append((count, {name: draw(rows(count + 1)) for name in some}))
    return episodes


@given(_episodes_with_infos(), st.booleans(), st.booleans())
@example(
    # What the dict loses in the second row is one key, because the other is a column of its own.
    [(1, {"": [False, False]}), (1, {"": [{"0": False}, {"": False, "0": b""}]})],
    False,
    False,
)
@settings(max_examples=200)
def test_infos_come_back_as_the_rules_say(
    episodes: list[tuple[int, dict[str, list[Any]]]], at_once: bool, copied: bool
) -> None:
    buffers = [counted(count, infos=infos) for count, infos in episodes]
    storage: Storage = MemoryStorage(DISCRETE, DISCRETE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MinariWarning)
        for some in [buffers] if at_once else [[buffer] for buffer in buffers]:
            storage.append_episodes(some)
        if copied:
            # What was read is stored once more, as a copy of a view is.
            source, storage = storage, MemoryStorage(DISCRETE, DISCRETE)
            storage.append_episodes(source.read_episodes(range(len(episodes))))
    for episode, (count, infos) in zip(
        storage.read_episodes(range(len(episodes))), episodes, strict=True
    ):
        shown = {key: split_rows(column, count + 1) for key, column in episode.infos.items()}
        for key, values in infos.items():
            for row, value in enumerate(values):
                found = shown[key][row] if key in shown else None
                if key not in shown and not key.isprintable():
                    # Two surrogates in a row are no key that JSON can keep.
                    continue
                wanted = canonical(without_what_was_left_out(value, found))
                assert repr(canonical(found)) == repr(wanted) or canonical(found) == wanted
        for key in shown.keys() - infos.keys():
            assert all(canonical(value) is None for value in shown[key])


@given(st.lists(st.dictionaries(keys, anything, max_size=3), min_size=1, max_size=4))
@example(
    [
        {"": False, "\uda03\udf3a": {0: None}},
        {"value": {}, "": {1: np.array([1j])}},
    ]
)
@settings(max_examples=150)
def test_episode_metadata_comes_back(described: list[dict[str, Any]]) -> None:
    storage = MemoryStorage(DISCRETE, DISCRETE)
    # Two surrogates in a row are no column's name: beside them, all metadata is one value.
    is_one_value = not all(key.isprintable() for each in described for key in each)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MinariWarning)
        storage.append_episodes(counted(1, metadata=metadata) for metadata in described)
    for entry, metadata in zip(
        storage.read_episode_metadata(range(len(described))), described, strict=True
    ):
        for key, value in metadata.items():
            found, wanted = entry.metadata.get(key), value
            if found is None and may_be_left_out(metadata if is_one_value else value):
                continue
            if may_be_left_out(value):
                # Parts of a dict may be missing beside parts that JSON cannot say.
                continue
            found, wanted = (canonical(part, empty_dicts=True) for part in (found, wanted))
            assert found == wanted
        assert entry.metadata.keys() <= metadata.keys()


@given(st.lists(st.none() | st.dictionaries(keys, json_values, max_size=3), min_size=1, max_size=3))
@settings(max_examples=60)
def test_options_come_back_to_the_bit(options: list[dict[str, Any] | None]) -> None:
    storage = MemoryStorage(DISCRETE, DISCRETE)
    storage.append_episodes(counted(1, options=option) for option in options)
    found = [entry.options for entry in storage.read_episode_metadata(range(len(options)))]
    expect_same(found, options, "options")
