"""Data on a device of JAX is sampled there as the dataset's own samplers read it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core import MinariWarning, SamplingError
from tests.training.helpers import walks

jax: Any = pytest.importorskip("jax")

from minari_core.integrations import jax_resident  # noqa: E402  # after the skip
from minari_core.jax import ResidentData, to_device  # noqa: E402


@pytest.mark.parametrize("chosen", [slice(None), [2, 0, 2]])
@pytest.mark.parametrize("n_step", [1, 3])
def test_transitions_are_those_of_the_sampler(chosen: Any, n_step: int) -> None:
    dataset = walks.of_vectors()[chosen]
    sampler = dataset.transition_sampler(n_step=n_step, discount=0.9)
    data = ResidentData(dataset)
    positions = np.arange(len(sampler))
    wanted = to_device(sampler.read(positions))
    found = jax_resident._read(
        data._columns, jax.numpy.asarray(positions), jax.random.key(0), n_step, 0.9, None
    )
    assert set(found) == set(wanted) - {"episode_ids", "time_steps"}
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-6, err_msg=name)
    sampled = data.sample(jax.random.key(1), 50, n_step=n_step)
    assert {tuple(pair) for pair in sampled["actions"].astype(int).tolist()} <= set(
        walks.EVERY_STEP
    )


def test_windows_are_those_of_the_sampler() -> None:
    dataset = walks.of_vectors()
    options: dict[str, Any] = {"length": 5, "padding": "after", "shuffle": False}
    wanted = to_device(next(dataset.batches(10**6, **options)))
    data = ResidentData(dataset)
    found = jax_resident._read_windows(data._columns, jax.numpy.arange(len(data)), 5)
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)
    assert data.sample_windows(jax.random.key(0), 4, 5)["mask"].shape == (4, 5)


def test_goals_follow_in_the_same_episode_and_depend_on_the_key() -> None:
    data = ResidentData(walks.of_vectors())
    one, other, third = (
        data.sample(jax.random.key(seed), 400, goals="future") for seed in (1, 1, 2)
    )
    assert np.array_equal(one["goals"], other["goals"])
    assert not np.array_equal(one["goals"], third["goals"])
    assert np.array_equal(one["goals"][:, 0], one["observations"][:, 0])
    assert (one["goals"][:, 1] > one["observations"][:, 1]).all()
    final = data.sample(jax.random.key(1), 400, goals="final")["goals"]
    assert set(final[:, 1].tolist()) <= set(map(float, walks.LENGTHS))
    with pytest.raises(SamplingError, match="goals is 'past'"):
        data.sample(jax.random.key(0), 3, goals="past")  # type: ignore[arg-type]


def test_data_that_does_not_fit_takes_turns_and_says_so() -> None:
    dataset = walks.of_vectors()[[1, 2, 1, 2, 1, 2]]
    with pytest.warns(MinariWarning, match="parts take turns") as warned:
        data = ResidentData(dataset, max_nbytes=4000)
    assert warned[0].filename == __file__
    assert not data.is_resident
    assert len(data) < dataset.total_steps
    found = set()
    shapes = set()
    for seed in range(300):
        batch = data.sample(jax.random.key(seed), 4, n_step=2, goals="future")
        shapes.add(data._columns["rows"].shape)
        assert (batch["goals"][:, 0] == batch["observations"][:, 0]).all()
        found |= {tuple(pair) for pair in batch["actions"].astype(int).tolist()}
    assert found == {(episode, step) for episode, step in walks.EVERY_STEP if episode in (1, 2)}
    # So that another part is no reason to compile once more.
    assert len(shapes) == 1
    with pytest.raises(SamplingError, match="two at a time must fit"):
        ResidentData(dataset, max_nbytes=10)
    assert ResidentData(dataset, max_nbytes=10**9).is_resident
