"""Prioritized replay draws by priorities, undoes the bias, and goes on from a state."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from minari_core import MinariDataset, SamplingError
from tests.core.helpers.recorded import VECTOR, record, stored


@pytest.fixture
def dataset() -> Iterator[MinariDataset]:
    with stored(record(VECTOR, VECTOR, [5, 1, 14], 0), on_disk=False) as created:
        yield created


def test_transitions_are_drawn_in_proportion_to_their_priorities(dataset: MinariDataset) -> None:
    replay = dataset.prioritized_replay(alpha=0.5, seed=0)
    priorities = np.arange(20.0) ** 2
    replay.update(np.arange(20), priorities)
    batch, positions, weights = replay.sample(20_000, beta=1)
    shares = (priorities + 1e-6) ** 0.5
    shares /= shares.sum()
    found = np.bincount(positions, minlength=20) / 20_000
    # Each stratum has one draw, so that counts are off by at most two.
    np.testing.assert_allclose(found, shares, atol=2 / 20_000)
    wanted = 1 / shares[positions]
    np.testing.assert_allclose(weights, wanted / wanted.max())
    read = dataset.transition_sampler().read(positions)
    assert np.array_equal(batch.observations, read.observations)
    assert np.array_equal(batch.time_steps, read.time_steps)


def test_without_alpha_or_beta_all_are_alike(dataset: MinariDataset) -> None:
    replay = dataset.prioritized_replay(alpha=0, seed=0)
    replay.update([3, 4], [9.0, 0.0])
    assert np.bincount(replay.sample(2000).positions).tolist() == [100] * 20
    replay = dataset.prioritized_replay(alpha=1, seed=0)
    replay.update([3, 4], [9.0, 0.0])
    assert (replay.sample(2000, beta=0).weights == 1).all()


def test_what_is_drawn_depends_on_the_seed_and_goes_on_from_a_state(
    dataset: MinariDataset,
) -> None:
    dataset.set_seed(3)
    replay = dataset.prioritized_replay(n_step=2)
    dataset.set_seed(3)
    other = dataset.prioritized_replay(n_step=2)
    again, state = other, replay.state_dict()
    for step in range(4):
        state = pickle.loads(pickle.dumps(replay.state_dict()))
        batch, positions, weights = replay.sample(8)
        again = dataset.prioritized_replay(n_step=2, seed=99)
        again.load_state_dict(state)
        for same in (other.sample(8), again.sample(8)):
            assert same.positions.tolist() == positions.tolist()
            assert np.array_equal(same.weights, weights)
            assert np.array_equal(same.transitions.rewards, batch.rewards)
        for each in (replay, other):
            each.update(positions, np.abs(batch.rewards) + step)
    with pytest.raises(SamplingError, match="the state is of settings"):
        dataset.prioritized_replay(n_step=2, alpha=1).load_state_dict(state)
    with pytest.raises(SamplingError, match="the state is of identity"):
        dataset.prioritized_replay().load_state_dict(state)
    with pytest.raises(SamplingError, match=r"weights of shape \(3,\)"):
        again.load_state_dict({**state, "weights": np.ones(3)})
    with pytest.raises(SamplingError, match="is no state"):
        again.load_state_dict({})


def test_priorities_that_make_no_sense_change_nothing(dataset: MinariDataset) -> None:
    replay = dataset.prioritized_replay(seed=0)
    for positions, priorities, message in (
        ([1, 2], [1.0], "priorities of shape .1,. for 2 positions"),
        ([1.5], [1.0], "not whole numbers"),
        ([20], [1.0], "only 0 to 19"),
        ([-1], [1.0], "only 0 to 19"),
        ([1], [-1.0], "finite and not negative"),
        ([1, 2], [1.0, np.nan], "finite and not negative"),
        ([1], [np.inf], "finite and not negative"),
    ):
        with pytest.raises(SamplingError, match=message):
            replay.update(positions, priorities)
    replay.update([], [])
    assert len(set(replay.state_dict()["weights"])) == 1
    with pytest.raises(SamplingError, match="alpha is 2"):
        dataset.prioritized_replay(alpha=2)
    with pytest.raises(SamplingError, match="beta is -1"):
        replay.sample(3, beta=-1)
    with pytest.raises(SamplingError, match="epsilon is 0"):
        dataset.prioritized_replay(epsilon=0)
    with pytest.raises(SamplingError, match="there is no step to sample"):
        dataset[:0].prioritized_replay()
