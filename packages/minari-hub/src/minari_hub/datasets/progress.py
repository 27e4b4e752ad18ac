"""The progress bar of a transfer: bytes, rate and time left; and a word to whoever stops it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

# Reports come in pieces of a few kilobytes, which are too many to draw each.
_BYTES_AT_ONCE = 1 << 18


@contextmanager
def explain_interrupt() -> Iterator[None]:
    """Say in the `KeyboardInterrupt` of a transfer that what was transferred is kept."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # Its message is shown wherever it ends a program; Python 3.10 has no notes.
        if not interrupt.args:
            interrupt.args = ("what was transferred is kept: the same call goes on from there",)
        raise


@contextmanager
def show_transfer(what: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on the terminal; nothing where stderr is none.

    Args:
        what: What is transferred, the label in front of the bar.
        total: The bytes there are to transfer.
        shown: False for no bar in any case.

    Yields:
        A function that counts bytes, from any thread; less than zero for bytes that must come
        again.
    """
    if not (shown and sys.stderr.isatty()):
        yield lambda nbytes: None
        return
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

    lock = Lock()
    done = 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(escape(what), total=total)

        def advance(nbytes: int) -> None:
            nonlocal done
            with lock:
                before, done = done, done + nbytes
                if done // _BYTES_AT_ONCE != before // _BYTES_AT_ONCE:
                    progress.update(task, completed=done)

        try:
            yield advance
        finally:
            progress.update(task, completed=done)
