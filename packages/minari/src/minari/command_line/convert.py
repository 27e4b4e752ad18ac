"""``minari convert``: store data in another format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari.command_line.datasets import DataFormatOption, WidenOption
from minari_hub.command_line.options import complete_local_ids
from minari_hub.command_line.terminal import format_count, say, show_step_progress

if TYPE_CHECKING:
    from minari_core import MinariDataset


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The dataset to convert.", autocompletion=complete_local_ids
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    data_format: DataFormatOption = None,
    jpeg: Annotated[
        bool,
        typer.Option(
            "--jpeg",
            help="Store images as JPEG, which loses detail; in hdf5, arrow and parquet alone.",
        ),
    ] = False,
    widen: WidenOption = False,
) -> None:
    """Convert a dataset to another format, as a new one.

    Formats are columnar, hdf5, arrow and parquet. Nothing is lost, except with --jpeg.
    """
    with show_step_progress("Episodes") as progress:
        made = minari_core.convert_dataset(
            minari_core.load_dataset(source),
            name,
            data_format=data_format,
            jpeg_encoding=jpeg,
            widen=widen,
            progress=progress,
        )
    _say_made(made)


def _say_made(dataset: MinariDataset) -> None:
    episodes = format_count(dataset.total_episodes, "episode")
    say(f"{dataset.id} is made: {episodes}, {dataset.spec.data_format}")
