"""Batches become arrays on JAX's devices, whatever the spaces are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tests.training.helpers import walks

jax: Any = pytest.importorskip("jax")

from minari_core.jax import device_batches, to_device  # noqa: E402  # after the skip


def test_a_batch_of_transitions_lies_on_the_device() -> None:
    batch = walks.of_vectors().sample_transitions(32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arrays = to_device(batch)

    for name in ("observations", "actions", "rewards", "next_observations", "terminations"):
        assert isinstance(arrays[name], jax.Array), name
        # JAX has 32-bit numbers unless it is told otherwise; these are small whole ones.
        assert np.array_equal(arrays[name], getattr(batch, name)), name
    assert arrays["rewards"].dtype == np.float32
    assert arrays["terminations"].dtype == bool


def test_numbers_keep_64_bits_where_jax_has_them() -> None:
    batch = walks.of_vectors().sample_transitions(8)
    jax.config.update("jax_enable_x64", True)
    try:
        arrays = to_device(batch)
        assert arrays["rewards"].dtype == np.float64
        assert arrays["time_steps"].dtype == np.int64
    finally:
        jax.config.update("jax_enable_x64", False)


def test_a_device_can_be_chosen() -> None:
    device = jax.devices("cpu")[0]

    arrays = to_device(walks.of_vectors().sample_transitions(8), device)

    assert all(array.devices() == {device} for array in jax.tree_util.tree_leaves(arrays))


def test_every_kind_of_space_becomes_what_it_can_be() -> None:
    columns = ["observations", "actions", "infos/speed"]
    sampler = walks.of_everything().transition_sampler(columns=columns)
    batch = sampler.read(np.arange(walks.TOTAL))
    arrays = to_device(batch)

    observed, rows = arrays["observations"], np.array([row for _, row in walks.EVERY_STEP])
    assert observed["camera"].dtype == np.uint8
    assert np.array_equal(observed["camera"][:, 0, 0], rows % 256)
    assert isinstance(observed["pair"], tuple)
    assert np.array_equal(observed["pair"][1][:, 0], rows % 2)
    # Text has no array: it stays a list of str, beside the arrays.
    assert observed["word"] == [f"{episode}a{row}" for episode, row in walks.EVERY_STEP]
    speed = arrays["columns"]["infos/speed"]
    assert np.array_equal(speed["present"], (rows + 1) % 2 == 0)


def test_a_batch_goes_through_a_compiled_gradient() -> None:
    batch = walks.of_vectors().sample_transitions(32, columns=["observations", "actions"])

    def loss(weights: Any, arrays: Any) -> Any:
        return ((arrays["observations"] @ weights - arrays["actions"]) ** 2).mean()

    gradient = jax.grad(jax.jit(loss))(jax.numpy.ones((2, 2)), to_device(batch))

    assert gradient.shape == (2, 2)
    assert bool(jax.numpy.isfinite(gradient).all())


@pytest.mark.parametrize("batch_size", [16, 200])
def test_batches_come_in_their_order_each_once(batch_size: int) -> None:
    dataset = walks.of_vectors()

    seen = [walks.steps_of(batch) for batch in device_batches(dataset.batches(batch_size, seed=1))]
    wanted = [
        [(int(episode), int(step)) for episode, step in batch.actions.tolist()]
        for batch in dataset.batches(batch_size, seed=1)
    ]

    assert seen == wanted
    assert sorted(step for batch in seen for step in batch) == walks.EVERY_STEP


def test_only_one_batch_is_read_ahead() -> None:
    batches = walks.of_vectors().batches(10, seed=1)
    on_device = device_batches(batches)

    next(on_device)
    assert batches.state_dict()["batch"] == 2
    next(on_device)
    assert batches.state_dict()["batch"] == 3


def test_windows_have_their_masks_on_the_device() -> None:
    batch = walks.of_vectors().sample_sequences(8, 5, padding="before", returns_to_go=True)
    arrays = to_device(batch)

    assert np.array_equal(arrays["mask"], batch.mask)
    assert np.allclose(arrays["returns_to_go"], batch.returns_to_go)
    assert arrays["time_steps"].shape == (8, 5)


def test_windows_with_offsets_and_goals_lie_on_the_device() -> None:
    dataset = walks.of_vectors()
    offsets = {"observations": range(-1, 1), "actions": range(4)}
    (arrays,) = device_batches(dataset.batches(walks.TOTAL, offsets=offsets, shuffle=False))
    (batch,) = dataset.batches(walks.TOTAL, offsets=offsets, shuffle=False)

    assert np.array_equal(arrays["actions"], batch.actions)
    assert np.array_equal(arrays["masks"]["actions"], batch.masks["actions"])
    arrays = next(device_batches(dataset.batches(16, seed=0, goals="future")))
    assert np.array_equal(arrays["goals"], next(dataset.batches(16, seed=0, goals="future")).goals)
