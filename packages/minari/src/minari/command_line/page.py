"""``minari page``: the page of a dataset in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import minari_core
from minari.command_line.trust import (
    SkipWrapperOption,
    TrustEntryPointOption,
    TrustPathsOption,
)
from minari_hub.command_line.options import LocalDataset
from minari_hub.command_line.terminal import say, show_step_progress


def page(
    name: LocalDataset,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write.")
    ],
    episodes: Annotated[
        list[int] | None,
        typer.Option(
            "--episode",
            metavar="EPISODE",
            min=0,
            help="The id of a further episode to put in; may be given again.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Check the data, too, and show what was found and statistics."
        ),
    ] = False,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Replay the episodes in it that have no images, too."),
    ] = False,
    trust_entry_point: TrustEntryPointOption = False,
    trust_paths: TrustPathsOption = False,
    skip_wrapper: SkipWrapperOption = None,
) -> None:
    """Write the page of a dataset to one HTML file.

    The file shows what view shows, without a server or a network, of the episodes with the
    largest, the median and the smallest return, with their images or their replays in the cache.
    What is in the file already is replaced.
    """
    from minari.viewer.page_file import dataset_page
    from minari_core.files import replace_file, wrap_write_errors

    with show_step_progress("replayed observations") as progress:
        text = dataset_page(
            minari_core.load_dataset(name),
            episodes=episodes or (),
            check=check,
            replay=replay,
            trust_entry_point=trust_entry_point,
            trust_paths=trust_paths,
            skip_wrappers=skip_wrapper or (),
            progress=progress,
        )
    with wrap_write_errors(output):
        replace_file(output, text.encode())
    say(f"wrote {output}")
