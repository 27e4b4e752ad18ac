"""``minari delete``, ``combine``, ``split`` and ``edit``: make, change and remove datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari_core.errors import DatasetIdError, SamplingError
from minari_core.local.dataset_id import parse_dataset_id
from minari_hub.command_line.options import JsonOption, LocalIds, YesOption, complete_local_ids
from minari_hub.command_line.shared_commands import measure_local_size
from minari_hub.command_line.terminal import (
    confirm,
    format_amount,
    format_count,
    format_size,
    say,
    to_one_line,
    write_json,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from minari_core import MinariDataset
    from minari_core.json_values import JsonValue

# `Fraction` takes more, and of an exponent it makes as many digits.
_FRACTION = r"\d*\.\d+|\d+\.|\d*\.?\d+%|\d+\.%"
_LONGEST_SIZE = 50
_REMOVABLE = ("license", "citation", "doi", "tags", "splits", "description", "algorithm_name")

DataFormatOption = Annotated[
    str | None,
    typer.Option(help="How to store the data; columnar if not given.", metavar="FORMAT"),
]
WidenOption = Annotated[
    bool,
    typer.Option(
        "--widen",
        help="Where dtypes differ, store all in the wider one, if it holds all numbers exactly.",
    ),
]


def delete(names: LocalIds, yes: YesOption = False) -> None:
    """Delete local datasets.

    Datasets that were combined from them keep their data.
    """
    from minari_core.local.finding import build_not_found_error
    from minari_core.local.locations import DATA_FOLDER, dataset_folder, datasets_root

    chosen = list(dict.fromkeys(names))
    nbytes = 0
    for name in chosen:
        if not (dataset_folder(name) / DATA_FOLDER).is_dir():
            raise build_not_found_error(name)
        nbytes += measure_local_size(name)
    what = chosen[0] if len(chosen) == 1 else format_count(len(chosen), "dataset")
    if len(chosen) > 1 and not yes:
        for name in chosen:
            say(name)
    confirm(f"Delete {what} ({format_size(nbytes)}) from {datasets_root()}", yes=yes)
    for name in chosen:
        minari_core.delete_dataset(name)
        say(f"Dataset {name} deleted!")


def combine(
    names: LocalIds,
    name: Annotated[
        str,
        typer.Option("--name", "--dataset-id", metavar="ID", help="The id of the new dataset."),
    ],
    data_format: DataFormatOption = None,
    widen: WidenOption = False,
) -> None:
    """Make one dataset of several.

    It has all their episodes, one dataset after the other. What is on disk is linked and not
    copied where that is possible; the sources can be deleted without harm.
    """
    datasets = [minari_core.load_dataset(source) for source in names]
    _say_made(minari_core.combine_datasets(datasets, name, data_format=data_format, widen=widen))


def split(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The dataset to split.", autocompletion=complete_local_ids
        ),
    ],
    sizes: Annotated[
        list[str],
        typer.Argument(
            metavar="SIZE",
            help="The episodes of each part: numbers, as 80 20, or fractions, as 0.8 0.2 or "
            "80% 20%.",
        ),
    ],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="ID",
            help="The id of a new dataset, once for each size. Without it, x-v0 becomes "
            "x-part1-v0, x-part2-v0, and so on.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Makes the parts reproducible.", show_default=False),
    ] = None,
    data_format: DataFormatOption = None,
) -> None:
    """Split the episodes of a dataset at random.

    Each part becomes a new dataset, the source stays as it is. No episode is in two parts.
    """
    from minari_core.local.publishing import check_id_is_free

    dataset = minari_core.load_dataset(source)
    try:
        parts = minari_core.split_dataset(dataset, _parse_sizes(sizes), seed)
    except SamplingError as error:
        raise typer.BadParameter(str(error), param_hint="SIZE") from error
    if not all(map(len, parts)):
        raise typer.BadParameter(
            f"of {format_count(len(dataset), 'episode')}, the parts would get "
            f"{', '.join(str(len(part)) for part in parts)}; each needs one",
            param_hint="SIZE",
        )
    new_ids = names or [str(_make_part_id(source, number)) for number in range(1, len(parts) + 1)]
    if len(new_ids) != len(parts):
        raise typer.BadParameter(
            f"{format_count(len(parts), 'size')} need as many ids, not {len(new_ids)}",
            param_hint="--name",
        )
    if len(set(new_ids)) < len(new_ids):
        raise DatasetIdError(f"the ids of the parts are not different: {', '.join(new_ids)}")
    for new_id in new_ids:
        check_id_is_free(new_id)
    made: list[str] = []
    try:
        for new_id, part in zip(new_ids, parts, strict=True):
            made.append(minari_core.combine_datasets([part], new_id, data_format=data_format).id)
    except BaseException:
        # All parts or none.
        for new_id in made:
            minari_core.delete_dataset(new_id)
        raise
    for new_id in made:
        _say_made(minari_core.load_dataset(new_id))


def _parse_sizes(sizes: Sequence[str]) -> list[int] | list[Fraction]:
    """Parse numbers of episodes, or fractions of all with a point or a percent sign."""
    if all(size.isascii() and size.isdecimal() and len(size) <= _LONGEST_SIZE for size in sizes):
        return [int(size) for size in sizes]
    return [_parse_fraction(size) for size in sizes]


def _parse_fraction(size: str) -> Fraction:
    import re
    from fractions import Fraction

    text = size.strip()
    value = Fraction(-1)
    if len(text) <= _LONGEST_SIZE and re.fullmatch(_FRACTION, text, re.ASCII):
        value = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise typer.BadParameter(
            f"{to_one_line(size)!r} is no fraction such as 0.8 or 80%; give numbers of episodes "
            "only, or fractions only",
            param_hint="SIZE",
        )
    return value


def _make_part_id(source: str, number: int) -> str:
    parsed = parse_dataset_id(source)
    return f"{parsed.unversioned}-part{number}-v{parsed.version}"


def _say_made(dataset: MinariDataset) -> None:
    say(f"{dataset.id} has {format_amount(dataset.total_episodes, dataset.total_steps)}")


def edit(
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="The dataset.", autocompletion=complete_local_ids),
    ],
    license_name: Annotated[
        str | None,
        typer.Option("--license", help="An SPDX identifier where there is one, as CC-BY-4.0."),
    ] = None,
    citation: Annotated[str | None, typer.Option(help="How to cite it.")] = None,
    doi: Annotated[str | None, typer.Option(help="Its DOI, as 10.5281/zenodo.1234567.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A word that it is found by, once for each.", show_default=False),
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Who made it.", show_default=False)
    ] = None,
    author_email: Annotated[
        list[str] | None, typer.Option(help="How to reach them.", show_default=False)
    ] = None,
    algorithm_name: Annotated[str | None, typer.Option(help="What chose the actions.")] = None,
    code_permalink: Annotated[str | None, typer.Option(help="The code that made it.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RANGES",
            help="A named set of episodes, as train=0:80 or test=80:90,95; the others stay.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Something to say no more.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is said of a dataset, not its episodes."""
    from minari_core.datasets.card import DatasetCard
    from minari_core.datasets.dataset import get_raw_storage
    from minari_core.metadata.splits import SPLITS, encode_splits, read_splits

    dataset = minari_core.load_dataset(name)
    storage = get_raw_storage(dataset)
    changes: dict[str, JsonValue] = DatasetCard(
        license=license_name,
        citation=citation,
        doi=doi,
        tags=tag or None,
        author=author or None,
        author_email=author_email or None,
        algorithm_name=algorithm_name,
        code_permalink=code_permalink,
        description=description,
    ).describe()
    if split:
        total = storage.total_episodes
        splits = {
            key: found.tolist() for key, found in read_splits(dataset.metadata, total).items()
        }
        splits.update(map(_parse_split, split))
        changes[SPLITS] = encode_splits(splits, total)
    for key in remove or []:
        if key not in _REMOVABLE:
            raise typer.BadParameter(
                f"{key} cannot be removed; one of {', '.join(_REMOVABLE)}", param_hint="--remove"
            )
        changes[key] = None
    if not changes:
        raise typer.BadParameter("nothing to change; give an option, such as --license")
    storage.update_metadata(changes)
    if as_json:
        write_json(changes)
        return
    for key, value in changes.items():
        say(f"{key}: {'removed' if value is None else to_one_line(value)}")


def _parse_split(text: str) -> tuple[str, list[int]]:
    name, separator, ranges = text.partition("=")
    indices: list[int] = []
    for part in ranges.split(","):
        first, colon, stop = part.partition(":")
        if not separator or not first.isdecimal() or (colon and not stop.isdecimal()):
            raise typer.BadParameter(
                f"{text!r} is not like train=0:80 or test=80:90,95", param_hint="--split"
            )
        indices += range(int(first), int(stop) if colon else int(first) + 1)
    return name, indices
