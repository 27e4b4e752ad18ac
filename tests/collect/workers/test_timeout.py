"""Episodes that take too long are ended, and others are left alone."""

from __future__ import annotations

import os
import time

import pytest

from minari_collect.workers import timeout
from minari_collect.workers.timeout import EXIT_CODE, EpisodeTimeoutError, EpisodeWatch


def spin(seconds: float) -> None:
    """Take so long in Python, where an error arrives at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)


def test_an_episode_that_takes_too_long_is_ended_and_the_next_one_is_not() -> None:
    with EpisodeWatch(0.05, may_exit=False) as watch:
        for _ in range(2):
            with pytest.raises(EpisodeTimeoutError), watch.episode():
                spin(5)
            with watch.episode():
                spin(0)
        # What is no episode may take any time.
        spin(0.15)


def test_what_is_paused_does_not_count() -> None:
    with EpisodeWatch(0.2, may_exit=False) as watch, watch.episode():
        with watch.pause():
            spin(0.4)
        began = time.monotonic()
        with pytest.raises(EpisodeTimeoutError):
            spin(5)
        assert time.monotonic() - began > 0.05


def test_without_a_limit_nothing_is_watched() -> None:
    with EpisodeWatch(None, may_exit=True) as watch, watch.episode(), watch.pause():
        spin(0.01)


@pytest.mark.parametrize("may_exit", [False, True])
def test_an_episode_that_hears_no_error_takes_its_process_along_where_it_may(
    may_exit: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exits: list[int] = []
    watch = EpisodeWatch(0.02, may_exit=may_exit)

    def note(code: int) -> None:
        exits.append(code)
        watch.__exit__()  # nobody is there any more who watches

    monkeypatch.setattr(os, "_exit", note)
    monkeypatch.setattr(timeout, "_GRACE_SECONDS", 0.1)
    with watch:
        began = time.monotonic()
        try:
            with watch.episode():
                while time.monotonic() - began < 5:
                    try:
                        spin(0.01)
                    except EpisodeTimeoutError:
                        # An environment outside Python would not hear it.
                        assert exits == []
                    if exits or (not may_exit and time.monotonic() - began > 0.3):
                        break
        except EpisodeTimeoutError:
            pytest.fail("it was told twice")
    assert exits == ([EXIT_CODE] if may_exit else [])
    assert ("an episode hangs" in capfd.readouterr().err) == may_exit
