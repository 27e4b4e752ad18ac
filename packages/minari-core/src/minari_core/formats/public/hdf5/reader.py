"""Read an episode from the groups and datasets of the public HDF5 format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.columns import Array
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_entry import Entry
from minari_core.formats.public.attributes import Attributes, decode_attributes
from minari_core.formats.public.files import OWN_KEY
from minari_core.formats.public.hdf5.file import Hdf5File, is_group, is_variable, names_in
from minari_core.formats.public.hdf5.mapped_file import Tree
from minari_core.formats.public.jpeg import decode_jpegs, is_jpeg
from minari_core.formats.public.sidecar import COLUMNS_NAME, restore_sidecar

_COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")
_PARTS = frozenset({*_COLUMNS, "infos"})


class EpisodeReader:
    """Read episodes of an open file."""

    def __init__(
        self,
        file: Hdf5File,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        repair_images: bool,
    ) -> None:
        """Prepare to read.

        Args:
            file: The open file.
            observation_space: The space of the observations.
            action_space: The space of the actions.
            repair_images: Whether infos may hold images that were stored as JPEG by mistake.
        """
        self._file = file
        self._spaces = observation_space, action_space
        self._repair_images = repair_images

    def read(self, number: int, *, copy: bool = True) -> EpisodeData:
        """Read an episode.

        Args:
            number: Its index.
            copy: Return fresh arrays; else views of the file, where an array lies in one piece.

        Raises:
            DatasetDamagedError: Something is missing or of the wrong kind.
        """
        plain = None if self._repair_images else self._file.plain_episode(number, copy=copy)
        if plain is not None:
            found = self._build_plain(number, *plain)
            if found is not None:
                return found
        group = self._file.episode(number)
        names = set(names_in(group))
        absent = sorted(_PARTS - {"infos"} - names)
        if absent:
            raise DatasetDamagedError(f"it has no {', '.join(absent)}")
        rewards = self._read_array(group, "rewards")
        if rewards.ndim == 0 or rewards.dtype.kind not in "biuf":
            raise DatasetDamagedError(f"rewards are {rewards.dtype} of shape {rewards.shape}")
        steps = len(rewards)
        observations, actions = self._spaces
        rows = steps + 1
        if self._count_rows(group, "observations", observations) == steps:
            rows = steps
        infos = (
            self._read_infos(self._file.open(group, "infos"), "infos") if "infos" in names else {}
        )
        attributes = self._file.read_attributes(group)
        seed, options, metadata = decode_attributes(attributes)
        extras: dict[str, Any] = {}
        if OWN_KEY in names:
            columns, arrays = self._read_sidecar(group)
            extras, entry = restore_sidecar(columns, arrays, steps + 1, infos, copy=True)
            if entry is not None:
                seed, options, metadata = entry
        for name in sorted(names - _PARTS - {OWN_KEY}):
            # Further columns, which step callbacks of early releases could add.
            extras[name] = self._read_info(self._file.open(group, name), name)
        return EpisodeData(
            number,
            self._read_value(group, "observations", observations, rows, "observations"),
            self._read_value(group, "actions", actions, steps, "actions"),
            rewards if rewards.dtype == np.float64 else rewards.astype(np.float64),
            self._read_flags(group, "terminations", steps),
            self._read_flags(group, "truncations", steps),
            infos,
            seed,
            options,
            metadata,
            extras,
        )

    def _build_plain(
        self, number: int, tree: Tree, attributes: dict[str, Any] | None
    ) -> EpisodeData | None:
        """Build an episode that holds numbers alone; None if it does not, or is malformed."""
        if attributes is None:
            attributes = self._file.read_attributes(self._file.episode(number))
        infos, own = tree.pop("infos", {}), tree.pop(OWN_KEY, None)
        observations, actions, *flat = [tree.pop(name, None) for name in _COLUMNS]
        steps = len(flat[0]) if isinstance(flat[0], np.ndarray) and flat[0].ndim else -1
        numbers: list[Array] = []
        for array in flat:
            if not isinstance(array, np.ndarray) or array.shape[:1] != (steps,):
                return None
            if array.dtype.kind not in "biuf" or (numbers and array.ndim > 1):
                return None
            numbers.append(array)
        of_observations, of_actions = self._spaces
        given = observations
        observations = _plain_value(given, of_observations, steps + 1)
        if observations is None:
            observations = _plain_value(given, of_observations, steps)
        actions = _plain_value(actions, of_actions, steps)
        if isinstance(infos, np.ndarray) or observations is None or actions is None:
            return None
        seed, options, metadata = decode_attributes(attributes)
        extras: dict[str, Any] = {}
        if own is not None:
            sidecar = _plain_sidecar(own)
            if sidecar is None:
                return None
            extras, entry = restore_sidecar(*sidecar, steps + 1, infos, copy=True)
            if entry is not None:
                seed, options, metadata = entry
        if tree:
            extras.update(sorted(tree.items()))
        return EpisodeData(
            number,
            observations,
            actions,
            numbers[0].astype(np.float64, copy=False),
            numbers[1].astype(np.bool_, copy=False),
            numbers[2].astype(np.bool_, copy=False),
            infos,
            seed,
            options,
            metadata,
            extras,
        )

    def read_attributes(self, number: int) -> tuple[Attributes, Entry | None]:
        """Read the attributes of an episode, and the entry in its sidecar or None."""
        group = self._file.episode(number)
        attributes = self._file.read_attributes(group)
        if "total_steps" not in attributes:
            attributes["total_steps"] = len(self._read_array(group, "rewards"))
        sidecar = self.read_sidecar(number)
        if sidecar is None:
            return attributes, None
        rows = int(attributes["total_steps"]) + 1
        return attributes, restore_sidecar(*sidecar, rows, {}, copy=True)[1]

    def read_sidecar(self, number: int) -> tuple[str, Iterator[Array]] | None:
        """Read the columns and arrays of the sidecar of an episode; None if it has none."""
        group = self._file.episode(number)
        return self._read_sidecar(group) if OWN_KEY.encode() in group else None

    def count_observations(self, number: int) -> int | None:
        """Count the observations of an episode without reading them; see `_count_rows`."""
        return self._count_rows(self._file.episode(number), "observations", self._spaces[0])

    def _count_rows(self, group: Any, name: str, space: spaces.Space[Any]) -> int | None:
        """Count the rows of the first column of a space; None if it has none."""
        stored = self._file.open(group, name)
        if isinstance(space, spaces.Dict):
            first = next(iter(space.spaces.items()), None)
            return None if first is None else self._count_rows(stored, *first)
        if isinstance(space, spaces.Tuple):
            return self._count_rows(stored, "_index_0", space.spaces[0]) if space.spaces else None
        return None if is_group(stored) or not stored.shape else int(stored.shape[0])

    def _read_array(self, group: Any, name: str) -> np.ndarray[Any, Any]:
        dataset = self._file.open(group, name)
        if is_group(dataset):
            raise DatasetDamagedError(f"{name} is a group, not a dataset")
        return self._file.read_array(dataset)

    def _read_flags(self, group: Any, name: str, steps: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        flags = self._read_array(group, name)
        if flags.shape != (steps,) or flags.dtype.kind not in "biuf":
            raise DatasetDamagedError(f"{name} are {flags.dtype} of shape {flags.shape}")
        return flags if flags.dtype == np.bool_ else flags.astype(np.bool_)

    def _read_value(
        self, group: Any, name: str, space: spaces.Space[Any], rows: int, where: str
    ) -> Any:
        stored = self._file.open(group, name)
        if isinstance(space, spaces.Dict):
            return {
                key: self._read_value(stored, key, subspace, rows, f"{where}[{key!r}]")
                for key, subspace in space.spaces.items()
            }
        if isinstance(space, spaces.Tuple):
            return tuple(
                self._read_value(stored, f"_index_{index}", subspace, rows, f"{where}[{index}]")
                for index, subspace in enumerate(space.spaces)
            )
        if is_group(stored):
            raise DatasetDamagedError(f"{where} is a group, not a dataset")
        if isinstance(space, spaces.Text):
            values: Any = self._file.read_text(stored)
        else:
            values = self._read_numbers(stored, space, where)
        if len(values) != rows:
            raise DatasetDamagedError(f"{where} has {len(values)} rows, not {rows}")
        return values

    def _read_numbers(self, stored: Any, space: spaces.Space[Any], where: str) -> Any:
        if isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) > 1:
            frames = self._read_frames(stored, len(space.shape))
            if frames is not None:
                return decode_jpegs(frames, space.shape, where, self._file.budget)
        values = self._file.read_array(stored)
        if values.ndim == 0 or values.dtype.kind not in "biufc":
            raise DatasetDamagedError(f"{where} is {values.dtype} of shape {values.shape}")
        return values

    def _read_infos(self, group: Any, where: str) -> dict[str, Any]:
        if not is_group(group):
            raise DatasetDamagedError(f"{where} is a dataset, not a group")
        return {
            name: self._read_info(self._file.open(group, name), f"{where}[{name!r}]")
            for name in names_in(group)
        }

    def _read_info(self, stored: Any, where: str) -> Any:
        if is_group(stored):
            return self._read_infos(stored, where)
        is_text = stored.dtype.kind in "OS" and not is_variable(stored)
        if self._repair_images and stored.dtype in (np.uint8, np.object_) and not is_text:
            frames = self._read_frames(stored, 3)
            if frames is not None and all(is_jpeg(frame) for frame in frames):
                return decode_jpegs(frames, None, where, self._file.budget)
        if is_text and len(stored.shape) == 1:
            return self._file.read_text(stored)
        rows = self._file.read_array(stored)
        return rows.tolist() if is_text else rows

    def _read_frames(self, stored: Any, dimensions: int) -> list[bytes] | None:
        """Read the image files in the rows of a dataset; None if it holds numbers."""
        variable = stored.dtype.kind == "O"
        if not variable and (len(stored.shape) != 2 or dimensions == 1):
            return None
        rows = self._file.read_array(stored)
        return [np.asarray(row, dtype=np.uint8).tobytes() for row in rows]

    def _read_sidecar(self, group: Any) -> tuple[str, Iterator[Array]]:
        own = self._file.open(group, OWN_KEY)
        columns = self._file.read_attributes(own).get(COLUMNS_NAME)
        if not isinstance(columns, str):
            columns = bytes(self._read_array(own, COLUMNS_NAME)).decode("utf-8")
        count = sum(1 for name in own if name != COLUMNS_NAME.encode())
        arrays = (self._read_array(own, str(index)) for index in range(count))
        return columns, arrays


def _plain_sidecar(own: object) -> tuple[str, Iterator[Array]] | None:
    """Return the columns and arrays of a sidecar; None if they are stored in another way."""
    if not isinstance(own, dict):
        return None
    arrays = [own.get(str(index)) for index in range(len(own) - 1)]
    columns = own.get(COLUMNS_NAME)
    found = [array for array in (columns, *arrays) if isinstance(array, np.ndarray)]
    if len(found) < len(own):
        return None
    return found[0].tobytes().decode("utf-8"), iter(found[1:])


def _plain_value(stored: Any, space: spaces.Space[Any], rows: int) -> Any:
    """Return the rows of a space as arrays; None if they are stored in another way."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        if not isinstance(stored, dict):
            return None
        keyed = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        names = (key if isinstance(key, str) else f"_index_{key}" for key, _ in keyed)
        subspaces = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        found = {
            name: _plain_value(stored.get(name), subspace, rows)
            for name, subspace in zip(names, subspaces, strict=True)
        }
        if any(value is None for value in found.values()):
            return None
        return found if isinstance(space, spaces.Dict) else tuple(found.values())
    if not isinstance(stored, np.ndarray) or stored.ndim == 0 or len(stored) != rows:
        return None
    if isinstance(space, spaces.Text):
        return None
    is_image = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) > 1
    # What has another shape may be image files, one a row.
    return None if is_image and stored.shape[1:] != space.shape else stored
