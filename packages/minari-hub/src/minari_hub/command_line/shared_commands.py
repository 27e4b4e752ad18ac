"""The commands that ``minari`` and ``minari-hub`` share: list, download, upload, verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import minari_core
from minari_core.errors import DatasetIdError, FormatError, MinariError, MissingDependencyError
from minari_core.local.dataset_id import is_url
from minari_hub.command_line.exit_codes import ExitCode, Outcomes, say_how_to_go_on
from minari_hub.command_line.options import (
    JsonOption,
    RemoteOption,
    TokenOption,
    YesOption,
    complete_local_ids,
    refuse_two_remotes,
)
from minari_hub.command_line.terminal import (
    confirm,
    format_amount,
    format_count,
    format_size,
    make_output_console,
    say,
    show_byte_progress,
    to_one_line,
    write_json,
)
from minari_hub.command_line.upload import DrawPreview, make_upload_command
from minari_hub.command_line.wording import translate_advice

if TYPE_CHECKING:
    from minari_core import VerificationReport
    from minari_core.json_values import JsonValue

LOCAL, REMOTE = "local", "remote"


def make_shared_commands(
    *, default_place: str, draw_preview: DrawPreview | None = None
) -> dict[str, Callable[..., None]]:
    """Make the commands, by their names.

    Args:
        default_place: What ``list`` lists by default, `LOCAL` or `REMOTE`.
        draw_preview: Draws a picture of a local dataset into a folder, if it can, for the cards
            of datasets that are uploaded without one.
    """

    def list_datasets(
        context: typer.Context,
        place: Annotated[
            str,
            typer.Argument(
                metavar="PLACE",
                help="local, remote, or the URL of a remote, as gs://bucket; with --remote, that.",
            ),
        ] = default_place,
        prefix: Annotated[
            str | None,
            typer.Option(
                "--prefix", "-p", help="Only ids that begin with this text.", metavar="TEXT"
            ),
        ] = None,
        latest: Annotated[
            bool, typer.Option("--latest", help="Only the highest version of each dataset.")
        ] = False,
        compatible: Annotated[
            bool, typer.Option("--compatible", help="Only what this installation can read.")
        ] = False,
        everything: Annotated[
            bool,
            typer.Option("--all", "-a", help="All versions, as without --latest and --compatible."),
        ] = False,
        remote: RemoteOption = None,
        token: TokenOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """List local or remote datasets.

        Of several remotes the first that has an id counts, and the table says which that is.
        """
        from minari_core.local.locations import datasets_root

        if everything and (latest or compatible):
            raise typer.BadParameter(
                "--all does not go with --latest or --compatible", param_hint="--all"
            )
        source = context.get_parameter_source("place")
        if remote and source is not None and source.name == "DEFAULT":
            place = REMOTE
        if remote and place != REMOTE:
            raise typer.BadParameter(f"--remote goes with {REMOTE} alone", param_hint="--remote")
        sizes: dict[str, int] = {}
        remotes: dict[str, str] = {}
        if place == LOCAL:
            datasets = minari_core.list_local_datasets(
                latest_version=latest, compatible_minari_version=compatible, prefix=prefix
            )
            where = str(datasets_root())
            if not as_json:
                sizes = {dataset_id: measure_local_size(dataset_id) for dataset_id in datasets}
        elif place == REMOTE or is_url(place):
            from minari_hub.datasets.listing import list_remote_datasets
            from minari_hub.remotes.setting import RemoteSetting

            path = remote if place == REMOTE else [place]
            datasets = list_remote_datasets(
                remote_path=path,
                prefix=prefix,
                latest_version=latest,
                compatible_minari_version=compatible,
                token=token,
            )
            setting = RemoteSetting.parse(path, token)
            where = str(setting)
            if len(setting.urls) > 1:
                remotes = {name: str(each["remote_path"]) for name, each in datasets.items()}
        else:
            raise typer.BadParameter(
                f"{to_one_line(place)!r} is neither {LOCAL}, {REMOTE}, nor a URL such as gs://bucket",
                param_hint="PLACE",
            )
        show_datasets(datasets, sizes, remotes, where, as_json=as_json)

    return {
        "list": list_datasets,
        "download": download,
        "upload": make_upload_command(draw_preview),
        "verify": verify,
    }


def show_datasets(
    datasets: Mapping[str, Mapping[str, JsonValue]],
    sizes: Mapping[str, int],
    remotes: Mapping[str, str],
    where: str,
    *,
    as_json: bool,
) -> None:
    """Print a list of datasets.

    Args:
        datasets: The metadata of each dataset by its id.
        sizes: The bytes of each dataset of which they are known.
        remotes: The remote of each dataset, where there are several.
        where: Where they are.
        as_json: Write all metadata as JSON, for a script.
    """
    if as_json:
        write_json(datasets)
    elif not datasets:
        say(f"no dataset in {where}")
    else:
        from minari_hub.command_line.dataset_table import print_datasets

        print_datasets(datasets, sizes, remotes, make_output_console())
        counts = Counter(remotes.values()) or {where: len(datasets)}
        found = [f"{format_count(count, 'dataset')} in {url}" for url, count in counts.items()]
        say(", ".join(found), style="dim")


def download(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="ID", help="Ids, or URLs of datasets, as gs://bucket/D4RL/door/human-v2."
        ),
    ],
    remote: RemoteOption = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace local datasets of the same ids.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    yes: YesOption = False,
    token: TokenOption = None,
) -> None:
    """Download datasets from a remote.

    An interrupted download resumes where it was; every file is checked. A copy that is here is left
    as it is, and another local dataset of the id is an error.
    """
    from minari_core.local.locations import datasets_root
    from minari_hub.datasets.download import download_copy

    refuse_two_remotes(names, remote)
    replaced = [name for name in names if _is_taken(name, token)] if force else []
    if replaced:
        confirm(f"replace {', '.join(replaced)} in {datasets_root()}", yes=yes)
    outcomes = Outcomes()
    for name in names:
        with outcomes.attempt(), say_how_to_go_on():
            is_new = download_copy(
                name, replaces=force, remote_path=remote, token=token, progress=not quiet
            )
            if is_new:
                say(f"Dataset {name} downloaded to {datasets_root()}")
            else:
                say(f"Dataset {name} is in {datasets_root()} already; --force downloads it again")
    outcomes.exit_if_any_failed()


def verify(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="ID",
            help="Ids of local datasets; URLs of remote ones, as gs://bucket/D4RL/door/human-v2.",
            autocompletion=complete_local_ids,
        ),
    ],
    remote: RemoteOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that local or remote datasets are sound.

    Sizes, checksums, arrays and counts are compared, and every problem is printed. The exit code
    is 1 if there is any. Of a remote dataset every object is fetched, and nothing is kept.
    """
    from minari_hub.datasets.verifying import verify_remote_dataset

    refuse_two_remotes(names, remote)
    reports: list[VerificationReport] = []
    outcomes = Outcomes()
    for name in names:
        with outcomes.attempt():
            is_remote = is_url(name) or bool(remote)
            try:
                with show_byte_progress(name) as progress:
                    if is_remote:
                        report = verify_remote_dataset(
                            name, remote_path=remote, token=token, progress=progress
                        )
                    else:
                        report = minari_core.verify_dataset(name, progress=progress)
            except (FormatError, MissingDependencyError) as error:
                reports.append(_report_unreadable(name, is_remote, error))
                raise
            reports.append(report)
            if not as_json:
                print_report(report, name)
            if not report.ok:
                outcomes.note(ExitCode.FAILED)
    if as_json:
        write_json([report.to_json() for report in reports])
    outcomes.exit_if_any_failed()


def _report_unreadable(name: str, is_remote: bool, error: MinariError) -> VerificationReport:
    """Report a dataset that nothing here can read."""
    from minari_core.files import MANIFEST_NAME
    from minari_core.local.locations import DATA_FOLDER, dataset_folder

    return minari_core.VerificationReport(
        dataset_id=name,
        data_path=name if is_remote else str(dataset_folder(name) / DATA_FOLDER),
        data_format="",
        files=0,
        total_episodes=0,
        total_steps=0,
        nbytes=0,
        problems=(minari_core.VerificationProblem(MANIFEST_NAME, str(error)),),
        remarks=(),
    )


def print_report(report: VerificationReport, name: str) -> None:
    """Print what a verification found: problems to stdout, remarks to stderr.

    Args:
        report: What was found.
        name: The dataset as the user named it.
    """
    console = make_output_console()
    name = to_one_line(name)
    for problem in report.problems:
        console.print(f"{name}: {to_one_line(translate_advice(problem))}", soft_wrap=True)
    if report.ok:
        console.print(
            f"{name}: ok ({format_amount(report.total_episodes, report.total_steps)}, "
            f"{format_count(report.files, 'file')}, {format_size(report.nbytes)})",
            soft_wrap=True,
            style="green",
        )
    else:
        found = format_count(len(report.problems), "problem")
        console.print(f"{name}: {found}", soft_wrap=True, style="bold red")
    for remark in report.remarks:
        say(f"{name}: {translate_advice(remark)}", style="yellow")


def _is_taken(name: str, token: str | None) -> bool:
    """Return whether the id that a download gives to a dataset is, or may be, a local one's."""
    from minari_core.local.replacing import holds_local_dataset
    from minari_hub.datasets.remote_dataset import locate
    from minari_hub.remotes.urls import parse_dataset_url

    with suppress(DatasetIdError):
        ids = [each.dataset_id for each in parse_dataset_url(name)] if is_url(name) else [name]
        here = [each for each in ids if holds_local_dataset(each)]
        with suppress(MinariError):
            return bool(here) and (not is_url(name) or locate(name, token).dataset_id in here)
        return True
    return False


def measure_local_size(dataset_id: str) -> int:
    """Return the bytes that a local dataset's files have."""
    from minari_core.local.locations import DATA_FOLDER, dataset_folder

    return measure_files(dataset_folder(dataset_id) / DATA_FOLDER)


def measure_files(folder: Path) -> int:
    """Return the bytes that the files in a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
