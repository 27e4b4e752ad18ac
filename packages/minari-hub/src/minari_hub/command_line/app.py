"""The command line ``minari-hub``, and how a command line is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import typer

from minari_core import __version__ as core_version
from minari_core.local.leftovers.listing import LeftoverFinder
from minari_hub._version import __version__ as hub_version
from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.leftovers import add_leftovers_command
from minari_hub.command_line.shared_commands import REMOTE, add_shared_commands
from minari_hub.datasets.leftovers import LEFTOVERS

VERSIONS = {"minari-hub": hub_version, "minari-core": core_version}
"""The versions of the packages that ``minari-hub`` is made of."""


def build_app(
    help_text: str,
    *,
    default_place: str,
    versions: Mapping[str, str],
    leftovers: LeftoverFinder,
) -> typer.Typer:
    """Build a command line with the commands that all have.

    Args:
        help_text: What it is for.
        default_place: What ``list`` lists by default.
        versions: What ``--version`` shows: versions by the names of packages.
        leftovers: Finds what the packages leave when they are killed.
    """
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    add_shared_commands(app, default_place=default_place)
    add_leftovers_command(app, leftovers)

    def show_versions(wanted: bool) -> None:
        if wanted:
            (program, own_version), *others = versions.items()
            # As the public Minari says it.
            is_minari = program == "minari"
            typer.echo(
                f"Minari version: {own_version}" if is_minari else f"{program} {own_version}"
            )
            for package, version in others:
                typer.echo(f"{package} {version}")
            raise typer.Exit

    @app.callback()
    def options(
        version: bool = typer.Option(
            False,
            "--version",
            "-v",
            callback=show_versions,
            is_eager=True,
            help="Show the version.",
        ),
    ) -> None:
        """Take the options of all commands."""

    return app


app = build_app(
    "List, download, upload and verify Minari datasets.",
    default_place=REMOTE,
    versions=VERSIONS,
    leftovers=LEFTOVERS,
)


def main() -> NoReturn:
    """Run ``minari-hub``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari-hub")
