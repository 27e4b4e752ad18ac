"""Import a flat HDF5 file, as D4RL publishes its data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from typing_extensions import Unpack

from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.details import DatasetDetails, check_details, list_details
from minari_core.datasets.flat.arrays import create_dataset_from_columns
from minari_core.datasets.flat.episodes import FlatColumns, check_row_counts, find_episode_ends
from minari_core.errors import DataError, DatasetNotFoundError, MinariError
from minari_core.files import check_plain, make_read_error, name_damage, name_file
from minari_core.formats.columnar.manifest import normalize_metadata
from minari_core.formats.public.hdf5.claims import BoundedReader, bound_episode
from minari_core.json_values import JsonValue
from minari_core.messages import warn_caller

_REQUIRED = ("observations", "actions", "rewards", "terminals")
_LONGEST_TEXT = 1 << 16
_KNOWN = (*_REQUIRED, "timeouts", "next_observations", "infos")
SIDECAR = "minari"
"""The group in which an export keeps what the file has no place for."""


@list_details
def import_flat_hdf5(
    path: str | os.PathLike[str],
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    env: str | gymnasium.Env[Any, Any] | EnvSpec | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
    max_episode_steps: int | None = None,
    step_infos: Sequence[str] | None = None,
    data_format: str | None = None,
    left_out: dict[str, str] | None = None,
    **details: Unpack[DatasetDetails],
) -> MinariDataset:
    """Create a dataset of an HDF5 file with one dataset a column, such as D4RL's.

    The file has ``observations``, ``actions``, ``rewards`` and ``terminals``, and may have
    ``timeouts``, ``next_observations`` and a group ``infos``. Further columns of as many rows, such
    as the ``costs`` of DSRL's files, become infos of steps; text and numbers in a group
    ``metadata`` become ``source_metadata`` of the dataset. It is read an episode at a time. Where
    episodes end, and what their last observation is: see `create_dataset_from_arrays`.

    Args:
        path: The file.
        dataset_name: The id of the new dataset.
        dataset_id: Another name of ``dataset_name``.
        env: The environment that the data comes from.
        observation_space: The space of the observations; the environment's if None, and without
            an environment the widest that the dtype allows.
        action_space: The space of the actions; likewise, but whole numbers are choices.
        max_episode_steps: The number of steps after which an episode is truncated.
        step_infos: The infos that belong to steps; see `create_dataset_from_arrays`.
        data_format: How to store the data; ``"columnar"`` if None.
        left_out: A dict to which is added what the dataset does not carry of the file, and why; if
            None, a warning says it.
        **details: What is said about the dataset, as keywords; see `DatasetDetails`.

    Returns:
        The new dataset.

    Raises:
        DatasetNotFoundError: There is no such file.
        DatasetDamagedError: It is no HDF5 file, or cut short.
        DataError: A column is missing, or the columns do not fit one another or the spaces.
        DatasetExistsError: The id is taken.
        DatasetWriteError: The file system refused. As with every error, nothing is left behind.
        TypeError: A keyword is neither a parameter nor one of `DatasetDetails`.
    """
    check_details(details)
    source = Path(path)
    if source.is_dir():
        raise DatasetNotFoundError(f"{source} is a folder, not a file; give the HDF5 file itself")
    if not source.exists():
        raise DatasetNotFoundError(f"there is no file {source}")
    with name_file(source), open_flat_file(source) as file:
        columns = read_flat_columns(file, source, max_episode_steps)
        said, unsaid = read_flat_metadata(file, source)
        lost = {**columns.left_out, **unsaid}
        if SIDECAR in file:
            lost[SIDECAR] = "an export kept it beside the columns; minari.import_dataset reads it"
        if left_out is not None:
            left_out.update(lost)
        elif lost:
            names = "; ".join(f"{name}: {why}" for name, why in lost.items())
            warn_caller(f"{source}: left out {names}")
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
            said,
        )


@contextmanager
def open_flat_file(source: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading; whatever the library raises of it names the file.

    Raises:
        DatasetAccessError: It may not be read.
        DatasetDamagedError: It is no HDF5 file, or cut short.
    """
    import h5py  # only who imports a file needs it

    try:
        check_plain(source, may_be_link=True)
        with h5py.File(source, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, SystemError, UnicodeDecodeError) as error:
        if isinstance(error, MinariError):
            raise
        raise make_read_error(source, error) from error


def read_flat_columns(file: Any, source: Path, max_episode_steps: int | None) -> FlatColumns:
    """Find the columns of an open file; only flags are read.

    Args:
        file: The HDF5 file.
        source: Its path, for messages.
        max_episode_steps: The number of steps after which an episode is truncated.

    Raises:
        DataError: A column is missing, is a link, or lies outside the file.
        DatasetDamagedError: A column claims to be larger than the file can hold.
    """
    absent = [name for name in _REQUIRED if name not in file]
    if absent:
        raise DataError(
            f"{source} has no {', '.join(absent)}; a flat file has {', '.join(_REQUIRED)}"
        )
    reader = bound_episode(file.id)
    found = {name: _find_column(file, name, source, reader) for name in _KNOWN if name in file}
    flags = [name for name in ("terminals", "timeouts") if isinstance(found.get(name), Mapping)]
    if flags:
        raise DataError(f"{source}: {flags[0]} is a group, not a dataset")
    timeouts = found["timeouts"][:] if "timeouts" in found else None
    ends, ended = find_episode_ends(found["terminals"][:], timeouts, max_episode_steps)
    left_out: dict[str, str] = {}
    if timeouts is not None and (both := int((ended & (timeouts.ravel() != 0)).sum())):
        left_out["timeouts"] = f"{both} steps are terminals, too, and taken for these alone"
    is_cut = timeouts is not None and timeouts.ravel()[-1:].any()
    if max_episode_steps is None and not (ended[-1] or is_cut):
        left_out["end of the last episode"] = "nothing marks it, and it is taken as truncated"
    infos = found.get("infos", {})
    if not isinstance(infos, Mapping):
        raise DataError(f"{source}: infos is a dataset, not a group")
    further, others = _find_further_columns(file, source, len(ended), reader)
    left_out |= dict.fromkeys(others, "it is no column of steps")
    left_out |= dict.fromkeys(_list_attributes(file), "of HDF5's attributes none is kept")
    twice = sorted(further.keys() & infos.keys())
    if twice:
        raise DataError(f"{source} has a column {twice[0]!r} and an info of the same name")
    columns = FlatColumns(
        observations=found["observations"],
        actions=found["actions"],
        rewards=found["rewards"],
        ends=ends,
        terminals=ended,
        next_observations=found.get("next_observations"),
        infos={**infos, **further},
        further=tuple(further),
        left_out=left_out,
    )
    check_row_counts(columns)
    return columns


def read_flat_metadata(file: Any, source: Path) -> tuple[dict[str, JsonValue], Mapping[str, str]]:
    """Read the text and the numbers in the group ``metadata``, by their paths in it.

    Returns:
        Metadata of a dataset, and what lies in the group and is none, and why.
    """
    import h5py

    group = file.get("metadata") if _is_plain(file, "metadata") else None
    if not isinstance(group, h5py.Group):
        return {}, {}
    found: dict[str, JsonValue] = {}
    left_out: dict[str, str] = {}
    reader = bound_episode(file.id)

    def read(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.shape != () or item.external or item.is_virtual or item.nbytes > _LONGEST_TEXT:
            left_out[f"metadata/{name}"] = "it is neither a text nor a number"
            return
        value: Any = reader.read_array(item.id)[()]
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        found[name] = text if isinstance(text, str) else text.item()

    group.visititems(read)  # which follows no link to another file
    return {"source_metadata": normalize_metadata(found)} if found else {}, left_out


def _list_attributes(file: Any) -> list[str]:
    found = [f"attribute {name}" for name in file.attrs]

    def look(path: str, item: Any) -> None:
        found.extend(f"attribute {name} of {path}" for name in item.attrs)

    file.visititems(look)  # which follows no link to another file
    return found


def _is_plain(group: Any, name: str) -> bool:
    import h5py

    return name in group and isinstance(group.get(name, getlink=True), h5py.HardLink)


def _find_further_columns(
    file: Any, source: Path, rows: int, reader: BoundedReader
) -> tuple[dict[str, Any], list[str]]:
    """Find columns of steps under names of their own, such as DSRL's ``costs``.

    Returns:
        The columns, and the names of what is none.
    """
    import h5py

    columns: dict[str, Any] = {}
    others: list[str] = []
    for name in sorted(set(file) - set(_KNOWN)):
        found: Any = file[name] if _is_plain(file, name) else None
        is_column = isinstance(found, h5py.Dataset) and found.shape and found.shape[0] == rows
        if is_column and found.dtype.kind in "biuf":
            columns[name] = _find_column(file, name, source, reader)
        elif name != SIDECAR and not (name == "metadata" and isinstance(found, h5py.Group)):
            others.append(name)
    return columns, others


def _find_column(group: Any, name: str, source: Path, reader: BoundedReader) -> Any:
    import h5py

    if not _is_plain(group, name):
        raise DataError(f"{source}: {name} is a link to somewhere else")
    found = group[name]
    if isinstance(found, h5py.Group):
        return {key: _find_column(found, key, source, reader) for key in found}
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise DataError(f"{source}: {name} is no array")
    if found.external or found.is_virtual:
        raise DataError(f"{source}: {name} lies outside the file")
    with name_damage(f"{source}: {name}"):
        reader.check(found.id)
    return found
