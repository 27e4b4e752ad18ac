"""``upload``, which ``minari`` and ``minari-hub`` have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from minari_core.errors import MinariError
from minari_core.local.dataset_id import is_url
from minari_hub.command_line.exit_codes import Outcomes, say_how_to_go_on
from minari_hub.command_line.options import (
    DateOption,
    LargestTableOption,
    LocalIds,
    NoTablesOption,
    RaiOption,
    RemoteOption,
    TokenOption,
    refuse_two_remotes,
)
from minari_hub.command_line.terminal import say, to_one_line

if TYPE_CHECKING:
    from minari_hub.bundle.publication import ResponsibleAI

DrawPreview: TypeAlias = Callable[[str, Path], Path | None]
"""Draws a picture of a local dataset, by its id, into a folder, and returns it if there is one."""


def make_upload_command(draw_preview: DrawPreview | None) -> Callable[..., None]:
    """Make the command ``upload``; see `make_shared_commands`."""

    def draw(name: str, remote: list[str] | None, token: str | None, folder: Path) -> Path | None:
        from minari_hub.datasets.remote_dataset import locate
        from minari_hub.remotes.setting import RemoteSetting

        if draw_preview is None:
            return None
        # What is wrong with a dataset or a remote, the upload says.
        with suppress(MinariError, OSError):
            urls = (name,) if is_url(name) else RemoteSetting.parse(remote, token).urls
            if all(url.startswith("hf://") for url in urls):
                is_id = not is_url(name)
                dataset_id = name if is_id else locate(name, token, local=True).dataset_id
                return draw_preview(dataset_id, folder)
        return None

    def upload(
        names: LocalIds,
        remote: RemoteOption = None,
        data_format: Annotated[
            str | None,
            typer.Option(
                "--data-format",
                metavar="FORMAT",
                help="The format to publish in, such as hdf5; the local dataset stays as it is.",
                show_default=False,
            ),
        ] = None,
        preview: Annotated[
            Path | None,
            typer.Option(
                "--preview",
                metavar="FILE",
                help="A picture of an episode for the page of one dataset on the Hugging Face Hub.",
                show_default=False,
            ),
        ] = None,
        date: DateOption = None,
        rai: RaiOption = None,
        largest_table: LargestTableOption = None,
        no_tables: NoTablesOption = False,
        quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
        token: TokenOption = None,
        key_path: Annotated[
            str | None,
            typer.Option(
                "--key-path", metavar="TOKEN", help="Another name of --token.", show_default=False
            ),
        ] = None,
    ) -> None:
        """Upload local datasets to a remote.

        Nothing on the remote is ever replaced, and nobody sees half a dataset.
        """
        from minari_core.formats.registry import list_formats
        from minari_hub.datasets.uploading.upload import upload_dataset
        from minari_hub.remotes.setting import RemoteSetting

        refuse_two_remotes(names, remote)
        if token is not None and key_path is not None:
            raise typer.BadParameter("--token says the same; give one", param_hint="--key-path")
        if data_format is not None and data_format not in list_formats():
            raise typer.BadParameter(
                f"{to_one_line(data_format)!r} is not one of {', '.join(list_formats())}",
                param_hint="--data-format",
            )
        if preview is not None and len(names) > 1:
            raise typer.BadParameter(
                "a picture is of one dataset; upload that one by itself", param_hint="--preview"
            )
        if largest_table is not None and no_tables:
            raise typer.BadParameter("--no-tables writes none", param_hint="--largest-table")
        answers = _parse_answers(rai)
        largest = _parse_size(largest_table)
        outcomes = Outcomes()
        for name in names:
            with outcomes.attempt(), say_how_to_go_on():
                with TemporaryDirectory() as folder:
                    upload_dataset(
                        name,
                        remote_path=remote,
                        token=token or key_path,
                        data_format=data_format,
                        progress=not quiet,
                        preview=preview or draw(name, remote, token or key_path, Path(folder)),
                        date_published=date and date.date(),
                        rai=answers,
                        tables=not no_tables,
                        largest_table_nbytes=largest,
                    )
                say(
                    f"{name} is there"
                    if is_url(name)
                    else f"{name} is on {RemoteSetting.parse(remote, token)}"
                )
        outcomes.exit_if_any_failed()

    return upload


def _parse_answers(given: list[str] | None) -> ResponsibleAI:
    from minari_hub.bundle.publication import gather_answers

    for text in given or []:
        if not text.partition("=")[0] or "=" not in text:
            raise typer.BadParameter(f"{to_one_line(text)!r} is not NAME=TEXT", param_hint="--rai")
    return gather_answers((name, text) for name, _, text in (t.partition("=") for t in given or []))


def _parse_size(text: str | None) -> int:
    from minari_core.arguments import parse_size
    from minari_hub.bundle.tables import LARGEST_STEPS_NBYTES

    nbytes = LARGEST_STEPS_NBYTES if text is None else parse_size(text)
    if nbytes is None:
        raise typer.BadParameter(
            f"{to_one_line(text)!r} is no size such as 200MB", param_hint="--largest-table"
        )
    return nbytes
