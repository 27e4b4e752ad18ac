"""``minari convert`` and ``import``: data from one format into another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from minari.command_line.datasets import DataFormatOption
from minari_core.datasets.converting import Progress as ProgressCallback
from minari_core.datasets.converting import convert_dataset
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.flat import import_flat_hdf5
from minari_core.datasets.local import load_dataset
from minari_hub.command_line.options import local_ids
from minari_hub.command_line.shared_commands import number_of
from minari_hub.command_line.terminal import say


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
    with _progress_bar() as progress:
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


@contextmanager
def _progress_bar() -> Iterator[ProgressCallback]:
    """A bar of episodes on the terminal, and nothing where there is none."""
    console = Console(stderr=True)
    columns = ("Episodes", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say_made(dataset: MinariDataset) -> None:
    episodes = number_of(dataset.total_episodes, "episode")
    say(f"{dataset.id} is made: {episodes}, {dataset.spec.data_format}")
