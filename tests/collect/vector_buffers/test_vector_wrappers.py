"""Gymnasium's wrappers around vector environments that change the infos."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import StepDataCallback, VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.collectors.vector_environment import (
    DISABLED,
    NEXT_STEP,
    SAME_STEP,
)
from minari_collect.vector_buffers.batched_infos import FINAL_OBSERVATION_KEYS
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
MODES = [NEXT_STEP, SAME_STEP, DISABLED] if HAS_MODES else [SAME_STEP]
WRAPPERS: Any = gymnasium.wrappers.vector if HAS_MODES else gymnasium.wrappers
LIST_WRAPPER = WRAPPERS.DictInfoToList if HAS_MODES else WRAPPERS.VectorListInfo


class Own(StepDataCallback):
    """Changes nothing, but is called for each environment."""


def recorded(envs: Any, mode: str, callback: Any, steps: int = 9) -> Any:
    collector = VectorDataCollector(envs, callback, record_infos=True)
    collector.reset(seed=[1, 2])
    for _ in range(steps):
        _, _, terminated, truncated, _ = collector.step(np.zeros(2, np.int64))
        if mode == DISABLED and (terminated | truncated).any():
            collector.reset(options={"reset_mask": terminated | truncated})
    dataset = create(f"tests/{mode}-v0", collector)
    collector.close()
    return dataset


def lengths() -> list[Any]:
    return [lambda: Counter(2), lambda: Counter(3)]


def made(mode: str) -> Any:
    options: Any = {"autoreset_mode": mode} if HAS_MODES else {}
    return gymnasium.vector.SyncVectorEnv(lengths(), **options)


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
@pytest.mark.parametrize("as_list", [False, True], ids=["batched infos", "lists of infos"])
@pytest.mark.parametrize("mode", MODES)
def test_statistics_of_an_episode_are_in_its_last_row(
    mode: str, as_list: bool, callback: Any
) -> None:
    envs = WRAPPERS.RecordEpisodeStatistics(made(mode))
    dataset = recorded(LIST_WRAPPER(envs) if as_list else envs, mode, callback)

    assert len(dataset) > 5
    for episode in dataset:
        returns = np.ma.masked_array(episode.infos["episode"]["r"])
        has_return = ~np.ma.getmaskarray(returns)
        is_over = bool(episode.terminations[-1])
        assert has_return.tolist() == [False] * len(episode) + [is_over]
        # After a reset of some environments, Gymnasium counts for all of them anew.
        if is_over and mode != DISABLED:
            assert returns[-1] == episode.rewards.sum()


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
@pytest.mark.parametrize("mode", MODES)
def test_infos_as_a_list_of_dicts_are_those_of_the_batch(mode: str, callback: Any) -> None:
    dataset = recorded(LIST_WRAPPER(made(mode)), mode, callback)

    assert len(dataset) > 5
    for episode in dataset:
        assert set(episode.infos) == {"count"}
        assert episode.infos["count"].tolist() == list(range(len(episode) + 1))


class BatchedFinals(gymnasium.vector.SyncVectorEnv):
    """Gives final observations as one batch, as environments that are natively vectorised do."""

    def step(self, actions: Any) -> Any:
        *result, infos = super().step(actions)
        for key in FINAL_OBSERVATION_KEYS:
            if key in infos:
                finals = [final or self.single_observation_space.sample() for final in infos[key]]
                infos[key] = {"at": np.stack([final["at"] for final in finals])}
        return (*result, infos)


class Named(Counter):
    """Observations of a Dict, actions of a Tuple."""

    observation_space: Any = spaces.Dict({"at": Counter.observation_space})
    action_space: Any = spaces.Tuple((Counter.action_space,))

    def _observation(self) -> Any:
        return {"at": super()._observation()}


def test_final_observations_may_come_as_one_batch() -> None:
    options: Any = {"autoreset_mode": SAME_STEP} if HAS_MODES else {}
    made = BatchedFinals([lambda: Named(2), lambda: Named(3)], **options)
    collector = VectorDataCollector(made, record_infos=True, autoreset_mode=SAME_STEP)
    collector.reset(seed=[1, 2])
    for _ in range(6):
        collector.step((np.zeros(2, np.int64),))
    dataset = create("tests/batched-v0", collector)
    collector.close()

    found = [episode.observations["at"][:, 1].tolist() for episode in dataset]
    assert sorted(found) == [[0, 1, 2]] * 3 + [[0, 1, 2, 3]] * 2


class Naming(Counter):
    """Has infos of its own under names that Gymnasium uses where it resets within a step."""

    def step(self, action: Any) -> Any:
        *result, info = super().step(action)
        return (*result, {**info, "final_obs": self.count, ("no", "text"): 1})


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != SAME_STEP])
def test_infos_called_as_gymnasium_calls_final_ones_are_infos_where_there_are_none(
    mode: str, callback: Any
) -> None:
    options: Any = {"autoreset_mode": mode}
    envs = gymnasium.vector.SyncVectorEnv([lambda: Naming(2), lambda: Naming(3)], **options)
    with pytest.warns(MinariWarning, match="its key is not text"):
        dataset = recorded(envs, mode, callback)

    assert len(dataset) > 5
    for episode in dataset:
        assert set(episode.infos) == {"count", "final_obs"}
        counted = [None, *range(1, len(episode) + 1)]
        assert episode.infos["final_obs"].tolist() == counted


@pytest.mark.parametrize("callback", [StepDataCallback, Own])
@pytest.mark.parametrize("mode", MODES)
def test_flags_in_a_space_of_integers_are_recorded_in_every_mode(mode: str, callback: Any) -> None:
    class Flagged(Counter):
        observation_space: Any = spaces.Dict({"is_over": spaces.MultiBinary(2)})

        def _observation(self) -> Any:
            return {"is_over": np.array([self.count >= self.length, self.count > 0])}

    options: Any = {"autoreset_mode": mode} if HAS_MODES else {}
    envs = gymnasium.vector.SyncVectorEnv([lambda: Flagged(2), lambda: Flagged(3)], **options)
    dataset = recorded(envs, mode, callback)

    assert len(dataset) > 5
    for episode in dataset:
        flags = episode.observations["is_over"]
        assert flags.dtype == np.int8
        assert flags[-1].tolist() == [bool(episode.terminations[-1]), True]
        assert flags[:-1].tolist() == [[0, 0]] + [[0, 1]] * (len(episode) - 1)
