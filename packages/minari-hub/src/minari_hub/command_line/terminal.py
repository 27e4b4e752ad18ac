"""Write to a terminal, a file or a pipe.

Results go to stdout, everything else to stderr. Whatever a dataset or a remote says is shown
with its control characters spelled out, so that it cannot steer the terminal. What draws
is imported when something is drawn: a shell that completes a word waits for this module.
"""

from __future__ import annotations

import math
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

# A pipe has no width: there, a line is a line.
_WIDTH_OF_A_PIPE = 4096
# Control characters, what reverses the direction of writing, halves of characters.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def escape_unprintable(text: object) -> str:
    r"""Escape what would not show as itself.

    Example:
        >>> print(escape_unprintable("red \x1b[31m"))
        red \x1b[31m
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNPRINTABLE
        else character
        for character in str(text)
    )


def to_one_line(text: object) -> str:
    """Return printable text with every run of whitespace as one space."""
    return escape_unprintable(" ".join(str(text).split()))


def make_output_console() -> Console:
    """Make the console of results: stdout."""
    return _make_console(stderr=False)


def make_message_console() -> Console:
    """Make the console of messages: stderr."""
    return _make_console(stderr=True)


def _make_console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_PIPE
    return console


def say(message: object, *, style: str = "") -> None:
    """Print a message to stderr in one line, which a terminal may fold."""
    from rich.text import Text

    make_message_console().print(Text(to_one_line(message), style=style), soft_wrap=True)


def write_json(value: object) -> None:
    """Write a result for scripts to stdout: JSON, in ASCII.

    JSON has no infinite numbers and no NaN, though the metadata of a dataset may; they become null.
    """
    import json

    # As for a table, nobody reads a stdout that is closed.
    typer.echo(json.dumps(_with_finite_numbers(value), indent=2, allow_nan=False))


def _with_finite_numbers(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _with_finite_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_finite_numbers(inner) for inner in value]
    return value


def confirm(question: str, *, yes: bool) -> None:
    """Ask the user for confirmation.

    Args:
        question: What to ask, without a question mark.
        yes: The user has said so already.

    Raises:
        typer.BadParameter: There is nobody to ask: neither a terminal, nor an answer in a pipe.
        typer.Exit: The answer was no.
    """
    if yes:
        return
    answer = None
    while answer not in ("y", "yes"):
        if answer is not None:
            say("Error: invalid input: answer y or n")
        sys.stderr.write(f"{to_one_line(question)}? [y/N] ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line and not sys.stdin.isatty():
            raise typer.BadParameter("nobody answers the question; give --yes")
        answer = line.strip().lower()
        if answer in ("", "n", "no"):
            say("Aborted: nothing was changed")
            raise typer.Exit(1)


@contextmanager
def show_byte_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of bytes; nothing where stderr is no terminal.

    Args:
        what: The label in front of the bar.

    Yields:
        A function that takes the bytes done, and all bytes.
    """
    from rich.progress import DownloadColumn

    with _show_progress(what, DownloadColumn(binary_units=True)) as report:
        yield report


@contextmanager
def show_step_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of anything else, as `show_byte_progress` does."""
    from rich.progress import MofNCompleteColumn

    with _show_progress(what, MofNCompleteColumn()) as report:
        yield report


@contextmanager
def _show_progress(what: str, counts: ProgressColumn) -> Iterator[Callable[[int, int], None]]:
    console = make_message_console()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), counts)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(to_one_line(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def format_size(nbytes: int) -> str:
    """Format a number of bytes as people read it.

    Example:
        >>> format_size(999), format_size(1_500), format_size(2_340_000)
        ('999 B', '1.5 kB', '2.3 MB')
    """
    size = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def format_age(seconds: float) -> str:
    """Format a time span as people read it.

    Example:
        >>> format_age(5), format_age(100), format_age(7200), format_age(3 * 86400)
        ('5 seconds', '1 minute', '2 hours', '3 days')
    """
    for length, noun in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return format_count(int(seconds // length), noun)
    return format_count(int(seconds), "second")


def format_amount(episodes: int, steps: int) -> str:
    """Format the size of a dataset or recording in episodes and steps."""
    return f"{format_count(episodes, 'episode')}, {format_count(steps, 'step')}"


def format_count(count: int, noun: str) -> str:
    """Format a count with its noun.

    Example:
        >>> format_count(1, "dataset"), format_count(1200, "step")
        ('1 dataset', '1,200 steps')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
