"""Write what is published beside a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from minari_core import MinariDataset
from minari_core.errors import DataError, DatasetDamagedError, MissingDependencyError
from minari_core.files import wrap_write_errors
from minari_core.messages import warn_caller
from minari_hub.bundle.citation import NAME as CITATION
from minari_hub.bundle.citation import format_citation
from minari_hub.bundle.croissant import NAME as CROISSANT
from minari_hub.bundle.croissant import format_croissant
from minari_hub.bundle.publication import Publication
from minari_hub.bundle.tables import LARGEST_STEPS_NBYTES, STEPS, Tables, write_tables
from minari_hub.cards.card import Card


def write_bundle(
    dataset: MinariDataset,
    said: Publication,
    folder: Path,
    files: Mapping[str, Path],
    *,
    most_nbytes: int | None = LARGEST_STEPS_NBYTES,
) -> Tables | None:
    """Write tables, ``croissant.json`` and, where an author is said, ``CITATION.cff``.

    Args:
        dataset: The dataset.
        said: What is said of it.
        folder: The folder, which is there.
        files: The files of the dataset, by their paths relative to the folder once published.
        most_nbytes: How large the table of steps may be; see `write_tables`. None for no tables.

    Returns:
        The tables; None if there are to be none, or if pyarrow is not installed or the columns are
        none of a table, of which a warning tells.

    Raises:
        DatasetWriteError: The file system refused.
    """
    tables = None
    try:
        if most_nbytes is not None:
            tables = write_tables(dataset, folder, most_nbytes)
    except (DataError, MissingDependencyError) as error:
        if isinstance(error, DatasetDamagedError):
            raise
        warn_caller(f"{said.dataset_id} is published without tables: {error}")
    write_descriptions(said, folder, files, tables)
    return tables


def write_descriptions(
    said: Publication, folder: Path, files: Mapping[str, Path], tables: Tables | None
) -> None:
    """Write ``croissant.json`` and, where an author is said, ``CITATION.cff``.

    Args:
        said: What is said of the dataset.
        folder: The folder, which has the tables.
        files: The files of the dataset, by their paths relative to the folder once published.
        tables: The tables; None if there are none.

    Raises:
        DatasetWriteError: The file system refused.
    """
    with wrap_write_errors(folder):
        text = format_croissant(said, folder, files, tables)
        (folder / CROISSANT).write_text(text, encoding="utf-8")
        if (citation := format_citation(said)) is not None:
            (folder / CITATION).write_text(citation, encoding="utf-8")


def extend_card(card: Card, said: Publication, folder: Path, tables: Tables | None) -> Card:
    """Add to a card what `write_bundle` wrote, and what it says of that.

    Args:
        card: The card.
        said: What is said of the dataset.
        folder: The folder that was written to.
        tables: What was returned.
    """
    notes = []
    if tables is not None and tables.episodes_of_steps < tables.total_episodes:
        notes.append(
            f"{STEPS} has the steps of the first {tables.episodes_of_steps} of "
            f"{tables.total_episodes} episodes; the data have all."
        )
    unsaid = said.list_unsaid()
    answers = [name.removeprefix("rai:") for name in unsaid if name.startswith("rai:")]
    others = [name for name in unsaid if not name.startswith("rai:")]
    for names, of_what in ((others, ""), (answers, ", of what Croissant RAI asks")):
        if names:
            notes.append(f"Not said by whoever published it{of_what}: {', '.join(names)}.")
    files = {path.name: path for path in sorted(folder.iterdir(), key=_order) if path.is_file()}
    return replace(card, files=files, notes=notes)


def _order(path: Path) -> tuple[bool, str]:
    # A viewer shows the first table first.
    return path.name != STEPS, path.name
