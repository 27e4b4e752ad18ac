"""Epochs: everything once, in an order of the seed's, from any place on."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling import Batches
from minari_core.sampling.orders.rank_index import Positions
from tests.core.helpers.recorded import VECTOR, record, stored


class Numbers:
    """A sampler whose batches are the positions themselves."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    is_random = False

    def read(self, positions: Positions, generator: object = None) -> list[int]:
        numbers: list[int] = positions.tolist()
        return numbers


def batches_of(size: int, batch_size: int, **options: Any) -> Batches[list[int]]:
    options = {"seed": 0, "identity": "numbers", **options}
    return Batches(Numbers(size), batch_size, **options)


sizes = st.integers(1, 60)


@given(
    sizes, st.integers(1, 20), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(1, 4)
)
@settings(max_examples=200)
def test_an_epoch_visits_each_position_once_among_all_ranks(
    size: int, batch_size: int, epochs: int, shuffle: bool, drop_last: bool, world_size: int
) -> None:
    visited: list[list[int]] = [[] for _ in range(epochs)]
    counts = set()
    for rank in range(world_size):
        batches = batches_of(
            size,
            batch_size,
            epochs=epochs,
            shuffle=shuffle,
            drop_last=drop_last,
            rank=rank,
            world_size=world_size,
        )
        count = batches.batches_per_epoch
        counts.add(count)
        found = list(batches)
        assert len(batches) == len(found) == epochs * count
        for place, batch in enumerate(found):
            is_last = place % count == count - 1
            assert len(batch) == batch_size or (is_last and not drop_last and batch)
            visited[place // count] += batch
        assert list(batches) == []
    for epoch in visited:
        if drop_last:
            assert len(set(epoch)) == len(epoch) == world_size * batch_size * counts.pop()
            counts.add(len(epoch) // world_size // batch_size)
            assert size - len(epoch) < world_size * batch_size
        else:
            assert sorted(epoch) == list(range(size))
        if world_size == 1 and not shuffle:
            assert epoch == list(range(len(epoch)))


def test_the_order_depends_on_the_seed_alone_and_changes_with_the_epoch() -> None:
    first = list(batches_of(100, 7, seed=1, epochs=2))
    assert first == list(batches_of(100, 7, seed=1, epochs=2))
    assert first != list(batches_of(100, 7, seed=2, epochs=2))
    assert first[:15] != first[15:]
    # Neither the size of batches nor the number of ranks changes it.
    order = [number for batch in first for number in batch]
    assert order == [number for batch in batches_of(100, 3, seed=1, epochs=2) for number in batch]
    ranks = [list(batches_of(100, 5, seed=1, rank=rank, world_size=4)) for rank in range(4)]
    flat = [[number for batch in rank for number in batch] for rank in ranks]
    assert [number for group in zip(*flat, strict=True) for number in group] == order[:100]


@given(sizes, st.integers(1, 20), st.integers(1, 3), st.booleans(), st.booleans())
@settings(max_examples=50)
def test_batches_go_on_from_every_place(
    size: int, batch_size: int, epochs: int, shuffle: bool, drop_last: bool
) -> None:
    options: dict[str, Any] = {"epochs": epochs, "shuffle": shuffle, "drop_last": drop_last}
    whole = list(batches_of(size, batch_size, **options))
    for place in range(len(whole) + 1):
        batches = batches_of(size, batch_size, **options)
        for _ in range(place):
            next(batches)
        state = json.loads(json.dumps(batches.state_dict()))
        assert len(json.dumps(state)) < 1000
        resumed = batches_of(size, batch_size, **options)
        resumed.load_state_dict(state)
        assert list(resumed) == whole[place:] == list(batches)


@given(sizes, st.integers(1, 20), st.integers(1, 3), st.integers(1, 5), st.integers(0, 4))
@settings(max_examples=100)
def test_shares_taken_in_turns_are_the_batches_in_their_order(
    size: int, batch_size: int, epochs: int, count: int, done: int
) -> None:
    batches = batches_of(size, batch_size, epochs=epochs)
    for _ in range(min(done, len(batches))):
        next(batches)
    shares = [batches.share(number, count) for number in range(count)]
    turns: list[list[int]] = []
    place = 0
    while (batch := next(shares[place % count], None)) is not None:
        turns.append(batch)
        place += 1
    assert all(list(share) == [] for share in shares)
    assert turns == list(batches)


def test_epochs_without_end_go_on() -> None:
    batches = batches_of(10, 4, epochs=None)
    found = [next(batches) for _ in range(30)]
    for first in range(0, 30, 3):
        epoch = [number for batch in found[first : first + 3] for number in batch]
        assert sorted(epoch) == list(range(10))
    with pytest.raises(SamplingError, match="no last batch"):
        len(batches)
    shares = batches_of(10, 4, epochs=None).share(1, 2)
    assert [next(shares) for _ in range(5)] == found[1:10:2]


def test_memory_does_not_grow_with_the_dataset() -> None:
    tracemalloc.start()
    batches = batches_of(10**12, 256, epochs=None)
    for _ in range(100):
        next(batches)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity": "others"}, "the state is of 'others'"),
        ({"settings": {}}, r"the state is of settings \{\}, but these are \{'batch_size': 4"),
        ({"version": 3}, "the state is of version 3, not 2"),
        ({"epoch": -1}, "epoch of the state is -1"),
        ({"batch": 99}, "the state is at batch 99 of 3"),
        ({"batch": "1"}, "batch of the state is '1'"),
    ],
)
def test_a_state_of_something_else_is_refused(changes: dict[str, Any], message: str) -> None:
    batches = batches_of(10, 4)
    next(batches)
    state = {**batches.state_dict(), **changes}
    with pytest.raises(SamplingError, match=message):
        batches.load_state_dict(state)
    with pytest.raises(SamplingError, match="no state"):
        batches.load_state_dict({"epoch": 1})
    # It stays where it was.
    assert batches.state_dict()["batch"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0, not at least 1"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5, not a whole number"),
        ({"epochs": 0}, "epochs is 0, not at least 1"),
        ({"seed": -1}, "seed is -1, not at least 0"),
        ({"seed": "1"}, "seed is '1', not a whole number"),
        ({"rank": 2, "world_size": 2}, "rank is 2, but 2 ranks have 0 to 1"),
        ({"rank": -1}, "rank is -1"),
        ({"world_size": 0}, "world_size is 0"),
        ({"size": 0}, "nothing to visit"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    options = {"size": 10, "batch_size": 4, **options}
    with pytest.raises(SamplingError, match=message):
        batches_of(options.pop("size"), options.pop("batch_size"), **options)


def test_numbers_of_numpy_are_as_good_as_pythons() -> None:
    batches = batches_of(10, np.int64(4), seed=np.uint8(3), rank=np.int32(0))  # type: ignore[arg-type]
    assert json.dumps(batches.state_dict())
    assert list(batches) == list(batches_of(10, 4, seed=3))


def test_a_dataset_gives_each_transition_once_and_its_batches_know_it_again() -> None:
    recorded = record(VECTOR, VECTOR, [1, 4, 2, 9], 0, cuts=3)
    with stored(recorded, on_disk=True) as dataset:
        dataset.set_seed(4)
        batches = dataset.batches(3, epochs=2)
        next(batches)
        state = json.loads(json.dumps(batches.state_dict()))
        rest = [(b.episode_ids.tolist(), b.time_steps.tolist()) for b in batches]

        dataset.set_seed(4)
        again = dataset.batches(3, epochs=2)
        again.load_state_dict(state)
        assert [(b.episode_ids.tolist(), b.time_steps.tolist()) for b in again] == rest

        visited = [
            pair
            for batch in dataset.batches(3)
            for pair in zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
        ]
        assert sorted(visited) == recorded.view(range(4))

        seed = batches.state_dict()["settings"]["seed"]
        for others in (
            dataset[1:].batches(3, epochs=2, seed=seed),
            dataset[[0, 1, 3, 2]].batches(3, epochs=2, seed=seed),
            dataset.batches(3, epochs=2, seed=seed, n_step=2),
            dataset.batches(3, epochs=2, seed=seed, columns=["rewards"]),
            dataset.batches(3, epochs=2, seed=seed, length=2, padding="after"),
        ):
            with pytest.raises(SamplingError, match=r"state is of \S+/recorded-v0 \(4 episodes"):
                others.load_state_dict(state)
        numbers: dict[str, Any] = {"n_step": np.int64(1), "discount": np.float64(0.99)}
        like_numpy = dataset.batches(3, epochs=2, seed=seed, **numbers)
        like_numpy.load_state_dict(state)
        with pytest.raises(SamplingError, match="the state is of settings"):
            dataset.batches(3, seed=seed + 1).load_state_dict(state)


@pytest.mark.parametrize("world_size", [1, 3])
def test_what_is_asked_for_beyond_the_data_takes_no_memory(world_size: int) -> None:
    lengths = [3, 1, 4]
    found: list[tuple[int, int]] = []
    with stored(record(VECTOR, VECTOR, lengths, 0), on_disk=False) as dataset:
        for rank in range(world_size):
            share: dict[str, Any] = {"seed": 1, "rank": rank, "world_size": world_size}
            for batch in dataset.batches(10**12, n_step=10**12, **share):
                found += zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
    assert sorted(found) == [(e, t) for e, steps in enumerate(lengths) for t in range(steps)]


def test_a_state_that_any_release_saved_is_gone_on_from() -> None:
    saved = {
        "version": 1,
        "identity": "numbers",
        "settings": {
            "batch_size": 4,
            "seed": 7,
            "shuffle": True,
            "drop_last": False,
            "rank": 0,
            "world_size": 1,
            "size": 10,
            "weights": None,
        },
        "epoch": 0,
        "batch": 1,
    }
    batches = batches_of(10, 4, seed=7, epochs=2)
    next(batches)
    assert batches.state_dict() == saved
    resumed = batches_of(10, 4, seed=7, epochs=2)
    resumed.load_state_dict(saved)
    assert list(resumed) == [[6, 1, 0, 9], [5, 8], [9, 1, 7, 5], [3, 6, 4, 2], [0, 8]]


@given(
    sizes,
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 9)), max_size=4),
    st.integers(1, 3),
)
@settings(max_examples=150)
def test_other_ranks_go_on_with_what_is_left_of_an_epoch(
    size: int,
    shuffle: bool,
    drop_last: bool,
    teams: list[tuple[int, int, int]],
    workers: int,
) -> None:
    options: dict[str, Any] = {"shuffle": shuffle, "drop_last": drop_last, "epochs": 2}
    state = batches_of(size, 3, **options).state_dict()
    visited: list[int] = []
    largest = 1
    for world_size, batch_size, steps in [*teams, (2, 3, 100)]:
        ranks = [
            batches_of(size, batch_size, rank=rank, world_size=world_size, **options)
            for rank in range(world_size)
        ]
        for rank in ranks:
            rank.load_state_dict(state)
        is_last = steps == 100
        for rank in ranks:
            shares = [rank.share(number, workers) for number in range(workers)]
            for step in range(steps):
                if step >= rank._division.count_batches(rank._visited) - rank._batch:
                    break
                visited += next(shares[step % workers])
        for _ in range(0 if is_last else steps):
            if ranks[0]._batch < ranks[0]._division.count_batches(ranks[0]._visited):
                next(ranks[0])
        state = json.loads(json.dumps(ranks[0].state_dict()))
        assert state["epoch"] == 0
        largest = world_size * batch_size
    assert len(visited) == len(set(visited))
    if drop_last:
        assert size - len(visited) < max(largest, 1)
    else:
        assert sorted(visited) == list(range(size))
    # The next epoch is whole.
    ranks = [batches_of(size, 3, rank=rank, world_size=2, **options) for rank in range(2)]
    following = []
    for rank in ranks:
        rank.load_state_dict(state)
        count = rank.batches_per_epoch
        following += [number for batch in list(rank)[-count:] for number in batch if count]
    assert len(following) == len(set(following)) == (size // 6 * 6 if drop_last else size)


@pytest.mark.parametrize("before", [1, 2, 3, 4])
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_an_epoch_goes_on_from_every_batch_with_every_number_of_ranks(
    before: int, after: int
) -> None:
    lengths = [1, 5, 2, 7, 8]
    recorded = record(VECTOR, VECTOR, lengths, 0)

    def team(count: int) -> list[Batches[Any]]:
        return [dataset.batches(3, seed=1, rank=rank, world_size=count) for rank in range(count)]

    def read(batches: Batches[Any]) -> list[tuple[int, int]]:
        batch = next(batches)
        return list(zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True))

    with stored(recorded, on_disk=False) as dataset:
        for place in range(len(team(before)[0]) + 1):
            ranks = team(before)
            visited = [
                pair for rank in ranks for _ in range(min(place, len(rank))) for pair in read(rank)
            ]
            state = json.loads(json.dumps(ranks[0].state_dict()))
            for rank in team(after):
                rank.load_state_dict(state)
                for batch in rank:
                    visited += zip(
                        batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True
                    )
            assert sorted(visited) == recorded.view(range(len(lengths)))
