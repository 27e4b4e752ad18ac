"""The options that several commands take, and the completion of dataset ids in a shell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, TypeAlias

import typer

from minari_core.local.dataset_id import is_url
from minari_hub.command_line.terminal import to_one_line


def complete_local_ids(incomplete: str) -> Iterator[str]:
    """Complete the id of a local dataset, for the shell."""
    from minari_core.errors import MinariError
    from minari_core.local.dataset_id import parse_dataset_id
    from minari_core.local.finding import list_local_ids

    try:
        ids = list_local_ids()
    except MinariError:  # nothing is said while a word is typed
        return
    yield from sorted((each for each in ids if each.startswith(incomplete)), key=parse_dataset_id)


LocalIds: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="ID", help="Ids of local datasets.", autocompletion=complete_local_ids),
]
"""Ids of one or more local datasets."""

LocalDataset: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The id of a local dataset, or the path of its folder.",
        autocompletion=complete_local_ids,
    ),
]
"""A local dataset, by its id or by its path."""

RemoteOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--remote",
        metavar="URL",
        help="The remote, such as gs://bucket/prefix, hf://organization or file:///folder. "
        "Repeat it to ask several in their order. Without it $MINARI_REMOTE, else the public ones.",
        show_default=False,
    ),
]
"""The URLs of remotes; None if it is not given."""

TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="The credentials: a credentials file, application-default, or an access token. "
        "Of several remotes, URL=TOKEN says which it is for. Better put into $MINARI_REMOTE_TOKEN, "
        "where other users do not see it.",
        show_default=False,
    ),
]
"""The credentials for a remote."""

DateOption: TypeAlias = Annotated[
    datetime | None,
    typer.Option(
        "--date",
        metavar="YYYY-MM-DD",
        formats=["%Y-%m-%d"],
        help="The day of publication, for the files that describe a dataset on the Hugging Face "
        "Hub.",
        show_default=False,
    ),
]
"""The day on which a dataset is published."""

RaiOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--rai",
        metavar="NAME=TEXT",
        help="An answer under a name of Croissant RAI 1.0, as dataCollection=TEXT; repeat it for "
        "others, and for several texts where that has them.",
        show_default=False,
    ),
]
"""Answers of Croissant RAI."""

LargestTableOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--largest-table",
        metavar="SIZE",
        help="How large the Parquet file of steps may be, as 200MB; it has the first whole "
        "episodes.",
        show_default=False,
    ),
]
"""The bound of the table of steps."""

NoTablesOption: TypeAlias = Annotated[
    bool, typer.Option("--no-tables", help="Write no Parquet files for the Hub's viewer.")
]
"""Whether no tables are written."""

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout, for scripts.")
]
"""Whether to write JSON."""

YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask for a confirmation.")
]
"""Whether to go on without asking."""


def refuse_two_remotes(names: list[str], remote: list[str] | None) -> None:
    """Refuse a remote beside a URL, which says its own.

    Raises:
        BadParameter: There are both.
    """
    for name in names:
        if remote and is_url(name):
            raise typer.BadParameter(
                f"{to_one_line(name)} says its remote itself; leave --remote out, or give an id",
                param_hint="--remote",
            )
