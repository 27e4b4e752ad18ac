"""Datasets that grow, are combined, pickled, forked, and sampled by many at once."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import EpisodeBuffer, MinariDataset
from minari_core.sampling.gathering import binding
from tests.core.helpers.recorded import DESCRIBED, VECTOR, WITH_IMAGE, record, stored


def buffer(episode: int, steps: int) -> EpisodeBuffer:
    """An episode whose numbers say where they are: episode and step."""
    observations = np.stack([np.full(steps + 1, episode), np.arange(steps + 1)], axis=1)
    return EpisodeBuffer(
        observations=observations.astype(np.float64),
        actions=np.arange(steps),
        rewards=np.full(steps, float(episode)),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
    )


def created(name: str, episodes: range) -> MinariDataset:
    return minari_core.create_dataset_from_buffers(
        f"tests/{name}-v0",
        [buffer(episode, 1 + episode % 4) for episode in episodes],
        observation_space=spaces.Box(0, 1000, (2,), np.float64),
        action_space=spaces.Discrete(10),
        **DESCRIBED,  # type: ignore[arg-type]
    )


def expect_own(dataset: MinariDataset, episodes: set[int]) -> None:
    """Fail unless what is sampled is of these episodes, and all of it is right."""
    found: set[int] = set()
    for batch in (*dataset.batches(16), dataset.sample_transitions(16)):
        own = batch.observations[:, 0].astype(int)
        found |= set(own.tolist())
        assert np.array_equal(batch.rewards, own)
        assert np.array_equal(batch.observations[:, 1], batch.time_steps)
        assert np.array_equal(batch.actions, batch.time_steps)
        assert np.array_equal(batch.next_observations, batch.observations + np.array([0, 1]))
        assert np.array_equal(batch.terminations, batch.time_steps == own % 4)
    assert found == episodes


@pytest.mark.parametrize("assembled", [64 << 20, 0])
def test_a_dataset_that_grows_samples_what_it_has_taken_in(
    assembled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "ASSEMBLED_NBYTES", assembled)
    dataset = created("growing", range(3))
    view = dataset[1:]
    expect_own(dataset, {0, 1, 2})
    for episode in range(3, 40):
        dataset.update_dataset_from_buffer([buffer(episode, 1 + episode % 4)])
        if episode % 9 == 0:
            expect_own(dataset, set(range(episode + 1)))
            expect_own(view, {1, 2})
    dataset.compact()
    expect_own(dataset, set(range(40)))
    expect_own(view, {1, 2})
    expect_own(minari_core.load_dataset(dataset.id), set(range(40)))


def test_a_snapshot_stays_and_says_that_there_is_more() -> None:
    dataset = created("snapshot", range(4))
    state = dataset.batches(2, seed=1).state_dict()
    code = (
        "import minari_core, tests.core.sampling.test_snapshots as t\n"
        "dataset = minari_core.load_dataset('tests/snapshot-v0')\n"
        "dataset.update_dataset_from_buffer([t.buffer(e, 1 + e % 4) for e in range(4, 9)])\n"
    )
    expect_own(dataset, {0, 1, 2, 3})
    assert dataset.newer_episodes() == 0
    subprocess.run([sys.executable, "-c", code], check=True)
    assert dataset.newer_episodes() == 5
    expect_own(dataset, {0, 1, 2, 3})
    assert len(list(dataset.batches(1))) == dataset.total_steps == 10
    dataset.batches(2, seed=1).load_state_dict(state)
    assert dataset.newer_episodes() == 5
    expect_own(minari_core.load_dataset(dataset.id), set(range(9)))


@pytest.mark.parametrize("assembled", [64 << 20, 0])
def test_views_of_views_and_combined_datasets_sample_only_what_is_theirs(
    assembled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "ASSEMBLED_NBYTES", assembled)
    first, second = created("first", range(8)), created("second", range(8, 20))
    combined = minari_core.combine_datasets([first[2:], second], "tests/all-v0")
    for episode in (20, 21):
        combined.update_dataset_from_buffer([buffer(episode, 1 + episode % 4)])
    expect_own(combined, set(range(2, 22)))
    expect_own(combined[::3], set(range(2, 22, 3)))
    expect_own(combined[5:][[3, 3, 0]], {7, 10})
    odd = combined.filter_episodes(lambda episode: episode.rewards[0] % 2 == 1)
    expect_own(odd, set(range(3, 22, 2)))
    train, test = minari_core.split_dataset(combined, [12, 8], seed=1)
    drawn = [
        {int(reward) for batch in part.batches(8) for reward in batch.rewards}
        for part in (train, test)
    ]
    assert drawn[0].isdisjoint(drawn[1])
    assert drawn[0] | drawn[1] == set(range(2, 22))


def test_a_dataset_pickles_small_after_sampling_and_samples_the_same() -> None:
    dataset = created("pickled", range(200))
    view = dataset[3:50]
    for some in (dataset, view):
        size = len(pickle.dumps(some))
        some.sample_transitions(5, n_step=2)
        some.sample_sequences(5, 2, padding="after")
        pickled = pickle.dumps(some)
        assert len(pickled) <= size + 100
        assert len(pickled) < 4000
        copy = pickle.loads(pickled)
        some.set_seed(1)
        copy.set_seed(1)
        one, other = some.sample_transitions(20), copy.sample_transitions(20)
        assert np.array_equal(one.observations, other.observations)


def _sampled(dataset: MinariDataset, seed: int, queue: Any) -> None:
    dataset.set_seed(seed)
    batch = dataset.sample_transitions(30)
    queue.put((seed, batch.observations["camera"].sum(), batch.rewards.tolist()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_dataset_that_was_sampled_works_in_other_processes(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    context: Any = multiprocessing.get_context(method)
    recorded = record(WITH_IMAGE, VECTOR, [30, 20], 1, cuts=2)
    with stored(recorded, on_disk=True) as dataset:
        # Threads that decode are running, and do not live on in a fork.
        dataset.sample_transitions(64)
        queue = context.Queue()
        processes = [
            context.Process(target=_sampled, args=(dataset, seed, queue)) for seed in (1, 2)
        ]
        for process in processes:
            process.start()
        found = sorted(queue.get(timeout=120) for _ in processes)
        for process in processes:
            process.join(120)
            assert process.exitcode == 0
        for seed, camera, rewards in found:
            dataset.set_seed(seed)
            batch = dataset.sample_transitions(30)
            assert (batch.observations["camera"].sum(), batch.rewards.tolist()) == (camera, rewards)


def test_threads_sample_from_views_at_the_same_time() -> None:
    recorded = record(WITH_IMAGE, VECTOR, [30, 20, 1, 7], 1, cuts=4)
    with stored(recorded, on_disk=True, assembled=False) as dataset:
        failures: list[BaseException] = []

        def sample(view: MinariDataset, seed: int) -> None:
            try:
                view.set_seed(seed)
                for _ in range(10):
                    batch = view.sample_transitions(16, stack=2)
                    places = zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
                    for place, (index, step) in enumerate(places):
                        wanted = recorded.episodes[index].observations[step]["camera"]
                        assert np.array_equal(batch.observations["camera"][place, 1], wanted)
            except BaseException as failure:
                failures.append(failure)

        views = [dataset, dataset[1:], dataset[[3, 0]], dataset[:2]] * 2
        threads = [
            threading.Thread(target=sample, args=(view[:], seed)) for seed, view in enumerate(views)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_what_is_bound_of_a_storage_goes_with_it() -> None:
    before = len(binding._caches)
    with stored(record(VECTOR, VECTOR, [3], 0, cuts=1), on_disk=False) as dataset:
        dataset.sample_transitions(3)
        assert len(binding._caches) == before + 1
    del dataset
    assert len(binding._caches) == before


def test_samplers_of_many_arguments_do_not_pile_up() -> None:
    with stored(record(VECTOR, VECTOR, [3, 9], 0), on_disk=False) as dataset:
        for number in range(100):
            dataset.sample_transitions(3, n_step=2, discount=number / 100)
        assert len(dataset._samplers) <= 16
