"""HDF5 files of robomimic: ``data/demo_0/obs/…``, ``next_obs/…``, ``actions``, ``dones``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from minari.interchange.demonstrations.environment import describe_environment
from minari.interchange.demonstrations.groups import (
    File,
    Group,
    GroupReader,
    list_numbered,
    look_into,
)
from minari.interchange.demonstrations.names import name_arrays
from minari.interchange.demonstrations.reading import DemonstrationFile, read_demonstrations
from minari.interchange.demonstrations.sidecar import GROUP
from minari.interchange.demonstrations.trajectory import (
    Trajectory,
    check_count,
    count_rows,
    describe_attributes,
)
from minari.interchange.demonstrations.writing import (
    DATA,
    PREFIX,
    take_array,
    write_demonstrations,
)
from minari.interchange.layout import Contents, Layout, Loss
from minari_core import EpisodeData, MinariDataset
from minari_core.datasets.flat.episodes import read_flags
from minari_core.errors import DataError

_NAME = "robomimic"
_COLUMNS = frozenset({"obs", "next_obs", "actions", "rewards", "dones"})
_ASK = (
    "its dones mean the end of a demonstration, or success, or both: give ends='terminated', "
    "'truncated' or 'dones'"
)

Ends: TypeAlias = Literal["terminated", "truncated", "dones"]
NextObservations: TypeAlias = Literal["use", "ignore"]


def recognize(path: Path) -> bool:
    """Tell a file by ``obs`` and ``dones`` or ``next_obs`` in ``data/demo_…``."""
    names = look_into(path, DATA, PREFIX)
    return "obs" in names and bool({"dones", "next_obs"} & names)


def read(
    path: Path, *, ends: Ends | None = None, next_observations: NextObservations = "use"
) -> Contents:
    """Read a file of robomimic.

    Args:
        path: The file.
        ends: How episodes ended, which ``dones`` does not tell: all ``"terminated"``, all
            ``"truncated"``, or ``"dones"``: terminated where the last step is done, and truncated
            elsewhere. Files that `write` wrote say it themselves.
        next_observations: ``"ignore"`` leaves ``next_obs`` out, so that the final observation of
            each episode is unknown.
    """

    def read_trajectory(file: File, name: str) -> Trajectory:
        group = GroupReader(file, f"{DATA}/{name}")
        actions = group.read("actions")
        dones = (
            read_flags(group.read("dones"), f"{group.where}: dones") if "dones" in group else None
        )
        if dones is not None and len(dones) != count_rows(actions):
            raise DataError(
                f"{group.where}: dones has {len(dones)} rows, not {count_rows(actions)}, one an "
                "action"
            )
        if ends == "dones" and dones is None:
            raise DataError(f"{group.where} has no dones; give ends='terminated' or 'truncated'")
        attributes = group.attributes
        check_count(attributes, actions, group.where)
        infos = {key: group.read(key) for key in group if key not in _COLUMNS}
        terminated = ends != "truncated"
        if dones is not None and GROUP not in file:
            # Where the task succeeds, they may be set in the middle, too.
            infos["dones"] = dones
        if dones is not None and ends == "dones":
            terminated = bool(dones[-1])
        metadata, left_out = describe_attributes(attributes, {"num_samples"})
        if next_observations == "ignore" and "next_obs" in group:
            left_out.append("next_obs")
        return Trajectory(
            where=group.where,
            observations=group.read("obs"),
            actions=actions,
            terminated=terminated,
            truncated=not terminated,
            next_observations=(
                group.read("next_obs")
                if "next_obs" in group and next_observations == "use"
                else None
            ),
            rewards=group.read("rewards") if "rewards" in group else None,
            infos=infos,
            metadata=metadata,
            left_out=[*left_out, *group.left_out],
        )

    return read_demonstrations(
        DemonstrationFile(
            path=path,
            layout=_NAME,
            list_names=lambda file: list_numbered(file, DATA, PREFIX),
            read_trajectory=read_trajectory,
            describe=lambda file: describe_environment(file, DATA),
            ends_are_known=ends is not None,
            ask_for_ends=_ASK,
        )
    )


def write(dataset: MinariDataset, path: Path) -> list[Loss]:
    """Write a file of robomimic, with what it has no place for in the group ``minari``.

    The arrays of a Dict or Tuple space are called by their keys, joined by dots, and observations
    that are one array ``flat``. Where the final observation is unknown, the last row of
    ``next_obs`` is the last observation again, and the file says so.

    Args:
        dataset: The dataset.
        path: The file.
    """
    unknown = 0

    def write_episode(group: Group, episode: EpisodeData) -> None:
        nonlocal unknown
        unknown += not episode.final_observation_known
        _write_episode(group, episode)

    losses = write_demonstrations(dataset, path, _NAME, write_episode)
    if unknown:
        why = (
            f"nobody knows those of {unknown} episodes, of which the last row of next_obs is the "
            f"last observation again; the file's group {GROUP!r} says so"
        )
        losses.append(Loss("final observations", why))
    return losses


def _write_episode(group: Group, episode: EpisodeData) -> None:
    where = f"actions of episode {episode.id}"
    group.create_dataset("actions", data=take_array(episode.actions, where, _NAME))
    group.create_dataset("rewards", data=episode.rewards)
    dones = episode.terminations | episode.truncations
    group.create_dataset("dones", data=dones.astype(np.int64))
    steps = len(episode)
    for name, rows in name_arrays(episode.observations, "observation").items():
        group.create_dataset(f"obs/{name}", data=rows[:steps])
        following = rows[1:] if len(rows) > steps else np.concatenate([rows[1:], rows[-1:]])
        group.create_dataset(f"next_obs/{name}", data=following)


LAYOUT = Layout(
    name=_NAME,
    title="HDF5 files of demonstrations that robomimic trains on",
    recognize=recognize,
    read=read,
    write=write,
)
