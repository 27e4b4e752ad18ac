"""Any number of shards is read by a process that may open few files, and no limit is damage."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from minari_core.formats.shards import reader as shard_readers
from tests.core.helpers.many_shards import create_of_single_episodes

resource = pytest.importorskip("resource", reason="limits of open files are of POSIX")

SHARDS = 100
READ = """
import resource, sys
import minari_core
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
dataset = minari_core.load_dataset("tests/many-v0")
episodes = list(dataset.iterate_episodes(copy=False))
assert [one.observations[0, 1] for one in episodes] == list(range(len(dataset)))
batch = dataset.sample_transitions(4096)
assert len(set(batch.episode_ids.tolist())) == len(dataset)
windows = dataset.sample_sequences(64, 2)
assert windows.rewards.shape == (64, 2)
"""
REFUSED = """
import os, resource
import minari_core
from minari_core import DatasetBusyError
dataset = minari_core.load_dataset("tests/many-v0")
held = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    dataset[0]
except DatasetBusyError as error:
    print(error)
for each in held:
    os.close(each)
assert dataset[0].observations[0, 1] == 0
"""
UNMAPPED = """
import resource
import minari_core
from minari_core import DatasetBusyError
minari_core.load_dataset("tests/many-v0")[0]
dataset = minari_core.load_dataset("tests/many-v0")
most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (1 << 20, most[1]))
try:
    dataset[1]
except DatasetBusyError as error:
    found = str(error)
resource.setrlimit(resource.RLIMIT_AS, most)
print(found)
assert dataset[1].observations[0, 1] == 1
"""


def run(program: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_more_shards_than_files_may_be_open_are_read() -> None:
    create_of_single_episodes("tests/many-v0", SHARDS)
    run(READ)


def test_a_process_that_may_open_no_more_files_is_told_so() -> None:
    create_of_single_episodes("tests/many-v0", 2)
    assert "as many files are open as may be" in run(REFUSED)


@pytest.mark.skipif(sys.platform != "linux", reason="others do not bound the addresses")
def test_a_process_that_may_map_no_more_is_told_so() -> None:
    create_of_single_episodes("tests/many-v0", 2)
    assert "as many files are mapped, or as much memory is taken, as may be" in run(UNMAPPED)


def test_views_outlive_that_their_shards_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_readers, "MOST_MAPPED", 3)
    dataset = create_of_single_episodes("tests/many-v0", 20)
    episodes = list(dataset.iterate_episodes(copy=False))
    for episode in episodes:
        again = dataset[episode.id]
        np.testing.assert_array_equal(episode.observations, again.observations)
        np.testing.assert_array_equal(episode.rewards, again.rewards)
        assert not episode.observations.flags.writeable
    batch = dataset.sample_transitions(500)
    assert len(set(batch.episode_ids.tolist())) == len(dataset)
