"""Create a dataset of tables, such as `MinariDataset.to_arrow` gives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_core.datasets.card import merge_metadata
from minari_core.datasets.creation import find_spaces, publish_episodes
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.details import DatasetDetails, check_details, list_details
from minari_core.environments.env_specs import find_env_spec
from minari_core.errors import DataError
from minari_core.formats.registry import check_format
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free
from minari_core.messages import warn_caller

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    Table: TypeAlias = pa.Table | pd.DataFrame | pl.DataFrame | str | os.PathLike[str]


@list_details
def create_dataset_from_table(
    dataset_name: str | None = None,
    steps: Table | None = None,
    episodes: Table | None = None,
    *,
    dataset_id: str | None = None,
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    step_infos: Sequence[str] | None = None,
    data_format: str | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset of a table of steps, and if there is one of a table of episodes.

    The tables are those that `MinariDataset.to_arrow`, `to_pandas` and `to_polars` give, or any
    with such columns. The rows of an episode lie one after another, in the order of its steps.
    The final observation of an episode is that of the table of episodes, or the last
    ``next_observation``; else nobody knows it.

    Args:
        dataset_name: The id of the new dataset.
        steps: A `pyarrow.Table`, a data frame of pandas or polars, or the path of a Parquet file,
            which is read piece by piece. It has ``episode_id``, ``observation`` and ``action``
            (or ``observation.camera``, … of Dict spaces, ``observation.0``, … of vectors in
            pandas), ``reward`` and ``terminated``, and may have ``truncated``, ``step``,
            ``next_observation``, ``info.*`` and ``extra.*``. Without ``truncated``, an episode
            that is not terminated at its last row is truncated there.
        episodes: Such a table with ``episode_id``, and any of ``seed``, ``options``, ``metadata``,
            ``final_observation``, ``reset_info.*`` and ``reset_extra.*``.
        dataset_id: Another name of ``dataset_name``.
        env: The environment that the data comes from; what the table says if None.
        observation_space: The space of the observations; if None, what the table says, else the
            environment's, else the widest that the dtype allows.
        action_space: The space of the actions; likewise, but whole numbers are choices.
        step_infos: The infos whose row says something about the step, not about what it
            returned; see `create_dataset_from_buffers`. What the table says if None.
        data_format: How to store the data; ``"columnar"`` if None.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`. What the
            table says stays where nothing else is said.

    Returns:
        The new dataset.

    Raises:
        DataError: A column is missing, or the rows are no episodes; the message names episode and
            column. Nothing is left behind.
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no Parquet file.
        DatasetExistsError: The id is taken.
        MissingDependencyError: pyarrow, or for images Pillow, is not installed.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    from minari_core.tables.contents import read_contents

    check_details(details)
    new_id = choose_id(dataset_name, dataset_id)
    check_id_is_free(new_id)
    chosen_format = check_format(data_format)
    if steps is None:
        raise DataError("steps is not given; give a table of one row a step")
    if env is not None and (observation_space is None or action_space is None):
        observation_space, action_space = find_spaces(env, observation_space, action_space)
    found = read_contents(steps, episodes, observation_space, action_space, step_infos)
    if found.left_out:
        columns = ", ".join(map(repr, found.left_out))
        warn_caller(f"left out {columns}, which are no columns of steps or episodes")
    metadata = merge_metadata(
        found.metadata,
        details,
        find_env_spec(env),
        found.observation_space,
        found.action_space,
    )
    named = () if step_infos is None else step_infos
    return publish_episodes(
        new_id, metadata, chosen_format, found.episodes, found.observation_space, named
    )
