"""The command line ``minari-hub``."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.shared_commands import REMOTE, add_shared_commands, versions


def new_app(help_text: str) -> typer.Typer:
    """A command line without commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = new_app("List, download, upload and verify Minari datasets.")
add_shared_commands(app, default_place=REMOTE)


def show_version(wanted: bool) -> None:
    """Print the versions, and stop."""
    if wanted:
        for package, version in versions().items():
            typer.echo(f"{package} {version}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options of all commands."""


def main() -> NoReturn:
    """Run ``minari-hub``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari-hub")
