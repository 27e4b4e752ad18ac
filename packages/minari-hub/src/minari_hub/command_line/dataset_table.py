"""Datasets as a table that fits the terminal it is shown in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minari_core.environments.env_specs import env_spec_from_json
from minari_core.errors import MinariError
from minari_core.json_values import JsonValue
from minari_hub.command_line.terminal import file_size, one_line

_NARROWEST_FIRST = 22
_LONGEST_CELL = 40
_GAP = 2


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table; all but the first may be left out where there is no room."""

    header: str
    """What stands above it."""
    cells: tuple[str, ...]
    """What stands in it, row by row."""
    right: bool = False
    """Whether its cells end below one another, as numbers do."""


def table_that_fits(columns: list[TableColumn], width: int) -> Table:
    """A table of as many columns as there is room for.

    The first column folds where it must. The others come in the order of their importance; each
    is shown whole, or it and what follows it are left out.

    Args:
        columns: The columns, the most important ones first.
        width: The characters in a line.
    """
    first, *others = columns
    widest = max(len(cell) for cell in (first.header, *first.cells))
    least = min(widest, max(_NARROWEST_FIRST, width * 2 // 5))
    room = width - least
    shown: list[TableColumn] = []
    for column in others:
        needed = _GAP + max(len(cell) for cell in (column.header, *column.cells))
        if needed > room:
            break
        room -= needed
        shown.append(column)
    first_width = min(widest, least + room)
    # The box puts one more space between columns.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first.header, overflow="fold", style="bold", width=first_width)
    for column in shown:
        table.add_column(column.header, justify="right" if column.right else "left", no_wrap=True)
    for name, *cells in zip(first.cells, *(column.cells for column in shown), strict=True):
        table.add_row(Text(folded(name, first_width)), *(Text(cell) for cell in cells))
    return table


def folded(text: str, width: int) -> str:
    r"""Text in lines of at most a width, broken behind ``/``, ``-`` or ``_`` where possible.

    Example:
        >>> folded("D4RL/door/human-v2", 8)
        'D4RL/\ndoor/\nhuman-v2'
    """
    lines: list[str] = []
    while len(text) > width:
        ends = [place + 1 for place, character in enumerate(text[:width]) if character in "/-_"]
        # A break far to the left would make more lines than it is worth.
        stop = next((end for end in reversed(ends) if end > width // 2), width)
        lines.append(text[:stop])
        text = text[stop:]
    return "\n".join([*lines, text])


def print_datasets(
    datasets: Mapping[str, Mapping[str, JsonValue]],
    sizes: Mapping[str, int],
    console: Console,
) -> None:
    """Print a table of datasets.

    Args:
        datasets: The metadata of each dataset by its id.
        sizes: The bytes of each dataset of which they are known.
        console: Where to.
    """
    rows = list(datasets.values())
    columns = [
        TableColumn("Dataset", tuple(one_line(dataset_id) for dataset_id in datasets)),
        TableColumn("Episodes", _counts(rows, "total_episodes"), right=True),
        TableColumn("Steps", _counts(rows, "total_steps"), right=True),
        TableColumn(
            "Size",
            tuple(file_size(sizes[name]) if name in sizes else "" for name in datasets),
            right=True,
        ),
        TableColumn("Environment", tuple(_shortened(environment_of(row)) for row in rows)),
        TableColumn("Algorithm", tuple(_shortened(row.get("algorithm_name")) for row in rows)),
        TableColumn("Author", tuple(_shortened(people(row.get("author"))) for row in rows)),
    ]
    # A column that is empty in every row would only take room.
    columns = [columns[0], *(column for column in columns[1:] if any(column.cells))]
    console.print(table_that_fits(columns, console.width))


def people(value: object) -> str:
    """One name or several, in one line."""
    return ", ".join(str(name) for name in value) if isinstance(value, list) else str(value or "")


def environment_of(metadata: Mapping[str, JsonValue]) -> str:
    """The id of the environment that a dataset comes from, ``""`` if it does not say."""
    text = metadata.get("env_spec")
    if not isinstance(text, str):
        return ""
    try:
        return str(env_spec_from_json(text).id)
    except MinariError:
        return ""


def _counts(rows: Iterable[Mapping[str, JsonValue]], key: str) -> tuple[str, ...]:
    values = (row.get(key) for row in rows)
    return tuple(f"{value:,}" if isinstance(value, int) else "" for value in values)


def _shortened(value: object) -> str:
    text = one_line("" if value is None else value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
