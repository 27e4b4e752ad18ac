"""Choose the column for the values of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.columns.base import Column
from minari_core.columns.fixed import FixedColumn, make_fixed_column
from minari_core.columns.nested import StructColumn, TupleColumn
from minari_core.columns.sequences import GraphColumn, OneOfColumn, SequenceColumn
from minari_core.columns.variable import TextColumn
from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.errors import SpaceError

FIXED_SPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_DEFAULT_LINK_DTYPE = np.dtype("<i4")


def has_fixed_values(space: spaces.Space[Any]) -> bool:
    """Return whether all values of a space are arrays of one dtype and shape.

    That is so for Box, Discrete, MultiDiscrete and MultiBinary, and for a class of others whose
    spaces have both a dtype and a shape.
    """
    if isinstance(space, FIXED_SPACES):
        return True
    return space.shape is not None and space.dtype is not None


def choose_column(space: spaces.Space[object], values: Sequence[object]) -> Column:
    """Choose the column that stores values of a space losslessly.

    The space gives the structure. The dtype of an array is that of the values, so that a
    float64 value of a float32 space stays one; the space's dtype is used where the values are
    Python numbers, or where there are none. Where values of a Box disagree, their common dtype
    is used; whether it holds them exactly is seen when they are encoded.

    Args:
        space: The space, of any Gymnasium kind.
        values: Values to be stored; they need not be inside the space's bounds.

    Raises:
        SpaceError: The space is of a kind that cannot be stored.
    """
    if has_fixed_values(space):
        return _choose_fixed(space, values)
    if isinstance(space, spaces.Text):
        return TextColumn()
    if isinstance(space, spaces.Dict):
        return StructColumn(
            {
                key: choose_column(
                    subspace,
                    [value[key] for value in values if isinstance(value, Mapping) and key in value],
                )
                for key, subspace in space.spaces.items()
            }
        )
    if isinstance(space, spaces.Tuple):
        return TupleColumn(
            tuple(
                choose_column(
                    subspace,
                    [
                        value[index]
                        for value in values
                        if isinstance(value, tuple | list) and index < len(value)
                    ],
                )
                for index, subspace in enumerate(space.spaces)
            )
        )
    if isinstance(space, spaces.Sequence):
        elements = [
            element
            for value in values
            if not space.stack and isinstance(value, tuple | list | np.ndarray)
            for element in value
        ]
        if space.stack:
            return SequenceColumn(_choose_stacked(space.feature_space, values), stacked=True)
        return SequenceColumn(choose_column(space.feature_space, elements), stacked=False)
    if isinstance(space, spaces.Graph):
        return _choose_graph(space, values)
    if ONE_OF is not None and isinstance(space, ONE_OF):
        options: tuple[spaces.Space[Any], ...] = getattr(space, "spaces", ())
        pairs = [value for value in values if isinstance(value, tuple) and len(value) == 2]
        return OneOfColumn(
            tuple(
                choose_column(subspace, [value for choice, value in pairs if choice == index])
                for index, subspace in enumerate(options)
            )
        )
    raise SpaceError(
        f"values of a {type(space).__name__} space, which has no dtype and shape, cannot be stored:"
        f" {space}"
    )


def _choose_fixed(space: spaces.Space[object], values: Sequence[object]) -> FixedColumn:
    dtypes = {value.dtype for value in values if isinstance(value, np.ndarray | np.generic)}
    if len(dtypes) > 1 and isinstance(space, spaces.Box):
        dtype = np.result_type(*dtypes)
    else:
        dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(space.dtype)
    return make_fixed_column(dtype, tuple(space.shape or ()))


def _choose_stacked(space: spaces.Space[object], values: Sequence[object]) -> Column:
    """Choose the column of a stacked sequence's elements: its leaves hold many elements each."""
    if isinstance(space, spaces.Dict):
        return StructColumn(
            {
                key: _choose_stacked(subspace, [v[key] for v in values if isinstance(v, Mapping)])
                for key, subspace in space.spaces.items()
            }
        )
    if isinstance(space, spaces.Tuple):
        return TupleColumn(
            tuple(
                _choose_stacked(subspace, [v[index] for v in values if isinstance(v, tuple | list)])
                for index, subspace in enumerate(space.spaces)
            )
        )
    if has_fixed_values(space):
        return choose_column(space, values)
    elements = [
        subspace for value in values if isinstance(value, tuple | list) for subspace in value
    ]
    return choose_column(space, elements)


def _choose_graph(space: spaces.Graph, values: Sequence[object]) -> GraphColumn:
    graphs = [value for value in values if isinstance(value, spaces.GraphInstance)]
    links = {graph.edge_links.dtype for graph in graphs if isinstance(graph.edge_links, np.ndarray)}
    return GraphColumn(
        nodes=_choose_fixed(space.node_space, [graph.nodes for graph in graphs]),
        edges=(
            None
            if space.edge_space is None
            else _choose_fixed(
                space.edge_space, [graph.edges for graph in graphs if graph.edges is not None]
            )
        ),
        edge_links=FixedColumn(links.pop() if len(links) == 1 else _DEFAULT_LINK_DTYPE, (2,)),
    )
