"""``minari convert`` and ``import``: store data in another format."""

from __future__ import annotations

from pathlib import Path
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


def import_file(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A flat HDF5 file, such as D4RL's.")],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    env: Annotated[
        str | None, typer.Option(metavar="ENV_ID", help="The environment that it comes from.")
    ] = None,
    max_episode_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps after which episodes are truncated.")
    ] = None,
    step_info: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An info that belongs to a step, and not to the observation that it led to; "
            "without it, those that D4RL's files are known to have.",
            show_default=False,
        ),
    ] = None,
    no_step_infos: Annotated[
        bool, typer.Option("--no-step-infos", help="No info belongs to a step.")
    ] = False,
    data_format: DataFormatOption = None,
    author: Annotated[list[str] | None, typer.Option(help="Who made the dataset.")] = None,
    description: Annotated[str | None, typer.Option(help="What the dataset is.")] = None,
) -> None:
    """Make a dataset of a flat HDF5 file.

    The file has observations, actions, rewards and terminals, and may have timeouts,
    next_observations and a group infos.
    """
    if step_info and no_step_infos:
        raise typer.BadParameter("give --step-info or --no-step-infos, not both")
    made = minari_core.import_flat_hdf5(
        path,
        name,
        env=env,
        max_episode_steps=max_episode_steps,
        step_infos=() if no_step_infos else step_info or None,
        data_format=data_format,
        author=author or None,
        description=description,
    )
    _say_made(made)


def _say_made(dataset: MinariDataset) -> None:
    episodes = format_count(dataset.total_episodes, "episode")
    say(f"{dataset.id} is made: {episodes}, {dataset.spec.data_format}")
