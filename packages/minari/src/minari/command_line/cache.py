"""``minari cache``: list, pin and remove what can be made again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from minari_hub.command_line.exit_codes import Outcomes
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

if TYPE_CHECKING:
    from minari_core.cache.entry import CacheEntry

cache = typer.Typer(
    help="List, pin or clear the cache.",
    rich_markup_mode=None,
)


def _complete_ids(incomplete: str) -> Iterator[str]:
    from minari_core.cache.entries import list_entries

    yield from (entry.id for entry in list_entries() if entry.id.startswith(incomplete))


EntryIds: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Ids of items.", autocompletion=_complete_ids),
]


@cache.callback(invoke_without_command=True)
def list_cache(context: typer.Context, as_json: JsonOption = False) -> None:
    """List what is kept to be faster, and can be made again.

    Columns of datasets whose formats are read an episode at a time, for instance. Its size is
    bounded by $MINARI_CACHE_SIZE; what was used least recently makes room.
    """
    from minari_core.cache.entries import list_entries

    if context.invoked_subcommand is None:
        _show(list_entries(), as_json=as_json)


@cache.command()
def clear(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Only these; without it all that are neither pinned nor in use.",
            autocompletion=_complete_ids,
        ),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove items; they are made again when they are needed."""
    from minari_core.cache.entries import find_entries, list_entries, remove_entry

    if ids:
        found = find_entries(ids)
        for entry in found:
            if entry.is_pinned:
                raise typer.BadParameter(f"{entry.id} is pinned; unpin it first", param_hint="ID")
    else:
        found = [each for each in list_entries() if not (each.is_pinned or each.is_in_use)]
    if found:
        if not yes:
            _show(found, as_json=False)
        size = format_size(sum(entry.nbytes for entry in found))
        confirm(f"Remove {format_count(len(found), 'item')} ({size})", yes=yes)
    outcomes, removed = Outcomes(), []
    for entry in found:
        with outcomes.attempt():
            remove_entry(entry)
            removed.append(entry)
    say(f"{format_count(len(removed), 'item')} removed")
    if as_json:
        write_json([_to_json(entry) for entry in removed])
    outcomes.exit_if_any_failed()


@cache.command()
def pin(ids: EntryIds) -> None:
    """Keep items until they are unpinned, however long they are not used."""
    from minari_core.cache.entries import find_entries, pin_entry

    for entry in find_entries(ids):
        pin_entry(entry)
        say(f"{entry.id} is pinned")


@cache.command()
def unpin(ids: EntryIds) -> None:
    """Let items make room again for others."""
    from minari_core.cache.entries import find_entries, pin_entry

    for entry in find_entries(ids):
        pin_entry(entry, is_pinned=False)
        say(f"{entry.id} is not pinned")


def _show(found: Sequence[CacheEntry], *, as_json: bool) -> None:
    from minari_core.cache.settings import cache_limit, cache_root
    from minari_hub.command_line.dataset_table import TableColumn, fit_table

    if as_json:
        write_json([_to_json(entry) for entry in found])
        return
    if not found:
        say(f"nothing is kept in {cache_root()}")
        return
    now = time.time()
    columns = [
        TableColumn("Item", tuple(to_one_line(entry.id) for entry in found)),
        TableColumn("Of", tuple(to_one_line(entry.what) for entry in found)),
        TableColumn("Used", tuple(format_age(max(now - entry.used, 0.0)) for entry in found), True),
        TableColumn("Size", tuple(format_size(entry.nbytes) for entry in found), True),
        TableColumn("State", tuple(map(_describe_state, found))),
    ]
    console = make_output_console()
    console.print(fit_table(columns, console.width))
    items, size = format_count(len(found), "item"), sum(entry.nbytes for entry in found)
    bound = f"{format_size(size)} of {format_size(cache_limit())}"
    say(f"{items}, {bound}, in {cache_root()}", style="dim")


def _describe_state(entry: CacheEntry) -> str:
    states = {"pinned": entry.is_pinned, "in use": entry.is_in_use}
    return ", ".join(state for state, holds in states.items() if holds)


def _to_json(entry: CacheEntry) -> dict[str, object]:
    return {**asdict(entry), "age_seconds": max(time.time() - entry.used, 0.0)}
