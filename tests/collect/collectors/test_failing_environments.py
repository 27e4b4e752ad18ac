"""An environment that raises leaves no gap inside an episode."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import DataCollectorV0, VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.collectors.vector_environment import NEXT_STEP, SAME_STEP
from minari_core.errors import DataError, RecordingError
from tests.collect.helpers.environments import Counter
from tests.collect.helpers.vector_twin import vector_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


class Failing(Counter):
    """Raises after it has counted to three, as a simulator that loses its connection."""

    error: BaseException = OSError("the simulator is gone")

    def step(self, action: Any) -> Any:
        result = super().step(action)
        if self.count == 3 and self.seed < 5:
            raise self.error
        return result


class Interrupted(Failing):
    error = KeyboardInterrupt()


def counts(dataset: Any) -> list[list[float]]:
    return [episode.observations[:, 1].tolist() for episode in dataset]


@pytest.mark.parametrize("kind", [Failing, Interrupted])
@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 2}, {"max_buffer_episodes": 1}])
def test_a_step_that_raises_ends_the_episode(kind: type[Failing], limits: dict[str, Any]) -> None:
    env = kind(length=5)
    collector = DataCollectorV0(env, **limits)
    collector.reset(seed=1)
    for _ in range(2):
        collector.step(0)
    with pytest.raises(type(kind.error)):
        collector.step(0)
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    assert env.count == 3
    collector.reset(seed=5)
    for _ in range(5):
        collector.step(0)
    dataset = create("tests/a-v0", collector)

    assert counts(dataset) == [[0, 1, 2], [0, 1, 2, 3, 4, 5]]
    assert dataset[0].truncations.tolist() == [False, True]
    assert not dataset[0].terminations.any()


@pytest.mark.parametrize("mode", [NEXT_STEP, SAME_STEP])
def test_a_step_of_many_environments_that_raises_ends_the_episodes_of_all(mode: str) -> None:
    if not hasattr(gymnasium.vector, "AutoresetMode"):
        mode = SAME_STEP
    envs = VectorDataCollector(vector_of(lambda: Failing(length=5), 3, mode))
    envs.reset(seed=[1, 6, 7])
    for _ in range(2):
        envs.step(np.zeros(3, np.int64))
    with pytest.raises(OSError, match="simulator"):
        envs.step(np.zeros(3, np.int64))
    with pytest.raises(RecordingError, match="before reset"):
        envs.step(np.zeros(3, np.int64))
    envs.reset(seed=[6, 7, 8])
    for _ in range(5):
        envs.step(np.zeros(3, np.int64))
    dataset = create("tests/a-v0", envs)

    assert counts(dataset) == [[0, 1, 2]] * 3 + [[0, 1, 2, 3, 4, 5]] * 3
    assert [e.truncations[-1] for e in dataset] == [True] * 3 + [False] * 3
    assert [e.seed for e in dataset] == [1, 6, 7, 6, 7, 8]


def make_twoleaves() -> Any:
    class TwoLeaves(gymnasium.vector.VectorEnv[Any, Any, Any]):
        """Resets itself within each second step, with last observations as it is told."""

        metadata: Any = {"autoreset_mode": SAME_STEP}  # noqa: RUF012  # an attribute of Gymnasium's
        num_envs = 2
        single_observation_space: Any = spaces.Dict(
            {"a": spaces.Box(-99, 99, (1,), np.float64), "b": spaces.Box(-99, 99, (1,), np.float64)}
        )
        single_action_space: Any = spaces.Discrete(2)

        def __init__(self) -> None:
            self.count = 0.0
            self.last_of_b = np.float64

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            self.count += 1
            return self.observations(0), {}

        def observations(self, more: float) -> dict[str, Any]:
            return {key: np.full((2, 1), self.count + more) for key in "ab"}

        def step(self, actions: Any) -> Any:
            self.count += 1
            over = np.array([self.count % 2 == 0] * 2)
            infos: dict[str, Any] = {}
            if over[0]:
                infos["final_obs"] = self.observations(0.5)
                infos["final_obs"]["b"] = infos["final_obs"]["b"].astype(self.last_of_b)
            return self.observations(0), np.zeros(2), over, np.zeros(2, bool), infos

    return TwoLeaves()


@pytest.mark.skipif(not hasattr(gymnasium.vector, "AutoresetMode"), reason="it is of a newer kind")
def test_a_last_observation_that_does_not_fit_mixes_up_no_other() -> None:
    bare = make_twoleaves()
    envs = VectorDataCollector(bare)
    envs.reset()
    envs.step(np.zeros(2, np.int64))
    bare.last_of_b = np.bool_
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(DataError, match="observation"):
        envs.step(np.zeros(2, np.int64))
    bare.last_of_b = np.float64
    envs.reset()
    envs.step(np.zeros(2, np.int64))
    dataset = create("tests/a-v0", envs, eval_env="CartPole-v1")

    wanted = [[1.0, 2.5], [2.0, 3.0], [5.0, 6.5]]
    assert [e.observations["a"][:, 0].tolist() for e in dataset[::2]] == wanted
    assert [e.observations["b"][:, 0].tolist() for e in dataset[::2]] == wanted


class Masking(Counter):
    """Has no value for a part of its observation, after some steps that had one."""

    def _observation(self) -> Any:
        return np.ma.array(super()._observation(), mask=[False, self.count == 3])


class MaskingMany(gymnasium.vector.SyncVectorEnv):
    def step(self, actions: Any) -> Any:
        observations, *others = super().step(actions)
        return (np.ma.array(observations, mask=observations == 3), *others)


@pytest.mark.parametrize("many", [False, True])
def test_an_observation_of_which_a_part_is_masked_is_not_recorded(many: bool) -> None:
    collector: Any = (
        VectorDataCollector(MaskingMany([lambda: Counter(9)] * 2), autoreset_mode=SAME_STEP)
        if many
        else DataCollectorV0(Masking(9))
    )
    action: Any = np.zeros(2, dtype=np.int64) if many else 0
    collector.reset(seed=[7, 8] if many else 7)
    for _ in range(2):
        collector.step(action)
    with pytest.raises(DataError, match="a masked array has rows without a value"):
        collector.step(action)
    dataset = create("tests/a-v0", collector)

    assert counts(dataset) == [[0, 1, 2]] * (2 if many else 1)
