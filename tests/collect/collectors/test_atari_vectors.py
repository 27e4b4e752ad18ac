"""The vector environment of ale-py, which steps and resets outside Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_collect import VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create

vector_env: Any = pytest.importorskip("ale_py.vector_env")

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

ENVS, STEPS = 3, 160


def made(mode: str) -> Any:
    # Short episodes, which end at different times.
    return vector_env.AtariVectorEnv(
        "breakout",
        num_envs=ENVS,
        img_height=42,
        img_width=42,
        max_num_frames_per_episode=200,
        noop_max=30,
        autoreset_mode=mode,
    )


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
@pytest.mark.parametrize("limit", [None, 30], ids=["one buffer", "small buffers"])
def test_episodes_are_what_the_environments_returned(mode: str, limit: int | None) -> None:
    bare, envs = made(mode), VectorDataCollector(made(mode), max_buffer_steps=limit)
    rng = np.random.default_rng(1)
    actions = rng.integers(0, 4, (STEPS, ENVS))
    first, _ = bare.reset(seed=5)
    envs.reset(seed=5)
    going_on: list[list[Any]] = [[np.array(first[env])] for env in range(ENVS)]
    taken: list[list[int]] = [[] for _ in range(ENVS)]
    wanted: list[tuple[Any, list[int], bool, int | None]] = []
    seeds: list[int | None] = [5, 6, 7]
    resets = np.zeros(ENVS, dtype=bool)
    for step in range(STEPS):
        observations, _, terminated, truncated, infos = bare.step(actions[step])
        envs.step(actions[step])
        over = terminated | truncated
        for env in range(ENVS):
            if resets[env]:
                going_on[env] = [np.array(observations[env])]
                continue
            taken[env].append(int(actions[step, env]))
            is_final = over[env] and mode == "SameStep"
            last = infos["final_obs"][env] if is_final else observations[env]
            going_on[env].append(np.array(last))
            if over[env]:
                episode = (np.stack(going_on[env]), taken[env], bool(terminated[env]), seeds[env])
                wanted.append(episode)
                going_on[env], taken[env], seeds[env] = [np.array(observations[env])], [], None
        resets = over if mode == "NextStep" else np.zeros(ENVS, dtype=bool)
    wanted += [
        (np.stack(going_on[env]), taken[env], False, seeds[env])
        for env in range(ENVS)
        if taken[env]
    ]
    dataset = create("atari/vector-v0", envs, eval_env="CartPole-v1")
    envs.close()
    bare.close()

    assert len(dataset) == len(wanted) > ENVS
    for found, (observations, chosen, terminated, seed) in zip(dataset, wanted, strict=True):
        np.testing.assert_array_equal(found.observations, observations)
        assert found.actions.tolist() == chosen
        assert bool(found.terminations[-1]) == terminated
        assert found.seed == seed
