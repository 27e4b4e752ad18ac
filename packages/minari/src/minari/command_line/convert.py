"""``minari convert`` and ``import``: data from one format into another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minari.command_line.datasets import DataFormatOption
from minari_core import MinariDataset, convert_dataset, import_flat_hdf5, load_dataset
from minari_hub.command_line.options import local_ids
from minari_hub.command_line.terminal import number_of, say, step_progress


def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="ID", help="The dataset to convert.", autocompletion=local_ids),
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
) -> None:
    """Store a dataset once more, in another format.

    Formats are columnar, hdf5, arrow and parquet. Nothing is lost, except with --jpeg.
    """
    with step_progress("Episodes") as progress:
        made = convert_dataset(
            load_dataset(source),
            name,
            data_format=data_format,
            jpeg_encoding=jpeg,
            progress=progress,
        )
    _say_made(made)


def import_file(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A flat HDF5 file, such as D4RL's.")],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    env: Annotated[
        str | None, typer.Option(metavar="ENV_ID", help="The environment that it comes from.")
    ] = None,
    max_episode_steps: Annotated[
        int | None, typer.Option(min=1, help="After how many steps episodes are cut off.")
    ] = None,
    data_format: DataFormatOption = None,
    author: Annotated[list[str] | None, typer.Option(help="Who made it.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
) -> None:
    """Make a dataset of a flat HDF5 file.

    The file has observations, actions, rewards and terminals, and may have timeouts,
    next_observations and a group infos.
    """
    made = import_flat_hdf5(
        path,
        name,
        env=env,
        max_episode_steps=max_episode_steps,
        data_format=data_format,
        author=author or None,
        description=description,
    )
    _say_made(made)


def _say_made(dataset: MinariDataset) -> None:
    episodes = number_of(dataset.total_episodes, "episode")
    say(f"{dataset.id} is made: {episodes}, {dataset.spec.data_format}")
