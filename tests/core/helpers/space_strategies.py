"""Random Gymnasium spaces, nested in any way, and values of them that lie at their edges."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces
from gymnasium.spaces import GraphInstance, Space
from hypothesis import strategies as st
from numpy.typing import NDArray

from minari_core.environments import gymnasium_compat as compat

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64", "longdouble"]
DISCRETE_DTYPES = INTEGERS if compat.DISCRETE_HAS_DTYPE else ["int64"]

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
keys = st.text(max_size=6) | st.sampled_from(["", "/", "a/b", ".", "\x00", "\ud800", "é", "😀"])


def _integers(dtype: str) -> st.SearchStrategy[int]:
    limits = np.iinfo(dtype)
    edges = st.sampled_from([int(limits.min), int(limits.max), 0, 1])
    return edges | st.integers(int(limits.min), int(limits.max))


def _finite_floats(dtype: str) -> st.SearchStrategy[Any]:
    limits = np.finfo(dtype)
    edges = st.sampled_from([limits.min, limits.max, limits.tiny, 0.0, -0.0])
    if dtype == "longdouble":
        # A third has more digits than a float64 holds.
        return edges | st.integers(-(10**6), 10**6).map(lambda number: np.longdouble(number) / 3)
    width: Any = limits.bits
    return edges | st.floats(allow_nan=False, allow_infinity=False, width=width)


@st.composite
def boxes(draw: st.DrawFn) -> gym_spaces.Box:
    """A Box of any dtype and shape; its bounds are uniform or not, finite or not."""
    dtype = draw(st.sampled_from(["bool", *INTEGERS, *FLOATS]))
    shape = draw(shapes)
    if dtype == "bool":
        numbers: st.SearchStrategy[Any] = st.booleans()
    else:
        numbers = _integers(dtype) if dtype in INTEGERS else _finite_floats(dtype)
    bounds = []
    for _ in range(2):
        array = np.zeros(shape, dtype=dtype)
        if draw(st.booleans()):
            array[...] = draw(numbers)
        else:
            for index in np.ndindex(shape):
                array[index] = draw(numbers)
        bounds.append(array)
    # numpy turns arrays without axes into scalars.
    low, high = np.asarray(np.minimum(*bounds)), np.asarray(np.maximum(*bounds))
    if dtype in FLOATS:
        low[_some(draw, shape)] = -np.inf
        high[_some(draw, shape)] = np.inf
    elif dtype.startswith("int") and draw(st.booleans()):
        return gym_spaces.Box(-np.inf, np.inf, shape=shape, dtype=np.dtype(dtype))
    return gym_spaces.Box(low=low, high=high, shape=shape, dtype=np.dtype(dtype))


def _some(draw: st.DrawFn, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    chosen = draw(st.sampled_from(["none", "all", "some"]))
    if chosen != "some":
        return np.full(shape, chosen == "all")
    mask = np.zeros(shape, dtype=np.bool_)
    for index in np.ndindex(shape):
        mask[index] = draw(st.booleans())
    return mask


@st.composite
def discretes(draw: st.DrawFn) -> gym_spaces.Discrete:
    """A Discrete of any dtype, up to the edges of the dtype."""
    dtype = draw(st.sampled_from(DISCRETE_DTYPES))
    limits = np.iinfo(dtype)
    start = draw(st.integers(int(limits.min), int(limits.max) - 1))
    start = draw(st.sampled_from([0, start]))
    count = draw(st.integers(1, int(limits.max) - max(start, 0)))
    return compat.make_discrete(count, start, np.dtype(dtype))


@st.composite
def multi_discretes(draw: st.DrawFn) -> gym_spaces.MultiDiscrete:
    """A MultiDiscrete of any integer dtype and shape."""
    dtype = draw(st.sampled_from(INTEGERS))
    shape = draw(shapes)
    limits = np.iinfo(dtype)
    start = np.zeros(shape, dtype=dtype)
    nvec = np.ones(shape, dtype=dtype)
    for index in np.ndindex(shape):
        start[index] = draw(st.sampled_from([0, 1, int(limits.min) // 2]))
        nvec[index] = draw(st.integers(1, int(limits.max) // 2))
    return gym_spaces.MultiDiscrete(nvec, dtype=np.dtype(dtype), start=start)


@st.composite
def texts(draw: st.DrawFn) -> gym_spaces.Text:
    """A Text of any characters, lone surrogates included."""
    longest = draw(st.integers(1, 6))
    shortest = draw(st.integers(0, longest))
    if draw(st.booleans()):
        return gym_spaces.Text(longest, min_length=shortest)
    anything = st.characters() | st.characters(categories=["Cs"])
    charset = draw(st.lists(anything, min_size=1, max_size=8, unique=True))
    return gym_spaces.Text(longest, min_length=shortest, charset="".join(charset))


def _dicts(children: st.SearchStrategy[Space[Any]]) -> st.SearchStrategy[Space[Any]]:
    return st.builds(
        lambda pairs: gym_spaces.Dict(OrderedDict(pairs)),
        st.lists(st.tuples(keys, children), max_size=3, unique_by=lambda pair: pair[0]),
    )


def _containers(children: st.SearchStrategy[Space[Any]], exotic: bool) -> Any:
    kinds: list[st.SearchStrategy[Space[Any]]] = [
        _dicts(children),
        st.builds(gym_spaces.Tuple, st.lists(children, max_size=3)),
    ]
    if exotic:
        kinds.append(st.builds(gym_spaces.Sequence, children))
        stackable = (boxes() | multi_discretes() | discretes()).filter(_is_stackable)
        kinds.append(st.builds(lambda space: gym_spaces.Sequence(space, stack=True), stackable))
        if compat.ONE_OF is not None:
            one_of: Any = compat.ONE_OF
            kinds.append(st.builds(one_of, st.lists(children, min_size=1, max_size=3)))
    return st.one_of(kinds)


def _is_stackable(space: Space[Any]) -> bool:
    # Gymnasium says that a Box without axes does not contain what it gets out of a stack.
    return space.dtype == np.int64 if isinstance(space, gym_spaces.Discrete) else bool(space.shape)


@st.composite
def graphs(draw: st.DrawFn) -> gym_spaces.Graph:
    """A Graph of the node and edge spaces that every Gymnasium takes."""
    features = (boxes() | discretes()).filter(_is_stackable)
    nodes: Any = draw(features)
    edges: Any = draw(st.none() | features)
    return gym_spaces.Graph(nodes, edges)


def spaces(max_leaves: int = 6, exotic: bool = True) -> st.SearchStrategy[Space[Any]]:
    """Spaces nested in any way.

    Args:
        max_leaves: About how many spaces that are not containers there are at most.
        exotic: Whether Sequence, Graph and (where there is one) OneOf are among them.
    """
    multi_binaries = st.builds(
        gym_spaces.MultiBinary, st.integers(1, 5) | st.lists(st.integers(1, 3), max_size=3)
    )
    leaves: st.SearchStrategy[Any] = st.one_of(
        boxes(), discretes(), multi_discretes(), multi_binaries, texts()
    )
    if exotic:
        leaves = leaves | graphs()
    nested: st.SearchStrategy[Space[Any]] = st.recursive(
        leaves, lambda children: _containers(children, exotic), max_leaves=max_leaves
    )
    return nested


def value_of(space: Space[Any], rng: np.random.Generator) -> Any:
    """One value that the space contains, often at an edge of it.

    Edges are the bounds themselves, infinities where a Box has none, -0.0, empty text, empty
    sequences and graphs without edges.
    """
    if isinstance(space, gym_spaces.Box):
        return _box_value(space, rng)
    if isinstance(space, gym_spaces.Discrete):
        return space.dtype.type(_between(int(space.start), int(space.n), rng))
    if isinstance(space, gym_spaces.MultiDiscrete):
        pairs = zip(space.start.ravel().tolist(), space.nvec.ravel().tolist(), strict=True)
        numbers = [_between(start, count, rng) for start, count in pairs]
        return np.array(numbers, dtype=space.dtype).reshape(space.shape)
    if isinstance(space, gym_spaces.MultiBinary):
        return rng.integers(0, 2, size=space.shape, dtype=np.int8)
    if isinstance(space, gym_spaces.Text):
        length = rng.choice([space.min_length, space.max_length])
        return "".join(space.character_list[i] for i in _indices(space, int(length), rng))
    if isinstance(space, gym_spaces.Dict):
        return {key: value_of(subspace, rng) for key, subspace in space.spaces.items()}
    if isinstance(space, gym_spaces.Tuple):
        return tuple(value_of(subspace, rng) for subspace in space.spaces)
    if isinstance(space, gym_spaces.Sequence):
        values = [value_of(space.feature_space, rng) for _ in range(rng.integers(0, 4))]
        return _stacked(space.feature_space, values) if space.stack else tuple(values)
    if isinstance(space, gym_spaces.Graph):
        return _graph_value(space, rng)
    if compat.ONE_OF is not None and isinstance(space, compat.ONE_OF):
        options: Any = space
        index = rng.integers(0, len(options.spaces))
        return np.int64(index), value_of(options.spaces[index], rng)
    raise TypeError(f"no values of {space}")


def values_of(space: Space[Any], rng: np.random.Generator, count: int = 8) -> list[Any]:
    """Several values that the space contains; see `value_of`."""
    return [value_of(space, rng) for _ in range(count)]


def _between(start: int, count: int, rng: np.random.Generator) -> int:
    edges = [start, start + count - 1, start + int(rng.random() * (count - 1))]
    return edges[int(rng.integers(0, 3))]


def _indices(space: gym_spaces.Text, length: int, rng: np.random.Generator) -> list[int]:
    return [int(i) for i in rng.integers(0, len(space.character_list), size=length)]


def _box_value(space: gym_spaces.Box, rng: np.random.Generator) -> NDArray[Any]:
    value = np.where(rng.random(space.shape) < 0.5, space.low, space.high)
    if space.dtype.kind == "f":
        middle = rng.standard_normal(space.shape).astype(space.dtype)
        middle[rng.random(space.shape) < 0.2] = -0.0
        middle = np.clip(middle, space.low, space.high)
        value = np.where(rng.random(space.shape) < 0.5, middle, value)
    # np.where turns arrays without axes into scalars.
    return np.asarray(value, dtype=space.dtype).reshape(space.shape)


def _stacked(space: Space[Any], values: list[Any]) -> Any:
    if isinstance(space, gym_spaces.Discrete):
        return np.array(values, dtype=space.dtype)
    shape: Any = space.shape
    return np.stack(values) if values else np.empty((0, *shape), dtype=space.dtype)


def _graph_value(space: gym_spaces.Graph, rng: np.random.Generator) -> GraphInstance:
    nodes = [value_of(space.node_space, rng) for _ in range(rng.integers(1, 4))]
    node_array = _stacked(space.node_space, nodes)
    if space.edge_space is None:
        return GraphInstance(node_array, None, None)
    edges = [value_of(space.edge_space, rng) for _ in range(rng.integers(0, 4))]
    links = rng.integers(0, len(nodes), size=(len(edges), 2), dtype=np.int32)
    return GraphInstance(node_array, _stacked(space.edge_space, edges), links)
