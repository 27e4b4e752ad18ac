"""Trajectories of ManiSkill: an HDF5 file of ``traj_0``, … and a JSON file of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minari.interchange.demonstrations.environment import SOURCE_METADATA
from minari.interchange.demonstrations.groups import (
    File,
    GroupReader,
    list_numbered,
    look_into,
)
from minari.interchange.demonstrations.reading import DemonstrationFile, read_demonstrations
from minari.interchange.demonstrations.trajectory import Trajectory
from minari.interchange.files import read_json
from minari.interchange.layout import Contents, Layout
from minari_core.datasets.flat.episodes import read_flags
from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError
from minari_core.json_values import JsonValue

_ROOT, _PREFIX = "/", "traj_"
_COLUMNS = frozenset({"obs", "actions", "rewards", "terminated", "truncated"})


def recognize(path: Path) -> bool:
    """Tell a file by ``traj_…`` at its root, with ``terminated`` in it."""
    return "terminated" in look_into(path, _ROOT, _PREFIX)


def read(path: Path) -> Contents:
    """Read trajectories of ManiSkill, with the JSON file beside them.

    Where flags say that an episode ended before its last step, which is so where success was
    recorded without a reset, they become the infos ``terminated`` and ``truncated``, and the
    episode ends as its last flags say.

    Args:
        path: The HDF5 file. It must hold observations; ManiSkill's own tool for replaying
            trajectories adds them to files that hold the states of the simulation alone.
    """
    said = _read_json(path.with_suffix(".json"))
    episodes = {
        f"{_PREFIX}{episode.get('episode_id')}": episode
        for episode in said.get("episodes", [])
        if isinstance(episode, dict)
    }

    def list_names(file: File) -> list[str]:
        names = list_numbered(file, _ROOT, _PREFIX)
        if different := sorted(episodes.keys() ^ set(names)):
            other = path.with_suffix(".json").name
            raise DataError(f"{different[0]} is not in both {path} and {other}")
        return names

    def read_trajectory(file: File, name: str) -> Trajectory:
        group = GroupReader(file, name)
        if "obs" not in group:
            raise DataError(
                f"{group.where} has no observations; add them with ManiSkill's "
                "replay_trajectory, as with --obs-mode state"
            )
        flags = {
            key: read_flags(group.read(key), f"{group.where}: {key}")
            for key in ("terminated", "truncated")
        }
        infos = {key: group.read(key) for key in group if key not in _COLUMNS}
        infos.update(flags)
        terminated = bool(flags["terminated"][-1])
        facts = episodes[name]
        seed, options = _read_reset(facts)
        return Trajectory(
            where=group.where,
            observations=group.read("obs"),
            actions=group.read("actions"),
            terminated=terminated,
            truncated=bool(flags["truncated"][-1]) or not terminated,
            rewards=group.read("rewards") if "rewards" in group else None,
            infos=infos,
            metadata={key: value for key, value in facts.items() if key != "reset_kwargs"},
            seed=seed,
            options=options,
        )

    environment: Mapping[str, JsonValue] = {
        key: value for key, value in said.items() if key != "episodes"
    }
    return read_demonstrations(
        DemonstrationFile(
            path=path,
            layout="maniskill",
            list_names=list_names,
            read_trajectory=read_trajectory,
            describe=lambda file: {SOURCE_METADATA: environment},
            ends_are_known=True,
        )
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DatasetNotFoundError(f"there is no file {path}, which says what the trajectories are")
    said = dict(read_json(path))
    if not isinstance(said.get("episodes", []), list):
        raise DatasetDamagedError(f"{path} has no list of episodes")
    return said


def _read_reset(facts: Mapping[str, Any]) -> tuple[int | None, dict[str, Any] | None]:
    reset = facts.get("reset_kwargs")
    given = reset if isinstance(reset, dict) else {}
    seed, options = given.get("seed", facts.get("episode_seed")), given.get("options")
    if isinstance(seed, list) and len(seed) == 1:
        (seed,) = seed
    return seed if isinstance(seed, int) else None, options if isinstance(options, dict) else None


LAYOUT = Layout(
    name="maniskill",
    title="trajectories that ManiSkill records",
    recognize=recognize,
    read=read,
)
