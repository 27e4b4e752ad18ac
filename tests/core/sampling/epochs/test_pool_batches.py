"""Epochs in the pool order: everything once, from any place on, and what batches hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling import Batches
from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.rank_index import Positions
from minari_core.testing.expectations import expect_same
from tests.core.helpers.recorded import SPACES, VECTOR, record, stored


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
    options = {"seed": 0, "identity": "numbers", "window": 8, **options}
    return Batches(Numbers(size), batch_size, **options)


sizes = st.integers(1, 400)


@given(sizes, st.integers(1, 60), st.integers(1, 3), st.integers(1, 4), st.booleans())
@settings(max_examples=50)
def test_an_epoch_visits_each_position_once_among_all_ranks_and_workers(
    size: int, batch_size: int, epochs: int, count: int, drop_last: bool
) -> None:
    options: dict[str, Any] = {"epochs": epochs, "drop_last": drop_last}
    whole = list(batches_of(size, batch_size, **options))
    shares = [
        batches_of(size, batch_size, **options).share(number, count) for number in range(count)
    ]
    turns = [next(shares[place % count]) for place in range(len(whole))]
    assert turns == whole
    assert all(next(share, None) is None for share in shares)
    ranks = [
        list(batches_of(size, batch_size, rank=rank, world_size=count, **options))
        for rank in range(count)
    ]
    visited = np.bincount(
        [row for rank in ranks for batch in rank for row in batch], minlength=size
    )
    if drop_last:
        assert len({len(rank) for rank in ranks}) == 1
        assert visited.max(initial=0) <= epochs
    else:
        assert visited.tolist() == [epochs] * size
        order = PoolOrder(size, 8, 0, 0)(np.arange(size)).tolist()
        assert [row for batch in whole for row in batch][:size] == order


@given(sizes, st.integers(1, 60), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=15)
def test_batches_go_on_from_every_place(
    size: int, batch_size: int, epochs: int, pool_epochs: int
) -> None:
    options: dict[str, Any] = {"epochs": epochs, "pool_epochs": pool_epochs}
    batches = batches_of(size, batch_size, **options)
    whole = list(batches_of(size, batch_size, **options))
    for place in range(0, len(whole) + 1, 1 + len(whole) // 20):
        while (
            batches.state_dict()["epoch"] * batches.batches_per_epoch
            + (batches.state_dict()["batch"])
            < place
        ):
            next(batches)
        state = json.loads(json.dumps(batches.state_dict()))
        assert len(json.dumps(state)) < 1000
        resumed = batches_of(size, batch_size, **options)
        resumed.load_state_dict(state)
        assert list(resumed) == whole[place:]


def test_the_order_is_exact_from_a_numbered_epoch_on() -> None:
    size = 500
    pool = [row for batch in batches_of(size, 50, epochs=3) for row in batch]
    exact = [row for batch in batches_of(size, 50, epochs=3, window=None) for row in batch]
    mixed = [row for batch in batches_of(size, 50, epochs=3, pool_epochs=1) for row in batch]
    assert mixed == pool[:size] + exact[size:]
    assert pool[:size] != pool[size : 2 * size]
    none = [row for batch in batches_of(size, 50, epochs=3, pool_epochs=0) for row in batch]
    assert none == exact


def test_a_state_names_the_order_and_is_refused_by_another() -> None:
    state = batches_of(100, 10).state_dict()
    assert state["settings"] == {
        "batch_size": 10,
        "seed": 0,
        "shuffle": True,
        "drop_last": False,
        "rank": 0,
        "world_size": 1,
        "size": 100,
        "weights": None,
        "order": "pool",
        "window": 8,
        "pool_epochs": None,
    }
    for options in ({"window": None}, {"window": 16}, {"pool_epochs": 1}):
        with pytest.raises(SamplingError, match="the state is of settings"):
            batches_of(100, 10, **options).load_state_dict(state)


@pytest.mark.parametrize("number", range(len(SPACES)))
def test_batches_of_every_space_hold_what_the_same_transitions_hold_elsewhere(number: int) -> None:
    recorded = record(SPACES[number], VECTOR, [1, 30, 7, 12], number, cuts=3)
    columns = ["observations", "actions", "rewards", "next_observations"]
    with stored(recorded, on_disk=True) as dataset:
        reaching: dict[str, Any] = {"n_step": 3, "stack": 2}
        for view, options in ((dataset, {}), (dataset[[3, 1, 0]], reaching)):
            sampler = view.transition_sampler(columns=columns, **options)
            found = list(view.batches(9, order="pool", seed=2, columns=columns, **options))
            size = len(sampler)
            places = [
                (batch.episode_ids[row], batch.time_steps[row])
                for batch in found
                for row in range(len(batch))
            ]
            assert len(set(places)) == len(places) == size
            order = PoolOrder(size, 1 << 16, 2, 0)(np.arange(size))
            for first, batch in zip(range(0, size, 9), found, strict=True):
                wanted = sampler.read(order[first : first + 9])
                expect_same(batch.observations, wanted.observations, "observations")
                expect_same(batch.next_observations, wanted.next_observations, "next")
                assert np.array_equal(batch.rewards, wanted.rewards)
                assert np.array_equal(batch.actions, wanted.actions)


def test_windows_of_steps_come_in_the_pool_order_too() -> None:
    recorded = record(VECTOR, VECTOR, [40, 3, 60], 1, cuts=2)
    with stored(recorded, on_disk=True) as dataset:
        for padding in (None, "before"):
            options: dict[str, Any] = {"length": 5, "padding": padding, "returns_to_go": True}
            pool = list(dataset.batches(8, order="pool", seed=1, **options))
            exact = list(dataset.batches(8, seed=1, **options))
            found, expected = (
                {
                    (int(batch.episode_ids[row]), batch.time_steps[row].max()): (
                        batch.observations[row].tolist(),
                        batch.returns_to_go[row].round(9).tolist(),
                    )
                    for batch in batches
                    for row in range(len(batch))
                }
                for batches in (pool, exact)
            )
            assert found == expected
            assert [batch.time_steps.tolist() for batch in pool] != [
                batch.time_steps.tolist() for batch in exact
            ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "pools"}, "order is 'pools', not 'exact' or 'pool'"),
        ({"order": 1}, "order is 1, not 'exact' or 'pool'"),
        ({"pool_epochs": 1}, "pool_epochs is 1, which belongs to the order 'pool'"),
        ({"order": "pool", "pool_epochs": -1}, "pool_epochs is -1, not at least 0"),
        ({"order": "pool", "shuffle": False}, "cannot go with shuffle=False"),
        (
            {"order": "pool", "weights": "episodes"},
            "weights draw from all episodes",
        ),
    ],
)
def test_options_that_do_not_go_with_an_order_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with (
        stored(record(VECTOR, VECTOR, [4, 4], 0), on_disk=False) as dataset,
        pytest.raises(SamplingError, match=message),
    ):
        dataset.batches(2, **options)
