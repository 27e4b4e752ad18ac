"""``minari convert``, ``import`` and ``export``: datasets in other formats and layouts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari.command_line.datasets import DataFormatOption, WidenOption
from minari_hub.command_line.options import JsonOption, YesOption, complete_local_ids
from minari_hub.command_line.terminal import (
    confirm,
    format_count,
    say,
    show_step_progress,
    to_one_line,
    write_json,
)

if TYPE_CHECKING:
    from minari.interchange.layout import Layout, Loss
    from minari_core import MinariDataset

_FLAT = "d4rl"

LayoutOption = Annotated[
    str | None,
    typer.Option("--as", metavar="LAYOUT", help="The layout; recognised if not given."),
]
OptionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-o", metavar="NAME=VALUE", help="An option of the layout.", show_default=False
    ),
]


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The dataset to convert.", autocompletion=complete_local_ids
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    data_format: DataFormatOption = None,
    jpeg: Annotated[
        bool,
        typer.Option(
            "--jpeg",
            help="Store images as JPEG, which loses detail; in hdf5, arrow and parquet alone.",
        ),
    ] = False,
    widen: WidenOption = False,
) -> None:
    """Convert a dataset to another format, as a new one.

    Formats are columnar, hdf5, arrow and parquet. Nothing is lost, except with --jpeg.
    """
    with show_step_progress("Episodes") as progress:
        made = minari_core.convert_dataset(
            minari_core.load_dataset(source),
            name,
            data_format=data_format,
            jpeg_encoding=jpeg,
            widen=widen,
            progress=progress,
        )
    _say_made(made, [], as_json=False)


def import_file(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A file or folder that another library wrote.")
    ],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    layout: LayoutOption = None,
    option: OptionOption = None,
    env: Annotated[
        str | None, typer.Option(metavar="ENV_ID", help="The environment that it comes from.")
    ] = None,
    max_episode_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps after which episodes are truncated, of flat HDF5 files."),
    ] = None,
    step_info: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An info of a flat HDF5 file that belongs to a step, and not to the observation "
            "that it led to; without it, those that D4RL's files are known to have.",
            show_default=False,
        ),
    ] = None,
    no_step_infos: Annotated[
        bool, typer.Option("--no-step-infos", help="No info belongs to a step.")
    ] = False,
    data_format: DataFormatOption = None,
    author: Annotated[list[str] | None, typer.Option(help="Who made the dataset.")] = None,
    description: Annotated[str | None, typer.Option(help="What the dataset is.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a dataset of files that another library wrote.

    Layouts: bundle, d4rl (flat HDF5 files with observations, actions, rewards and terminals), dsrl,
    isaaclab, lerobot, maniskill, ogbench, parquet, rlds, robomimic.
    """
    from minari.interchange.exchange import import_dataset
    from minari.interchange.flat.hdf5 import has_sidecar
    from minari.interchange.layout import Loss
    from minari.interchange.layouts import find_layout, recognize_layout
    from minari.interchange.options import parse_options

    if step_info and no_step_infos:
        raise typer.BadParameter("give --step-info or --no-step-infos, not both")
    texts = _split_options(option)
    said = {"author": author or None, "description": description}
    chosen: Layout | None = None
    if layout is None:
        chosen = recognize_layout(path) if path.exists() else None
    else:
        chosen = find_layout(layout)
    is_flat = chosen is None or chosen.name == _FLAT
    if chosen is None or (is_flat and not has_sidecar(path)):
        if texts:
            raise typer.BadParameter(f"flat HDF5 files have no option {texts[0][0]}")
        left_out: dict[str, str] = {}
        made = minari_core.import_flat_hdf5(
            path,
            name,
            env=env,
            max_episode_steps=max_episode_steps,
            step_infos=() if no_step_infos else step_info or None,
            data_format=data_format,
            left_out=left_out,
            author=author or None,
            description=description,
        )
        _say_made(made, [Loss(*each) for each in left_out.items()], as_json=as_json)
        return
    if max_episode_steps is not None or step_info or no_step_infos:
        raise typer.BadParameter(
            f"{path} says itself what --max-episode-steps, --step-info and --no-step-infos say"
            if is_flat
            else "--max-episode-steps, --step-info and --no-step-infos are of flat HDF5 files; "
            f"this is layout {chosen.name}, with options as --option NAME=VALUE"
        )
    losses: list[Loss] = []
    made = import_dataset(
        path,
        name,
        chosen.name,
        env=env,
        data_format=data_format,
        losses=losses,
        **({} if chosen.read is None else parse_options(chosen.read, texts, chosen.name)),
        **{key: value for key, value in said.items() if value is not None},
    )
    _say_made(made, losses, as_json=as_json)


def export(
    source: Annotated[
        str,
        typer.Argument(metavar="ID", help="The dataset.", autocompletion=complete_local_ids),
    ],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file or folder to write.")],
    layout: Annotated[str, typer.Option("--as", metavar="LAYOUT", help="The layout.")],
    option: OptionOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset as files that another library reads.

    Layouts: bundle, d4rl, dsrl, isaaclab, lerobot, ogbench, parquet, rlds, robomimic. What the
    layout cannot carry is listed.
    """
    from minari.interchange.exchange import export_dataset
    from minari.interchange.layouts import find_layout
    from minari.interchange.options import parse_options

    chosen = find_layout(layout)
    if path.exists():
        confirm(f"Replace {path}", yes=yes)
    texts = _split_options(option)
    options = {} if chosen.write is None else parse_options(chosen.write, texts, layout)
    losses = export_dataset(
        minari_core.load_dataset(source), path, layout, overwrite=path.exists(), **options
    )
    if as_json:
        write_json({"path": str(path), "losses": _list_losses(losses)})
        return
    say(f"{path} is written")
    _say_losses(losses)


def _split_options(given: list[str] | None) -> list[tuple[str, str]]:
    texts = []
    for text in given or []:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--option")
        texts.append((name, value))
    return texts


def _say_made(dataset: MinariDataset, losses: list[Loss], *, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "id": dataset.id,
                "total_episodes": dataset.total_episodes,
                "total_steps": dataset.total_steps,
                "losses": _list_losses(losses),
            }
        )
        return
    episodes = format_count(dataset.total_episodes, "episode")
    say(f"{dataset.id} is made: {episodes}, {dataset.spec.data_format}")
    _say_losses(losses)


def _list_losses(losses: list[Loss]) -> list[dict[str, str]]:
    return [{"what": loss.what, "reason": loss.reason} for loss in losses]


def _say_losses(losses: list[Loss]) -> None:
    for loss in losses:
        say(f"left out: {to_one_line(loss.what)}: {to_one_line(loss.reason)}")
