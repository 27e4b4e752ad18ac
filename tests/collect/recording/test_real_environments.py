"""What real environments return is what a dataset of them holds."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import DataCollectorV0, create_dataset_from_collector_env
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.local import load_dataset
from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.messages import MinariWarning
from tests.collect.helpers.comparing import assert_same, stacked
from tests.collect.helpers.environments import (
    Counter,
    FromSpace,
    Moment,
    Reusing,
    Scripted,
    run_episode,
)

with suppress(ImportError):
    # The oldest Gymnasium is tested without Atari.
    import ale_py

    gymnasium.register_envs(ale_py)

LUNAR_LANDER = "LunarLander-v3" if "LunarLander-v3" in gymnasium.registry else "LunarLander-v2"
pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


def saved(collector: DataCollectorV0) -> MinariDataset:
    create_dataset_from_collector_env("tests/real-v0", collector)
    collector.close()
    return load_dataset("tests/real-v0")


@pytest.mark.parametrize("max_buffer_steps", [None, 7])
@pytest.mark.parametrize(
    "env_id",
    [
        "CartPole-v1",
        LUNAR_LANDER,
        "HalfCheetah-v5",
        "ALE/Pong-v5",
        "FrozenLake-v1",
        "Blackjack-v1",
    ],
)
def test_a_dataset_holds_what_the_environment_returned(
    env_id: str, max_buffer_steps: int | None
) -> None:
    if env_id not in gymnasium.registry:
        pytest.skip("the oldest Gymnasium is tested without it")
    env = gymnasium.make(env_id)
    env.action_space.seed(0)
    collector = DataCollectorV0(env, record_infos=True, max_buffer_steps=max_buffer_steps)
    returned: list[dict[str, list[Any]]] = []
    for seed in range(3):
        observation, info = collector.reset(seed=seed)
        seen: dict[str, list[Any]] = {"observations": [observation], "infos": [info]}
        returned.append(seen)
        for _ in range(20):
            action = env.action_space.sample()
            observation, reward, terminated, truncated, info = collector.step(action)
            for name, value in (
                ("observations", observation),
                ("infos", info),
                ("actions", action),
                ("rewards", reward),
                ("terminations", terminated),
            ):
                seen.setdefault(name, []).append(value)
            if terminated or truncated:
                break
    dataset = saved(collector)

    assert dataset.env_spec == env.spec
    assert len(dataset) == 3
    for seed, (episode, seen) in enumerate(zip(dataset, returned, strict=True)):
        space = env.observation_space
        assert_same(episode.observations, stacked(space, seen["observations"]))
        assert_same(episode.actions, stacked(env.action_space, seen["actions"]))
        assert episode.rewards.tolist() == [float(reward) for reward in seen["rewards"]]
        assert episode.terminations.tolist() == seen["terminations"]
        assert episode.terminations[-1] or episode.truncations[-1]
        assert not episode.truncations[:-1].any()
        assert episode.seed == seed
        assert set(episode.infos) >= {key for info in seen["infos"] for key in info}
        for key, column in episode.infos.items():
            for row, info in zip(column, seen["infos"], strict=True):
                assert bool(np.ma.getmaskarray(row).any()) == (key not in info)
                if key in info:
                    assert np.array_equal(row, info[key])


EXOTIC: list[spaces.Space[Any]] = [
    spaces.Dict(
        {"left/arm": spaces.Box(-1, 1, (2,), np.float64), "": spaces.Discrete(4, start=-2)}
    ),
    spaces.Text(8),
    spaces.Sequence(spaces.Box(-1, 1, (2,), np.float32)),
    spaces.Sequence(spaces.Box(-1, 1, (2,), np.float32), stack=True),
    spaces.Sequence(spaces.Text(3)),
    spaces.Graph(spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(3)),
    spaces.Graph(spaces.Box(-1, 1, (2,), np.float32), None),
    spaces.Sequence(spaces.Graph(spaces.Discrete(3), None)),
    spaces.Tuple((spaces.MultiDiscrete([3, 4]), spaces.Dict({"word": spaces.Text(4)}))),
]
if ONE_OF is not None:
    one_of: Any = ONE_OF
    EXOTIC.append(one_of((spaces.Discrete(3), spaces.Box(-1, 1, (2,)), spaces.Text(3))))


@pytest.mark.parametrize("max_buffer_steps", [None, 3])
@pytest.mark.parametrize("space", EXOTIC, ids=repr)
def test_values_of_rare_spaces_are_kept_exactly(
    space: spaces.Space[Any], max_buffer_steps: int | None
) -> None:
    env = FromSpace(space)
    collector = DataCollectorV0(env, max_buffer_steps=max_buffer_steps)
    actions = []
    for seed in range(2):
        collector.reset(seed=seed)
        over = False
        while not over:
            actions.append(space.sample())
            over = collector.step(actions[-1])[3]
    dataset = saved(collector)

    assert dataset.observation_space == space
    assert len(dataset) == 2
    rows = 0
    for index, episode in enumerate(dataset):
        steps = len(episode)
        assert_same(episode.observations, stacked(space, env.seen[rows : rows + steps + 1]))
        assert_same(episode.actions, stacked(space, actions[index * steps : (index + 1) * steps]))
        rows += steps + 1


def test_an_environment_that_reuses_its_array_is_recorded_right() -> None:
    collector = DataCollectorV0(Reusing(), max_buffer_steps=3)
    run_episode(collector, seed=4)

    assert saved(collector)[0].observations.tolist() == [[4.0, step] for step in range(6)]


def test_a_policy_that_reuses_its_array_is_recorded_right() -> None:
    action = np.zeros(2, dtype=np.float32)
    env = Scripted(action_space=spaces.Box(-9, 9, (2,)))
    env.tell(*[Moment(np.zeros(3, np.float32)) for _ in range(4)])
    collector = DataCollectorV0(env)
    collector.reset()
    for step in range(3):
        action[:] = step
        collector.step(action)

    assert saved(collector)[0].actions.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_step_that_terminates_and_truncates_at_once_is_both() -> None:
    env = Scripted()
    env.tell(*[Moment(np.zeros(3, np.float32)), Moment(np.zeros(3, np.float32), 1.0, True, True)])
    collector = DataCollectorV0(env)
    collector.reset()
    collector.step(0)
    episode = saved(collector)[0]

    assert (episode.terminations.tolist(), episode.truncations.tolist()) == ([True], [True])


def test_float64_observations_of_a_float32_space_stay_and_one_warning_names_the_leaf() -> None:
    space = spaces.Dict({"arm": spaces.Box(-1, 1, (2,), np.float32), "n": spaces.Discrete(3)})
    rows = [{"arm": np.array([1 / 3, step / 10]), "n": 1} for step in range(30)]
    env = Scripted(space, moments=[Moment(row) for row in rows])
    collector = DataCollectorV0(env, max_buffer_steps=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MinariWarning)
        collector.reset()
        for _ in range(len(rows) - 1):
            collector.step(0)
        dataset = saved(collector)

    outside = [warning for warning in caught if "recorded as it is" in str(warning.message)]
    assert len(outside) == 1
    assert "observation['arm']: dtype float64" in str(outside[0].message)
    assert outside[0].filename == __file__
    assert_same(dataset[0].observations["arm"], np.array([row["arm"] for row in rows]))


@pytest.mark.parametrize(("value", "is_outside"), [(10, False), (11, True), (255, True)])
@pytest.mark.parametrize("high", [[10, 255], [10, 10]])
def test_whole_numbers_outside_their_box_are_warned_of(
    value: int, is_outside: bool, high: list[int]
) -> None:
    space = spaces.Box(np.zeros(2, np.uint8), np.array(high, np.uint8), dtype=np.uint8)
    row = np.array([value, 10], np.uint8)
    collector = DataCollectorV0(Scripted(space, moments=[Moment(row)] * 3))
    collector.reset()
    collector.step(0)
    collector.step(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MinariWarning)
        saved(collector)

    assert any("not in observation space" in str(each.message) for each in caught) == is_outside


def test_nan_and_infinity_are_data() -> None:
    rows = np.array([[np.nan, np.inf, -np.inf], [-0.0, 0.0, 1e-45]], dtype=np.float32)
    env = Scripted(moments=[Moment(rows[0]), Moment(rows[1], np.nan), Moment(rows[0], -np.inf)])
    collector = DataCollectorV0(env)
    collector.reset()
    collector.step(0)
    collector.step(1)
    with pytest.warns(MinariWarning, match="recorded as it is"):
        episode = saved(collector)[0]

    assert_same(episode.observations, rows[[0, 1, 0]])
    assert_same(episode.rewards, np.array([np.nan, -np.inf]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_vector_rewards_become_float64_whatever_their_dtype(dtype: str) -> None:
    rewards = [np.array([step, 2, 3], dtype=dtype) for step in range(3)]
    observation = np.zeros(3, np.float32)
    env = Scripted(moments=[Moment(observation, reward) for reward in [0.0, *rewards]])
    collector = DataCollectorV0(env)
    collector.reset()
    for _ in rewards:
        collector.step(0)
    episode = saved(collector)[0]

    assert_same(episode.rewards, np.array(rewards, dtype=np.float64))
    assert episode.metadata["rewards_sum"] == np.sum(rewards)


@pytest.mark.parametrize(
    "reward", [1, 1.0, True, np.float16(1), np.float32(1), np.int8(1), np.bool_(True), np.array(1)]
)
def test_a_reward_may_be_any_kind_of_number(reward: Any) -> None:
    observation = np.zeros(3, np.float32)
    env = Scripted(
        moments=[Moment(observation), Moment(observation, reward), Moment(observation, 0.1)]
    )
    collector = DataCollectorV0(env)
    collector.reset()
    collector.step(0)
    collector.step(0)

    assert_same(saved(collector)[0].rewards, np.array([1.0, 0.1]))


@pytest.mark.parametrize("action", [1, np.int64(1), np.int8(1), np.uint64(1), np.array(1), True])
def test_a_discrete_action_may_be_any_kind_of_integer(action: Any) -> None:
    observation = np.zeros(3, np.float32)
    env = Scripted(moments=[Moment(observation) for _ in range(4)])
    collector = DataCollectorV0(env)
    collector.reset()
    for chosen in (0, np.int64(1), action):
        collector.step(chosen)

    assert_same(saved(collector)[0].actions, np.array([0, 1, 1]))


def test_numpy_flags_end_an_episode() -> None:
    observation = np.zeros(3, np.float32)
    no, yes = np.bool_(False), np.bool_(True)
    env = Scripted(
        moments=[
            Moment(observation),
            Moment(observation, 0, no, no),
            Moment(observation, 0, yes, no),
        ]
    )
    collector = DataCollectorV0(env)
    collector.reset()
    collector.step(0)
    collector.step(0)
    episode = saved(collector)[0]

    assert episode.terminations.tolist() == [False, True]
    assert episode.truncations.tolist() == [False, False]


def test_a_given_space_takes_the_environments_place_even_an_empty_one() -> None:
    env = Counter()
    collector = DataCollectorV0(env, observation_space=spaces.Dict({}))
    with pytest.raises(ValueError, match="is not a dict of"):
        collector.reset()
    collector.close()


def test_memory_of_an_endless_episode_of_images_is_bounded() -> None:
    space = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    frame = np.zeros(space.shape, np.uint8)
    env = Scripted(space)
    collector = DataCollectorV0(env, max_buffer_steps=50)
    env.tell(Moment(frame))
    collector.reset()
    for step in range(400):
        frame[:] = step % 251
        env.tell(Moment(frame))
        collector.step(0)
        assert collector.buffered_steps <= 50
    episode = saved(collector)[0]

    assert episode.observations.shape == (401, 84, 84, 4)
    assert episode.observations[1:, 5, 5, 1].tolist() == [step % 251 for step in range(400)]


def test_huge_rows_are_written_early_without_being_asked_to() -> None:
    space = spaces.Box(0, 255, (2000, 1000), np.uint8)
    frame = np.zeros(space.shape, np.uint8)
    env = Scripted(space)
    collector = DataCollectorV0(env)
    env.tell(Moment(frame))
    collector.reset()
    for _ in range(40):
        env.tell(Moment(frame))
        collector.step(0)
        assert collector.buffered_steps * frame.nbytes <= 64 << 20
    collector.discard()
