"""Every dataset, view, shard and worker draws from a stream of its own."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    MinariDataset,
    SamplingError,
    create_dataset_from_buffers,
    load_dataset,
    split_dataset,
)
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.random_stream import RandomStream
from minari_core.sampling import Batches, PrioritizedReplay

START_METHODS = multiprocessing.get_all_start_methods()
Draw = tuple[float, ...]


@pytest.fixture
def dataset(datasets_root: Path) -> MinariDataset:
    """Twenty episodes of twenty steps, whose observations count all steps."""
    buffers = [
        EpisodeBuffer(
            observations=np.arange(number * 21.0, number * 21 + 21)[:, None],
            actions=np.zeros(20, np.int64),
            rewards=np.zeros(20),
            terminations=np.arange(20) == 19,
            truncations=np.zeros(20, bool),
        )
        for number in range(20)
    ]
    return create_dataset_from_buffers(
        "tests/streams-v0",
        buffers,
        observation_space=spaces.Box(0, 500, (1,), np.float64),
        action_space=spaces.Discrete(2),
    )


def draw(dataset: MinariDataset) -> Draw:
    return tuple(dataset.sample_transitions(8, columns=["observations"]).observations[:, 0])


def windows(dataset: MinariDataset) -> Draw:
    return tuple(dataset.sample_sequences(8, 3).observations[:, 0, 0])


def epoch(dataset: MinariDataset) -> Draw:
    return tuple(next(dataset.batches(8)).observations[:, 0])


def episodes(dataset: MinariDataset) -> Draw:
    return tuple(episode.id for episode in dataset.sample_episodes(10))


ways_to_draw = pytest.mark.parametrize("way", [draw, windows, epoch, episodes])


@ways_to_draw
@pytest.mark.parametrize("seed", [None, 7])
def test_views_that_are_made_in_a_loop_never_draw_the_same(
    dataset: MinariDataset, way: object, seed: int | None
) -> None:
    assert callable(way)
    if seed is not None:
        dataset.set_seed(seed)
    views = [dataset[:] for _ in range(10)]
    views += [dataset.filter_episodes(metadata=lambda _: True) for _ in range(10)]
    assert len({way(view) for view in [dataset, *views]}) == 21


@ways_to_draw
def test_what_views_draw_is_repeatable_after_a_seed_is_set(
    dataset: MinariDataset, way: object
) -> None:
    assert callable(way)

    def draw_everywhere() -> list[Draw]:
        dataset.set_seed(3)
        views = [dataset[:8], dataset[:8], dataset[:8][2:], *dataset.shards(3)]
        return (
            [way(each) for each in (*views, dataset, dataset[:8])]
            if way is not episodes
            else [
                tuple(e.id for e in each.sample_episodes(5))
                for each in (*views, dataset, dataset[:8])
            ]
        )

    first = draw_everywhere()
    assert draw_everywhere() == first
    assert len(set(first)) == len(first)


def test_the_parts_of_a_split_draw_different_time_steps(dataset: MinariDataset) -> None:
    dataset.set_seed(1)
    first, second = split_dataset(dataset, [10, 10], seed=0)
    assert not np.array_equal(
        first.sample_transitions(16).time_steps, second.sample_transitions(16).time_steps
    )


def test_a_seeded_whole_dataset_draws_what_numpys_generator_of_that_seed_draws(
    dataset: MinariDataset,
) -> None:
    dataset.set_seed(11)
    wanted = np.random.default_rng(11).choice(20, size=10, replace=False)
    assert episodes(dataset) == tuple(wanted)


def test_using_a_view_changes_nothing_in_what_its_dataset_draws(dataset: MinariDataset) -> None:
    dataset.set_seed(5)
    wanted = [draw(dataset) for _ in range(3)]
    dataset.set_seed(5)
    drawn = []
    for _ in range(3):
        draw(dataset[:4])
        drawn.append(draw(dataset))
    assert drawn == wanted


@pytest.mark.parametrize("method", START_METHODS)
def test_processes_draw_differently_from_a_dataset_without_a_seed(
    dataset: MinariDataset, method: str
) -> None:
    here = draw(dataset)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        there = list(pool.map(draw, [dataset] * 4))
    assert len({here, draw(dataset), *there}) == 6


def draw_by_priorities(replay: PrioritizedReplay) -> tuple[float, ...]:
    return tuple(replay.sample(8).transitions.observations[:, 0].tolist())


@pytest.mark.parametrize("method", START_METHODS)
def test_processes_draw_differently_by_priorities_unless_these_are_seeded(
    dataset: MinariDataset, method: str
) -> None:
    replay = dataset.prioritized_replay()
    seeded = dataset.prioritized_replay(seed=1)
    resumed = dataset.prioritized_replay()
    resumed.load_state_dict(seeded.state_dict())
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        there = list(pool.map(draw_by_priorities, [replay] * 4))
        once, again, gone_on = pool.map(draw_by_priorities, [seeded, seeded, resumed])
    assert len({draw_by_priorities(replay), *there}) == 5
    assert once == again == gone_on == draw_by_priorities(seeded)


@pytest.mark.parametrize("method", START_METHODS)
def test_a_seeded_dataset_is_repeatable_in_another_process_and_shards_of_it_differ(
    dataset: MinariDataset, method: str
) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        runs = []
        for _ in range(2):
            dataset.set_seed(9)
            draw(dataset)
            runs.append(list(pool.map(draw, [dataset, *dataset.shards(4)])))
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 5
    assert runs[0][0] == draw(dataset), "a pickle goes on where the dataset was"


@pytest.mark.skipif("fork" not in START_METHODS, reason="this system does not fork")
def test_a_fork_of_a_dataset_that_was_drawn_from_does_not_repeat_it(
    dataset: MinariDataset,
) -> None:
    draw(dataset)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()

    def work() -> None:
        results.put(draw(dataset))

    children = [context.Process(target=work) for _ in range(3)]
    for child in children:
        child.start()
    drawn = [results.get() for _ in children]
    for child in children:
        child.join()
    assert len({draw(dataset), *drawn}) == 4


def test_pickling_changes_nothing_in_a_seeded_dataset(dataset: MinariDataset) -> None:
    dataset.set_seed(2)
    draw(dataset)
    view = dataset[:5]
    for each in (dataset, view):
        assert pickle.dumps(each) == pickle.dumps(each)
    copies = [pickle.loads(pickle.dumps(view)), copy.deepcopy(view)]
    wanted = draw(view)
    assert [draw(each) for each in copies] == [wanted, wanted]


def test_two_loaded_datasets_draw_differently_without_a_seed(dataset: MinariDataset) -> None:
    assert draw(load_dataset(dataset.id)) != draw(load_dataset(dataset.id))


def test_a_stream_that_was_pickled_spawns_what_it_would_have_spawned() -> None:
    stream = RandomStream(4)
    stream.spawn()
    copied = pickle.loads(pickle.dumps(stream))
    assert copied.spawn().generator.integers(2**62) == stream.spawn().generator.integers(2**62)
    assert stream.spawn().spawn().generator.integers(2**62) != stream.generator.integers(2**62)


def test_streams_are_spawned_as_numpy_spawns_them() -> None:
    stream = RandomStream(4)
    for child, seeds in zip(
        [stream.spawn(), stream.spawn()], np.random.SeedSequence(4).spawn(2), strict=True
    ):
        wanted = np.random.default_rng(seeds).integers(2**62, size=3)
        assert child.generator.integers(2**62, size=3).tolist() == wanted.tolist()


def test_threads_that_spawn_from_one_stream_get_a_stream_each() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    stream = RandomStream(3)
    try:
        with ThreadPoolExecutor(8) as pool:
            streams = list(pool.map(lambda _: [stream.spawn() for _ in range(500)], range(8)))
    finally:
        sys.setswitchinterval(before)
    keys = {each._seeds.spawn_key for some in streams for each in some if each._seeds is not None}
    assert keys == {(number,) for number in range(4000)}


def test_a_split_follows_from_the_seed_of_its_dataset(dataset: MinariDataset) -> None:
    def split(seed: int) -> list[list[int]]:
        dataset.set_seed(seed)
        return [part.episode_indices.tolist() for part in split_dataset(dataset, [0.5, 0.5])]

    assert split(3) == split(3) != split(4)
    dataset.set_seed(3)
    drawn = draw(dataset)
    split(3)
    # What the dataset itself draws is not changed by that.
    assert draw(dataset) == drawn


def list_positions(batches: Batches[Any]) -> list[int]:
    return [int(step) for batch in batches for step in batch.observations[:, 0]]


def list_one_share(batches: Batches[Any]) -> list[Any]:
    return list(batches.share(0, 2))


@pytest.mark.parametrize("method", START_METHODS)
def test_batches_that_nobody_seeded_have_another_order_in_each_process(
    dataset: MinariDataset, method: str
) -> None:
    batches = dataset.batches(100)
    context = multiprocessing.get_context(method)
    orders = []
    for _ in range(2):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            orders.append(pool.submit(list_positions, batches).result())
    orders.append(list_positions(batches))

    assert len({tuple(order) for order in orders}) == 3
    assert {tuple(sorted(order)) for order in orders} == {
        tuple(sorted(list_positions(dataset.batches(100, shuffle=False))))
    }


@pytest.mark.skipif("fork" not in START_METHODS, reason="needs fork")
def test_a_forked_process_refuses_the_rest_of_an_epoch_that_nobody_seeded(
    dataset: MinariDataset,
) -> None:
    batches = dataset.batches(100)
    first = next(batches)
    reader, writer = multiprocessing.get_context("fork").Pipe()

    def go_on() -> None:
        try:
            writer.send(str(next(batches)))
        except SamplingError as error:
            writer.send(str(error))

    process = multiprocessing.get_context("fork").Process(target=go_on)
    process.start()
    process.join()

    assert "at batch 1 of 4 of an epoch" in reader.recv()
    rest = [int(step) for batch in batches for step in batch.observations[:, 0]]
    assert len({*rest, *map(int, first.observations[:, 0])}) == 400


def test_batches_that_nobody_seeded_are_not_pickled_in_the_middle_of_an_epoch(
    dataset: MinariDataset,
) -> None:
    batches = dataset.batches(100, epochs=2)
    next(batches)
    with pytest.raises(SamplingError, match=r"at batch 1 of 4.*give seed= to batches"):
        pickle.dumps(batches)

    for _ in range(3):
        next(batches)
    again = pickle.loads(pickle.dumps(batches))
    assert len(list_positions(again)) == len(list_positions(batches)) == 400

    in_order = dataset.batches(100, shuffle=False)
    next(in_order)
    assert len(list_positions(pickle.loads(pickle.dumps(in_order)))) == 300


@pytest.mark.parametrize("is_set", [False, True])
def test_seeded_batches_are_carried_with_their_position(
    dataset: MinariDataset, is_set: bool
) -> None:
    if is_set:
        dataset.set_seed(3)
    batches = dataset.batches(100) if is_set else dataset.batches(100, seed=3)
    next(batches)
    text = pickle.dumps(batches)

    assert text == pickle.dumps(batches)
    again = pickle.loads(text)
    assert again.state_dict() == batches.state_dict()
    shares = [list(again.share(number, 2)) for number in range(2)]
    assert [len(share) for share in shares] == [2, 1]
    assert list_positions(again) == list_positions(batches)


def test_processes_do_not_share_or_rank_an_epoch_that_nobody_seeded(
    dataset: MinariDataset,
) -> None:
    batches = dataset.batches(100)
    assert [len(list(batches.share(number, 3))) for number in range(3)] == [2, 1, 1]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        failure = pool.submit(list_one_share, batches).exception()
    assert isinstance(failure, SamplingError)
    assert "2 processes that share an epoch need one order" in str(failure)

    with pytest.raises(SamplingError, match=r"the 2 ranks of an epoch need one order"):
        dataset.batches(100, rank=1, world_size=2)
    dataset.set_seed(1)
    assert len(dataset.batches(100, rank=1, world_size=2)) == 2
