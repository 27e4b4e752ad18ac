"""HDF5 files of Isaac Lab's recorder: ``data/demo_0/obs``, ``actions``, ``states/…``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from minari.interchange.demonstrations.environment import describe_environment
from minari.interchange.demonstrations.groups import (
    File,
    Group,
    GroupReader,
    list_numbered,
    look_into,
)
from minari.interchange.demonstrations.names import WHOLE, name_arrays
from minari.interchange.demonstrations.reading import DemonstrationFile, read_demonstrations
from minari.interchange.demonstrations.trajectory import (
    Trajectory,
    check_count,
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
from minari_core.errors import DataError

_NAME = "isaaclab"
_ASK = (
    "it has neither: give ends='terminated', 'truncated', or 'success' (terminated where an "
    "episode is marked as successful)"
)
# The states that steps led to, and the one that an episode began in.
_STATES, _INITIAL = "states", "initial_state"
_FINAL = "final_obs"
_COLUMNS = frozenset({"obs", "actions", "rewards", _FINAL, _INITIAL, _STATES})

Ends: TypeAlias = Literal["terminated", "truncated", "success"]


def recognize(path: Path) -> bool:
    """Tell a file by ``actions``, ``obs`` or states, and no ``dones``, in ``data/demo_…``."""
    names = look_into(path, DATA, PREFIX)
    is_recorded = "actions" in names and bool(names & {"obs", _INITIAL})
    return is_recorded and not names & {"dones", "next_obs"}


def read(path: Path, *, ends: Ends | None = None) -> Contents:
    """Read a file of Isaac Lab.

    Its recorder writes the observations before the actions, so that nobody knows what the last
    action led to; only files that `write` wrote say it. States become the info ``states``, of T+1
    rows where the file has the initial state, too.

    Args:
        path: The file.
        ends: How episodes ended, which the file does not tell: all ``"terminated"``, all
            ``"truncated"``, or ``"success"``: terminated where an episode is marked as
            successful, and truncated elsewhere. Files that `write` wrote say it themselves.
    """

    def read_trajectory(file: File, name: str) -> Trajectory:
        group = GroupReader(file, f"{DATA}/{name}")
        attributes = group.attributes
        success = attributes.get("success")
        if ends == "success" and success is None:
            raise DataError(
                f"{group.where} is not marked as successful or not; give ends="
                "'terminated' or 'truncated'"
            )
        terminated = bool(success) if ends == "success" else ends != "truncated"
        observations, actions = group.read("obs"), group.read("actions")
        check_count(attributes, actions, group.where)
        if _FINAL in group:
            observations = _append(observations, group.read(_FINAL), f"{group.where}/obs")
        infos = {key: group.read(key) for key in group if key not in _COLUMNS}
        if _STATES in group:
            infos[_STATES] = _read_states(group)
        seed = attributes.get("seed")
        metadata, left_out = describe_attributes(attributes, {"num_samples", "seed"})
        if _INITIAL in group and _STATES not in group:
            left_out.append(_INITIAL)
        return Trajectory(
            where=group.where,
            observations=observations,
            actions=actions,
            terminated=terminated,
            truncated=not terminated,
            rewards=group.read("rewards") if "rewards" in group else None,
            infos=infos,
            metadata=metadata,
            seed=None if seed is None else int(seed),
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
    """Write a file of Isaac Lab, with what it has no place for in the group ``minari``.

    Args:
        dataset: The dataset.
        path: The file, which that library expects to be called ``….hdf5``.
    """
    return write_demonstrations(dataset, path, _NAME, _write_episode)


def _write_episode(group: Group, episode: EpisodeData) -> None:
    where = f"actions of episode {episode.id}"
    group.create_dataset("actions", data=take_array(episode.actions, where, _NAME))
    group.create_dataset("rewards", data=episode.rewards)
    steps = len(episode)
    named = name_arrays(episode.observations, "observation")
    for name, rows in named.items():
        path = "" if list(named) == [WHOLE] else f"/{name}"
        group.create_dataset(f"obs{path}", data=rows[:steps])
        if len(rows) > steps:
            group.create_dataset(f"{_FINAL}{path}", data=rows[steps:])
    if episode.seed is not None and episode.seed < 2**63:
        group.attrs["seed"] = episode.seed


def _read_states(group: GroupReader) -> Any:
    states = group.read(_STATES)
    if _INITIAL not in group:
        return states
    return _append(group.read(_INITIAL), states, f"{group.where}/{_STATES}")


def _append(first: Any, second: Any, where: str) -> Any:
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        return {key: _append(leaf, second[key], f"{where}/{key}") for key, leaf in first.items()}
    if _outline(first) == _outline(second) is not None:
        return np.concatenate([first, second])
    raise DataError(
        f"{where}: the first or the last row, which lies apart, is of another dtype or shape than "
        "the others"
    )


def _outline(rows: object) -> tuple[object, ...] | None:
    return (rows.dtype, rows.shape[1:]) if isinstance(rows, np.ndarray) else None


LAYOUT = Layout(
    name=_NAME,
    title="HDF5 files that Isaac Lab records and replays",
    recognize=recognize,
    read=read,
    write=write,
)
