"""Split values of Dict and Tuple spaces into those of the inner spaces, and nest them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gymnasium import spaces

from minari_core.columns import Column, StructColumn, TupleColumn
from minari_core.errors import DataError


class Nesting:
    """The structure of the values of a Dict or Tuple space."""

    def __init__(self, space: spaces.Dict | spaces.Tuple[Any], name: str) -> None:
        """Take the structure of a space, which messages call ``name``."""
        self._name = name
        self.is_dict = isinstance(space, spaces.Dict)
        """Whether the inner spaces have keys, instead of indices."""
        items = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        self.inner: dict[Any, tuple[spaces.Space[Any], str]] = {
            key: (inner, f"{name}[{key!r}]") for key, inner in items
        }
        """For each key or index its space, and what to call its column."""

    def split(self, value: Any) -> Sequence[Any]:
        """Split a value, or a batch, into one for each inner space.

        Raises:
            DataError: It has another structure.
        """
        if self.is_dict:
            if isinstance(value, Mapping) and value.keys() == self.inner.keys():
                return [value[key] for key in self.inner]
        elif isinstance(value, tuple | list) and len(value) == len(self.inner):
            return value
        raise self.structure_error(value)

    def structure_error(self, value: Any) -> DataError:
        """Make the error for a value of another structure."""
        if not self.is_dict:
            rule = f"a tuple of {len(self.inner)}, as its space says"
            return DataError(f"{self._name}: {value!r} is not {rule}")
        found = sorted(map(str, value)) if isinstance(value, Mapping) else repr(value)
        keys = sorted(self.inner)
        return DataError(f"{self._name}: {found} is not a dict of {keys}, as its space says")

    def nest_values(self, values: Iterable[object]) -> object:
        """Nest values of the inner spaces."""
        return dict(zip(self.inner, values, strict=True)) if self.is_dict else tuple(values)

    def nest_columns(self, columns: Iterable[Column]) -> Column:
        """Nest columns of the inner spaces."""
        if self.is_dict:
            return StructColumn(dict(zip(self.inner, columns, strict=True)))
        return TupleColumn(tuple(columns))
