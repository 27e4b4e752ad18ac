"""The command line ``minari``."""

from __future__ import annotations

from typing import NoReturn

from minari._version import __version__
from minari.command_line.cache import cache
from minari.command_line.check import check
from minari.command_line.collect import collect
from minari.command_line.convert import convert, import_file
from minari.command_line.datasets import combine, delete, split
from minari.command_line.page import page
from minari.command_line.recover import recover
from minari.command_line.show.command import show
from minari.command_line.view import view
from minari.leftovers import LEFTOVERS
from minari_collect._version import __version__ as collect_version
from minari_hub.command_line.app import VERSIONS, build_app
from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.shared_commands import LOCAL

app = build_app(
    "Work with datasets of offline reinforcement learning.",
    default_place=LOCAL,
    versions={"minari": __version__, "minari-collect": collect_version, **VERSIONS},
    leftovers=LEFTOVERS,
)
for command in (show, view, page, check, delete, combine, split, convert, collect, recover):
    app.command()(command)
app.command("import")(import_file)
app.add_typer(cache, name="cache")


def main() -> NoReturn:
    """Run ``minari``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari")
