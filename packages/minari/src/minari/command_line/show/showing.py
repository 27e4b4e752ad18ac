"""Collect and print the summary of a dataset, local or on a remote."""

from __future__ import annotations

import sys

from minari.command_line.show.remote_statistics import fetch_statistics
from minari.command_line.show.summary import Summary, print_summary
from minari.distributions.returns import EpisodeStatistics, compute_statistics
from minari_core import load_dataset
from minari_core.errors import DatasetNotFoundError, FormatError, MinariError
from minari_core.formats.columnar.manifest import get_data_format
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id, is_url
from minari_core.local.finding import list_local_ids, suggest_ids
from minari_core.local.locations import is_path
from minari_hub.command_line.exit_codes import ExitCode, say_error
from minari_hub.command_line.shared_commands import measure_files
from minari_hub.command_line.terminal import (
    make_output_console,
    say,
    show_step_progress,
    write_json,
)
from minari_hub.datasets.remote_dataset import RemoteDataset, ask_for_dataset
from minari_hub.remotes.setting import RemoteSetting


def show_dataset(
    name: str, remote: list[str] | None, token: str | None, *, as_json: bool
) -> ExitCode:
    """Print the summary of a dataset.

    Args:
        name: Its id, path or URL.
        remote: The URLs of the remotes to ask at once; by default the local datasets come first.
        token: The credentials for them.
        as_json: Write JSON, for a script.

    Returns:
        `ExitCode.FAILED`, or another failure, if a part of the summary could not be had.
    """
    code = ExitCode.OK
    summary: Summary | None = None
    if not remote and not is_url(name):
        try:
            summary, code = _summarize_local(name)
        except DatasetNotFoundError:
            if is_path(name):
                raise
            hint = suggest_ids(name, list_local_ids())
            say(
                f"{name} is not among the local datasets{hint and f' ({hint})'}; asking "
                f"{RemoteSetting.parse(token=token)}",
                style="dim",
            )
    if summary is None:
        summary, code = _summarize_remote(name, remote, token)
    if as_json:
        write_json(summary.to_json())
    else:
        _print(summary)
    return code


def _print(summary: Summary) -> None:
    console = make_output_console()
    if console.is_terminal:
        print_summary(summary, console)
        return
    with console.capture() as captured:
        print_summary(summary, console)
    # The blanks that make the columns of a table are of no use at the end of a line.
    lines = captured.get().removesuffix("\n").split("\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


def _summarize_local(name: str) -> tuple[Summary, ExitCode]:
    dataset = load_dataset(name)
    code = ExitCode.OK
    statistics: EpisodeStatistics | None = None
    try:
        with show_step_progress("reading rewards") as progress:
            statistics = compute_statistics(dataset, progress)
    except MinariError as error:
        code = say_error(error)
    folder = dataset.storage.data_path
    summary = Summary(
        dataset_id=dataset.id if is_path(name) else name,
        location=str(folder),
        metadata=dataset.metadata,
        nbytes=0 if folder is None else measure_files(folder),
        statistics=statistics,
    )
    return summary, code


def _summarize_remote(
    name: str, remote: list[str] | None, token: str | None
) -> tuple[Summary, ExitCode]:
    def read(dataset: RemoteDataset) -> tuple[RemoteDataset, dict[str, JsonValue]] | None:
        summary = dataset.find_summary()
        return None if summary is None else (dataset, summary.metadata)

    dataset, metadata = ask_for_dataset(choose_id(name), remote, token, read)
    code = ExitCode.OK
    statistics: EpisodeStatistics | None = None
    try:
        statistics = fetch_statistics(dataset)
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
        location=dataset.remote.url,
        metadata=metadata,
        nbytes=sum(found.size for found in dataset.list_objects().values()),
        statistics=statistics,
    )
    return summary, code
