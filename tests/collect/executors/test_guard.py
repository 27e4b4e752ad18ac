"""What a process of a worker says of the main script that it imports, without starting one."""

from __future__ import annotations

import multiprocessing
import os
from types import SimpleNamespace
from typing import Any

import pytest

from minari_collect.executors.processes import (
    ProcessSlots,
    _WorkerContext,
    _WorkerProcess,
    check_main_is_guarded,
)
from minari_core.errors import RecordingError


class ExitedError(Exception):
    pass


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What this process seems to be."""

    def leave(code: int) -> None:
        raise ExitedError(code)

    seeming = SimpleNamespace(name="MainProcess", _inheriting=False)
    monkeypatch.setattr(multiprocessing, "current_process", lambda: seeming)
    monkeypatch.setattr(os, "_exit", leave)
    return seeming


def test_only_a_process_that_begins_is_stopped_and_a_worker_without_a_word(
    process: SimpleNamespace,
) -> None:
    for name in ("MainProcess", f"{_WorkerProcess.__name__}-1"):
        process.name, process._inheriting = name, False
        check_main_is_guarded()
    process._inheriting = True
    with pytest.raises(ExitedError, match="76"):
        check_main_is_guarded()
    process.name = "SpawnProcess-1"
    with pytest.raises(RecordingError, match="imports the main script, which collects anew; put"):
        check_main_is_guarded()
    del process._inheriting
    check_main_is_guarded()


@pytest.mark.parametrize(
    ("code", "has_begun", "is_told"),
    [
        (1, 0, True),
        (76, 0, True),
        (1, 1, False),
        (0, 0, False),
        (-9, 0, False),
        (None, 0, False),
    ],
)
def test_a_process_that_ended_by_itself_before_it_began_is_told_of(
    code: int | None, has_begun: int, is_told: bool
) -> None:
    context: Any = _WorkerContext()
    context.check_has_begun()
    context._process = SimpleNamespace(exitcode=code)
    context.has_begun.value = has_begun
    if is_told:
        with pytest.raises(RecordingError, match=rf"before it began \(exit code {code}\)"):
            context.check_has_begun()
    else:
        context.check_has_begun()


def test_a_process_that_is_gone_is_killed_without_a_word() -> None:
    context: Any = _WorkerContext()
    context.kill()
    killed: list[int] = []

    def kill() -> None:
        killed.append(1)
        raise ProcessLookupError

    context._process = SimpleNamespace(kill=kill)
    context.kill()
    assert killed == [1]


def test_more_calls_than_processes_are_refused() -> None:
    slots = ProcessSlots(0)
    with pytest.raises(RecordingError, match="all worker processes are busy"):
        slots.submit(print)
    slots.shutdown()
