"""``minari edit``: change what is said of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari_hub.command_line.options import JsonOption, complete_local_ids
from minari_hub.command_line.terminal import say, to_one_line, write_json

if TYPE_CHECKING:
    from minari_core.json_values import JsonValue

_REMOVABLE = ("license", "citation", "doi", "tags", "splits", "description", "algorithm_name")


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
    ).said()
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
