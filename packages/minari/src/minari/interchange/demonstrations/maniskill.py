"""Trajectories of ManiSkill: an HDF5 file of ``traj_0``, … and a JSON file of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minari.interchange.demonstrations.groups import (
    File,
    GroupReader,
    list_numbered,
    list_others,
    look_into,
)
from minari.interchange.demonstrations.reading import DemonstrationFile, read_demonstrations
from minari.interchange.demonstrations.trajectory import Trajectory, describe_attributes
from minari.interchange.files import read_json
from minari.interchange.layout import SOURCE_METADATA, Contents, Layout
from minari_core.datasets.flat.episodes import read_flags
from minari_core.errors import DataError, DatasetDamagedError, DatasetNotFoundError
from minari_core.json_values import JsonValue

_ROOT, _PREFIX = "/", "traj_"
_COLUMNS = frozenset({"obs", "actions", "rewards", "terminated", "truncated"})
_RESET = "reset_kwargs"


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
        f"{_PREFIX}{episode.get('episode_id')}": episode for episode in said.get("episodes", [])
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
        seed, options, is_reset_whole = _read_reset(facts)
        said, left_out = describe_attributes(group.attributes, set())
        return Trajectory(
            where=group.where,
            observations=group.read("obs"),
            actions=group.read("actions"),
            terminated=terminated,
            truncated=bool(flags["truncated"][-1]) or not terminated,
            rewards=group.read("rewards") if "rewards" in group else None,
            infos=infos,
            metadata={
                **said,
                **{k: v for k, v in facts.items() if k != _RESET or not is_reset_whole},
            },
            seed=seed,
            options=options,
            left_out=[*left_out, *group.left_out],
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
            describe=lambda file: ({SOURCE_METADATA: environment}, list_others(file, set(file))),
            ends_are_known=True,
        )
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DatasetNotFoundError(f"there is no file {path}, which says what the trajectories are")
    said = dict(read_json(path))
    listed = said.get("episodes", [])
    if not isinstance(listed, list) or not all(isinstance(episode, dict) for episode in listed):
        raise DatasetDamagedError(f"{path} has no list of episodes")
    seen: set[str] = set()
    for episode in listed:
        number = str(episode.get("episode_id"))
        if number in seen:
            raise DataError(f"{path} has episode_id {number} twice")
        seen.add(number)
    return said


def _read_reset(facts: Mapping[str, Any]) -> tuple[int | None, dict[str, Any] | None, bool]:
    """Return seed and options of an episode, and whether its reset was given nothing else."""
    reset = facts.get(_RESET)
    given = reset if isinstance(reset, dict) else {}
    seed, options = given.get("seed", facts.get("episode_seed")), given.get("options")
    if isinstance(seed, list) and len(seed) == 1:
        (seed,) = seed
    seed = seed if isinstance(seed, int) else None
    options = options if isinstance(options, dict) else None
    kept = {"seed": seed, "options": options}
    lost = {key for key, value in given.items() if value is not None and kept.get(key) is None}
    return seed, options, not lost


LAYOUT = Layout(
    name="maniskill",
    title="trajectories that ManiSkill records",
    recognize=recognize,
    read=read,
)
