"""Data frames of columns, with one column for each element of a vector."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minari_core.errors import DataError, MissingDependencyError
from minari_core.images import is_image
from minari_core.tables.gathering import Columns, Leaf

if TYPE_CHECKING:
    import pandas as pd


def make_frame(columns: Columns) -> pd.DataFrame:
    """Make a pandas data frame of N rows.

    Args:
        columns: The columns, N rows each.

    Returns:
        A frame in which element i of a vector is the column ``name.i``, and an image or any value
        without a fixed shape is an object. Columns with missing rows have pandas' own nullable
        dtypes, in which a missing number is not NaN.

    Raises:
        DataError: Two columns would have one name.
        MissingDependencyError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependencyError(
            "data frames need pandas; pip install 'minari-core[tables]'"
        ) from error
    parts: list[pd.DataFrame] = []
    names: set[str] = set()
    for name, leaf in columns.items():
        for part in _make_parts(pd, name, leaf):
            twice = names.intersection(part.columns)
            if twice:
                raise DataError(
                    f"two columns of a data frame would be called {min(twice)!r}; "
                    "an Arrow table keeps them apart"
                )
            names.update(part.columns)
            parts.append(part)
    return pd.concat(parts, axis=1)


def _make_parts(pd: Any, name: str, leaf: Leaf) -> Iterator[pd.DataFrame]:
    if name == "seed":
        yield pd.DataFrame({name: pd.array(leaf, dtype="UInt64")})
    elif isinstance(leaf, list) or is_image(leaf):
        values = np.empty(len(leaf), dtype=object)
        values[:] = [None if value is np.ma.masked else value for value in leaf]
        yield pd.DataFrame({name: values})
    else:
        flat = leaf.reshape(len(leaf), int(np.prod(leaf.shape[1:])))
        labels = [".".join([name, *map(str, at)]) for at in product(*map(range, leaf.shape[1:]))]
        if np.ma.getmask(leaf) is np.ma.nomask:
            yield pd.DataFrame(np.asarray(flat), columns=labels, copy=False)
        else:
            nullable = {
                label: _make_nullable(pd, flat[:, index]) for index, label in enumerate(labels)
            }
            yield pd.DataFrame(nullable)


def _make_nullable(pd: Any, values: npt.NDArray[Any]) -> Any:
    data, mask = np.array(np.ma.getdata(values)), np.ma.getmaskarray(values)
    kind = data.dtype.kind
    if kind == "b":
        return pd.arrays.BooleanArray(data, mask)
    if kind in "iu":
        return pd.arrays.IntegerArray(data, mask)
    if kind == "f" and data.dtype.itemsize >= 4:
        return pd.arrays.FloatingArray(data, mask)
    objects = data.astype(object)
    objects[mask] = None
    return objects
