"""``minari collect``: record a dataset of a registered environment."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import minari_collect
from minari.command_line.datasets import DataFormatOption
from minari_hub.command_line.terminal import format_amount, format_count, say


def collect(
    env: Annotated[str, typer.Argument(metavar="ENV_ID", help="A registered environment.")],
    name: Annotated[str, typer.Argument(metavar="NEW_ID", help="The id of the new dataset.")],
    episodes: Annotated[int | None, typer.Option(min=1, help="Number of episodes.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Least number of steps.")] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:CALLABLE",
            help="The policy, which is imported and run, also from the current folder; without it, "
            "actions are random.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes; by default, one for each processor."),
    ] = None,
    num_envs: Annotated[
        int, typer.Option(min=1, help="Number of environments in each process.")
    ] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of everything random.")] = None,
    max_episode_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps after which episodes are truncated.")
    ] = None,
    episode_timeout: Annotated[
        float | None, typer.Option(help="Seconds after which an episode has failed.")
    ] = None,
    record_infos: Annotated[
        bool, typer.Option("--record-infos", help="Record the infos, too.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume a run of this name that was stopped.")
    ] = False,
    same: Annotated[
        list[str] | None,
        typer.Option(
            help="Resume although this looks different, because it makes no difference to the "
            "episodes: env or policy. Can be repeated.",
        ),
    ] = None,
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Leave out episodes that fail time and again.")
    ] = False,
    data_format: DataFormatOption = None,
    author: Annotated[list[str] | None, typer.Option(help="Who made the dataset.")] = None,
    algorithm_name: Annotated[str | None, typer.Option(help="The behaviour policy.")] = None,
    description: Annotated[str | None, typer.Option(help="What the dataset is.")] = None,
) -> None:
    """Collect episodes of an environment into a new dataset.

    With a seed, the dataset does not depend on the number of processes. Ctrl-C keeps what is
    complete, for --resume.
    """
    from minari_collect.workers.policies import load_policy

    if (episodes is None) == (steps is None):
        raise typer.BadParameter("give one of --episodes and --steps")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        made = minari_collect.collect_dataset(
            name,
            env,
            None if policy is None else load_policy(policy),
            total_episodes=episodes,
            total_steps=steps,
            workers=workers,
            num_envs=num_envs,
            seed=seed,
            max_episode_steps=max_episode_steps,
            episode_timeout=episode_timeout,
            record_infos=record_infos,
            resume=same or resume,
            skip_failed=skip_failed,
            data_format=data_format,
            author=author or None,
            algorithm_name=algorithm_name,
            description=description,
        )
    except KeyboardInterrupt:
        _say_what_is_kept(name)
        raise
    say(f"{made.id} is made: {format_amount(made.total_episodes, made.total_steps)}")


def _say_what_is_kept(name: str) -> None:
    """Say after Ctrl-C what is complete."""
    from minari_collect.runs.collect_dataset import default_work_dir
    from minari_collect.runs.folder import RunFolder

    outputs = RunFolder(default_work_dir(name)).list_outputs()
    if not outputs:
        say("stopped; no episodes were complete yet, and nothing is kept")
        return
    episodes = format_count(sum(output.stop - output.first for output in outputs), "episode")
    steps = format_count(sum(output.steps for output in outputs), "step")
    say(f"stopped; {episodes} with {steps} are kept: the same command with --resume goes on")
