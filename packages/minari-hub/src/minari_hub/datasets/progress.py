"""The progress bar of a transfer: bytes, rate and time left."""

from __future__ import annotations

import sys
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class TransferProgress:
    """A bar on the terminal, or nothing where the error output is none."""

    def __init__(self, what: str, total: int, *, shown: bool = True) -> None:
        """Prepare the bar.

        Args:
            what: What is transferred; it stands in front of the bar.
            total: The bytes there are to transfer.
            shown: False for no bar in any case.
        """
        self._what = what
        self._total = total
        self._shown = shown and sys.stderr.isatty()
        self._lock = Lock()
        self._done = 0
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> TransferProgress:
        """Show the bar."""
        if self._shown:
            # Slow to import, and most often not needed.
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._progress.start()
            self._task = self._progress.add_task(escape(self._what), total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        if self._progress is not None:
            self._update()
            self._progress.stop()

    def advance(self, nbytes: int) -> None:
        """Count bytes, from any thread; less than zero for bytes that must come again."""
        with self._lock:
            before = self._done
            self._done += nbytes
            # Reports come in pieces of a few kilobytes.
            if self._progress is not None and (self._done >> 18) != (before >> 18):
                self._update()

    def _update(self) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done)
