"""Weighted draws are the same among any number of processes, and have their shares."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling.orders.weights import EpisodeWeights, WeightedOrder
from tests.core.helpers.recorded import VECTOR, record, stored

LENGTHS = [1, 10, 3, 6]

runs = st.lists(
    st.tuples(st.integers(1, 9), st.floats(0, 1e300)).filter(lambda run: run[1] == 0 or run[1] > 1),
    min_size=1,
    max_size=8,
).filter(lambda found: any(weight for _, weight in found))


@given(runs, st.integers(0, 2**64), st.integers(0, 2**40))
@settings(max_examples=100)
def test_only_episodes_with_a_weight_are_drawn(
    episodes: list[tuple[int, float]], key: int, first: int
) -> None:
    lengths = np.array([length for length, _ in episodes])
    weights = np.array([weight for _, weight in episodes])
    order = WeightedOrder(EpisodeWeights(weights, lengths), key)
    positions = np.arange(first, first + 200)

    drawn = order(positions)

    owners = np.repeat(np.arange(len(lengths)), lengths)
    assert drawn.min() >= 0
    assert drawn.max() < lengths.sum()
    assert np.all(weights[owners[drawn]] > 0)
    # Each draw depends on its own number alone.
    assert np.array_equal(order(positions[::-3]), drawn[::-3])


def test_numbers_at_the_border_stay_inside_their_episodes() -> None:
    weights = EpisodeWeights([1, 0, 2, 0], np.array([3, 5, 2**50, 7]))
    largest = np.nextafter(1.0, 0.0)

    drawn = weights.at(np.array([0.0, 1 / 3, largest]), np.array([largest, 0.0, largest]))

    assert drawn.tolist() == [2, 8, 8 + 2**50 - 1]


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ("episodes", [0.25] * 4),
        ([0, 3, 0, 1], [0, 0.75, 0, 0.25]),
        ([2, 0, 1, 1], [0.5, 0, 0.25, 0.25]),
    ],
)
def test_episodes_have_their_shares_and_steps_are_as_likely(
    weights: Any, shares: list[float]
) -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0), on_disk=False) as dataset:
        batches = dataset.batches(8, epochs=2000, seed=5, weights=weights, columns=["rewards"])
        read = list(batches)
    episodes = np.concatenate([batch.episode_ids for batch in read])
    steps = np.concatenate([batch.time_steps for batch in read])

    drawn = len(episodes)
    assert drawn == 2000 * sum(LENGTHS)
    found = np.bincount(episodes, minlength=4) / drawn
    wanted = np.array(shares)
    assert np.all(np.abs(found - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / drawn))
    for episode, length in enumerate(LENGTHS):
        counts = np.bincount(steps[episodes == episode], minlength=length)
        share = counts.sum() / length
        assert len(counts) == length
        assert np.all(np.abs(counts - share) <= 5 * np.sqrt(share))


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.sampled_from([None, 2]))
@settings(max_examples=30)
def test_what_is_drawn_is_the_same_among_any_number_of_processes(
    batch_size: int, world_size: int, workers: int, length: int | None
) -> None:
    weights = [0, 3, 1, 1]
    options: dict[str, Any] = {"seed": 3, "weights": weights, "length": length}
    with stored(record(VECTOR, VECTOR, LENGTHS, 0, cuts=2), on_disk=False) as dataset:

        def drawn(**place: Any) -> list[tuple[int, int]]:
            batches = dataset.batches(batch_size, **options, **place)
            shares = [batches.share(number, workers) for number in range(workers)]
            found: list[tuple[int, int]] = []
            for turn in range(len(batches)):
                batch = next(shares[turn % workers])
                first = batch.time_steps if length is None else batch.time_steps[:, 0]
                found += zip(batch.episode_ids.tolist(), first.tolist(), strict=True)
            return found

        alone = drawn()
        ranks = [drawn(rank=rank, world_size=world_size) for rank in range(world_size)]

    assert len(alone) == sum(LENGTHS) - (0 if length is None else len(LENGTHS))
    assert sorted(chain.from_iterable(ranks)) == sorted(alone)
    for rank in range(world_size):
        assert ranks[rank] == alone[rank::world_size]


def test_weighted_batches_go_on_and_know_their_weights() -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0), on_disk=False) as dataset:
        batches = dataset.batches(3, seed=1, epochs=2, weights=[1, 2, 3, 4])
        next(batches)
        state = json.loads(json.dumps(batches.state_dict()))
        again = dataset.batches(3, seed=1, epochs=2, weights=np.array([1.0, 2, 3, 4]) * 5)
        again.load_state_dict(state)

        assert [b.time_steps.tolist() for b in again] == [b.time_steps.tolist() for b in batches]
        for others in ([4, 3, 2, 1], "episodes", None, "transitions"):
            with pytest.raises(SamplingError, match="the state is of settings"):
                dataset.batches(3, seed=1, epochs=2, weights=others).load_state_dict(state)


def test_weights_that_do_not_fit_batches_are_refused() -> None:
    with stored(record(VECTOR, VECTOR, LENGTHS, 0), on_disk=False) as dataset:
        with pytest.raises(SamplingError, match=r"weights of shape \(2,\) for 4 episodes"):
            dataset.batches(3, weights=[1, 2])
        with pytest.raises(SamplingError, match="weights draw at random; they cannot go with"):
            dataset.batches(3, weights="episodes", shuffle=False)
        with pytest.raises(SamplingError, match=r"episode 0 of the view has weight 1\.0, but no"):
            dataset.batches(3, length=2, weights=[1, 1, 1, 1])


@given(
    st.lists(st.sampled_from([0.0, 1e-9, 0.5, 1.0, 3.0, 1e6]), min_size=1, max_size=60).filter(any),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_many_draws_are_those_of_few(given_weights: list[float], seed: int) -> None:
    counts = np.full(len(given_weights), 3)
    rng = np.random.default_rng(seed)
    # Also the borders between episodes themselves.
    borders = np.cumsum(given_weights) / np.sum(given_weights)
    numbers = np.concatenate([rng.random(4000), borders[borders < 1]])
    within = rng.random(len(numbers))
    many = EpisodeWeights(given_weights, counts)
    many.at(numbers, within)
    pairs = zip(numbers[-70:, None], within[-70:, None], strict=True)
    wanted = [EpisodeWeights(given_weights, counts).at(*pair)[0] for pair in pairs]
    assert many.at(numbers, within)[-70:].tolist() == wanted


def test_what_is_drawn_by_weights_is_the_same_in_every_release() -> None:
    order = WeightedOrder(EpisodeWeights([1, 0, 2, 0.5], np.array([3, 5, 1000, 7])), 7, 3)
    assert order(np.arange(8)).tolist() == [1012, 2, 1, 943, 1014, 492, 729, 544]
