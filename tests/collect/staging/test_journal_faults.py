"""Journals that cannot be written or removed: no episode is lost for it, and none comes twice."""

from __future__ import annotations

import errno
import io
import os
import pathlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

from minari_collect import (
    DataCollectorV0,
    VectorDataCollector,
    create_dataset_from_collector_env,
    discard,
    list_recoverable,
    recover,
)
from minari_collect.staging import journal
from minari_core import MinariDataset, delete_dataset, list_local_datasets
from minari_core.errors import DatasetBusyError, DatasetNotFoundError, DatasetWriteError
from minari_core.local.locations import staging_root
from tests.collect.helpers.environments import Counter, run_episode

pytestmark = [
    pytest.mark.filterwarnings("ignore::minari.MinariWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
FAULTS = ["nothing is written", "half is written"]


class Faulty:
    """A journal file of which one write fails, after a part of it."""

    def __init__(self, file: Any, fault: str) -> None:
        self._file = file
        self._fault = fault

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *args: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: bytes) -> int:
        if self._fault == "half is written":
            written = int(self._file.write(text[: len(text) // 2]))
            if isinstance(self._file, io.RawIOBase):
                return written
        raise OSError(errno.EIO, "the disk is on fire")


def fail_once(monkeypatch: pytest.MonkeyPatch, call: int, fault: str) -> list[int]:
    """Let one write to the journal fail; returns how many came before, counted as they come."""
    calls: list[int] = []

    def opened(path: Path, mode: str, **options: Any) -> Any:
        file = open(path, mode, **options)  # noqa: SIM115
        calls.append(len(calls))
        return Faulty(file, fault) if calls[-1] == call else file

    monkeypatch.setattr(journal, "open", opened, raising=False)
    return calls


def rows_of(dataset: MinariDataset) -> list[tuple[int | None, list[list[float]], list[int]]]:
    return [
        (episode.seed, episode.observations.tolist(), episode.actions.tolist())
        for episode in dataset
    ]


def record(collector: DataCollectorV0, seeds: range, refused: list[str]) -> None:
    """Record the episodes of some seeds; one in which a write is refused ends there."""
    for seed in seeds:
        try:
            collector.reset(seed=seed)
        except DatasetWriteError as error:
            refused.append(str(error))
            collector.reset(seed=seed)
        for step in range(5):
            try:
                collector.step(step)
            except DatasetWriteError as error:
                refused.append(str(error))
                break


def assert_each_step_once(dataset: MinariDataset, seeds: range, *, cut: int) -> None:
    """Compare with what `Counter` gives, of which some episodes may be cut short."""
    found = rows_of(dataset)
    assert [seed for seed, _, _ in found] == list(seeds)[: len(found)]
    for seed, observations, actions in found:
        assert observations == [[seed, step] for step in range(len(observations))]
        assert actions == list(range(len(actions)))
        assert len(observations) == len(actions) + 1
    assert sum(len(actions) < 5 for _, _, actions in found) <= cut


@pytest.mark.parametrize("fault", FAULTS)
def test_a_journal_that_fails_to_be_written_once_doubles_and_loses_nothing(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, refused, calls = 0, [""], [0]
    while call < len(calls):
        refused = []
        calls = fail_once(monkeypatch, call, fault)
        with DataCollectorV0(Counter(), max_buffer_steps=4) as collector:
            record(collector, range(3), refused)
            try:
                dataset = create_dataset_from_collector_env("tests/once-v0", collector)
            except DatasetWriteError as error:
                refused.append(str(error))
                dataset = create_dataset_from_collector_env("tests/once-v0", collector)
        assert len(refused) == (call < len(calls)), refused
        assert all("memory" in text or "journal" in text for text in refused)
        assert_each_step_once(dataset, range(3), cut=len(refused))
        assert len(dataset) == 3
        assert list_recoverable() == []
        delete_dataset("tests/once-v0")
        call += 1
    assert call > 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked")
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_recovered_after_such_a_failure_has_each_step_once(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in range(1, 4):

        def work(call: int = call) -> None:
            fail_once(monkeypatch, call, fault)
            collector = DataCollectorV0(Counter(), max_buffer_steps=4)
            record(collector, range(3), [])
            os._exit(0)

        killed(work)
        (recording,) = list_recoverable()
        recovered = recover(recording.id, "tests/found-v0")
        assert_each_step_once(recovered, range(3), cut=2)
        assert recovered.total_steps >= 8
        delete_dataset("tests/found-v0")


def killed(work: Callable[[], object]) -> None:
    """Work in a process that ends without tidying up."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def new_vector_collector() -> VectorDataCollector:
    # One environment ends often, while the other goes on, so that it gets a lane. In no mode of
    # resetting do both begin an episode without a seed at the same step.
    envs = SyncVectorEnv([lambda: Counter(3), lambda: Counter(10)])
    return VectorDataCollector(envs, max_buffer_steps=6)


def record_lanes(collector: VectorDataCollector) -> int:
    """Record some steps; returns how often a write was refused."""
    refused = 0
    collector.reset(seed=[0, 100])
    for step in range(14):
        try:
            collector.step(np.array([step, step]))
        except DatasetWriteError:
            refused += 1
            collector.reset(seed=[1, 101])
    return refused


def assert_each_lane_once(dataset: MinariDataset) -> None:
    """What its environment has counted shows a step that is lost, or comes twice."""
    beginnings = []
    for episode in dataset:
        steps = list(range(len(episode) + 1))
        assert episode.observations[:, 1].tolist() == steps
        assert len(set(episode.observations[:, 0].tolist())) == 1
        assert np.diff(episode.actions).tolist() == [1] * (len(episode) - 1)
        beginnings.append((len(episode) > 3, episode.actions[0], episode.observations[0, 0]))
    assert len(set(beginnings)) == len(beginnings)


@pytest.mark.parametrize("fault", FAULTS)
def test_lanes_whose_journal_fails_to_be_written_once_double_and_lose_nothing(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in range(8):
        calls = fail_once(monkeypatch, call, fault)
        with closing(new_vector_collector()) as collector:
            refused = record_lanes(collector)
            try:
                dataset = create_dataset_from_collector_env("tests/lanes-v0", collector)
            except DatasetWriteError:
                refused += 1
                dataset = create_dataset_from_collector_env("tests/lanes-v0", collector)
        assert refused == (call < len(calls))
        assert_each_lane_once(dataset)
        assert dataset.total_steps >= 22
        assert list_recoverable() == []
        delete_dataset("tests/lanes-v0")


@pytest.fixture
def _kept_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that removes no journals."""
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if os.path.basename(path) == journal.JOURNAL_NAME:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    monkeypatch.setattr(os, "remove", refuse)
    # Python 3.10 keeps the function of the system.
    if hasattr(pathlib, "_NormalAccessor"):
        monkeypatch.setattr(pathlib._NormalAccessor, "unlink", staticmethod(refuse))


@pytest.mark.usefixtures("_kept_journals")
def test_a_journal_that_cannot_be_removed_after_its_commit_is_not_offered() -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=4)
    for seed in range(3):
        run_episode(collector, seed)
    dataset = create_dataset_from_collector_env("tests/once-v0", collector)
    assert [episode.seed for episode in dataset] == [0, 1, 2]
    (left,) = staging_root().glob("collect-*")
    assert list_recoverable() == []
    with pytest.raises((DatasetNotFoundError, DatasetWriteError)):
        recover(left.name, "tests/twice-v0")
    assert list(list_local_datasets()) == ["tests/once-v0"]
    # It goes on, with a recording of its own.
    for seed in range(3, 5):
        run_episode(collector, seed)
    dataset.update_dataset_from_collector_env(collector)
    assert [episode.seed for episode in dataset] == list(range(5))
    collector.close()
    assert list_recoverable() == []


@pytest.mark.usefixtures("_kept_journals")
def test_a_recording_that_cannot_be_discarded_says_so_and_is_still_offered() -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=4)
    for seed in range(3):
        run_episode(collector, seed)
    lock = collector._staging._lock
    assert lock
    lock.release()  # as if its process were killed
    (recording,) = list_recoverable()
    with pytest.raises(DatasetWriteError, match="cannot be removed"):
        discard(recording.id)
    assert [each.id for each in list_recoverable()] == [recording.id]


def test_what_is_discarded_is_never_offered_even_where_its_files_cannot_be_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=4)
    run_episode(collector, 1)
    (folder,) = staging_root().glob("collect-*")
    monkeypatch.setattr("shutil.rmtree", lambda path, **options: None)

    collector.discard()

    assert list(folder.glob("*.h5"))
    assert list_recoverable() == []
    with pytest.raises(DatasetNotFoundError):
        recover(folder.name, "tests/back-v0")
    collector.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_fork_that_records_leaves_its_parents_lock_in_place() -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=4)
    run_episode(collector, 1)
    (folder,) = staging_root().glob("collect-*")

    def work() -> None:
        run_episode(collector, 2)
        collector.discard()
        collector.close()

    killed(work)
    with pytest.raises(DatasetBusyError):
        discard(folder.name)
    assert list_recoverable() == []
    collector.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked")
@pytest.mark.parametrize("fault", FAULTS)
def test_lanes_that_are_recovered_after_such_a_failure_have_each_step_once(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in range(1, 8):

        def work(call: int = call) -> None:
            fail_once(monkeypatch, call, fault)
            collector = new_vector_collector()
            record_lanes(collector)
            os._exit(0)

        killed(work)
        (recording,) = list_recoverable()
        recovered = recover(recording.id, "tests/found-v0")
        assert_each_lane_once(recovered)
        assert recovered.total_steps >= 10
        delete_dataset("tests/found-v0")
