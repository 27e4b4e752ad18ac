"""`collect_dataset`: one dataset of the episodes that many workers collect."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Unpack

from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.executors.processes import check_main_is_guarded
from minari_collect.runs.arguments import (
    check_environment,
    check_progress,
    check_resume,
    check_work_dir,
    count_workers,
    make_recipe,
    make_schedule,
)
from minari_collect.runs.coordinator import CollectRun
from minari_collect.runs.folder import RUN_PREFIX, RunFolder
from minari_collect.runs.identity import identify_recipe
from minari_collect.runs.outputs import check_failures, publish_outputs, select_outputs
from minari_collect.runs.progress import ProgressCallback, ProgressMeter
from minari_collect.workers.messages import EnvLike, OpenRemote, Transport
from minari_collect.workers.pickling import pickle_recipe
from minari_collect.workers.policies import Policy
from minari_core import DatasetDetails, MinariDataset
from minari_core.arguments import check_count_or_none
from minari_core.datasets.card import DatasetCard
from minari_core.datasets.details import list_details
from minari_core.errors import DataError
from minari_core.formats.registry import DEFAULT_FORMAT, check_format
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.locations import staging_root
from minari_core.local.publishing import check_id_is_free, check_public_listing


@list_details
def collect_dataset(
    dataset_name: str | None = None,
    env: EnvLike | None = None,
    policy: Policy | None = None,
    *,
    dataset_id: str | None = None,
    total_episodes: int | None = None,
    total_steps: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    seed: int | None = None,
    resume: bool | Collection[str] = False,
    num_envs: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    reset_options: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    episode_timeout: float | None = None,
    max_attempts: int = 3,
    skip_failed: bool = False,
    episodes_per_task: int | None = None,
    work_dir: str | os.PathLike[str] | None = None,
    work_dir_is_shared: bool = True,
    remote: OpenRemote | None = None,
    progress: ProgressCallback | bool | None = None,
    step_data_callback: type[StepDataCallback] | StepDataCallback = StepDataCallback,
    episode_metadata_callback: (
        type[EpisodeMetadataCallback] | EpisodeMetadataCallback
    ) = EpisodeMetadataCallback,
    record_infos: bool = False,
    max_buffer_steps: int | None = None,
    data_format: str | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Collect episodes with many workers, and make one dataset of them.

    Episode k is reset with a seed that is derived from ``seed`` and k alone, and the dataset has
    the episodes in the order of k. So for an environment and a policy that depend on their seeds
    alone, the data does not depend on how many workers there are, how fast they are, and which
    of them fail. The shards that the workers write are linked into the dataset, not copied.

    Args:
        dataset_name: The id of the new dataset, ``(namespace/…)name-vN``.
        env: An environment's id or spec, or a function without arguments that makes one. Unless
            there is an ``executor``, one is made here first, and closed, to check its spaces.
        policy: Takes an observation and returns an action; None samples actions uniformly from
            the action space. With a second argument it has a state: it gets None first, and then
            what it returned last beside the action. Its method ``reset``, if there is one, is
            called before each episode, with a seed of the episode if it takes ``seed``.
        dataset_id: Another name of ``dataset_name``.
        total_episodes: How many episodes to collect.
        total_steps: How many steps to collect at least; whole episodes are kept, and the first
            ones that have that many steps together make the dataset.
        workers: The number of workers; one for each processor if None.
        executor: Runs them: anything with the interface of `concurrent.futures.Executor`,
            such as Dask's ``Client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor`` or
            `minari_collect.ray.RayExecutor`; processes of this machine if None.
        seed: The seed from which all others are derived; chosen at random if None.
        resume: Resume an earlier run of this name that did not finish, if there is one. What its
            episodes depend on must be the same: ``env``, ``policy``, ``num_envs``, the callbacks
            and the like, by their names and by a digest of their code and of what they hold.
            Arguments that look different and are the same for the episodes can be named, as in
            ``resume=["policy"]``.
        num_envs: How many environments each worker steps together; with more than one, the policy
            gets batches of observations and returns batches of actions. It, its ``reset``, or
            both take ``mask``, bool of shape (num_envs,), which says whose episodes begin, and
            ``seeds``, int64 of the same shape; a ``reset`` must take the mask, and so must a
            policy that gets a state.
        env_kwargs: Arguments for making the environment.
        reset_options: Options of each reset.
        max_episode_steps: The number of steps after which an episode is truncated.
        episode_timeout: The number of seconds after which an episode counts as failed.
        max_attempts: How often an episode is attempted until it counts as failed for good.
        skip_failed: Make the dataset without the episodes that failed for good, with a warning,
            instead of raising an error.
        episodes_per_task: The number of episodes that a worker collects at a time; chosen from
            the number of workers if None.
        work_dir: Where the shards wait; a hidden folder under the datasets' root if None. On
            another file system than the root they are copied at the end. What else is in the
            folder stays there.
        work_dir_is_shared: Whether the workers see the same ``work_dir``. If not, each writes to
            its own folder of that name, or its temporary folder, and the shards travel with the
            results.
        remote: Opens a remote through which the shards travel instead, such as
            ``functools.partial(minari.open_remote, "gs://bucket/folder")``; what went through
            it stays there.
        progress: Called with a `CollectProgress` whenever a task is done; None shows a line
            on a terminal, True shows it anywhere, False nowhere.
        step_data_callback: As in `DataCollectorV0`.
        episode_metadata_callback: As in `DataCollectorV0`.
        record_infos: As in `DataCollectorV0`.
        max_buffer_steps: As in `DataCollectorV0`.
        data_format: How the dataset is stored; ``"columnar"`` if None.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DatasetIdError: The id is malformed, or given twice, or none for the data format.
        DatasetExistsError: The id is taken, or an earlier run has left something that is not to
            be resumed.
        DatasetBusyError: A run of this name is going on.
        DataError: An argument is not what it should be, and nothing was begun; or the arguments
            do not say how much to collect. Or tasks gave dtypes that no column holds together;
            the message says where all that is collected lies, and how to get at it.
        SpaceError: A space of the environment cannot be stored, or not in the data format; nothing
            was begun, unless only the workers can make the environment.
        MissingDependencyError: Only cloudpickle can send an argument to workers; nothing was begun.
        RecordingError: The environment cannot be made here, and nothing was begun. Or the run to
            be resumed was another one; the message has the difference. Or the script
            begins anew in the processes, for want of ``if __name__ == "__main__":``. Or episodes
            failed for good; the message has their seeds and tracebacks. As
            after every error and after Ctrl-C, everything that is complete waits for
            ``resume=True``.
        DatasetWriteError: The file system refused.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    check_main_is_guarded()
    may_resume, same = check_resume(resume)
    given_dir = check_work_dir(work_dir)
    card = DatasetCard(**details)
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    if chosen_format != DEFAULT_FORMAT:
        check_public_listing(new_id, chosen_format)
    recipe = make_recipe(
        env,
        policy,
        num_envs=num_envs,
        env_kwargs=env_kwargs,
        reset_options=reset_options,
        max_episode_steps=max_episode_steps,
        episode_timeout=episode_timeout,
        remote=remote,
        collector={
            "step_data_callback": step_data_callback,
            "episode_metadata_callback": episode_metadata_callback,
            "record_infos": record_infos,
            "max_buffer_steps": max_buffer_steps,
        },
    )
    count = count_workers(workers, executor)
    schedule = make_schedule(
        total_episodes,
        total_steps,
        workers=count,
        max_attempts=max_attempts,
        num_envs=recipe.num_envs,
        episodes_per_task=episodes_per_task,
    )
    meter = ProgressMeter(check_progress(progress), schedule.total_episodes, schedule.total_steps)
    # A run that resumes this one must have these in common with it.
    arguments: dict[str, JsonValue] = {
        "dataset_id": new_id,
        "seed": check_count_or_none("seed", seed, 0),
        **identify_recipe(recipe, may_import=executor is None),
    }
    if executor is None:
        # What other machines have installed cannot be told from here.
        check_environment(recipe, chosen_format)
    pickled = pickle_recipe(recipe)
    transport: Transport = "folder" if work_dir_is_shared else "result"
    if remote is not None:
        transport = "remote"
    folder = RunFolder(default_work_dir(new_id) if given_dir is None else given_dir)
    # Processes of this machine see the folder anyway; others get their system's temporary one.
    is_elsewhere = transport != "folder" and work_dir is None and executor is not None
    work_folder = "" if is_elsewhere else str(folder.path)
    with folder.hold(arguments, resume=may_resume, same=same) as agreed:
        run_seed = agreed["seed"]
        if not isinstance(run_seed, int):
            run_seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> 1)
            folder.write_arguments({**agreed, "seed": run_seed})
        known = folder.list_outputs()
        schedule.start_from(known)
        run = CollectRun(
            recipe,
            pickled,
            run_seed,
            folder,
            schedule,
            meter,
            transport,
            work_folder,
            chosen_format,
        )
        run.check_outputs(known)
        run.drive(executor, count)
        check_failures(schedule, folder, skip_failed=skip_failed)
        outputs = select_outputs(schedule, folder)
        if not outputs:
            raise DataError(f"nothing was collected for dataset {new_id!r}")
        dataset = publish_outputs(new_id, card, chosen_format, folder, outputs)
    folder.remove()
    return dataset


def default_work_dir(dataset_id: str) -> Path:
    """Return where the outputs of a run of this name wait, unless another folder is given."""
    # No id has a percent sign, so that two ids never share a folder.
    return staging_root() / f"{RUN_PREFIX}{dataset_id.replace('/', '%')}"
