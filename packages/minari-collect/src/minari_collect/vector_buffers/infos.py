"""The infos of many environments at once, kept as the batches that they come in.

Gymnasium batches the infos of its environments as arrays with one value each, and says in an
array of flags beside it, ``_key``, which of them have the key. Arrays are copied a batch at a
time and become columns without looking at single values; everything else goes value by value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_collect.buffers.base import ColumnGroup
from minari_collect.buffers.infos import InfoEncoder
from minari_collect.vector_buffers.base import Cells
from minari_collect.vector_buffers.batched_infos import is_mask
from minari_core.columns import (
    Array,
    Column,
    MaskedColumn,
    StructColumn,
    Unstorable,
    freeze,
    make_fixed_column,
)
from minari_core.json_values import NOT_PLAIN, is_plain_key

_NBYTES_OF_VALUE = 32

Info: TypeAlias = "dict[str, object]"


class _BatchedValues:
    """The values of one key for all environments, and which of them have it."""

    __slots__ = ("present", "values")

    def __init__(self, values: object, present: npt.NDArray[np.bool_] | None) -> None:
        self.values = values
        self.present = present


Batch: TypeAlias = "dict[str, _BatchedValues]"


class VectorInfoBuffer:
    """The infos of all environments in consecutive rows."""

    def __init__(self, name: str, num_envs: int) -> None:
        """Start without a row.

        Args:
            name: What to call the column in messages.
            num_envs: How many environments there are.
        """
        self.encoder = InfoEncoder()
        """Encodes the values, and knows what could not be stored."""
        self.nbytes = 0
        """About how much memory the values take."""
        self._name = name
        self._envs = num_envs
        self._rows: list[Batch | list[Info | None] | None] = []
        self._cells: dict[int, Info | None] = {}
        self._finals: list[Info | None] = []

    def write(
        self, row: int, infos: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    ) -> None:
        """Copy the infos of all environments into a row; never raise.

        Args:
            row: The row; those before it that were not written have no infos.
            infos: A batch as Gymnasium makes it, or a dict for each environment.
        """
        frozen: Batch | list[Info | None] | None
        if not infos:
            frozen = None
        elif isinstance(infos, Mapping):
            frozen = self._freeze_batch(infos)
        else:
            frozen = [self._freeze_info(info) for info in infos]
        missing = row - len(self._rows)
        if frozen is None and missing >= 0:
            return
        if missing < 0:
            self._rows[row] = frozen
        else:
            self._rows += [None] * missing
            self._rows.append(frozen)

    def write_one(self, row: int, env: int, info: Mapping[str, Any] | None) -> None:
        """Copy the info of one environment over what a row has for it."""
        self._cells[row * self._envs + env] = self._freeze_info(info)

    def add_final(self, info: Mapping[str, Any] | None) -> None:
        """Keep a copy of the info of a final observation."""
        self._finals.append(self._freeze_info(info))

    def add_final_cell(self, row: int, env: int) -> None:
        """Keep what a row has for an environment as the info of a final observation."""
        self._finals.append(self._read_cell(row * self._envs + env))

    def keep_finals(self, numbers: Sequence[int]) -> None:
        """Drop all final values but some."""
        self._finals = [self._finals[number] for number in numbers]

    def move(self, start: int, stop: int) -> None:
        """Move some rows to the front and drop all others."""
        self._rows = self._rows[start:stop]
        first, end = start * self._envs, stop * self._envs
        self._cells = {c - first: v for c, v in self._cells.items() if first <= c < end}
        self.nbytes = 0

    def take(self, wanted: Cells) -> ColumnGroup:
        """Encode some cells as a column and its arrays."""
        if not self._rows and not self._cells and not self._finals:
            return StructColumn({}), []
        fields: dict[str, Column] = {}
        arrays: list[Array] = []
        rows, envs = np.divmod(wanted.cells, self._envs)
        rows[wanted.positions] = -1
        used = [row for row in np.unique(rows).tolist() if 0 <= row < len(self._rows)]
        infos: list[Info | None] | None = None
        for key in self._list_keys(used, wanted):
            if not is_plain_key(key):
                self.encoder.dropped.setdefault(f"{self._name}[{key!r}]", NOT_PLAIN)
                continue
            encoded = self._encode_at_once(key, used, rows, envs, wanted)
            if encoded is not None:
                self.encoder.note_stored(f"{self._name}[{key!r}]", encoded[0])
            else:
                if infos is None:
                    infos = self._list_infos(wanted)
                encoded = self._encode(key, infos)
            if encoded is not None:
                fields[key] = encoded[0]
                arrays += encoded[1]
        return StructColumn(fields), arrays

    def read(self, wanted: Cells) -> dict[str, object]:
        """List some cells of each key."""
        infos = self._list_infos(wanted)
        keys = dict.fromkeys(key for info in infos if info for key in info)
        return {key: [info.get(key) if info else None for info in infos] for key in keys}

    def _list_keys(self, used: list[int], wanted: Cells) -> dict[str, None]:
        keys: dict[str, None] = {}
        for row in used:
            stored = self._rows[row]
            if isinstance(stored, dict):
                keys.update(dict.fromkeys(stored))
            elif stored is not None:
                keys.update(dict.fromkeys(key for info in stored if info for key in info))
        others = list(self._cells.values()) + [self._finals[n] for n in wanted.finals.tolist()]
        for info in others:
            keys.update(dict.fromkeys(info or ()))
        return keys

    def _encode_at_once(
        self, key: str, used: list[int], rows: npt.NDArray[np.int64], envs: Any, wanted: Cells
    ) -> ColumnGroup | None:
        """Encode a key whose values all lie in arrays of one dtype and shape."""
        if self._cells or not used:
            return None
        leaves = []
        for row in used:
            stored = self._rows[row]
            if isinstance(stored, list):
                return None
            leaves.append(stored.get(key) if stored else None)
        first = next((leaf.values for leaf in leaves if leaf is not None), None)
        if not isinstance(first, np.ndarray) or first.dtype.kind not in "biufc":
            return None
        if first[0].size == 0:
            return None
        present = np.zeros((len(used) + 1, self._envs), dtype=bool)
        values = np.zeros((len(used) + 1, *first.shape), dtype=first.dtype)
        for index, leaf in enumerate(leaves):
            if leaf is None:
                continue
            if not isinstance(leaf.values, np.ndarray):
                return None
            if leaf.values.dtype != first.dtype or leaf.values.shape != first.shape:
                return None
            present[index] = True if leaf.present is None else leaf.present
            values[index] = leaf.values
        # Row -1, of the final values, comes after the others.
        numbers = np.full(max(len(self._rows), int(rows.max(initial=0)) + 1) + 1, len(used))
        numbers[used] = np.arange(len(used))
        indices = numbers[rows]
        given, taken = present[indices, envs], values[indices, envs]
        for position, number in zip(wanted.positions.tolist(), wanted.finals.tolist(), strict=True):
            value = (self._finals[number] or {}).get(key)
            if value is None:
                continue
            array = np.asarray(value)
            if array.dtype != first.dtype or array.shape != first.shape[1:]:
                return None
            given[position], taken[position] = True, array
        column = make_fixed_column(first.dtype, first.shape[1:])
        if given.all():
            return column, [taken]
        if not given.any():
            return None
        taken[~given] = 0
        return MaskedColumn(column), [given, taken]

    def _encode(self, key: str, infos: list[Info | None]) -> ColumnGroup | None:
        if not any(info and key in info for info in infos):
            return None
        values = [info.get(key) if info else None for info in infos]
        return self.encoder.encode(f"{self._name}[{key!r}]", values)

    def _list_infos(self, wanted: Cells) -> list[Info | None]:
        infos = [self._read_cell(cell) for cell in wanted.cells.tolist()]
        for position, number in zip(wanted.positions.tolist(), wanted.finals.tolist(), strict=True):
            infos[position] = self._finals[number]
        return infos

    def _read_cell(self, cell: int) -> Info | None:
        if cell in self._cells:
            return self._cells[cell]
        row, env = divmod(cell, self._envs)
        stored = self._rows[row] if row < len(self._rows) else None
        if isinstance(stored, dict):
            return _select_env(stored, env)
        return None if stored is None else stored[env]

    def _freeze_info(self, info: Mapping[Any, Any] | None) -> Info | None:
        if not info:
            return None
        try:
            items = list(info.items())
        except Exception as error:
            self.encoder.dropped.setdefault(
                self._name, f"{type(info).__name__} is no dict ({error!r})"
            )
            return None
        frozen: Info = {}
        for key, value in items:
            if not isinstance(key, str):
                self.encoder.dropped.setdefault(f"{self._name}[{key!r}]", NOT_PLAIN)
                continue
            frozen[key] = _freeze_value(value)
            self.nbytes += _NBYTES_OF_VALUE + (value.nbytes if isinstance(value, np.ndarray) else 0)
        return frozen

    def _freeze_batch(self, infos: Mapping[Any, Any]) -> Batch:
        batch: Batch = {}
        flags_of_dropped: set[str] = set()
        for key, value in infos.items():
            if not isinstance(key, str):
                self.encoder.dropped.setdefault(f"{self._name}[{key!r}]", NOT_PLAIN)
                flags_of_dropped.add(f"_{key}")
                continue
            if (
                key.startswith("_")
                and (key[1:] in infos or key in flags_of_dropped)
                and is_mask(value, self._envs)
            ):
                continue
            mask = infos.get(f"_{key}")
            present = np.array(mask) if is_mask(mask, self._envs) else None
            batch[key] = _BatchedValues(self._freeze_values(value), present)
        return batch

    def _freeze_values(self, value: Any) -> object:
        """Copy the values of all environments: an array, a batch, or a list of them."""
        if isinstance(value, dict):
            return self._freeze_batch(value)
        self.nbytes += self._envs * _NBYTES_OF_VALUE
        if isinstance(value, np.ndarray) and value.ndim and len(value) == self._envs:
            if value.dtype.kind in "biufcU":
                self.nbytes += value.nbytes
                return np.array(value)
            return [_freeze_value(item) for item in value]
        if isinstance(value, list | tuple) and len(value) == self._envs:
            return [_freeze_value(item) for item in value]
        # Not of one environment more than of another.
        return [_freeze_value(value)] * self._envs


def _freeze_value(value: object) -> object:
    try:
        return freeze(value)
    except Exception:  # an object may raise anything when it is looked at
        return Unstorable(value)


def _select_env(batch: Batch, env: int) -> Info:
    info: Info = {}
    for key, leaf in batch.items():
        if leaf.present is not None and not leaf.present[env]:
            continue
        values = leaf.values
        if isinstance(values, dict):
            info[key] = _select_env(values, env)
        elif isinstance(values, np.ndarray | list):
            info[key] = values[env]
    return info
