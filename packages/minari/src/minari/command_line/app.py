"""The command line ``minari``."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from minari._version import __version__
from minari.command_line.collect import collect
from minari.command_line.convert import convert, import_file
from minari.command_line.datasets import combine, delete, split
from minari.command_line.recover import recover
from minari.command_line.show.command import show
from minari_collect._version import __version__ as collect_version
from minari_hub.command_line.app import new_app
from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.shared_commands import LOCAL, add_shared_commands, versions

app = new_app("Work with datasets of offline reinforcement learning.")
add_shared_commands(app, default_place=LOCAL)
for command in (show, delete, combine, split, convert, collect, recover):
    app.command()(command)
app.command("import")(import_file)


def show_version(wanted: bool) -> None:
    """Print the versions, and stop."""
    if wanted:
        everything = {"minari": __version__, "minari-collect": collect_version, **versions()}
        for package, version in everything.items():
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
    """Run ``minari``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari")
