"""``minari view``: a dataset on a page in the browser."""

from __future__ import annotations

import threading
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

import typer

import minari_core
from minari.command_line.trust import (
    SkipWrapperOption,
    TrustEntryPointOption,
    TrustPathsOption,
)
from minari_hub.command_line.options import TokenOption, complete_local_ids
from minari_hub.command_line.terminal import say
from minari_hub.command_line.wording import translate_advice

ShownDataset: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id of a local dataset, the path of its folder, or the URL of one on a remote.",
        autocompletion=complete_local_ids,
    ),
]


def view(
    name: ShownDataset,
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", help="The port to serve at; any that is free if 0."),
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
    token: TokenOption = None,
    trust_entry_point: TrustEntryPointOption = False,
    trust_paths: TrustPathsOption = False,
    skip_wrapper: SkipWrapperOption = None,
) -> None:
    """Show a dataset in the browser.

    A page with its episodes, which can be sorted, filtered, plotted and played; those without
    images by a replay in their environment. It is served on this machine only, until Ctrl-C.
    Of a dataset on a remote, what the page shows is fetched, and nothing is downloaded.
    """
    from minari.replay.replaying import Trust
    from minari.viewer.server import serve

    trust = Trust(trust_entry_point, trust_paths, skip_wrapper or ())
    with serve(_open(name, token), port, trust, translate_advice) as address:
        try:
            _wait_for_interrupt(address, opens_browser=not no_browser)
        except KeyboardInterrupt:
            say("ended")


def _open(name: str, token: str | None) -> minari_core.MinariDataset:
    if "://" not in name:
        return minari_core.load_dataset(name)
    from minari_hub import stream_dataset

    return stream_dataset(name, token=token)


def _wait_for_interrupt(address: str, *, opens_browser: bool) -> None:
    if not opens_browser:
        port = urlsplit(address).port
        say(
            f"from another machine: ssh -L {port}:127.0.0.1:{port} HOST, with this machine for "
            "HOST, and open the address there",
            style="dim",
        )
    say("Ctrl-C ends it", style="dim")
    # Last, for scripts that go on when they have it; so to stdout.
    typer.echo(address)
    if opens_browser:
        import webbrowser

        webbrowser.open(address)
    threading.Event().wait()
