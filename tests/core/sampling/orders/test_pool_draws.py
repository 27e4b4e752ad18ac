"""Draws from the pool: each position once an epoch, by a seed, fetched before it is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.sampling.orders.pool_draws import PoolDraws


def make_draws(size: int, seed: int = 0) -> PoolDraws:
    return PoolDraws(np.random.default_rng(seed), size, 8, None)


@given(st.integers(1, 300), st.lists(st.integers(1, 200), min_size=1, max_size=8))
@settings(max_examples=40)
def test_each_position_is_drawn_once_an_epoch_in_whatever_batches(
    size: int, counts: list[int]
) -> None:
    draws = make_draws(size)
    drawn = np.concatenate([draws.draw(count) for count in counts])
    assert len(drawn) == sum(counts)
    epochs = np.split(drawn, range(size, len(drawn), size))
    for epoch in epochs[:-1]:
        assert sorted(epoch) == list(range(size))
    assert len(set(epochs[-1])) == len(epochs[-1])
    assert np.array_equal(make_draws(size).draw(len(drawn)), drawn)


def test_seeds_and_epochs_draw_in_other_orders() -> None:
    draws = make_draws(500)
    first, second = draws.draw(500), draws.draw(500)
    assert not np.array_equal(first, second)
    assert not np.array_equal(make_draws(500, 1).draw(500), first)


def test_what_could_not_be_fetched_is_drawn_again() -> None:
    failing = [True]
    fetched = np.zeros(100, dtype=np.bool_)

    def fetch(start: int, stop: int) -> None:
        if failing[0]:
            raise OSError("out of reach")
        fetched[start:stop] = True

    draws = PoolDraws(np.random.default_rng(0), 100, 8, fetch)
    with pytest.raises(OSError, match="out of reach"):
        draws.draw(10)
    failing[0] = False
    drawn = draws.draw(10)
    assert fetched[drawn].all()
    assert np.array_equal(drawn, PoolDraws(np.random.default_rng(0), 100, 8, None).draw(10))
