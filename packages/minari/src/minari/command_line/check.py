"""``minari check``: find recorded data that hardly means what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari_hub.command_line.exit_codes import ExitCode
from minari_hub.command_line.options import JsonOption, LocalDataset
from minari_hub.command_line.terminal import (
    format_count,
    make_output_console,
    say,
    show_step_progress,
    to_one_line,
    write_json,
)
from minari_hub.command_line.wording import translate_advice

if TYPE_CHECKING:
    from minari.checks.checking import CheckReport


def check(
    name: LocalDataset,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="ID",
            help="Another dataset, such as the test split, that must share no episode with it.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--replay-seconds",
            metavar="SECONDS",
            min=0,
            help="The most seconds to replay episodes for; 0 to replay none.",
        ),
    ] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Check that the data of a dataset means what it should.

    Constant, clipped and doubled elements, values outside their spaces, NaN, rewards that infos
    contradict, episodes without an end, equal episodes, images of one colour; and whether a replay
    leads to what was recorded. The exit code is 1 if there is a warning; notes may be meant so.
    """
    from minari.checks.checking import check_dataset

    dataset = minari_core.load_dataset(name)
    other = None if against is None else minari_core.load_dataset(against)
    with show_step_progress("reading steps") as progress:
        report = check_dataset(dataset, against=other, replay_seconds=seconds, progress=progress)
    if as_json:
        write_json(report.to_json())
    else:
        _print_report(report, name)
    if not report.ok:
        raise typer.Exit(ExitCode.FAILED)


def _print_report(report: CheckReport, name: str) -> None:
    console = make_output_console()
    name = to_one_line(name)
    for finding in report.findings:
        style = "bold red" if finding.severity == "warning" else "dim"
        console.print(f"{finding.severity}: {to_one_line(finding)}", style=style, soft_wrap=True)
    for reason in report.not_checked:
        say(f"{name}: {translate_advice(reason)}", style="yellow")
    warnings = sum(finding.severity == "warning" for finding in report.findings)
    notes = len(report.findings) - warnings
    text = f"{format_count(warnings, 'warning')}, {format_count(notes, 'note')}"
    console.print(f"{name}: {text}", style="green" if report.ok else "bold red", soft_wrap=True)
