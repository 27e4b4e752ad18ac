"""Processes that are killed between committing episodes and forgetting them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minari

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")

KILLED_BEFORE_FORGETTING = """
import os, signal, sys
import gymnasium, minari
from minari import DataCollectorV0

class Killed(DataCollectorV0):
    def forget_episodes(self):
        os.kill(os.getpid(), signal.SIGKILL)

as_checkpoint, data_format = sys.argv[1] == "checkpoint", sys.argv[2]
env = Killed(gymnasium.make("CartPole-v1"), max_buffer_steps=20, data_format=data_format)
for seed in range(5):
    env.reset(seed=seed)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
if as_checkpoint:
    dataset = minari.create_dataset_from_buffers(
        "committed-v0", [], data_format=data_format, env=env.spec,
        observation_space=env.observation_space, action_space=env.action_space,
    )
    dataset.update_dataset_from_collector_env(env)
else:
    minari.create_dataset_from_collector_env("committed-v0", env)
"""


KILLED_WHILE_RECORDING = """
import os, signal
import gymnasium, minari

env = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), max_buffer_steps=20)
for seed in range(5):
    env.reset(seed=seed)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
os.kill(os.getpid(), signal.SIGKILL)
"""

# One environment has no end, so that what is written of it is a lane of the recording.
KILLED_WHILE_RECORDING_MANY = """
import os, signal
import gymnasium, minari

def make(steps):
    return lambda: gymnasium.make("Pendulum-v1", max_episode_steps=steps)

envs = gymnasium.vector.SyncVectorEnv([make(10), make(1000)])
envs = minari.VectorDataCollector(envs, max_buffer_steps=20)
envs.reset(seed=1)
for _ in range(90):
    envs.step(envs.action_space.sample())
os.kill(os.getpid(), signal.SIGKILL)
"""

# All that Python renames and removes is audited.
KILLED_BEFORE = """
import os, signal, sys
import minari

def kill(event, arguments):
    if event == wanted and any(str(argument).endswith(name) for argument in arguments):
        os.kill(os.getpid(), signal.SIGKILL)

recording, wanted, name, data_format = sys.argv[1:]
sys.addaudithook(kill)
minari.recover(recording, "recovered-v0", data_format=data_format)
"""


def run_killed(code: str, *arguments: str) -> None:
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", code, *arguments])
    assert killed.returncode == -9


def is_clean(datasets_root: Path) -> bool:
    return list((datasets_root / ".staging").iterdir()) == []


@pytest.fixture(params=["columnar", "hdf5", "arrow", "parquet"])
def data_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def recording(datasets_root: Path, data_format: str) -> str:
    run_killed(KILLED_BEFORE_FORGETTING, "new", data_format)
    assert len(minari.load_dataset("committed-v0")) == 5
    (folder,) = (datasets_root / ".staging").glob("collect-*")
    return folder.name


def test_what_is_committed_already_is_not_listed_but_removed(
    recording: str, datasets_root: Path
) -> None:
    assert minari.list_recoverable() == []
    assert is_clean(datasets_root)
    assert len(minari.load_dataset("committed-v0")) == 5


def test_a_checkpoint_that_is_committed_already_is_not_listed_but_removed(
    datasets_root: Path, data_format: str
) -> None:
    run_killed(KILLED_BEFORE_FORGETTING, "checkpoint", data_format)
    assert minari.list_recoverable() == []
    assert is_clean(datasets_root)
    assert len(minari.load_dataset("committed-v0")) == 5


def test_what_is_committed_already_is_not_recovered_into_a_second_dataset(
    recording: str, datasets_root: Path
) -> None:
    with pytest.raises(minari.DatasetNotFoundError, match="are in dataset 'committed-v0'"):
        minari.recover(recording, "doubled-v0")
    assert list(minari.list_local_datasets()) == ["committed-v0"]
    assert is_clean(datasets_root)


def test_what_is_committed_already_can_be_discarded(recording: str, datasets_root: Path) -> None:
    minari.discard(recording)
    assert is_clean(datasets_root)
    assert len(minari.load_dataset("committed-v0")) == 5


def test_a_recording_is_recovered_once_its_dataset_is_deleted(recording: str) -> None:
    minari.delete_dataset("committed-v0")
    assert [found.id for found in minari.list_recoverable()] == [recording]
    assert len(minari.recover(recording, "recovered-v0")) == 5


@pytest.mark.parametrize("code", [KILLED_WHILE_RECORDING, KILLED_WHILE_RECORDING_MANY])
def test_a_recovery_that_is_killed_after_its_commit_is_not_repeated(
    code: str, datasets_root: Path, data_format: str
) -> None:
    run_killed(code)
    (found,) = minari.list_recoverable()
    run_killed(KILLED_BEFORE, found.id, "os.remove", "journal.jsonl", data_format)
    assert len(minari.load_dataset("recovered-v0")) == found.total_episodes

    with pytest.raises(minari.DatasetNotFoundError, match="are in dataset 'recovered-v0'"):
        minari.recover(found.id, "doubled-v0")
    assert minari.list_recoverable() == []
    assert list(minari.list_local_datasets()) == ["recovered-v0"]
    assert is_clean(datasets_root)


def test_a_recovery_that_is_killed_before_its_commit_is_repeated(datasets_root: Path) -> None:
    run_killed(KILLED_WHILE_RECORDING)
    (found,) = minari.list_recoverable()
    run_killed(KILLED_BEFORE, found.id, "os.rename", "recovered-v0", "columnar")

    assert minari.list_recoverable() == [found]
    assert len(minari.recover(found.id, "recovered-v0")) == found.total_episodes
