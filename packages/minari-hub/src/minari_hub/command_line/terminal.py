"""Writing to a terminal, or to a file or a pipe in its place.

Results go to stdout, everything else to stderr. Whatever a dataset or a remote says is shown
with its control characters spelled out, so that it cannot steer the terminal.
"""

from __future__ import annotations

import json
import math
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# A pipe has no width: there, a line is a line.
_WIDTH_OF_A_PIPE = 4096
# Control characters, what reverses the direction of writing, halves of characters.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: object) -> str:
    r"""Text with everything spelled out that would not show as itself.

    Example:
        >>> print(printable("red \x1b[31m"))
        red \x1b[31m
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNPRINTABLE
        else character
        for character in str(text)
    )


def one_line(text: object) -> str:
    """Printable text with every run of whitespace as one space."""
    return printable(" ".join(str(text).split()))


def output_console() -> Console:
    """The console of results: stdout."""
    return _console(stderr=False)


def message_console() -> Console:
    """The console of messages: stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_PIPE
    return console


def say(message: object, *, style: str = "") -> None:
    """Write a message in one line to stderr; a terminal may fold it."""
    message_console().print(Text(one_line(message), style=style), soft_wrap=True)


def write_json(value: object) -> None:
    """Write a result for scripts to stdout: JSON, in ASCII.

    JSON has no infinite numbers and no NaN, though the metadata of a dataset may; they become null.
    """
    # As for a table, a stdout that is closed is a place where nobody reads.
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
    """Go on only if the user wants it.

    Args:
        question: What to ask, without a question mark.
        yes: The user has said so already.

    Raises:
        typer.BadParameter: There is nobody to ask.
        typer.Exit: The answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for a confirmation on; give --yes")
    sys.stderr.write(f"{one_line(question)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("nothing was changed")
        raise typer.Exit(1)


@contextmanager
def byte_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a long work is; nothing at all where stderr is no terminal.

    Args:
        what: What is being worked on.

    Yields:
        A function that takes the bytes done, and all bytes.
    """
    with _progress(what, DownloadColumn(binary_units=True)) as report:
        yield report


@contextmanager
def step_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """As `byte_progress`, counting something else than bytes."""
    with _progress(what, MofNCompleteColumn()) as report:
        yield report


@contextmanager
def _progress(what: str, counts: ProgressColumn) -> Iterator[Callable[[int, int], None]]:
    console = message_console()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), counts)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(one_line(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def file_size(nbytes: int) -> str:
    """A number of bytes as people read it.

    Example:
        >>> file_size(999), file_size(1_500), file_size(2_340_000)
        ('999 B', '1.5 kB', '2.3 MB')
    """
    size = float(nbytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def number_of(count: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> number_of(1, "dataset"), number_of(1200, "step")
        ('1 dataset', '1,200 steps')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
