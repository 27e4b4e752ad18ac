"""The command line ``minari-hub``, and how a command line is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import typer

from minari_core import __version__ as core_version
from minari_hub._version import __version__ as hub_version
from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.lazy_commands import Declaration, make_group_class
from minari_hub.command_line.leftovers import make_leftovers_command
from minari_hub.command_line.shared_commands import REMOTE, make_shared_commands

if TYPE_CHECKING:
    from minari_core.local.leftovers.listing import LeftoverFinder

VERSIONS = {"minari-hub": hub_version, "minari-core": core_version}
"""The versions of the packages that ``minari-hub`` is made of."""


def build_app(
    help_text: str, *, commands: Mapping[str, Declaration], versions: Mapping[str, str]
) -> typer.Typer:
    """Build a command line.

    Args:
        help_text: What it is for.
        commands: What declares each command, by its name, in the order of the help.
        versions: What ``--version`` shows: versions by the names of packages.
    """
    app = typer.Typer(
        cls=make_group_class(commands),
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

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
        context: typer.Context,
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
        from minari_hub.command_line.retries import print_retries

        context.with_resource(print_retries())

    return app


def find_leftovers() -> LeftoverFinder:
    """Return what finds the leftovers of this package and of minari-core."""
    from minari_hub.datasets.leftovers import LEFTOVERS

    return LEFTOVERS


app = build_app(
    "List, download, upload and verify Minari datasets.",
    commands={
        **make_shared_commands(default_place=REMOTE),
        "leftovers": make_leftovers_command(find_leftovers),
    },
    versions=VERSIONS,
)


def main() -> NoReturn:
    """Run ``minari-hub``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari-hub")
