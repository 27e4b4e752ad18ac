"""Data on a device is sampled there as the dataset's own samplers read it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minari_core import MinariWarning, SamplingError
from tests.training.helpers import walks

torch: Any = pytest.importorskip("torch")

from torch.utils.data import DataLoader, IterableDataset  # noqa: E402  # after the skip

from minari_core.torch import ResidentData, to_tensors  # noqa: E402


@pytest.mark.parametrize("chosen", [slice(None), slice(1, None, 2), [2, 0, 2]])
@pytest.mark.parametrize("n_step", [1, 2, 100, 20_000])
def test_transitions_are_those_of_the_sampler(chosen: Any, n_step: int) -> None:
    dataset = walks.of_vectors()[chosen]
    sampler = dataset.transition_sampler(n_step=n_step, discount=0.9)
    data = ResidentData(dataset)
    assert len(data) == len(sampler)
    assert data.is_resident
    positions = np.arange(len(sampler))
    found = data.read(torch.from_numpy(positions), n_step=n_step, discount=0.9)
    wanted = to_tensors(sampler.read(positions))
    assert set(found) == set(wanted) - {"episode_ids", "time_steps"}
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-12, atol=0)
    assert set(data.sample(7, n_step=n_step)) == set(found)
    # All were read once, and what the steps come to is kept now.
    for some in (positions, positions[::-1][:3].copy()):
        again = data.read(torch.from_numpy(some), n_step=n_step, discount=0.9)
        for name, tensor in again.items():
            assert torch.equal(tensor, found[name][some]), name


def test_what_is_kept_of_some_steps_ahead_is_not_given_for_others() -> None:
    dataset = walks.of_vectors()
    data = ResidentData(dataset)
    positions = np.arange(len(data))
    for n_step, discount in ((2, 0.9), (3, 0.9), (3, 0.5), (1, 0.5), (2, 0.9)):
        sampler = dataset.transition_sampler(n_step=n_step, discount=discount)
        wanted = to_tensors(sampler.read(positions))
        for _ in range(3):
            found = data.read(torch.from_numpy(positions), n_step=n_step, discount=discount)
            for name, tensor in found.items():
                torch.testing.assert_close(tensor, wanted[name], rtol=1e-12, atol=0)


def test_the_sum_of_rewards_of_a_step_is_the_same_in_every_batch() -> None:
    data = ResidentData(walks.of_vectors())
    positions = torch.arange(len(data))
    whole = data.read(positions, n_step=30, discount=0.97)["rewards"]
    for size in (1, 2, 3, 7):
        # Nothing is kept of the steps ahead: these batches are less than a quarter of all.
        fresh = ResidentData(walks.of_vectors(f"walks/batches-of-{size}-v0"))
        for some in positions[40:].split(size)[:3]:
            found = fresh.read(some, n_step=30, discount=0.97)["rewards"]
            assert torch.equal(found, whole[some])


@pytest.mark.parametrize("length", [1, 3, 50])
def test_windows_are_those_of_the_sampler(length: int) -> None:
    dataset = walks.of_vectors()
    options: dict[str, Any] = {"length": length, "padding": "after", "shuffle": False}
    wanted = to_tensors(next(dataset.batches(10**6, **options)))
    data = ResidentData(dataset)
    found = data.read_windows(torch.arange(len(data)), length)
    for name, tensor in found.items():
        assert torch.equal(tensor, wanted[name]), name
    assert data.sample_windows(4, length)["mask"].shape == (4, length)


def test_goals_are_observations_of_the_same_episode_that_follow() -> None:
    dataset = walks.of_vectors()
    data = ResidentData(dataset)
    positions = torch.arange(len(data)).repeat(50)
    batch = data.read(positions, goals="future")
    # Observations are the episode and the row.
    episode, row = batch["observations"].T
    last = data.read(positions, goals="final")["goals"][:, 1]
    assert torch.equal(batch["goals"][:, 0], episode)
    assert ((row < batch["goals"][:, 1]) & (batch["goals"][:, 1] <= last)).all()
    for position in (0, len(data) - 2):
        reached = {float(goal) for goal in batch["goals"][positions == position][:, 1]}
        assert len(reached) > 1 or float(last[position] - row[position]) == 1
    with pytest.raises(SamplingError, match="goals is 'past'"):
        data.read(positions, goals="past")  # type: ignore[arg-type]


def test_a_generator_decides_what_is_drawn_and_all_may_be_drawn() -> None:
    data = ResidentData(walks.of_vectors(), "cpu")
    one, other = (data.sample(500, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one["actions"], other["actions"])
    assert {tuple(pair) for pair in one["actions"].long().tolist()} <= set(walks.EVERY_STEP)


def test_data_that_does_not_fit_takes_turns_and_says_so() -> None:
    # Not all parts are alike.
    dataset = walks.of_vectors()[[1, 2, 2, 1, 1, 2]]
    with pytest.warns(MinariWarning, match="parts take turns"):
        data = ResidentData(dataset, max_nbytes=4000)
    assert not data.is_resident
    seen: set[tuple[int, int]] = set()
    sizes = set()
    for _ in range(300):
        batch = data.sample(16, n_step=2, discount=1.0)
        sizes.add(len(data))
        seen |= {(int(episode), int(step)) for episode, step in batch["actions"].tolist()}
        episodes = batch["observations"][:, 0]
        assert torch.equal(episodes, batch["next_observations"][:, 0])
        row = batch["observations"][:, 1]
        count = batch["next_observations"][:, 1] - row
        assert set(count.tolist()) <= {1.0, 2.0}
        # A reward is the episode's thousand and the step.
        assert torch.equal(batch["rewards"], count * (1000 * episodes + row) + count - 1)
    assert seen == {(episode, step) for episode, step in walks.EVERY_STEP if episode in (1, 2)}
    assert max(sizes) < dataset.total_steps
    with pytest.raises(SamplingError, match="an episode takes"):
        ResidentData(dataset, max_nbytes=10)


class Turns(IterableDataset):  # type: ignore[misc]  # PyTorch may not be there
    """The episodes that a worker samples, turn after turn."""

    def __init__(self, data: ResidentData) -> None:
        self.data = data

    def __iter__(self) -> Iterator[set[float]]:
        yield {
            episode for _ in range(60) for episode in self.data.sample(16)["actions"][:, 0].tolist()
        }


def test_turns_go_on_in_other_processes() -> None:
    dataset = walks.of_vectors()[[1, 2, 1, 2, 1, 2]]
    with pytest.warns(MinariWarning, match="parts take turns"):
        data = ResidentData(dataset, max_nbytes=4000)
    # Its thread has begun to load ahead, and is in no other process.
    data.sample(16)
    loader = DataLoader(Turns(data), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert list(loader) == [{1, 2}, {1, 2}]
    assert list(Turns(pickle.loads(pickle.dumps(data)))) == [{1, 2}]


def test_values_without_a_fixed_shape_are_refused() -> None:
    with pytest.raises(SamplingError, match="observations have values that are no arrays"):
        ResidentData(walks.of_everything())


def test_sampling_is_compiled_as_one_graph() -> None:
    data = ResidentData(walks.of_vectors())
    positions = torch.arange(len(data))
    compiled = torch.compile(
        lambda numbers: data.read(numbers, n_step=2), backend="eager", fullgraph=True
    )
    for name, tensor in compiled(positions).items():
        assert torch.equal(tensor, data.read(positions, n_step=2)[name]), name
