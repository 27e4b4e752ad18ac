"""``minari show``: everything about one dataset, local or on a remote."""

from __future__ import annotations

from typing import Annotated

import typer

from minari_hub.command_line.options import (
    JsonOption,
    RemoteOption,
    TokenOption,
    complete_local_ids,
)


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An id, or the URL of a dataset, as gs://bucket/D4RL/door/human-v2.",
            autocompletion=complete_local_ids,
        ),
    ],
    remote: RemoteOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a dataset is.

    Its metadata, spaces and environment, and how returns and lengths of its episodes are
    distributed. An id that is no local dataset's is looked for on the remote; --remote looks
    there at once. Nothing that the dataset names is made or run.
    """
    from minari.command_line.show.showing import show_dataset

    code = show_dataset(name, remote, token, as_json=as_json)
    if code:
        raise typer.Exit(code)
