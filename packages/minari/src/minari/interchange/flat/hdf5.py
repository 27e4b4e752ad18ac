"""Flat HDF5 files: those of D4RL, and of DSRL, which have costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from minari.interchange.facts import FactsWriter, Survey, add_facts, survey_episodes, take_carried
from minari.interchange.layout import Contents, Loss, check_has_steps
from minari_core import EpisodeBuffer, EpisodeData, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.datasets.flat.d4rl_file import (
    SIDECAR,
    open_flat_file,
    read_flat_columns,
    read_flat_metadata,
)
from minari_core.datasets.flat.episodes import FlatColumns, split_episodes
from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.space_json import space_from_json
from minari_core.episodes.final_observation import take_rows
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.files import name_damage
from minari_core.formats.public.hdf5.claims import bound_episode
from minari_core.formats.public.hdf5.writable_file import WritableFile
from minari_core.json_values import JsonValue
from minari_core.leaves import find_leaves
from minari_core.sampling.gathering.info_rows import (
    D4RL_STEP_INFOS,
    STEP_INFOS,
    check_step_infos,
    read_step_infos,
)
from minari_core.storage.copied_metadata import metadata_for_copy

_AT_ROOT = "minari_columns"
"""The key of the description that lists the infos beside the rewards."""


def look_into(path: Path) -> set[str]:
    """Return the names at the root of an HDF5 file; empty if it is none."""
    if not path.is_file():
        return set()
    with h5py.File(path, "r") as file:
        return set(file)


def has_sidecar(path: Path) -> bool:
    """Return whether `write_flat_file` wrote a file, beside whose columns all else lies."""
    with suppress(OSError, RuntimeError):  # what is wrong with a file, reading it says
        return SIDECAR in look_into(path)
    return False


def read_flat_file(
    path: Path, max_episode_steps: int | None, step_infos: Sequence[str] | None
) -> Contents:
    """Read a flat file, as `import_flat_hdf5` describes it, an episode at a time.

    Args:
        path: The file.
        max_episode_steps: The number of steps after which an episode is truncated.
        step_infos: The infos that belong to steps; if None, what the file says, else those that
            D4RL is known to have.

    Raises:
        DataError: The columns do not fit one another.
        DatasetDamagedError: It is no HDF5 file, or cut short.
    """
    with open_flat_file(path) as file:
        columns = read_flat_columns(file, path, max_episode_steps)
        found, unsaid = read_flat_metadata(file, path)
        metadata = {**found, **_read_description(file, path)}
        spaces = {
            name: space_from_json(said, name)
            if isinstance(said := metadata.get(name), str)
            else infer_space(column, discrete=name == "action_space")
            for name, column in (
                ("observation_space", columns.observations),
                ("action_space", columns.actions),
            )
        }
    at_root = metadata.pop(_AT_ROOT, None)
    if marked := _choose_step_infos(columns, step_infos, metadata, at_root):
        metadata[STEP_INFOS] = [*marked]

    def iterate() -> Iterator[EpisodeBuffer]:
        with open_flat_file(path) as file:
            found = read_flat_columns(file, path, max_episode_steps)
            facts = _find_facts(file, len(found.ends), path)
            for index, episode in enumerate(split_episodes(found)):
                if facts is None:
                    yield episode
                else:
                    where = f"{path}: what it has of episode {index}"
                    yield add_facts(episode, facts.asstr()[index], where)

    losses = [Loss(name, why) for name, why in {**columns.left_out, **unsaid}.items()]
    return Contents(
        iterate(), spaces["observation_space"], spaces["action_space"], metadata, losses
    )


def write_flat_file(
    dataset: MinariDataset, path: Path, layout: str, at_root: Mapping[str, str]
) -> list[Loss]:
    """Write the steps of all episodes one after another.

    Args:
        dataset: The dataset.
        path: The file, which is not there yet.
        layout: The name of the layout.
        at_root: Infos that become columns beside the rewards, and what these are called. Their
            rows are those that steps returned, unless they belong to steps themselves.

    Returns:
        What lies in the group ``minari``, which the libraries pass over.

    Raises:
        DataError: A column is no array, or the dataset has no step.
    """
    check_has_steps(dataset, layout)
    survey = survey_episodes(dataset.iterate_episodes(copy=False))
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()
    marked = read_step_infos(storage.metadata)
    facts = FactsWriter(
        survey.carried,
        with_final_rows=False,
        with_final_observations=not survey.all_finals_are_known,
        renamed=at_root,
        shifted=at_root.keys() - set(marked),
    )
    if absent := sorted(at_root.keys() - survey.carried.keys()):
        raise DataError(
            f"info {absent[0]!r} is not an array that all steps have, which {layout} needs as "
            f"{at_root[absent[0]]!r}"
        )

    def begin(into: h5py.File) -> None:
        sidecar = into.create_group(SIDECAR)
        said = {**metadata_for_copy(storage, indices), _AT_ROOT: [*at_root.values()]}
        sidecar["description"] = json.dumps(said)
        sidecar.create_dataset("facts", (len(indices),), h5py.string_dtype())

    def write_one(number: int, first: int, episode: EpisodeData, into: h5py.File) -> None:
        for name, rows in _list_columns(episode, survey, at_root, marked, layout).items():
            if number == 0:
                into.create_dataset(name, (dataset.total_steps, *rows.shape[1:]), rows.dtype)
            into[name][first : first + len(episode)] = rows
        into[SIDECAR]["facts"][number] = facts.write(episode)

    file = WritableFile(path, is_new=True)
    first = 0
    try:
        file.run(begin)
        # One by one: what a disk refuses is kept in memory until a task ends.
        for number, episode in enumerate(dataset.iterate_episodes(copy=False)):
            file.run(partial(write_one, number, first, episode))
            first += len(episode)
    finally:
        file.close()
    losses = [
        Loss(what, f"{layout} has no place for it; it lies in the file's group {SIDECAR!r}")
        for what in sorted(facts.kept)
    ]
    if not survey.all_finals_are_known:
        losses.append(Loss("next_observations", "the final observation of some episode is unknown"))
    return losses


def _list_columns(
    episode: EpisodeData,
    survey: Survey,
    at_root: Mapping[str, str],
    marked: Sequence[str],
    layout: str,
) -> dict[str, npt.NDArray[Any]]:
    """Return the rows of an episode by the names that they get."""
    steps = len(episode)
    columns: dict[str, Any] = {
        "observations": take_rows(episode.observations, slice(steps)),
        "actions": episode.actions,
        "rewards": episode.rewards,
        "terminals": episode.terminations,
        # A step that does both is a termination here, as where these files come from.
        "timeouts": episode.truncations & ~episode.terminations,
        "infos": {
            key: take_carried(episode, key, steps) for key in survey.carried if key not in at_root
        },
    }
    if survey.all_finals_are_known:
        columns["next_observations"] = take_rows(episode.observations, slice(1, None))
    for key, name in at_root.items():
        is_of_step = key in marked
        rows = take_carried(episode, key, steps if is_of_step else steps + 1)
        columns[name] = rows if is_of_step else rows[1:]
    if (columns["terminals"] | columns["timeouts"])[:-1].any():
        raise DataError(
            f"episode {episode.id} goes on after a step that ended it, where {layout} would begin "
            "another one; cut it there"
        )
    named: dict[str, npt.NDArray[Any]] = {}
    for keys, leaf in find_leaves(columns):
        name = "/".join(map(str, keys))
        if not isinstance(leaf, np.ndarray) or isinstance(leaf, np.ma.MaskedArray):
            raise DataError(f"{name} of episode {episode.id} is no array, which {layout} needs")
        unfit = [key for key in keys if isinstance(key, str) and ("/" in key or key in ("", "."))]
        if unfit:
            raise DataError(f"{keys[0]} cannot have the key {unfit[0]!r} in {layout}; rename it")
        if any(isinstance(key, int) for key in keys):
            raise DataError(f"{name} lies in a Tuple, for which {layout} has no names")
        named[name] = leaf
    if not named["timeouts"][-1] and not named["terminals"][-1]:
        named["timeouts"][-1] = True
    return named


def _choose_step_infos(
    columns: FlatColumns,
    given: Sequence[str] | None,
    metadata: Mapping[str, JsonValue],
    at_root: object,
) -> list[str]:
    """Choose the infos of steps; those at the root that `write_flat_file` put there are said."""
    at_root = at_root if isinstance(at_root, list) else []
    if given is not None:
        return [*check_step_infos(given, columns.infos), *columns.further]
    said = read_step_infos(metadata)
    known = said or [key for key in D4RL_STEP_INFOS if key in columns.infos]
    return list(dict.fromkeys([*known, *(key for key in columns.further if key not in at_root)]))


def _read_description(file: h5py.File, path: Path) -> dict[str, JsonValue]:
    sidecar = _find_sidecar(file)
    text = None if sidecar is None else sidecar.get("description")
    if not isinstance(text, h5py.Dataset) or text.shape != ():
        return {}
    with name_damage(f"{path}: /{SIDECAR}/description"):
        content: Any = bound_episode(file.id).read_array(text.id)[()]
        said = json.loads(content)
    return said if isinstance(said, dict) else {}


def _find_facts(file: h5py.File, episodes: int, path: Path) -> h5py.Dataset | None:
    sidecar = _find_sidecar(file)
    is_there = sidecar is not None and isinstance(sidecar.get("facts", getlink=True), h5py.HardLink)
    texts = sidecar["facts"] if is_there and sidecar is not None else None
    if texts is None:
        return None
    where = f"{path}: /{SIDECAR}/facts"
    if not isinstance(texts, h5py.Dataset) or h5py.check_string_dtype(texts.dtype) is None:
        raise DatasetDamagedError(f"{where} is no text")
    if texts.shape != (episodes,):
        raise DatasetDamagedError(
            f"{where} is of shape {texts.shape}, and the file has {episodes} episodes"
        )
    with name_damage(where):
        bound_episode(file.id).check(texts.id)
    return texts


def _find_sidecar(file: h5py.File) -> h5py.Group | None:
    is_there = isinstance(file.get(SIDECAR, getlink=True), h5py.HardLink)
    group = file[SIDECAR] if is_there else None
    return group if isinstance(group, h5py.Group) else None
