"""``.npz`` files of OGBench: T+1 rows an episode, the last without a step."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from minari.interchange.facts import (
    FactsWriter,
    add_facts,
    survey_episodes,
    take_carried,
)
from minari.interchange.files import name_read_errors
from minari.interchange.flat.npz import ArrayReader, ArraysWriter, list_arrays, list_others
from minari.interchange.layout import Contents, Layout, Loss, check_has_steps
from minari_core import EpisodeBuffer, EpisodeData, MinariDataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.environments.inferred_spaces import infer_space
from minari_core.environments.space_json import space_from_json
from minari_core.errors import DataError, DatasetDamagedError
from minari_core.json_values import JsonValue
from minari_core.storage.copied_metadata import metadata_for_copy

_NAME = "ogbench"
_COLUMNS = ("observations", "actions", "terminals")
_DESCRIPTION, _REWARDS, _TERMINATED, _FACTS = (
    "minari_description",
    "minari_rewards",
    "minari_terminated",
    "minari_facts",
)
_SIDECAR = frozenset({_DESCRIPTION, _REWARDS, _TERMINATED, _FACTS})

Ends: TypeAlias = Literal["truncated", "terminated"]


def recognize(path: Path) -> bool:
    """Tell a file by the arrays ``observations``, ``actions`` and ``terminals`` in it."""
    return path.is_file() and list_arrays(path) >= set(_COLUMNS)


def read(path: Path, *, ends: Ends = "truncated") -> Contents:
    """Read a file of OGBench, an episode at a time.

    Its ``terminals`` mark the last row of an episode, which has the final observation and an
    action that nothing followed. The tasks give no rewards; what the file has besides, such as
    ``qpos``, becomes infos.

    Args:
        path: The file.
        ends: How episodes ended: by the data's own account they were cut off, ``"truncated"``.
            Files that `write` wrote say it themselves.
    """
    with _open(path) as file:
        there = list_arrays(path)
        if absent := [name for name in _COLUMNS if name not in there]:
            raise DataError(f"{path} has no array {absent[0]!r}; it has {', '.join(sorted(there))}")
        names = sorted(there - _SIDECAR)
        arrays = {name: ArrayReader(file, name) for name in names}
        stops = _find_stops(arrays["terminals"], path)
        for name, array in arrays.items():
            if array.shape[0] != stops[-1]:
                raise DataError(
                    f"{path}: {name} has {array.shape[0]} rows, but terminals {stops[-1]}"
                )
        steps = stops[-1] - len(stops)
        for name in sorted(there & {_REWARDS, _TERMINATED}):
            if (rows := ArrayReader(file, name).shape[0]) != steps:
                raise DataError(f"{path}: {name} has {rows} rows, not {steps}, one a step")
        first = {name: array.take(1) for name, array in arrays.items() if name != "terminals"}
        metadata = _read_description(file)
        losses = [Loss(name, "it is no array") for name in list_others(file)]
    if not metadata:
        losses += [Loss(name, f"without {_DESCRIPTION}") for name in sorted(there & _SIDECAR)]
        losses.append(Loss("rewards", "the layout has none, and the dataset has zeros"))
        losses.append(Loss("actions", "the last of each episode, which nothing followed"))
    spaces = {
        name: space_from_json(said, name)
        if isinstance(said := metadata.get(name), str)
        else infer_space(first[column], discrete=False)
        for name, column in (("observation_space", "observations"), ("action_space", "actions"))
    }
    return Contents(
        _iterate(path, names, stops, ends, is_ours=bool(metadata)),
        spaces["observation_space"],
        spaces["action_space"],
        metadata,
        losses,
    )


def write(dataset: MinariDataset, path: Path, *, compressed: bool = True) -> list[Loss]:
    """Write a file of OGBench, with what it has no place for in arrays called ``minari_…``.

    The action of the last row of an episode, which nothing followed, is zero.

    Args:
        dataset: The dataset, of which the final observation of each episode is known.
        path: The file, which that library expects to be called ``….npz``.
        compressed: Pack the arrays, as OGBench's own files are.
    """
    check_has_steps(dataset, _NAME)
    survey = survey_episodes(dataset.iterate_episodes(copy=False))
    if not survey.all_finals_are_known:
        raise DataError("ogbench has the final observation of each episode, and not all are known")
    taken = {*_COLUMNS, *_SIDECAR} & survey.carried.keys()
    if taken:
        raise DataError(f"info {min(taken)!r} has the name of a column of ogbench; rename it")
    carried = {key: has_last for key, has_last in survey.carried.items() if has_last}
    facts = FactsWriter(carried, with_final_rows=True)
    steps, episodes = dataset.total_steps, len(dataset)
    storage, indices = get_raw_storage(dataset), dataset.episode_indices.tolist()

    def gather(column: str) -> Iterator[npt.NDArray[Any]]:
        for episode in dataset.iterate_episodes(copy=False):
            yield _take_column(episode, column)

    with ArraysWriter(path, compressed=compressed) as file:
        for name in (*_COLUMNS, *carried):
            file.write(name, steps + episodes, gather(name))
        file.write(_REWARDS, steps, gather(_REWARDS))
        file.write(_TERMINATED, steps, gather(_TERMINATED))
        file.write_text(_DESCRIPTION, json.dumps(metadata_for_copy(storage, indices)))
        texts = [facts.write(episode) for episode in dataset.iterate_episodes(copy=False)]
        file.write_text(_FACTS, "\n".join(texts))
    apart = ["rewards", "terminations", *sorted(facts.kept)]
    return [
        Loss(what, "ogbench has no place for it; it lies in arrays called minari_…")
        for what in apart
    ]


def _take_column(episode: EpisodeData, name: str) -> npt.NDArray[Any]:
    steps = len(episode)
    if name == "terminals":
        if (episode.terminations | episode.truncations)[:-1].any():
            raise DataError(
                f"episode {episode.id} goes on after a step that ended it; cut it there"
            )
        ends = np.zeros(steps + 1, np.bool_)
        ends[-1] = True
        return ends
    if name == _REWARDS:
        return episode.rewards
    if name == _TERMINATED:
        return episode.terminations
    if name in ("observations", "actions"):
        rows = getattr(episode, name)
        if not isinstance(rows, np.ndarray) or isinstance(rows, np.ma.MaskedArray):
            raise DataError(f"{name} of episode {episode.id} are no array, which ogbench needs")
        if name == "observations":
            return rows
        return np.concatenate([rows, np.zeros((1, *rows.shape[1:]), rows.dtype)])
    return take_carried(episode, name, steps + 1)


def _iterate(
    path: Path, names: list[str], stops: list[int], ends: Ends, *, is_ours: bool
) -> Iterator[EpisodeBuffer]:
    with _open(path) as file:
        arrays = {name: ArrayReader(file, name) for name in names if name != "terminals"}
        rewards = ArrayReader(file, _REWARDS) if is_ours else None
        terminated = ArrayReader(file, _TERMINATED) if is_ours else None
        facts = _read_text(file, _FACTS).split("\n") if is_ours else []
        if is_ours and len(facts) != len(stops):
            raise DatasetDamagedError(
                f"{path}: {_FACTS} is of {len(facts)} episodes, and the file has {len(stops)}"
            )
        start = 0
        for index, stop in enumerate(stops):
            rows, steps = stop - start, stop - start - 1
            if steps == 0:
                raise DataError(f"{path}: episode {index} has one row, and so no step")
            taken = {name: array.take(rows) for name, array in arrays.items()}
            flags = np.zeros(steps, np.bool_)
            flags[-1] = ends == "terminated"
            if terminated is not None:
                flags = terminated.take(steps).astype(np.bool_)
            truncations = np.zeros(steps, np.bool_)
            truncations[-1] = not flags[-1]
            episode = EpisodeBuffer(
                observations=taken.pop("observations"),
                actions=taken.pop("actions")[:-1],
                rewards=np.zeros(steps) if rewards is None else rewards.take(steps),
                terminations=flags,
                truncations=truncations,
                infos=taken or None,
            )
            where = f"{path}: {_FACTS} of episode {index}"
            yield add_facts(episode, facts[index], where) if is_ours else episode
            start = stop


def _find_stops(terminals: ArrayReader, path: Path) -> list[int]:
    flags = terminals.take_all()
    if flags.ndim != 1 or not np.isin(flags, (0, 1)).all():
        raise DataError(f"{path}: terminals is of shape {flags.shape}, not one flag a row")
    stops = (np.flatnonzero(flags) + 1).tolist()
    if not stops or stops[-1] != len(flags):
        raise DataError(f"{path}: the last row is no terminal, so that its episode has no end")
    return [int(stop) for stop in stops]


def _read_description(file: zipfile.ZipFile) -> dict[str, JsonValue]:
    if f"{_DESCRIPTION}.npy" not in file.namelist():
        return {}
    try:
        said = json.loads(_read_text(file, _DESCRIPTION))
    except (ValueError, RecursionError) as error:
        raise DatasetDamagedError(f"{file.filename}: {_DESCRIPTION}: {error}") from error
    return said if isinstance(said, dict) else {}


def _read_text(file: zipfile.ZipFile, name: str) -> str:
    data = ArrayReader(file, name).take_all()
    try:
        return data.tobytes().decode()
    except UnicodeDecodeError as error:
        raise DatasetDamagedError(f"{file.filename}: {name}: {error}") from error


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    with name_read_errors(str(path)):
        file = zipfile.ZipFile(path)
    with file:
        yield file


LAYOUT = Layout(
    name=_NAME,
    title=".npz files of OGBench",
    recognize=recognize,
    read=read,
    write=write,
)
