"""A process that is killed between committing its episodes and forgetting them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import minari

KILLED_BEFORE_FORGETTING = """
import os, signal
import gymnasium, minari
from minari import DataCollectorV0

class Killed(DataCollectorV0):
    def forget_episodes(self):
        os.kill(os.getpid(), signal.SIGKILL)

env = Killed(gymnasium.make("CartPole-v1"), max_buffer_steps=20)
for seed in range(5):
    env.reset(seed=seed)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
minari.create_dataset_from_collector_env("committed-v0", env, author="a")
"""


@pytest.fixture
def recording(datasets_root: Path) -> str:
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", KILLED_BEFORE_FORGETTING])
    assert killed.returncode == -9
    assert len(minari.load_dataset("committed-v0")) == 5
    (folder,) = (datasets_root / ".staging").glob("collect-*")
    return folder.name


def test_what_is_committed_already_is_not_listed_as_recoverable(recording: str) -> None:
    assert minari.list_recoverable() == []


def test_what_is_committed_already_is_not_recovered_into_a_second_dataset(recording: str) -> None:
    with pytest.raises(minari.DatasetNotFoundError, match="are in dataset 'committed-v0'"):
        minari.recover(recording, "doubled-v0")
    assert list(minari.list_local_datasets()) == ["committed-v0"]


def test_what_is_committed_already_can_be_discarded(recording: str, datasets_root: Path) -> None:
    minari.discard(recording)
    assert list((datasets_root / ".staging").iterdir()) == []
    assert len(minari.load_dataset("committed-v0")) == 5


def test_a_recording_is_recovered_once_its_dataset_is_deleted(recording: str) -> None:
    minari.delete_dataset("committed-v0")
    assert [found.id for found in minari.list_recoverable()] == [recording]
    assert len(minari.recover(recording, "recovered-v0")) == 5
