"""``minari recover``: list, recover or drop what crashes have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import minari_collect
from minari_hub.command_line.options import JsonOption, YesOption
from minari_hub.command_line.terminal import (
    confirm,
    format_amount,
    format_size,
    make_output_console,
    say,
    to_one_line,
    write_json,
)

if TYPE_CHECKING:
    from minari_collect import RecoverableRecording
    from minari_core.json_values import JsonObject


def recover(
    recording: Annotated[
        str | None,
        typer.Argument(metavar="RECORDING", help="What to recover; without it, list them."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="ID", help="The id of the new dataset.")
    ] = None,
    algorithm_name: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
    author: Annotated[list[str] | None, typer.Option(metavar="NAME")] = None,
    author_email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS")] = None,
    code_permalink: Annotated[str | None, typer.Option(metavar="URL")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Drop the recording instead.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make datasets of what crashes have left.

    Lists what collectors of processes that are gone had written, makes a dataset of one of
    these recordings, or drops it. What else killed processes left, the command leftovers lists.
    """
    if recording is None:
        if name is not None or discard:
            raise typer.BadParameter("say which recording", param_hint="RECORDING")
        _print_recordings(minari_collect.list_recoverable(), as_json=as_json)
        return
    if discard == (name is not None):
        raise typer.BadParameter("give either --name or --discard", param_hint="RECORDING")
    if discard:
        found = {each.id: each for each in minari_collect.list_recoverable()}.get(recording)
        if found is not None:
            amount = format_amount(found.total_episodes, found.total_steps)
            confirm(f"Drop the recording {recording} ({amount})", yes=yes)
        minari_collect.discard(recording)
        say(f"{recording} is dropped")
        if as_json:
            write_json({"dropped": recording})
        return
    dataset = minari_collect.recover(
        recording,
        name,
        algorithm_name=algorithm_name,
        author=author or None,
        author_email=author_email or None,
        code_permalink=code_permalink,
        description=description,
    )
    say(f"{dataset.id} has {format_amount(dataset.total_episodes, dataset.total_steps)}")
    if as_json:
        write_json(
            {
                "dataset_id": dataset.id,
                "total_episodes": dataset.total_episodes,
                "total_steps": dataset.total_steps,
            }
        )


def _print_recordings(recordings: list[RecoverableRecording], *, as_json: bool) -> None:
    if as_json:
        write_json([_to_json(recording) for recording in recordings])
        return
    if not recordings:
        say("there is nothing to recover")
        return
    from minari_hub.command_line.dataset_table import TableColumn, fit_table

    console = make_output_console()
    columns = [
        TableColumn("Recording", tuple(to_one_line(each.id) for each in recordings)),
        TableColumn("Episodes", tuple(f"{each.total_episodes:,}" for each in recordings), True),
        TableColumn("Steps", tuple(f"{each.total_steps:,}" for each in recordings), True),
        TableColumn("Environment", tuple(to_one_line(each.env_id or "") for each in recordings)),
        TableColumn("Started", tuple(to_one_line(each.started) for each in recordings)),
        TableColumn("Size", tuple(format_size(each.nbytes) for each in recordings), True),
    ]
    console.print(fit_table(columns, console.width))
    say("minari recover RECORDING --name ID makes a dataset of one", style="dim")


def _to_json(recording: RecoverableRecording) -> JsonObject:
    return {
        "id": recording.id,
        "started": recording.started,
        "env_id": recording.env_id,
        "total_episodes": recording.total_episodes,
        "total_steps": recording.total_steps,
        "nbytes": recording.nbytes,
    }
