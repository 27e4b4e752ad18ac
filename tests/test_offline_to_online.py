"""A run that collects while it trains, and is killed, goes on with all that it has committed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import minari

TRAIN = """
import os, pickle, sys
from pathlib import Path
import gymnasium, minari, numpy as np
dataset = minari.load_dataset("tests/online-v0")
replay, saved = dataset.prioritized_replay(seed=0), Path(sys.argv[1])
env = minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
while True:
    env.reset(seed=dataset.total_episodes)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
    dataset.update_dataset_from_collector_env(env)
    transitions, positions, _ = replay.sample(32)
    replay.update(positions, 1.0 + transitions.episode_ids)
    saved.with_suffix(".new").write_bytes(pickle.dumps(replay.state_dict()))
    os.replace(saved.with_suffix(".new"), saved)
    print(dataset.total_episodes, dataset.total_steps, flush=True)
"""


@pytest.mark.filterwarnings("ignore::minari.MinariWarning")
def test_a_killed_run_loses_nothing_that_it_committed(tmp_path: Path) -> None:
    env = minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
    env.reset(seed=0)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
    dataset = minari.create_dataset_from_collector_env("tests/online-v0", env)
    env.close()
    saved = tmp_path / "replay"
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, str(saved)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(5)]
        process.kill()
    committed = [int(number) for number in printed[-1].split()]
    assert dataset.refresh() >= 5
    assert dataset.total_episodes >= committed[0] == 6
    assert dataset.total_steps >= committed[1]
    assert minari.verify_dataset("tests/online-v0").problems == ()
    state = pickle.loads(saved.read_bytes())
    replay = dataset.prioritized_replay()
    replay.load_state_dict(state)
    assert len(replay) == dataset.total_steps
    known = state["weights"]
    assert len(known) >= committed[1]
    assert known.max() > 1
    assert np.array_equal(replay.state_dict()["weights"][: len(known)], known)
