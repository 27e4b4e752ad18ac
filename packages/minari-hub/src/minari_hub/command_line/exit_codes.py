"""What a command tells the script that ran it, and how an error becomes one line.

====  =============================================================================
code  meaning
====  =============================================================================
0     done, or nothing was found to be wrong
1     a problem was found, the operation failed, or the answer to a question was no
2     the command was not understood: an option, a dataset id, a URL
3     there is no such dataset or recording
130   stopped by Ctrl-C
====  =============================================================================
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn, TextIO

import typer

from minari_core.errors import (
    DatasetIdError,
    DatasetNotFoundError,
    MinariError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
)
from minari_core.messages import MinariWarning
from minari_hub.command_line.terminal import one_line, say


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    INTERRUPTED = 130


def code_of(error: Exception) -> ExitCode:
    """The exit code that an error gives."""
    if isinstance(error, DatasetIdError | RemoteUrlError):
        return ExitCode.USAGE
    if isinstance(error, DatasetNotFoundError | RemoteObjectNotFoundError):
        return ExitCode.NOT_FOUND
    return ExitCode.FAILED


def say_error(error: Exception) -> ExitCode:
    """Say on stderr what went wrong, in one line, and give the exit code for it."""
    text = str(error) if isinstance(error, MinariError) else f"{type(error).__name__}: {error}"
    say(f"error: {text}", style="bold red")
    return code_of(error)


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> NoReturn:
    """Run a command line, and end the process with its exit code.

    Args:
        app: The commands.
        program: What the user calls it.
        arguments: What follows the program's name; the process's own arguments if None.

    Raises:
        SystemExit: Always.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding does not know must not be the end of a listing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _warnings_in_one_line():
            app(args=arguments, prog_name=program)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except (MinariError, OSError) as error:
        sys.exit(say_error(error))
    sys.exit(ExitCode.OK)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Say the warnings of this project once each, without the line of code they come from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", MinariWarning)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, MinariWarning):
                say(f"warning: {one_line(message)}", style="yellow")
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
