"""Print datasets as a table that fits the terminal."""

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
from minari_hub.command_line.terminal import format_size, to_one_line

_NARROWEST_FIRST = 22
_LONGEST_CELL = 40
_GAP = 2


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table; all but the first may be left out where there is no room."""

    header: str
    """The header."""
    cells: tuple[str, ...]
    """The cells, row by row."""
    right: bool = False
    """Whether its cells are aligned to the right, as numbers are."""


def fit_table(columns: list[TableColumn], width: int) -> Table:
    """Make a table of as many columns as there is room for.

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
        table.add_row(Text(fold_id(name, first_width)), *(Text(cell) for cell in cells))
    return table


def fold_id(text: str, width: int) -> str:
    r"""Fold an id into lines of at most a width, broken after ``/``, ``-`` or ``_`` if possible.

    Example:
        >>> fold_id("D4RL/door/human-v2", 8)
        'D4RL/\ndoor/\nhuman-v2'
    """
    lines: list[str] = []
    while len(text) > width:
        ends = [index for index, character in enumerate(text[:width], 1) if character in "/-_"]
        # A break far to the left would make more lines than it is worth.
        stop = next((end for end in reversed(ends) if end > width // 2), width)
        lines.append(text[:stop])
        text = text[stop:]
    return "\n".join([*lines, text])


def print_datasets(
    datasets: Mapping[str, Mapping[str, JsonValue]],
    sizes: Mapping[str, int],
    remotes: Mapping[str, str],
    console: Console,
) -> None:
    """Print a table of datasets.

    Args:
        datasets: The metadata of each dataset by its id.
        sizes: The bytes of each dataset of which they are known.
        remotes: The remote of each dataset, where there are several.
        console: Where to print it.
    """
    rows = list(datasets.values())
    columns = [
        TableColumn("Name", tuple(to_one_line(dataset_id) for dataset_id in datasets)),
        TableColumn("Remote", tuple(to_one_line(remotes.get(name, "")) for name in datasets)),
        TableColumn("Episodes", _format_counts(rows, "total_episodes"), right=True),
        TableColumn("Steps", _format_counts(rows, "total_steps"), right=True),
        TableColumn(
            "Size",
            tuple(format_size(sizes[name]) if name in sizes else "" for name in datasets),
            right=True,
        ),
        TableColumn("Environment", tuple(_shorten(read_env_id(row)) for row in rows)),
        TableColumn("Algorithm", tuple(_shorten(row.get("algorithm_name")) for row in rows)),
        TableColumn("Author", tuple(_shorten(join_names(row.get("author"))) for row in rows)),
    ]
    # A column that is empty in every row would only take room.
    columns = [columns[0], *(column for column in columns[1:] if any(column.cells))]
    console.print(fit_table(columns, console.width))


def join_names(value: object) -> str:
    """Join one name or several in one line."""
    return ", ".join(str(name) for name in value) if isinstance(value, list) else str(value or "")


def read_env_id(metadata: Mapping[str, JsonValue]) -> str:
    """Return the id of the environment that a dataset comes from, ``""`` if it does not say."""
    text = metadata.get("env_spec")
    if not isinstance(text, str):
        return ""
    try:
        return str(env_spec_from_json(text).id)
    except MinariError:
        return ""


def _format_counts(rows: Iterable[Mapping[str, JsonValue]], key: str) -> tuple[str, ...]:
    values = (row.get(key) for row in rows)
    return tuple(f"{value:,}" if isinstance(value, int) else "" for value in values)


def _shorten(value: object) -> str:
    text = to_one_line("" if value is None else value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
