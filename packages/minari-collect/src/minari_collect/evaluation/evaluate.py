"""`evaluate`: run a policy for whole episodes, and score it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_collect.collectors.single import DataCollectorV0
from minari_collect.evaluation.episodes import Actor, BatchActor, Lane, SingleActor, run_episodes
from minari_collect.evaluation.result import Evaluation
from minari_collect.runs.arguments import make_recipe
from minari_collect.workers.environment import make_env
from minari_collect.workers.messages import EnvLike, Recipe, derive_seeds
from minari_collect.workers.policies import Policy
from minari_core import DatasetDetails, MinariDataset, get_normalized_score
from minari_core.arguments import check_count, check_count_or_none
from minari_core.datasets.card import DatasetCard, warn_without_spec
from minari_core.datasets.details import list_details
from minari_core.errors import DataError, MetadataError, MinariError, RecordingError
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.formats.registry import DEFAULT_FORMAT
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.messages import format_value
from minari_core.storage.base import Storage

_LARGEST_SEED = 2**63 - 1


@list_details
def evaluate(
    policy: Policy | None,
    env: MinariDataset | gymnasium.Env[Any, Any] | EnvLike,
    episodes: int | None = None,
    *,
    seeds: int | Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    num_envs: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    reset_options: Mapping[str, Any] | None = None,
    dataset_name: str | None = None,
    record_infos: bool = False,
    **details: Unpack[DatasetDetails],
) -> Evaluation:
    """Run a policy for whole episodes, and return their returns, lengths and scores.

    Each episode has a seed of its own, and is counted however long it takes. So for an environment
    and a policy that depend on their seeds alone, the results are the same for any number of
    environments.

    Args:
        policy: Takes an observation and returns an action, as for `collect_dataset`; None samples
            actions uniformly. With ``num_envs`` above 1 it takes batches of observations and
            returns batches of actions, and may take ``mask`` and ``seeds`` as there.
        env: A dataset, whose environment for evaluation is made, or the one that its data comes
            from if it names none, by `MinariDataset.recover_environment`: no code or file that
            only the dataset names is run or opened. Or an environment, which is not closed; its id
            or spec; or a function without arguments that makes one.
        episodes: How many episodes to run; may be left out where ``seeds`` has one for each.
        seeds: What the environment is reset with for each episode; or one whole number, of which
            these are derived as `collect_dataset` derives them of its ``seed``; at random if None.
            The seed of the policy in an episode is derived of that of the environment, so that
            ``seeds=evaluation.seeds`` repeats an evaluation.
        num_envs: How many environments to step together, in this process; not more than there
            are episodes are made.
        env_kwargs: Arguments for making the environment; for a dataset, those of
            `MinariDataset.recover_environment`, such as ``{"trust_entry_point": True}``.
        reset_options: Options of each reset.
        dataset_name: Also keep the episodes, in the order of their seeds, as a new dataset of this
            id, ``(namespace/…)name-vN``.
        record_infos: Whether to keep the infos in it, too.
        **details: What is said about that dataset, as keywords; see `DatasetDetails`.

    Returns:
        What was found, episode by episode, with means and standard errors.

    Raises:
        DataError: An argument is not what it should be, and nothing was run. Or a reward is no
            number.
        DatasetIdError: The id of the new dataset is malformed; nothing was run.
        DatasetExistsError: It is taken; nothing was run.
        EnvironmentNotRecoverableError: The dataset names no environment, or none that is
            registered here; nothing was run.
        UntrustedEnvironmentError: Making the dataset's environment would run code or open files
            which only the dataset names; nothing was run.
        RecordingError: The environment cannot be made here; nothing was run.
        DatasetWriteError: The file system refused to keep the episodes.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.

    Example:
        >>> evaluation = evaluate(lambda obs: int(obs[2] > 0), "CartPole-v1", 5, seeds=1)
        >>> bool((evaluation.returns == evaluation.lengths).all()), len(evaluation.seeds)
        (True, 5)
    """
    card = DatasetCard(**details)
    if details and dataset_name is None:
        names = ", ".join(details)
        raise DataError(f"{names} describe a dataset that is kept; give its dataset_name, too")
    new_id = None if dataset_name is None else choose_id(dataset_name, None)
    if new_id is not None:
        check_id_is_free(new_id)
    recipe = make_recipe(
        _find_maker(env),
        policy,
        num_envs=num_envs,
        env_kwargs=env_kwargs,
        reset_options=reset_options,
        max_episode_steps=None,
        episode_timeout=None,
        remote=None,
        collector={
            "step_data_callback": StepDataCallback,
            "episode_metadata_callback": EpisodeMetadataCallback,
            "record_infos": record_infos,
            "max_buffer_steps": None,
        },
    )
    is_made = isinstance(env, gymnasium.Env)
    if is_made and (recipe.num_envs > 1 or recipe.env_kwargs):
        raise DataError(
            "env is one environment that is made already, which num_envs above 1 and env_kwargs "
            "cannot change; give its id, its spec, or a function that makes one"
        )
    chosen = _choose_seeds(seeds, episodes)
    blocks = np.array_split(np.asarray(chosen, np.int64), min(recipe.num_envs, len(chosen)))
    with contextlib.ExitStack() as stack:
        envs: list[gymnasium.Env[Any, Any]] = []
        for _ in blocks:
            envs.append(_make_env(recipe))
            if not is_made:
                stack.callback(envs[-1].close)
        collectors: list[DataCollectorV0] = []
        if new_id is not None:
            for each in envs:
                collectors.append(DataCollectorV0(each, **recipe.collector))
                stack.callback(collectors[-1].discard)
        lanes = [
            Lane(each, block.tolist(), recipe.reset_options)
            for each, block in zip(collectors or envs, blocks, strict=True)
        ]
        actor: Actor = SingleActor(policy, envs[0].action_space)
        if recipe.num_envs > 1:
            actor = BatchActor(policy, envs[0], len(envs))
        run_episodes(lanes, actor)
        kept = None if new_id is None else _keep_episodes(new_id, card, collectors)
    returns = np.asarray([total for lane in lanes for total in lane.returns], np.float64)
    return Evaluation(
        returns=returns,
        lengths=np.asarray([length for lane in lanes for length in lane.lengths], np.int64),
        seeds=np.asarray(chosen, np.int64),
        normalized_scores=_normalize(env, returns),
        dataset=kept,
    )


def _find_maker(env: object) -> EnvLike:
    """Return what makes the environment, or gives it if it is made already.

    Raises:
        DataError: It is nothing that an environment can be made of.
    """
    if isinstance(env, MinariDataset):
        return partial(env.recover_environment, eval_env=True)
    if isinstance(env, gymnasium.Env):
        return lambda **_: env
    if isinstance(env, str | EnvSpec) or callable(env):
        return env
    raise DataError(
        f"env is {format_value(env)}; give a dataset, an environment, its id or spec, or a "
        "function that makes one"
    )


def _make_env(recipe: Recipe) -> gymnasium.Env[Any, Any]:
    try:
        made: gymnasium.Env[Any, Any] = make_env(replace(recipe, num_envs=1))
    except MinariError:
        raise
    except Exception as error:  # an environment raises whatever it likes
        raise RecordingError(
            f"the environment cannot be made: {type(error).__name__}: {error}; nothing was run"
        ) from error
    return made


def _choose_seeds(seeds: object, episodes: int | None) -> list[int]:
    """Return the seed of each episode.

    Raises:
        DataError: The seeds are none, or not as many as there are episodes.
    """
    count = check_count_or_none("episodes", episodes)
    if isinstance(seeds, Sequence | np.ndarray) and not isinstance(seeds, str):
        chosen = [check_count(f"seeds[{i}]", seed, 0) for i, seed in enumerate(seeds)]
        if not chosen or max(chosen) > _LARGEST_SEED:
            raise DataError("seeds has none, or one above 2⁶³ - 1; give at least one below that")
        if count not in (None, len(chosen)):
            raise DataError(f"there are {len(chosen)} seeds for {count} episodes; leave one out")
        return chosen
    if count is None:
        raise DataError("give episodes, how many to run, or seeds, one for each of them")
    origin = check_count_or_none("seeds", seeds, 0)
    if origin is None:
        origin = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return [derive_seeds(origin, episode)[0] for episode in range(count)]


def _keep_episodes(
    dataset_id: str, card: DatasetCard, collectors: Sequence[DataCollectorV0]
) -> MinariDataset:
    """Create one dataset of what all collectors have recorded, in their order."""
    recorded = [collector.finished_episodes() for collector in collectors]
    spec = collectors[0].recorded_spec
    warn_without_spec(spec)

    def fill(new: Storage) -> None:
        if isinstance(new, ShardFolder):
            new.allow_widening()
        for storage in recorded:
            new.append_storage(storage)

    metadata = card.metadata(spec, recorded[0].observation_space, recorded[0].action_space)
    return MinariDataset(publish(dataset_id, metadata, DEFAULT_FORMAT, fill))


def _normalize(env: object, returns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    if not isinstance(env, MinariDataset):
        return None
    try:
        return get_normalized_score(env, returns)
    except MetadataError:  # there are no reference scores, or they are equal
        return None
