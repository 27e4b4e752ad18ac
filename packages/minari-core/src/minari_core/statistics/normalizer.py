"""Normalize values of Box, Dict and Tuple spaces by the statistics of a dataset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minari_core.columns.base import escape_key
from minari_core.errors import SamplingError
from minari_core.files import replace_file, wrap_write_errors
from minari_core.json_values import from_json_text, to_json_text
from minari_core.messages import format_value
from minari_core.statistics.column_statistics import ColumnStatistics

_VERSION = 1
_REAL_KINDS = "biuf"

_Array: TypeAlias = npt.NDArray[np.float64]


class Normalizer:
    """Shift and scale values to mean 0 and standard deviation 1.

    Values of Dict and Tuple spaces are dicts and tuples, as batches have them. What has no
    statistics because it is no array of real numbers, such as text, is returned as it is.
    """

    def __init__(
        self,
        statistics: ColumnStatistics | Mapping[str, ColumnStatistics],
        epsilon: float = 1e-6,
        *,
        column: str = "observations",
    ) -> None:
        """Normalise by the statistics of a column.

        Args:
            statistics: Those of the column; or all that `MinariDataset.statistics` returned, for
                the leaves of a Dict or Tuple space.
            epsilon: The smallest standard deviation to divide by.
            column: Which column the values are of, where all statistics are given, such as
                ``actions`` or ``observations/camera``.

        Raises:
            SamplingError: There are no statistics of the column.
        """
        if isinstance(statistics, ColumnStatistics):
            statistics = {column: statistics}
        self._leaves: dict[str, tuple[_Array, _Array]] = {
            path.removeprefix(column): (found.mean, np.maximum(found.std, epsilon))
            for path, found in statistics.items()
            if path == column or path.startswith(f"{column}/")
        }
        if not self._leaves:
            raise SamplingError(
                f"there are no statistics of {format_value(column)} among "
                f"{format_value(sorted(statistics))}"
            )

    @property
    def leaves(self) -> Mapping[str, tuple[_Array, _Array]]:
        """The mean and the divisor of each leaf, by its path in the column, such as ``/camera``."""
        return MappingProxyType(self._leaves)

    def __repr__(self) -> str:
        """Text that is the same for the same numbers only."""
        digest = hashlib.sha256()
        for leaf, arrays in sorted(self._leaves.items()):
            digest.update(repr((leaf, arrays[0].shape)).encode("utf-8"))
            digest.update(b"".join(array.astype("<f8").tobytes() for array in arrays))
        return f"Normalizer({digest.hexdigest()[:32]})"

    def normalize(self, values: Any, dtype: npt.DTypeLike = np.float64, *, path: str = "") -> Any:
        """Return ``(values - mean) / std``.

        Args:
            values: Arrays of shape (…, *row), in dicts and tuples as the space has them.
            dtype: What to round the results to; they are computed in float64.
            path: Where in the column the values are from, such as ``/camera``.

        Raises:
            SamplingError: An array has no statistics, or rows of another shape.
        """

        def apply(array: npt.NDArray[Any], mean: _Array, scale: _Array) -> npt.NDArray[Any]:
            return np.asanyarray((array - mean) / scale).astype(dtype, copy=False)

        return self._apply(values, path, apply)

    def denormalize(self, values: Any) -> Any:
        """Return ``values * std + mean``, the inverse of `normalize`, in float64.

        Args:
            values: As for `normalize`.

        Raises:
            SamplingError: As by `normalize`.
        """

        def apply(array: npt.NDArray[Any], mean: _Array, scale: _Array) -> npt.NDArray[Any]:
            return np.asanyarray(array * scale + mean)

        return self._apply(values, "", apply)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a JSON file, which replaces one that is there.

        Raises:
            DatasetWriteError: The file system refused; what was there is unchanged.
        """
        target = Path(path)
        leaves = {
            leaf: {"mean": mean, "scale": scale} for leaf, (mean, scale) in self._leaves.items()
        }
        text = to_json_text({"normalizer": _VERSION, "leaves": leaves}, "normalizer")
        with wrap_write_errors(target):
            replace_file(target, text.encode("ascii"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Normalizer:
        """Read what `save` has written; it normalizes to the same bits.

        Raises:
            SamplingError: The file cannot be read, or is no normalizer.
        """
        try:
            content: Any = from_json_text(Path(path).read_text("ascii"))
            if content["normalizer"] != _VERSION:
                raise ValueError(f"its version is {format_value(content['normalizer'])}")
            leaves = {
                str(leaf): (_check_array(saved["mean"]), _check_array(saved["scale"]))
                for leaf, saved in content["leaves"].items()
            }
            for leaf, (mean, scale) in leaves.items():
                if mean.shape != scale.shape or (scale <= 0).any():
                    raise ValueError(f"mean and scale of {format_value(leaf)} do not fit")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SamplingError(
                f"{os.fspath(path)} is no normalizer that Normalizer.save has written: "
                f"{type(error).__name__}: {error}"
            ) from error
        loaded = cls.__new__(cls)
        loaded._leaves = leaves
        return loaded

    def _apply(
        self,
        values: Any,
        path: str,
        change: Callable[[npt.NDArray[Any], _Array, _Array], npt.NDArray[Any]],
    ) -> Any:
        if isinstance(values, Mapping):
            return {
                key: self._apply(value, f"{path}/{escape_key(key)}", change)
                for key, value in values.items()
            }
        if path in self._leaves:
            mean, scale = self._leaves[path]
            array = np.asanyarray(values)
            if array.shape[array.ndim - mean.ndim :] != mean.shape or array.ndim < mean.ndim:
                raise SamplingError(
                    f"values{path} have shape {array.shape}, and the rows of their statistics "
                    f"{mean.shape}; give an array of shape (…, *row)"
                )
            return change(array, mean, scale)
        if isinstance(values, tuple):
            return tuple(
                self._apply(value, f"{path}/_index_{index}", change)
                for index, value in enumerate(values)
            )
        if isinstance(values, np.ndarray | np.generic) and values.dtype.kind in _REAL_KINDS:
            raise SamplingError(
                f"there are no statistics of values{path}, only of "
                f"{', '.join(f'values{leaf}' for leaf in sorted(self._leaves))}"
            )
        return values


def _check_array(value: object) -> _Array:
    array = np.asarray(value)
    if array.dtype != np.float64:
        raise ValueError(f"an array of {array.dtype} stands where numbers of float64 belong")
    return array


Normalizers: TypeAlias = tuple[tuple[str, Normalizer], ...]
"""Columns and what normalizes them."""
