"""Episodes that are located all at once are those that are read one by one."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import EpisodeBuffer, EpisodeIndexError, MinariDataset
from minari_core.testing.expectations import expect_same

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
SPACE = spaces.Box(-1, 1, (2,), np.float64)


def episode(number: int, *, final: bool = True) -> EpisodeBuffer:
    steps = number % 3 + 1
    return EpisodeBuffer(
        observations=np.full((steps + final, 2), number / 100),
        actions=np.full(steps, number % 2),
        rewards=np.full(steps, float(number)),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        infos={"number": np.full(steps + 1, number)},
        seed=None if number % 2 else number,
        metadata={"number": number},
    )


@pytest.fixture
def dataset() -> MinariDataset:
    """Three shards; the observations after some episodes are unknown, some metadata was changed."""
    created = minari_core.create_dataset_from_buffers(
        "many-v0",
        [episode(number) for number in range(8)],
        observation_space=SPACE,
        action_space=spaces.Discrete(2),
    )
    created.update_dataset_from_buffer([episode(n, final=n != 10) for n in range(8, 14)])
    created.update_dataset_from_buffer([episode(number) for number in range(14, 20)])
    created.storage.update_episode_metadata([{"number": -1}], [15])
    return minari_core.load_dataset("many-v0")


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("first", [0, 6, 14])
def test_many_episodes_are_those_that_are_read_one_by_one(
    dataset: MinariDataset, copy: bool, first: int
) -> None:
    indices = [*range(first, 20), 3, 3, first]
    many = list(dataset.iterate_episodes(indices, copy=copy))
    one_by_one = [dataset[index] for index in indices]
    assert [each.id for each in many] == indices
    for found, wanted in zip(many, one_by_one, strict=True):
        expect_same(found, wanted)
        assert found.observations.flags.writeable == copy
        assert len(found.observations) == len(found) + (found.id != 10)


def test_a_reader_in_the_middle_goes_on_when_its_own_dataset_is_joined(
    dataset: MinariDataset,
) -> None:
    episodes = iter(dataset)
    found = [float(next(episodes).rewards[0]) for _ in range(5)]
    dataset.compact()
    assert found + [float(each.rewards[0]) for each in episodes] == list(range(20))


def test_episodes_before_one_that_is_not_there_are_read(dataset: MinariDataset) -> None:
    episodes = dataset.storage.read_episodes([0, 1, 2, 3, 99])
    assert [next(episodes).id for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(EpisodeIndexError, match="no episode 99 among 20"):
        next(episodes)
