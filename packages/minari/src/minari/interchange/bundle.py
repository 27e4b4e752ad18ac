"""A dataset and, beside it, what others look for: tables, a README, Croissant and a citation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from minari.interchange.files import copy_shared_files
from minari.interchange.layout import Contents, Layout, Loss
from minari_core import MinariDataset
from minari_core.datasets.dataset import describe_as_parent, get_raw_storage
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.registry import check_format, new_storage
from minari_core.formats.verification.folder import verify_folder
from minari_core.local.locations import DATA_FOLDER
from minari_core.metadata.parents import PARENTS
from minari_core.storage.copied_metadata import metadata_for_copy
from minari_hub.bundle.files import extend_card, write_descriptions
from minari_hub.bundle.publication import Publication
from minari_hub.bundle.tables import LARGEST_STEPS_NBYTES, STEPS, Tables, write_tables
from minari_hub.cards.describing import describe_dataset
from minari_hub.cards.readme import NAME as README
from minari_hub.cards.readme import update_readme

_RAI = "rai:"


def recognize(path: Path) -> bool:
    """Tell a folder by the manifest in its folder ``data``."""
    return (path / DATA_FOLDER / MANIFEST_NAME).is_file()


def read(path: Path) -> Contents:
    """Read the dataset of a folder that `write` wrote, or of any dataset's folder.

    Args:
        path: The folder. What lies in it beside ``data`` says nothing new, and is not read.

    Raises:
        DatasetDamagedError: A file is not what the manifest says, or a link.
    """
    data = path / DATA_FOLDER
    if data.is_symlink():
        raise DatasetDamagedError(f"{data} is a link, which is not followed")
    stored = MinariDataset(data)
    report = verify_folder(stored.id, data, lambda done, total: None)
    if not report.ok:
        more = f", and {len(report.problems) - 1} more" if len(report.problems) > 1 else ""
        raise DatasetDamagedError(f"{data}: {report.problems[0]}{more}")
    storage = get_raw_storage(stored)
    return Contents(
        episodes=storage.read_episodes(range(storage.total_episodes), copy=False),
        observation_space=stored.observation_space,
        action_space=stored.action_space,
        metadata=metadata_for_copy(storage),
        storage=storage,
    )


def write(
    dataset: MinariDataset,
    path: Path,
    *,
    data_format: str | None = None,
    url: str | None = None,
    date_published: date | None = None,
    rai: Mapping[str, str | Sequence[str]] | None = None,
    tables: bool = True,
    largest_table_nbytes: int = LARGEST_STEPS_NBYTES,
) -> list[Loss]:
    """Write a folder that can be published as it is.

    Args:
        dataset: The dataset.
        path: The folder.
        data_format: How to store the data in it; as it is stored if None.
        url: The page of the web that the dataset has.
        date_published: The day of publication.
        rai: Answers under the names of Croissant RAI 1.0, texts or lists of them.
        tables: Whether to write Parquet files of steps and episodes.
        largest_table_nbytes: How large that of steps may be, in bytes; beyond it are the first
            whole episodes only.

    Returns:
        What nobody said, and so is absent, and how the table of steps was cut short.
    """
    said = Publication(dataset.id, {}, url, date_published, dict(rai or {}))
    chosen_format = check_format(data_format or get_raw_storage(dataset).data_format)
    data = path / DATA_FOLDER
    data.mkdir(parents=True)
    _write_data(dataset, data, chosen_format)
    said = replace(said, metadata=get_raw_storage(MinariDataset(data)).metadata)
    card = describe_dataset(dataset.id, "", data, said.metadata, None)
    try:
        written = write_tables(dataset, path, largest_table_nbytes) if tables else None
    except DataError as error:
        raise DataError(f"{error}; or write no tables, with tables=False") from error
    files = {file.relative_to(path).as_posix(): file for file in sorted(_list_files(data))}
    write_descriptions(said, path, files, written)
    text = update_readme("", extend_card(card, said, path, written), None)
    (path / README).write_text(text, encoding="utf-8")
    return [*_list_unsaid(said), *_list_missing_steps(written)]


def _write_data(dataset: MinariDataset, data: Path, data_format: str) -> None:
    source, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    metadata = {**metadata_for_copy(source, indices), "dataset_id": dataset.id}
    if indices != list(range(source.total_episodes)):
        metadata[PARENTS] = [describe_as_parent(dataset, "export", {"layout": LAYOUT.name})]
    storage = new_storage(data, metadata, data_format, source.given_spaces)
    storage.append_storage(source, indices)
    # Whoever has the folder may change it, and the dataset shall stay as it is.
    copy_shared_files(data)
    storage.save()


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")


def _list_unsaid(said: Publication) -> Iterator[Loss]:
    unsaid = said.list_unsaid()
    for name in unsaid:
        if not name.startswith(_RAI):
            yield Loss(name, "nobody said it, so it is absent")
    if answers := [name.removeprefix(_RAI) for name in unsaid if name.startswith(_RAI)]:
        yield Loss("rai", f"nobody said {', '.join(answers)}, so they are absent")


def _list_missing_steps(tables: Tables | None) -> Iterator[Loss]:
    if tables is not None and tables.episodes_of_steps < tables.total_episodes:
        yield Loss(
            STEPS,
            f"it has the steps of the first {tables.episodes_of_steps} of {tables.total_episodes} "
            "episodes, by its bound; the data have all",
        )


LAYOUT = Layout(
    name="bundle",
    title="a dataset with tables, a README, Croissant and a citation",
    recognize=recognize,
    read=read,
    write=write,
    keeps_shards=True,
)
