"""What a table of steps, and one of episodes, say: episodes, spaces, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.space_json import space_from_json
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.sampling.gathering.info_rows import (
    STEP_INFOS,
    check_step_infos,
    read_step_infos,
)
from minari_core.tables.assembling import iterate_episodes
from minari_core.tables.source import EPISODE_COLUMNS, STEP_COLUMNS, TableSource, open_table
from minari_core.tables.structure import nest_by_names


@dataclass(frozen=True, slots=True)
class TableContents:
    """What was read of tables."""

    episodes: Iterator[EpisodeBuffer]
    """The episodes, which are read while they are taken."""
    observation_space: spaces.Space[Any]
    """The space of the observations."""
    action_space: spaces.Space[Any]
    """The space of the actions."""
    metadata: Mapping[str, JsonValue]
    """What the table of steps says of the dataset that it was made of."""
    left_out: Sequence[str]
    """The names of columns of which a dataset has none."""


def read_contents(
    steps: Any,
    episodes: Any = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    step_infos: Sequence[str] | None = None,
) -> TableContents:
    """Read tables, as `create_dataset_from_table` describes them.

    Args:
        steps: The table of steps.
        episodes: The table of episodes, if there is one.
        observation_space: The space of the observations; if None, what the table says, else the
            widest that the dtype allows.
        action_space: The space of the actions; likewise, but whole numbers are choices.
        step_infos: The infos that belong to steps; what the table says if None.

    Raises:
        DataError: A column is missing, or the rows are no episodes, when they are taken.
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no Parquet file.
    """
    source = open_table(steps, STEP_COLUMNS)
    known = None if episodes is None else open_table(episodes, EPISODE_COLUMNS)
    metadata = dict(source.description)
    if step_infos is not None:
        metadata[STEP_INFOS] = list(check_step_infos(step_infos))
    observations = observation_space or _read_space(metadata, "observation_space")
    actions = action_space or _read_space(metadata, "action_space")
    observations = observations or _infer_space(source, "observation")
    actions = actions or _infer_space(source, "action")
    found = iterate_episodes(
        source.iterate_columns(),
        None if known is None else known.read_columns(),
        observations,
        actions,
        read_step_infos(metadata),
    )
    left_out = [*source.others, *(() if known is None else known.others)]
    return TableContents(found, observations, actions, metadata, left_out)


def _read_space(said: Mapping[str, JsonValue], name: str) -> spaces.Space[Any] | None:
    text = said.get(name)
    return space_from_json(text, name) if isinstance(text, str) else None


def _infer_space(source: TableSource, name: str) -> spaces.Space[Any]:
    column = nest_by_names(source.read_columns(name), name)
    if column is None:
        raise DataError(f"the table has no column {name!r}")
    return infer_space(_as_arrays(column, name), discrete=name == "action")


def _as_arrays(column: Any, name: str) -> Any:
    if isinstance(column, dict):
        return {key: _as_arrays(part, f"{name}.{key}") for key, part in column.items()}
    if not isinstance(column, np.ndarray):
        raise DataError(f"column {name!r} is no column of numbers; give {name}_space")
    return column
