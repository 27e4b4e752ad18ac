"""``minari show``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from minari.command_line.show.remote_statistics import remote_statistics
from minari.command_line.show.statistics import EpisodeStatistics, local_statistics
from minari.command_line.show.summary import Summary, print_summary
from minari_core import load_dataset
from minari_core.errors import DatasetNotFoundError, FormatError, MinariError
from minari_core.formats.public.files import get_data_format
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_hub.command_line.exit_codes import ExitCode, say_error
from minari_hub.command_line.options import JsonOption, RemoteOption, TokenOption, local_ids
from minari_hub.command_line.shared_commands import local_size, remote_url
from minari_hub.command_line.terminal import output_console, say, step_progress, write_json
from minari_hub.datasets.remote_dataset import locate
from minari_hub.remotes.urls import is_url


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="An id, or the URL of a dataset, as gs://bucket/D4RL/door/human-v2.",
            autocompletion=local_ids,
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
    code = ExitCode.OK
    summary: Summary | None = None
    if remote is None and not is_url(name):
        try:
            summary, code = _local_summary(name)
        except DatasetNotFoundError:
            say(f"{name} is not among the local datasets; asking {remote_url(None)}", style="dim")
    if summary is None:
        summary, code = _remote_summary(name, remote, token)
    if as_json:
        write_json(summary.to_json())
    else:
        _print(summary)
    if code:
        raise typer.Exit(code)


def _print(summary: Summary) -> None:
    console = output_console()
    if console.is_terminal:
        print_summary(summary, console)
        return
    with console.capture() as captured:
        print_summary(summary, console)
    # The blanks that make the columns of a table are of no use at the end of a line.
    lines = captured.get().removesuffix("\n").split("\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def _local_summary(name: str) -> tuple[Summary, ExitCode]:
    dataset = load_dataset(name)
    code = ExitCode.OK
    statistics: EpisodeStatistics | None = None
    try:
        with step_progress("reading rewards") as progress:
            statistics = local_statistics(dataset, progress)
    except MinariError as error:
        code = say_error(error)
    summary = Summary(
        dataset_id=name,
        place=str(dataset.storage.data_path),
        metadata=dataset.metadata,
        nbytes=local_size(name),
        statistics=statistics,
    )
    return summary, code


def _remote_summary(name: str, remote: str | None, token: str | None) -> tuple[Summary, ExitCode]:
    dataset = locate(name, None, remote, token)
    metadata = dataset.summary().metadata
    code = ExitCode.OK
    statistics: EpisodeStatistics | None = None
    try:
        statistics = remote_statistics(dataset)
        stored_as = get_data_format(metadata)
        if statistics is None and stored_as != DEFAULT_FORMAT:
            say(
                f"returns and lengths are not shown: of a remote dataset in {stored_as} format, "
                "they cannot be had without the rest; download it first",
                style="dim",
            )
    except FormatError as error:
        say(f"warning: {error}", style="yellow")
    except MinariError as error:
        code = say_error(error)
    summary = Summary(
        dataset_id=dataset.dataset_id,
        place=dataset.remote.url,
        metadata=metadata,
        nbytes=sum(found.size for found in dataset.objects().values()),
        statistics=statistics,
    )
    return summary, code
