"""The command line ``minari``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from minari._version import __version__
from minari.command_line.cache import cache
from minari.command_line.check import check
from minari.command_line.collect import collect
from minari.command_line.datasets import combine, delete, edit, split
from minari.command_line.exchange import convert, export, import_file
from minari.command_line.page import page
from minari.command_line.preview import draw_preview
from minari.command_line.recover import recover
from minari.command_line.render import render
from minari.command_line.show.command import show
from minari.command_line.view import view
from minari_collect._version import __version__ as collect_version
from minari_hub.command_line.app import VERSIONS, build_app
from minari_hub.command_line.exit_codes import run
from minari_hub.command_line.leftovers import make_leftovers_command
from minari_hub.command_line.shared_commands import LOCAL, make_shared_commands

if TYPE_CHECKING:
    from minari_core.local.leftovers.listing import LeftoverFinder


def find_leftovers() -> LeftoverFinder:
    """Return what finds the leftovers of all packages."""
    from minari.leftovers import LEFTOVERS

    return LEFTOVERS


app = build_app(
    "Work with datasets of offline reinforcement learning.",
    commands={
        **make_shared_commands(default_place=LOCAL, draw_preview=draw_preview),
        "leftovers": make_leftovers_command(find_leftovers),
        "show": show,
        "view": view,
        "page": page,
        "render": render,
        "check": check,
        "edit": edit,
        "delete": delete,
        "combine": combine,
        "split": split,
        "convert": convert,
        "collect": collect,
        "recover": recover,
        "import": import_file,
        "export": export,
        "cache": cache,
    },
    versions={"minari": __version__, "minari-collect": collect_version, **VERSIONS},
)


def main() -> NoReturn:
    """Run ``minari``; see `minari_hub.command_line.exit_codes` for what it exits with."""
    run(app, "minari")
