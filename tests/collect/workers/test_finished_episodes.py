"""When a task hands in, and which of its episodes, by a clock that the test sets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from minari_collect.workers import finished_episodes
from minari_collect.workers.finished_episodes import FinishedEpisodes
from minari_collect.workers.messages import Task, TaskOutput
from minari_core.environments.space_json import LOSSY_SPACES
from minari_core.errors import RecordingError


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Staging:
    """Notes which episodes are completed; the files of an output are none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.completed: list[tuple[int, list[int]]] = []
        self.warnings: list[list[str]] = []
        self.forgotten = 0

    def count_finished(self) -> int:
        return self.count

    def note_warnings(self, messages: list[str]) -> None:
        self.warnings.append(list(messages))

    def complete(self, first: int, indices: list[int]) -> tuple[TaskOutput, Path]:
        self.completed.append((first, list(indices)))
        folder = self.folder / f".part-{len(self.completed)}"
        folder.mkdir()
        return TaskOutput(first, first + len(indices), 1), folder

    def forget_finished(self) -> None:
        self.forgotten += 1
        self.count = 0


class Collector:
    def __init__(self, staging: Staging) -> None:
        self.staging = staging
        self.asked: list[str] = []

    def flush_output(self) -> Staging:
        self.asked.append("flush")
        return self.staging

    def finish_output(self) -> Staging:
        self.asked.append("finish")
        return self.staging


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    set_by_test = Clock()
    monkeypatch.setattr(finished_episodes, "time", set_by_test)
    return set_by_test


def begun(
    folder: Path, transport: Any = "folder", warnings: Any = (), may_exit: bool = False
) -> tuple[FinishedEpisodes, Any]:
    task = Task(b"", 0, "run", 0, 0, 9, str(folder), transport, may_exit)
    finished = FinishedEpisodes(task, warnings)
    collector: Any = Collector(Staging(folder))
    finished.follow(collector, None)
    return finished, collector


def note(finished: FinishedEpisodes, collector: Any, *numbers: int | None) -> None:
    for number in numbers:
        finished.note(number)
        collector.staging.count += 1


def test_a_task_waits_twice_as_long_each_time_up_to_the_longest(
    clock: Clock, tmp_path: Path
) -> None:
    finished, collector = begun(tmp_path)
    assert finished.due == math.inf
    waits = []
    for number in range(7):
        since = clock.now
        finished.note(None)
        collector.staging.count += 1
        assert finished.due == math.inf
        note(finished, collector, number)
        waits.append(finished.due - since)
        clock.now = finished.due
        finished.hand_in()
        assert finished.due == math.inf
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert collector.asked == ["flush"] * 7
    assert collector.staging.forgotten == 7


def test_episodes_are_handed_in_by_runs_of_their_numbers(clock: Clock, tmp_path: Path) -> None:
    finished, collector = begun(tmp_path)
    note(finished, collector, 4, None, 2, 0, 3, 7, None)
    assert finished.list_missing(0, 9) == list(range(9))
    finished.hand_in()
    assert collector.staging.completed == [(0, [3]), (2, [2, 4, 0]), (7, [5])]
    assert [(each.first, each.stop) for each in finished.outputs] == [(0, 1), (2, 5), (7, 8)]
    assert finished.list_missing(0, 9) == [1, 5, 6, 8]
    assert finished.list_missing(2, 6) == [5]
    note(finished, collector, 1)
    finished.hand_in(is_last=True)
    assert collector.staging.completed[3:] == [(1, [0])]
    assert collector.asked == ["flush", "finish"]


def test_nothing_is_handed_in_where_nothing_counts(clock: Clock, tmp_path: Path) -> None:
    finished, collector = begun(tmp_path)
    note(finished, collector, None)
    finished.hand_in()
    assert (collector.asked, finished.outputs) == ([], [])
    # After that the collector is followed no more.
    finished.note(1)
    finished.hand_in(is_last=True)
    assert collector.asked == []


def test_a_new_collector_has_nothing_of_the_one_before(clock: Clock, tmp_path: Path) -> None:
    finished, collector = begun(tmp_path)
    note(finished, collector, 0, 1)
    assert finished.due < math.inf
    other: Any = Collector(Staging(tmp_path))
    finished.follow(other, None)
    assert finished.due == math.inf
    note(finished, other, 5)
    finished.hand_in()
    assert (collector.asked, other.staging.completed) == ([], [(5, [0])])


@pytest.mark.parametrize(
    ("recorded", "is_last", "is_right"),
    [(2, False, True), (2, True, True), (3, True, True), (3, False, False), (4, True, False),
     (1, False, False), (1, True, False)],
)  # fmt: skip
def test_what_is_recorded_must_be_what_ended_and_at_the_end_one_more(
    recorded: int, is_last: bool, is_right: bool, clock: Clock, tmp_path: Path
) -> None:
    finished, collector = begun(tmp_path)
    note(finished, collector, 0, 1)
    collector.staging.count = recorded
    if is_right:
        finished.hand_in(is_last=is_last)
        assert collector.staging.completed == [(0, [0, 1])]
    else:
        rule = f"^{recorded} episodes were recorded of 2 that ended, so that it is not known which"
        with pytest.raises(RecordingError, match=rule):
            finished.hand_in(is_last=is_last)
        assert finished.outputs == []


def is_enough(finished: FinishedEpisodes) -> bool:
    return finished.is_enough


@pytest.mark.parametrize("transport", ["result", "remote"])
def test_where_only_results_get_to_the_run_a_call_ends_after_a_while(
    transport: str, clock: Clock, tmp_path: Path
) -> None:
    finished, collector = begun(tmp_path, transport)
    clock.now += finished_episodes.CALL_SECONDS - 1
    finished.note(0)
    assert finished.due == math.inf
    assert not is_enough(finished)
    clock.now += 1
    assert is_enough(finished)
    finished.follow(collector, None)
    # Without an episode there is nothing to return yet.
    assert not is_enough(finished)
    finished.outputs.append(TaskOutput(0, 1, 1))
    assert is_enough(finished)
    shared, _ = begun(tmp_path)
    shared.note(0)
    clock.now += 1e9
    assert not is_enough(shared)


@pytest.mark.parametrize("may_exit", [False, True])
def test_workers_of_this_machine_are_silent_on_the_spaces(
    may_exit: bool, clock: Clock, tmp_path: Path
) -> None:
    lossy = f"{LOSSY_SPACES} are subclasses"
    finished, collector = begun(tmp_path, warnings=["other", lossy], may_exit=may_exit)
    note(finished, collector, 0)
    finished.hand_in()
    assert collector.staging.warnings == [["other"] if may_exit else ["other", lossy]]
