"""``minari render``: an episode as a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import minari_core
from minari.command_line.trust import (
    SkipWrapperOption,
    TrustEntryPointOption,
    TrustPathsOption,
)
from minari_hub.command_line.exit_codes import ExitCode
from minari_hub.command_line.options import JsonOption, LocalDataset, YesOption
from minari_hub.command_line.terminal import (
    confirm,
    format_count,
    say,
    show_step_progress,
    write_json,
)


def render(
    name: LocalDataset,
    episode: Annotated[
        int, typer.Argument(metavar="EPISODE", min=0, help="The id of the episode.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write: .mp4, .webp or .gif."
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The column of images, such as observations/camera; or replay.",
            show_default=False,
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Frames a second; without it what the environment says, or else 30.",
            show_default=False,
        ),
    ] = None,
    yes: YesOption = False,
    trust_entry_point: TrustEntryPointOption = False,
    trust_paths: TrustPathsOption = False,
    skip_wrapper: SkipWrapperOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an episode as a video.

    From its image observations, or else from a replay in its environment, which is compared with
    the recorded observations at every step. Where they differ the video ends, and the exit code
    is 1.
    """
    from minari.rendering.rendering import render_episode

    dataset = minari_core.load_dataset(name)
    if output.exists():
        confirm(f"Replace {output}", yes=yes)
    with show_step_progress("frames") as progress:
        video = render_episode(
            dataset,
            episode,
            output,
            column=column,
            fps=fps,
            overwrite=output.exists(),
            trust_entry_point=trust_entry_point,
            trust_paths=trust_paths,
            skip_wrappers=skip_wrapper or (),
            progress=progress,
        )
    faithful = f"; {video.description}" if video.description and video.is_whole else ""
    say(
        f"wrote {output}: {format_count(video.frames, 'frame')} of {video.source}, "
        f"{video.fps:g} a second{faithful}"
    )
    if as_json:
        write_json(
            {
                "path": str(video.path),
                "frames": video.frames,
                "fps": video.fps,
                "source": video.source,
                "is_whole": video.is_whole,
                "description": video.description,
            }
        )
    if not video.is_whole:
        raise typer.Exit(ExitCode.FAILED)
