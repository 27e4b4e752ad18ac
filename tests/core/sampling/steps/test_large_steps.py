"""The steps of a large dataset, looked up shard by shard, are those of the index of all."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minari_core import load_dataset
from minari_core.datasets.dataset import MinariDataset, get_raw_storage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.formats.shards import reader as shard_readers
from minari_core.formats.shards.reader import ShardReader
from minari_core.sampling.gathering import binding, segments
from minari_core.sampling.steps import large_steps
from minari_core.sampling.steps.episode_steps import EpisodeSteps
from minari_core.sampling.steps.large_steps import LargeSteps, are_large
from minari_core.testing import simple_episode
from tests.core.helpers.many_shards import create_many_shards

LENGTHS = [[3, 1, 4], [1], [5, 9, 2, 6, 5], [3, 5], [8] * 70]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> MinariDataset:
    """A dataset that is read as a large one is: no shard before it is needed."""
    monkeypatch.setattr(large_steps, "MOST_INDEXED_STEPS", 0)
    monkeypatch.setattr(segments, "OPENED_AT_ONCE", 0)
    monkeypatch.setattr(binding, "ASSEMBLED_NBYTES", 0)
    return create_many_shards(
        "tests/large-v0", [[simple_episode(n, steps) for n, steps in enumerate(s)] for s in LENGTHS]
    )


def columns_of(dataset: MinariDataset) -> ShardedStorage:
    storage = get_raw_storage(dataset)
    assert isinstance(storage, ShardedStorage)
    return storage


def check_located(steps: LargeSteps, twin: EpisodeSteps, positions: Sequence[int]) -> None:
    given_positions = np.array(positions, dtype=np.int64)
    indices, first = steps.locate(given_positions)
    wanted, wanted_first = twin.locate(given_positions)
    np.testing.assert_array_equal(indices, wanted)
    np.testing.assert_array_equal(first, wanted_first)
    for name in ("episodes", "first_steps", "episode_starts", "counts", "known_lengths", "lengths"):
        np.testing.assert_array_equal(
            getattr(steps, name).take(indices), getattr(twin, name).take(indices)
        )
    np.testing.assert_array_equal(steps.rows(indices, first), twin.rows(indices, first))
    np.testing.assert_array_equal(steps.last_known_rows(indices), twin.last_known_rows(indices))
    shards = steps.find_shards(indices)
    if shards is not None:
        np.testing.assert_array_equal(shards, twin.find_shards(indices))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_steps_are_located_as_the_index_of_all_episodes_does(
    large: MinariDataset, data: st.DataObject
) -> None:
    storage = columns_of(large)
    steps = LargeSteps(storage)
    twin = EpisodeSteps(storage, range(storage.total_episodes))
    assert steps.total == twin.total
    for _ in range(data.draw(st.integers(1, 4))):
        check_located(
            steps, twin, data.draw(st.lists(st.integers(0, steps.total - 1), max_size=20))
        )


def test_only_the_shards_of_a_batch_are_opened(large: MinariDataset) -> None:
    loaded = load_dataset(large.id)
    first = loaded.transition_sampler().read(np.array([0, 7]))
    assert first.episode_ids.tolist() == [0, 2]
    assert list(columns_of(loaded).open_shards.list_open()) == [0]


def test_batches_are_those_of_a_dataset_whose_steps_are_all_indexed(
    large: MinariDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert are_large(columns_of(large), range(len(large)))
    found = list(load_dataset(large.id).batches(16, seed=3, epochs=2))
    monkeypatch.setattr(large_steps, "MOST_INDEXED_STEPS", 1 << 27)
    wanted = list(load_dataset(large.id).batches(16, seed=3, epochs=2))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.next_observations, other.next_observations)
        np.testing.assert_array_equal(one.rewards, other.rewards)
        np.testing.assert_array_equal(one.episode_ids, other.episode_ids)
        np.testing.assert_array_equal(one.time_steps, other.time_steps)


def test_weights_n_steps_windows_and_views_are_read_from_it(large: MinariDataset) -> None:
    assert len(large.sample_transitions(50, weights="episodes")) == 50
    assert len(large.sample_transitions(50, n_step=3)) == 50
    assert len(large.sample_sequences(20, 4)) == 20
    assert len(large[3:7].sample_transitions(30)) == 30


def test_shards_that_do_not_say_that_their_episodes_are_whole_are_read_all(
    large: MinariDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShardReader, "read_episode_starts", lambda self: None)
    storage = columns_of(load_dataset(large.id))
    steps = LargeSteps(storage)
    twin = EpisodeSteps(storage, range(storage.total_episodes))
    check_located(steps, twin, range(0, steps.total, 3))
    assert steps.find_shards(np.array([0])) is None


def test_a_storage_that_forgets_its_shards_is_sampled_on_by_many_threads(
    large: MinariDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_readers, "MOST_MAPPED", 2)
    sampler = large.transition_sampler()
    everything = np.arange(len(sampler))
    wanted = sampler.read(everything)
    wrong: list[str] = []

    def read(seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(50):
            positions = generator.integers(0, len(sampler), size=30)
            found = sampler.read(positions)
            for name in ("observations", "next_observations", "rewards"):
                if not np.array_equal(getattr(found, name), getattr(wanted, name)[positions]):
                    wrong.append(name)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_samplers_and_batches_are_pickled_without_what_they_have_read(
    large: MinariDataset,
) -> None:
    sampler = large.transition_sampler()
    wanted = sampler.read(np.arange(20))
    again = pickle.loads(pickle.dumps(sampler)).read(np.arange(20))
    np.testing.assert_array_equal(again.observations, wanted.observations)
    batches = large.batches(8, seed=1)
    next(batches)
    carried = pickle.dumps(batches)
    assert len(carried) < 10_000
    np.testing.assert_array_equal(pickle.loads(carried).__next__().rewards, next(batches).rewards)


def test_shards_that_are_joined_before_they_are_opened_are_read_as_they_are_now(
    large: MinariDataset,
) -> None:
    wanted = load_dataset(large.id).transition_sampler().read(np.arange(40))
    reader = load_dataset(large.id)
    sampler = reader.transition_sampler()
    sampler.read(np.array([0]))
    windows = load_dataset(large.id)
    windows.sample_sequences(1, 1)
    load_dataset(large.id).compact()
    found = sampler.read(np.arange(40))
    np.testing.assert_array_equal(found.observations, wanted.observations)
    np.testing.assert_array_equal(found.episode_ids, wanted.episode_ids)
    assert len(windows.sample_sequences(64, 1)) == 64
