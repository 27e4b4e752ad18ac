"""d3rlpy's own reader of Minari datasets, unmodified, and the replay buffer made for it."""

from __future__ import annotations

import dataclasses
from typing import Any

import d3rlpy
import gymnasium
import numpy as np
import pytest
from d3rlpy.datasets import get_minari
from gymnasium import spaces

import minari
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import DataError, SpaceError
from minari_core.integrations.d3rlpy import RecordedEpisode, replay_buffer
from tests.interop.helpers.collected import collect
from tests.interop.helpers.reaching_environment import Reaching

pytestmark = pytest.mark.filterwarnings("ignore")
FORMATS = pytest.mark.parametrize("data_format", ["columnar", "hdf5", "parquet"])


def pendulum() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("Pendulum-v1", max_episode_steps=30)


def train(buffer: Any) -> list[Any]:
    algorithm = d3rlpy.algos.TD3Config(batch_size=16).create(device="cpu")
    return list(
        algorithm.fit(
            buffer,
            n_steps=20,
            n_steps_per_epoch=10,
            show_progress=False,
            logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
        )
    )


@FORMATS
def test_get_minari_reads_a_local_dataset_that_is_trained_on(data_format: str) -> None:
    dataset = collect("pendulum/random-v0", pendulum(), data_format)

    buffer, env = get_minari("pendulum/random-v0")

    assert env.observation_space == dataset.observation_space
    first, wanted = buffer.episodes[0], dataset[0]
    for found, values in (
        (first.observations, wanted.observations[:-1]),
        (first.actions, wanted.actions),
        (first.rewards, wanted.rewards[:, None]),
    ):
        assert found.dtype == values.dtype
        assert np.array_equal(found, values)
    assert first.terminated == wanted.terminations[-1]
    assert len(train(buffer)) == 2


def expect_transitions(buffer: Any, dataset: minari.MinariDataset, observation: Any = None) -> None:
    """Compare a whole buffer with the dataset, step by step."""
    assert buffer.transition_count == dataset.total_steps
    for found, episode in zip(buffer.episodes, dataset, strict=True):
        seen = episode.observations if observation is None else observation(episode.observations)
        assert found.transition_count == len(found) == found.size() == len(episode)
        assert found.compute_return() == episode.rewards.sum()
        last = len(episode) - 1
        for step in range(len(episode)):
            transition = buffer.transition_picker(found, step)
            terminal = bool(episode.terminations[step])
            assert np.array_equal(transition.observation, seen[step])
            assert np.array_equal(transition.action, episode.actions[step].reshape(-1))
            assert np.array_equal(transition.reward, episode.rewards[step : step + 1])
            assert np.array_equal(transition.rewards_to_go[:, 0], episode.rewards[step:])
            assert transition.terminal == float(terminal)
            # Behind a terminal observation there is nothing to learn, and d3rlpy has zeros.
            expected = np.zeros_like(seen[step]) if terminal else seen[step + 1]
            assert np.array_equal(transition.next_observation, expected)
            if step < last:
                assert np.array_equal(transition.next_action, episode.actions[step + 1].reshape(-1))
        window = buffer.trajectory_slicer(found, last, 4)
        assert np.array_equal(window.observations[-2:], seen[last - 1 : last + 1])
        assert np.array_equal(window.rewards[-2:, 0], episode.rewards[-2:])


@FORMATS
@pytest.mark.parametrize("env", [lambda: gymnasium.make("CartPole-v1"), pendulum])
def test_the_replay_buffer_of_any_format_has_every_transition(env: Any, data_format: str) -> None:
    dataset = collect("made/random-v0", env(), data_format)

    buffer = replay_buffer(dataset)

    expect_transitions(buffer, dataset)
    discrete = isinstance(dataset.action_space, spaces.Discrete)
    assert buffer.dataset_info.action_size == (2 if discrete else 1)


def test_both_ends_of_an_episode_and_goals_are_there() -> None:
    dataset = collect("reach/random-v0", Reaching(), "columnar")
    ends = {(bool(one.terminations[-1]), bool(one.truncations[-1])) for one in dataset}
    assert ends == {(True, False), (False, True)}

    def observation(seen: Any) -> Any:
        return np.concatenate([seen["observation"], seen["desired_goal"]], axis=1)

    view = dataset[[5, 0, 3]]
    buffer = replay_buffer(view, observation=observation)

    expect_transitions(buffer, view, observation)
    with pytest.raises(SpaceError, match="observation="):
        replay_buffer(dataset)
    with pytest.raises(DataError, match=r"episode 0 of \d+ steps"):
        replay_buffer(dataset, observation=lambda seen: seen["observation"][1:])


@FORMATS
def test_a_stored_episode_that_goes_on_after_its_end_is_several(data_format: str) -> None:
    rows = np.arange(8.0)[:, None]
    stored = minari.EpisodeBuffer(
        observations=rows,
        actions=rows[:-1],
        rewards=np.ones(7),
        terminations=np.arange(7) == 2,
        truncations=np.isin(np.arange(7), [4, 6]),
    )
    whole = dataclasses.replace(stored, terminations=[False] * 7, truncations=[False] * 6 + [True])
    space = spaces.Box(-9, 9, (1,), np.float64)
    minari.create_dataset_from_buffers(
        "early/ends-v0",
        [whole],
        observation_space=space,
        action_space=space,
        data_format=data_format,
    )
    get_raw_storage(minari.load_dataset("early/ends-v0")).append_episodes([stored])

    buffer = replay_buffer(minari.load_dataset("early/ends-v0")[1:])

    assert [(len(part), part.terminated) for part in buffer.episodes] == [
        (3, True),
        (2, False),
        (2, False),
    ]
    first, second, _ = buffer.episodes
    picked = buffer.transition_picker(first, 2)
    assert (picked.terminal, picked.rewards_to_go.sum()) == (1, 1)
    picked = buffer.transition_picker(second, 1)
    assert (picked.observation.tolist(), picked.next_observation.tolist()) == ([4], [5])
    picker = d3rlpy.dataset.MultiStepTransitionPicker(n_steps=5, gamma=1.0)
    assert picker(first, 0).reward.tolist() == [3]


def test_the_replay_buffer_is_trained_on_and_survives_its_own_file(tmp_path: Any) -> None:
    dataset = collect("pendulum/random-v0", pendulum(), "columnar")
    buffer = replay_buffer(dataset)

    assert len(train(buffer)) == 2

    with open(tmp_path / "buffer.h5", "w+b") as file:
        buffer.dump(file)
    with open(tmp_path / "buffer.h5", "rb") as file:
        loaded = d3rlpy.dataset.ReplayBuffer.load(
            file, d3rlpy.dataset.InfiniteBuffer(), episode_cls=RecordedEpisode
        )
    expect_transitions(loaded, dataset)
