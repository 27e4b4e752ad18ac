"""Views of a dataset for many readers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from gymnasium import spaces

from minari_core.datasets.creation import create_dataset_from_buffers
from minari_core.datasets.dataset import MinariDataset
from minari_core.episodes.episode import EpisodeBuffer

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


def dataset_of(lengths: list[int]) -> MinariDataset:
    return create_dataset_from_buffers(
        "tests/shards-v0",
        [
            EpisodeBuffer(
                observations=np.full((length + 1, 2), number, dtype=np.float32),
                actions=np.zeros(length, dtype=np.int64),
                rewards=np.zeros(length),
                terminations=np.arange(length) == length - 1,
                truncations=np.zeros(length, dtype=bool),
            )
            for number, length in enumerate(lengths)
        ],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float32),
        action_space=spaces.Discrete(2),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_every_episode_is_in_one_view_and_the_views_are_of_the_same_size(count: int) -> None:
    lengths = np.random.default_rng(1).integers(1, 30, 60).tolist()
    dataset = dataset_of(lengths)

    views = dataset.shards(count)

    indices = [view.episode_indices.tolist() for view in views]
    assert len(views) == count
    assert [index for view in indices for index in view] == list(range(60))
    sizes = [view.total_steps for view in views]
    assert max(sizes) - min(sizes) <= 2 * max(lengths)


def test_there_may_be_more_views_than_episodes() -> None:
    views = dataset_of([4, 4]).shards(5)

    assert sum(len(view) for view in views) == 2
    with pytest.raises(ValueError, match="at least 1"):
        views[0].shards(0)


def test_a_view_of_a_view_keeps_its_order() -> None:
    dataset = dataset_of([3] * 10)[[7, 2, 5, 9]]

    views = dataset.shards(2)

    assert [view.episode_indices.tolist() for view in views] == [[7, 2], [5, 9]]


def test_a_handle_is_small_and_reads_elsewhere() -> None:
    dataset = dataset_of([5] * 4000)

    (view, *_) = dataset.shards(8)
    pickled = pickle.dumps(view)

    assert len(pickled) < 10_000
    assert len(pickle.dumps(dataset)) < 10_000
    assert [episode.id for episode in pickle.loads(pickled)] == list(range(500))
