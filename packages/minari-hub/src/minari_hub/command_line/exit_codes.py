"""Exit codes, and errors and warnings in one line.

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

from minari_core import MinariWarning
from minari_core.errors import (
    DatasetIdError,
    DatasetNotFoundError,
    MinariError,
    RemoteObjectNotFoundError,
    RemoteUrlError,
    advise_on_refusal,
)
from minari_hub.command_line.terminal import say
from minari_hub.command_line.wording import PROGRAM, translate_advice


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    INTERRUPTED = 130


def choose_exit_code(error: Exception) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, DatasetIdError | RemoteUrlError):
        return ExitCode.USAGE
    if isinstance(error, DatasetNotFoundError | RemoteObjectNotFoundError):
        return ExitCode.NOT_FOUND
    return ExitCode.FAILED


def say_error(error: Exception) -> ExitCode:
    """Print an error to stderr, in one line, and return the exit code for it."""
    is_ours = isinstance(error, MinariError)
    text = translate_advice(error) if is_ours else f"{type(error).__name__}: {error}"
    if not is_ours and (advice := advise_on_refusal(error)):
        text = f"{text}; {advice}"
    say(f"error: {text}", style="bold red")
    return choose_exit_code(error)


class Outcomes:
    """The outcomes of a command on several datasets, which goes on after one fails."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self._codes: list[ExitCode] = []

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Print an error that the block raises, and go on."""
        try:
            yield
        except (MinariError, OSError) as error:
            self.note(say_error(error))

    def note(self, code: ExitCode) -> None:
        """Note a failure."""
        self._codes.append(code)

    def exit_if_any_failed(self) -> None:
        """End the command with the worst code.

        That is 1 if any operation failed or any problem was found, else 2 or 3 if an id was
        malformed or not found.

        Raises:
            typer.Exit: Something has failed.
        """
        if self._codes:
            raise typer.Exit(min(self._codes))


@contextmanager
def say_how_to_go_on() -> Iterator[None]:
    """Say after Ctrl-C in a transfer that what was transferred is kept."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; what was transferred is kept: the same command goes on from there")
        raise


def run(app: typer.Typer, program: str, arguments: list[str] | None = None) -> NoReturn:
    """Run a command line, and exit with its code.

    Args:
        app: The commands.
        program: Its name, as the user types it.
        arguments: What follows the program's name; the process's own arguments if None.

    Raises:
        SystemExit: Always.
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding does not know must not be the end of a listing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    name = PROGRAM.set(program)
    try:
        with _print_warnings_in_one_line():
            app(args=arguments, prog_name=program)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except (MinariError, OSError) as error:
        sys.exit(say_error(error))
    finally:
        PROGRAM.reset(name)
    sys.exit(ExitCode.OK)


@contextmanager
def _print_warnings_in_one_line() -> Iterator[None]:
    """Print this project's warnings without the line of code they come from."""
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
                say(f"warning: {translate_advice(message)}", style="yellow")
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
