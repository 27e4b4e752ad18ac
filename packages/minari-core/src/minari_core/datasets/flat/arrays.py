"""Create a dataset of flat arrays in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_core.datasets.card import merge_metadata
from minari_core.datasets.creation import find_spaces, publish_episodes
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.details import DatasetDetails, check_details, list_details
from minari_core.datasets.flat.episodes import (
    FlatColumns,
    check_row_counts,
    find_episode_ends,
    split_episodes,
)
from minari_core.environments.env_specs import find_env_spec
from minari_core.environments.inferred_spaces import infer_space
from minari_core.errors import DataError
from minari_core.formats.registry import check_format
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free
from minari_core.messages import warn_caller
from minari_core.sampling.gathering.info_rows import D4RL_STEP_INFOS, STEP_INFOS, check_step_infos


@list_details
def create_dataset_from_arrays(
    dataset_name: str | None = None,
    *,
    observations: Any,
    actions: Any,
    rewards: npt.ArrayLike,
    terminals: npt.ArrayLike,
    timeouts: npt.ArrayLike | None = None,
    next_observations: Any = None,
    final_rows: bool = False,
    infos: Mapping[str, Any] | None = None,
    step_infos: Sequence[str] | None = None,
    max_episode_steps: int | None = None,
    dataset_id: str | None = None,
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    data_format: str | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset of flat arrays in which the steps of all episodes are concatenated.

    An episode ends with each terminal and each timeout, after ``max_episode_steps``, and with the
    data; where it is not terminated there, it is truncated. Without ``next_observations`` the
    final observation of an episode is not known: `EpisodeData.final_observation_known` is False,
    the episode has as many observations as steps, and samplers leave its last step out unless
    asked. A warning says so if some of these steps terminated their episodes.

    Args:
        dataset_name: The id of the new dataset.
        observations: N rows, the observations before the actions: an array, or for Dict and Tuple
            spaces a dict or tuple of arrays.
        actions: N rows, in the same way.
        rewards: Shape (N,).
        terminals: Shape (N,), whether the step terminated its episode.
        timeouts: Shape (N,), whether the step truncated its episode.
        next_observations: N rows, the observations after the actions.
        final_rows: Whether the last row of each episode holds its final observation and no step,
            so that its action and reward are passed over, as in OGBench's files.
        infos: Further columns of N rows; row ``i`` belongs to observation ``i``.
        step_infos: The infos whose row ``i`` belongs to observation ``i`` and action ``i``, such
            as a log-probability of the action, so that samplers give it with that step. If None,
            those that D4RL has: ``action_log_probs``, ``action_mean`` and ``action_log_std``; a
            warning says so.
        max_episode_steps: The number of steps after which an episode is truncated.
        dataset_id: Another name of ``dataset_name``.
        env: The environment that the data comes from.
        observation_space: The space of the observations; the environment's if None, and without
            an environment the widest that the dtype allows.
        action_space: The space of the actions; likewise, but whole numbers are choices.
        data_format: How to store the data; ``"columnar"`` if None.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DataError: The columns do not fit one another, or not the spaces.
        DatasetExistsError: The id is taken.
        DatasetWriteError: The file system refused. As with every error, nothing is left behind.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    check_details(details)
    ends, ended = find_episode_ends(terminals, timeouts, max_episode_steps)
    columns = FlatColumns(
        observations=_as_arrays(observations),
        actions=_as_arrays(actions),
        rewards=np.asarray(rewards),
        ends=ends,
        terminals=ended,
        next_observations=None if next_observations is None else _as_arrays(next_observations),
        infos={} if infos is None else _as_arrays(infos),
        final_rows=final_rows,
    )
    if final_rows and next_observations is not None:
        raise DataError(
            "next_observations say what the last row of an episode led to, and final_rows that it "
            "led to nothing; give one of them"
        )
    return create_dataset_from_columns(
        columns,
        dataset_name,
        dataset_id,
        env,
        observation_space,
        action_space,
        data_format,
        details,
        step_infos,
    )


def create_dataset_from_columns(
    columns: FlatColumns,
    dataset_name: str | None,
    dataset_id: str | None,
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None,
    observation_space: spaces.Space[Any] | None,
    action_space: spaces.Space[Any] | None,
    data_format: str | None,
    details: DatasetDetails,
    step_infos: Sequence[str] | None,
    said: Mapping[str, JsonValue] | None = None,
) -> MinariDataset:
    """Create a dataset of flat columns, of which metadata may say more than the keywords do.

    See `create_dataset_from_arrays`.
    """
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    check_row_counts(columns)
    ended = int(np.count_nonzero(columns.terminals))
    if columns.next_observations is None and ended and not columns.final_rows:
        warn_caller(
            f"nobody knows what the last action of an episode led to, because there are no next "
            f"observations: samplers leave {len(columns.ends)} last steps out, {ended} of which "
            "terminated their episodes, unless they are asked for"
        )
    if env is None:
        observation_space = observation_space or infer_space(columns.observations, discrete=False)
        action_space = action_space or infer_space(columns.actions, discrete=True)
    observations, actions = find_spaces(env, observation_space, action_space)
    marked = [*_choose_step_infos(columns.infos, step_infos), *columns.further]
    metadata = merge_metadata(said or {}, details, find_env_spec(env), observations, actions)
    if marked:
        metadata[STEP_INFOS] = list(marked)
    episodes = split_episodes(columns)
    return publish_episodes(new_id, metadata, chosen_format, episodes, observations, marked)


def _choose_step_infos(infos: Mapping[str, Any], given: Sequence[str] | None) -> Sequence[str]:
    """Return the infos that belong to steps: those that are given, or those of D4RL."""
    if given is None:
        known = [key for key in D4RL_STEP_INFOS if key in infos]
        if known:
            warn_caller(
                f"the infos {', '.join(known)} are taken for what D4RL means by these names, of "
                "the step and not of the observation that it led to; step_infos=() denies it"
            )
        return known
    return check_step_infos(given, infos)


def _as_arrays(column: Any) -> Any:
    if isinstance(column, Mapping):
        return {key: _as_arrays(leaf) for key, leaf in column.items()}
    if isinstance(column, tuple):
        return tuple(_as_arrays(leaf) for leaf in column)
    return np.asarray(column)
