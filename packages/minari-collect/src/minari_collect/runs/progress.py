"""The progress of a run, for a callback or a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO, TypeAlias

_SECONDS_BETWEEN_LINES = 0.2


@dataclass(frozen=True, slots=True)
class CollectProgress:
    """The progress of a run of `collect_dataset`."""

    episodes: int
    """Episodes that are complete, with those of earlier runs."""
    steps: int
    """Their steps."""
    total_episodes: int | None
    """The number of episodes to collect, if it was given."""
    total_steps: int | None
    """The number of steps to collect, if it was given."""
    failed: int
    """Episodes that failed for good."""
    steps_per_second: float
    """The rate of this run."""
    seconds_left: float | None
    """An estimate of the time that it will still take, if there is one."""


ProgressCallback: TypeAlias = Callable[[CollectProgress], object]


class ProgressMeter:
    """Measure a run, and report its progress to a callback or a terminal."""

    def __init__(
        self,
        callback: ProgressCallback | bool | None,
        total_episodes: int | None,
        total_steps: int | None,
    ) -> None:
        """Start the clock.

        Args:
            callback: Takes the progress; None shows it on stderr if that is a terminal, True shows
                it there in any case, False nowhere.
            total_episodes: The number of episodes to collect, if it was given.
            total_steps: The number of steps to collect, if it was given.
        """
        self._callback: ProgressCallback | None = None
        self._stream: TextIO | None = None
        if callable(callback):
            self._callback = callback
        elif callback or (callback is None and sys.stderr is not None and sys.stderr.isatty()):
            self._stream = sys.stderr
        self._totals = (total_episodes, total_steps)
        self._started = time.monotonic()
        self._base: tuple[int, int] | None = None
        self._shown = 0.0

    def update(self, episodes: int, steps: int, failed: int, *, is_last: bool = False) -> None:
        """Report the progress of the run."""
        if self._callback is None and self._stream is None:
            return
        if self._base is None:
            self._base = (episodes, steps)
        seconds = max(time.monotonic() - self._started, 1e-9)
        total_episodes, total_steps = self._totals
        share = (
            (episodes - self._base[0], total_episodes - episodes)
            if total_episodes is not None
            else (steps - self._base[1], (total_steps or 0) - steps)
        )
        left = seconds * max(share[1], 0) / share[0] if share[0] else None
        rate = (steps - self._base[1]) / seconds
        progress = CollectProgress(episodes, steps, total_episodes, total_steps, failed, rate, left)
        if self._callback is not None:
            self._callback(progress)
        elif self._stream is not None:
            self._show(self._stream, progress, is_last)

    def _show(self, stream: TextIO, progress: CollectProgress, is_last: bool) -> None:
        now = time.monotonic()
        if not is_last and now - self._shown < _SECONDS_BETWEEN_LINES:
            return
        self._shown = now
        of_episodes = "" if progress.total_episodes is None else f"/{progress.total_episodes}"
        of_steps = "" if progress.total_steps is None else f"/{progress.total_steps}"
        text = (
            f"{progress.episodes}{of_episodes} episodes, {progress.steps}{of_steps} steps, "
            f"{progress.steps_per_second:.0f} steps/s"
        )
        if progress.failed:
            text += f", {progress.failed} failed"
        if progress.seconds_left is not None and not is_last:
            minutes, seconds = divmod(int(progress.seconds_left), 60)
            text += f", {minutes}:{seconds:02d} left"
        stream.write(f"\r{text:<78}" + ("\n" if is_last else ""))
        stream.flush()
