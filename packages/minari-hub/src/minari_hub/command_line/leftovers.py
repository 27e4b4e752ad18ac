"""``leftovers``: list or remove what killed processes left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from minari_hub.command_line.options import JsonOption, YesOption
from minari_hub.command_line.terminal import (
    confirm,
    format_age,
    format_count,
    format_size,
    make_output_console,
    say,
    to_one_line,
    write_json,
)
from minari_hub.command_line.wording import PROGRAM, translate_advice

if TYPE_CHECKING:
    from minari_core import Leftover
    from minari_core.local.leftovers.listing import LeftoverFinder


def make_leftovers_command(make_finder: Callable[[], LeftoverFinder]) -> Callable[..., None]:
    """Make the command of a program.

    Args:
        make_finder: Returns what finds the leftovers of the program's packages.
    """

    def leftovers(
        ids: Annotated[
            list[str] | None,
            typer.Argument(metavar="[ID]...", help="Only these, with whatever is in them."),
        ] = None,
        remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
        valuable: Annotated[
            bool,
            typer.Option(
                "--valuable", help="With --remove, also what can be recovered or gone on with."
            ),
        ] = False,
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        """List or remove what killed processes left.

        Recordings, runs, downloads, uploads, half made and half deleted datasets, locks and
        temporary files. What a living process has is not listed.
        """
        finder = make_finder()
        found = finder.list_leftovers()
        if ids:
            known = {each.id for each in found}
            for each in ids:
                if each not in known:
                    raise typer.BadParameter(
                        f"{to_one_line(each)!r} is not left, or a living process has it",
                        param_hint="ID",
                    )
            found = [each for each in found if each.id in ids]
        elif remove and not valuable:
            found = [each for each in found if not each.is_valuable]
        if not remove:
            _show(found, as_json=as_json)
            return
        if found:
            if not yes:
                _show(found, as_json=False)
            size = format_size(sum(each.nbytes for each in found))
            confirm(f"Remove {format_count(len(found), 'leftover')} ({size})", yes=yes)
        removed = finder.remove_leftovers(ids or None, valuable=valuable)
        say(f"{format_count(len(removed), 'leftover')} removed")
        if as_json:
            write_json([_to_json(each) for each in removed])

    return leftovers


def _show(found: Sequence[Leftover], *, as_json: bool) -> None:
    if as_json:
        write_json([_to_json(each) for each in found])
        return
    if not found:
        say("nothing is left behind")
        return
    from minari_hub.command_line.dataset_table import TableColumn, fit_table

    console = make_output_console()
    columns = [
        TableColumn("Leftover", tuple(to_one_line(each.id) for each in found)),
        TableColumn("Kind", tuple(each.kind for each in found)),
        TableColumn("Dataset", tuple(to_one_line(each.dataset_id) for each in found)),
        TableColumn("Age", tuple(format_age(each.age_seconds) for each in found), True),
        TableColumn("Size", tuple(format_size(each.nbytes) for each in found), True),
    ]
    console.print(fit_table(columns, console.width))
    for each in found:
        if each.is_valuable:
            say(f"{each.id}: {translate_advice(each.remedy)}")
    say(
        f"{PROGRAM.get()} leftovers --remove removes what has no value; with an id, or with "
        "--valuable, also what has",
        style="dim",
    )


def _to_json(leftover: Leftover) -> dict[str, object]:
    own = {"age_seconds": leftover.age_seconds, "is_valuable": leftover.is_valuable}
    return {**asdict(leftover), **own}
