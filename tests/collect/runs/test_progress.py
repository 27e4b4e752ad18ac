"""What is told of a run's progress: exact numbers, by a clock that the test sets."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from minari_collect import CollectProgress
from minari_collect.runs import progress
from minari_collect.runs.progress import ProgressMeter


class Terminal(io.StringIO):
    """Takes text, and says whether it is a terminal."""

    is_terminal = True

    def isatty(self) -> bool:
        return self.is_terminal

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


class Clock:
    now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    set_by_test = Clock()
    monkeypatch.setattr(progress, "time", set_by_test)
    return set_by_test


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    # Not of all, for the tests themselves take what goes to stderr.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    return made


def test_a_callback_is_told_rate_and_time_left_of_this_run_alone(clock: Clock) -> None:
    told: list[CollectProgress] = []
    meter = ProgressMeter(told.append, 10, None)
    clock.now += 1
    # What an earlier run has left.
    meter.update(2, 100, 0)
    clock.now += 3
    meter.update(4, 300, 1)
    meter.update(12, 500, 1, is_last=True)

    assert told == [
        CollectProgress(2, 100, 10, None, 0, 0.0, None),
        # Two episodes in four seconds, and six are left.
        CollectProgress(4, 300, 10, None, 1, 50.0, 12.0),
        CollectProgress(12, 500, 10, None, 1, 100.0, 0.0),
    ]


def test_the_time_left_of_a_run_of_steps_follows_from_steps(clock: Clock) -> None:
    told: list[CollectProgress] = []
    meter = ProgressMeter(told.append, None, 1000)
    meter.update(0, 0, 0)
    clock.now += 2
    meter.update(1, 250, 0)

    assert told[1] == CollectProgress(1, 250, None, 1000, 0, 125.0, 6.0)


def test_a_line_shows_what_there_is_and_not_too_often(clock: Clock, terminal: Terminal) -> None:
    meter = ProgressMeter(None, 10, None)
    meter.update(0, 0, 0)
    assert terminal.take() == f"\r{'0/10 episodes, 0 steps, 0 steps/s':<78}"
    clock.now += 0.1
    meter.update(1, 10, 0)
    assert terminal.take() == ""
    clock.now += 99.9
    meter.update(2, 10, 3)
    line = "2/10 episodes, 10 steps, 0 steps/s, 3 failed, 6:40 left"
    assert terminal.take() == f"\r{line:<78}"
    meter.update(10, 60, 0, is_last=True)
    assert terminal.take() == f"\r{'10/10 episodes, 60 steps, 1 steps/s':<78}\n"


def test_a_line_of_a_run_of_steps_has_their_number(clock: Clock, terminal: Terminal) -> None:
    meter = ProgressMeter(True, None, 90)
    meter.update(0, 0, 0)
    terminal.take()
    clock.now += 1
    meter.update(3, 30, 0)
    line = "3 episodes, 30/90 steps, 30 steps/s, 0:02 left"
    assert terminal.take() == f"\r{line:<78}"


@pytest.mark.parametrize(
    ("asked", "is_terminal", "is_shown"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_a_line_is_shown_on_a_terminal_or_where_it_is_asked_for(
    asked: Any, is_terminal: bool, is_shown: bool, clock: Clock, terminal: Terminal
) -> None:
    terminal.is_terminal = is_terminal
    ProgressMeter(asked, 1, None).update(0, 0, 0)
    assert bool(terminal.take()) == is_shown


def test_nothing_is_shown_where_there_is_nothing_to_show_it_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=None))
    ProgressMeter(None, 1, None).update(0, 0, 0)
