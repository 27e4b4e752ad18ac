"""Write Gymnasium spaces as strict JSON, and read equal spaces back.

The keys are those of the public Minari, which can be read too::

    {"type":"Box","dtype":"uint8","shape":[210,160,3],"low":0,"high":255}
    {"type":"Discrete","dtype":"int64","n":4,"start":0}
    {"type":"MultiDiscrete","dtype":"int64","shape":[2],"nvec":[5,2],"start":0}
    {"type":"MultiBinary","n":[2,3]}
    {"type":"Text","max_length":5,"min_length":1,"charset":"abc"}
    {"type":"Dict","subspaces":{"camera":{…},"speed":{…}}}
    {"type":"Tuple","subspaces":[{…},{…}]}
    {"type":"OneOf","subspaces":[{…},{…}]}
    {"type":"Sequence","stack":false,"feature_space":{…}}
    {"type":"Graph","node_space":{…},"edge_space":null}

An array that is uniform is one number, any other is nested lists; an infinity is text, and in a
Box of whole numbers it means "no bound". A Dict's keys keep their order.

JSON that is read is not trusted: it is checked piece by piece, before memory is allocated for it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.spaces import Space

from minari_core.environments import gymnasium_compat as compat
from minari_core.environments.own_spaces import (
    describe_own_space,
    has_space_reader,
    read_own_space,
    register_space_writer,
    write_as_base,
)
from minari_core.environments.space_arrays import (
    INFINITY,
    MINUS_INFINITY,
    NumberArray,
    array_from_json,
    array_to_json,
    dtype_from_json,
    dtype_to_json,
    infer_shape,
    shape_from_json,
)
from minari_core.environments.space_budget import SpacePath
from minari_core.environments.space_fields import (
    Fields,
    refuse_duplicates,
    require,
    take_field,
    take_whole_number,
    translate_gymnasium_errors,
)
from minari_core.errors import SpaceError
from minari_core.messages import format_value, warn_caller

LOSSY_SPACES = "spaces are kept as those of Gymnasium that they are subclasses of"
"""How the warning begins that subclasses of Gymnasium's spaces are not kept as such."""


def space_to_json(space: Space[Any], where: str = "space") -> str:
    """Write a space as strict JSON (ASCII, no whitespace).

    A space of a subclass of one of Gymnasium's is written as that, with one warning, unless a
    function is registered for it.

    Args:
        space: Any of Gymnasium's spaces, nested in any way.
        where: Its name in an error message, such as ``"observation"``.

    Raises:
        SpaceError: The space, or one inside it, is neither of a class that Gymnasium defines, nor
            of a subclass of one or a registered class, or cannot be kept; the message says where,
            as in ``observation["camera"]``.
    """
    path = SpacePath.root(where)
    fields = _write_root(space, path)
    if subclasses := path.budget.subclasses:
        names = ", ".join(
            f"{name} ({kind.__module__}.{kind.__qualname__})" for name, kind in subclasses.items()
        )
        warn_caller(
            f"{LOSSY_SPACES}: {names}; whatever else they have is lost, unless "
            "minari.serialization.serialize_space.register says how to write them"
        )
    return json.dumps(fields, allow_nan=False, ensure_ascii=True, separators=(",", ":"))


def space_to_dict(space: Space[Any], where: str = "space") -> dict[str, Any]:
    """Return a space as the dict that `space_to_json` writes, without its warning."""
    return _write_root(space, SpacePath.root(where))


def _write_root(space: Space[Any], path: SpacePath) -> Fields:
    try:
        return _write(space, path)
    except RecursionError as error:
        raise SpaceError(f"{path.name}: nested too deep") from error


def space_from_json(text: str, where: str = "space") -> Space[Any]:
    """Read a space that `space_to_json`, or the public Minari, wrote.

    Args:
        text: The JSON.
        where: The space's name in an error message, such as ``"observation"``.

    Returns:
        A space that equals the one that was written, also in its dtypes and order of keys.

    Raises:
        UnknownSpaceError: The text is a space of a type that is neither Gymnasium's nor registered.
        SpaceError: The text is not a space; the message says where and what is wrong with it.
    """
    if not isinstance(text, str):
        raise SpaceError(f"{where}: expected JSON text, not {format_value(text)}")
    try:
        fields = json.loads(text, object_pairs_hook=refuse_duplicates)
    except SpaceError as error:
        raise SpaceError(f"{where}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{where}: not JSON: {error}") from error
    return space_from_dict(fields, where)


def space_from_dict(fields: object, where: str = "space") -> Space[Any]:
    """Read a space from the parsed JSON; see `space_from_json`."""
    try:
        return _read(fields, SpacePath.root(where))
    except RecursionError as error:
        raise SpaceError(f"{where}: nested too deep") from error


def is_same_space(one: Space[Any], other: Space[Any]) -> bool:
    """Return whether two spaces are kept as the same, dtypes included."""
    # Not compared as objects: classes of others, and spaces with such inside, may never be equal.
    texts = [json.dumps(space_to_dict(space), sort_keys=True) for space in (one, other)]
    return texts[0] == texts[1]


def _write(space: Space[Any], path: SpacePath) -> Fields:
    path.spend_space()
    kind = type(space)
    if kind not in _WRITERS:
        described = describe_own_space(space, path)
        if described is not None:
            return described
        kind = next(base for base in kind.__mro__ if base in _WRITERS)
        path.budget.subclasses[path.name] = type(space)
    return {"type": kind.__name__, **_WRITERS[kind](space, path)}


def _read(fields: object, path: SpacePath) -> Space[Any]:
    if not isinstance(fields, dict):
        raise SpaceError(f"{path.name}: expected an object, not {format_value(fields)}")
    kind = take_field(fields, "type", str, path)
    path.spend_space()
    reader = _READERS.get(kind)
    if reader is None:
        return read_own_space(kind, fields, path)
    try:
        with translate_gymnasium_errors(path):
            return reader(fields, path)
    except SpaceError:
        # A program may have written one of Gymnasium's spaces in a way of its own.
        if not has_space_reader(kind):
            raise
        return read_own_space(kind, fields, path)


def _write_box(space: spaces.Box, path: SpacePath) -> Fields:
    dtype = dtype_to_json(space.dtype, "biuf", path.name)
    path.spend_elements(space.shape)
    bounds = {}
    for side, bounded, marker in (
        ("low", space.bounded_below, MINUS_INFINITY),
        ("high", space.bounded_above, INFINITY),
    ):
        array: NumberArray = getattr(space, side)
        _refuse_nan(array, side, path)
        unbounded = np.broadcast_to(np.logical_not(bounded), space.shape)
        # Gymnasium stands some large number in for "no bound" among whole numbers.
        if (
            space.dtype.kind != "i"
            or not (array[unbounded] == _find_stand_in(space.dtype, side)).all()
        ):
            unbounded = np.zeros(space.shape, dtype=np.bool_)
        bounds[side] = array_to_json(array, unbounded=unbounded, marker=marker)
    return {"dtype": dtype, "shape": list(space.shape), **bounds}


def _read_box(fields: Fields, path: SpacePath) -> spaces.Box:
    dtype = dtype_from_json(take_field(fields, "dtype", str, path), "biuf", path.name)
    shape = shape_from_json(take_field(fields, "shape", list, path), path.name)
    path.spend_elements(shape)
    bounds: dict[str, NumberArray] = {}
    bounded: dict[str, NumberArray] = {}
    for side, marker in (("low", MINUS_INFINITY), ("high", INFINITY)):
        value = take_field(fields, side, object, path)
        array, unbounded = array_from_json(
            value, shape, dtype, f"{path.name}: {side}", marker=marker
        )
        _refuse_nan(array, side, path)
        if unbounded.any():
            array[unbounded] = _find_stand_in(dtype, side)
            bounded[side] = np.logical_not(unbounded)
        bounds[side] = array
    space = spaces.Box(low=bounds["low"], high=bounds["high"], shape=shape, dtype=dtype)
    if "low" in bounded:
        space.bounded_below = bounded["low"]
    if "high" in bounded:
        space.bounded_above = bounded["high"]
    return space


def _refuse_nan(array: NumberArray, side: str, path: SpacePath) -> None:
    # Gymnasium 0.29.1 takes it, and then such a space does not equal itself.
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise SpaceError(f"{path.name}: {side}: a bound may not be NaN")


def _find_stand_in(dtype: np.dtype[Any], side: str) -> np.generic:
    unbounded = spaces.Box(low=-np.inf, high=np.inf, shape=(1,), dtype=dtype)
    value: np.generic = getattr(unbounded, side)[0]
    return value


def _write_discrete(space: spaces.Discrete, path: SpacePath) -> Fields:
    dtype = dtype_to_json(space.dtype, "iu", path.name)
    return {"dtype": dtype, "n": int(space.n), "start": int(space.start)}


def _read_discrete(fields: Fields, path: SpacePath) -> spaces.Discrete:
    dtype = dtype_from_json(fields.get("dtype", "int64"), "iu", path.name)
    start = take_whole_number(fields, "start", path) if "start" in fields else 0
    count = take_whole_number(fields, "n", path)
    require(count > 0, f'"n" must be positive, not {format_value(count)}', path)
    return compat.make_discrete(count, start, dtype)


def _write_multi_discrete(space: spaces.MultiDiscrete, path: SpacePath) -> Fields:
    dtype = dtype_to_json(space.dtype, "iu", path.name)
    path.spend_elements(space.shape)
    nvec, start = array_to_json(space.nvec), array_to_json(space.start)
    return {"dtype": dtype, "shape": list(space.shape), "nvec": nvec, "start": start}


def _read_multi_discrete(fields: Fields, path: SpacePath) -> spaces.MultiDiscrete:
    dtype = dtype_from_json(fields.get("dtype", "int64"), "iu", path.name)
    nvec = take_field(fields, "nvec", object, path)
    shape = shape_from_json(fields.get("shape", list(infer_shape(nvec))), path.name)
    path.spend_elements(shape)
    counts, _ = array_from_json(nvec, shape, dtype, f"{path.name}: nvec")
    require(bool((counts > 0).all()), '"nvec" must be positive', path)
    start, _ = array_from_json(fields.get("start", 0), shape, dtype, f"{path.name}: start")
    return spaces.MultiDiscrete(counts, dtype=dtype, start=start)


def _write_multi_binary(space: spaces.MultiBinary, path: SpacePath) -> Fields:
    path.spend_elements(space.shape)
    return {"n": space.n if isinstance(space.n, int) else [int(size) for size in space.n]}


def _read_multi_binary(fields: Fields, path: SpacePath) -> spaces.MultiBinary:
    sizes = fields.get("n")
    is_shape = isinstance(sizes, list)
    shape = (
        shape_from_json(sizes, path.name) if is_shape else (take_whole_number(fields, "n", path),)
    )
    require(
        all(size > 0 for size in shape), f'"n" must be positive, not {format_value(sizes)}', path
    )
    path.spend_elements(shape)
    return spaces.MultiBinary(shape if is_shape else shape[0])


def _write_text(space: spaces.Text, path: SpacePath) -> Fields:
    characters = compat.text_characters(space)
    if any(len(character) != 1 for character in characters):
        raise SpaceError(
            f"{path.name}: the charset must consist of single characters, not "
            f"{format_value(characters)}"
        )
    charset: str | list[str] = "".join(characters)
    # Two surrogates in a row are read back from JSON as the one character that they encode.
    if json.loads(json.dumps(charset)) != charset:
        charset = characters
    return {"max_length": space.max_length, "min_length": space.min_length, "charset": charset}


def _read_text(fields: Fields, path: SpacePath) -> spaces.Text:
    charset = take_field(fields, "charset", (str, list), path)
    if not all(isinstance(character, str) and len(character) == 1 for character in charset):
        raise SpaceError(
            f'{path.name}: "charset" must consist of single characters, not {format_value(charset)}'
        )
    longest = take_whole_number(fields, "max_length", path)
    shortest = take_whole_number(fields, "min_length", path)
    lengths = f"{format_value(shortest)} and {format_value(longest)}"
    rule = f'"min_length" must be from 0 to "max_length"; they are {lengths}'
    require(0 <= shortest <= longest, rule, path)
    return spaces.Text(longest, min_length=shortest, charset="".join(charset))


def _write_dict(space: spaces.Dict, path: SpacePath) -> Fields:
    subspaces = {}
    for key, subspace in space.spaces.items():
        if not isinstance(key, str):
            raise SpaceError(
                f"{path.name}: the key {format_value(key)} is of type {type(key).__name__}; the "
                "keys of a Dict space must be text"
            )
        if json.loads(json.dumps(key)) != key:
            raise SpaceError(
                f"{path.name}: the key {format_value(key)} has two surrogates in a row, which "
                "JSON cannot tell from the one character that they encode"
            )
        subspaces[str(key)] = _write(subspace, path.key(key))
    unsorted = {} if getattr(space, "sort_keys", True) else {"sort_keys": False}
    return {**unsorted, "subspaces": subspaces}


def _read_dict(fields: Fields, path: SpacePath) -> spaces.Dict:
    subspaces = OrderedDict(
        (key, _read(subspace, path.key(key)))
        for key, subspace in take_field(fields, "subspaces", dict, path).items()
        if _check_key(key, path)
    )
    sort_keys = take_field(fields, "sort_keys", bool, path) if "sort_keys" in fields else True
    return compat.make_dict(subspaces, sort_keys)


def _check_key(key: object, path: SpacePath) -> bool:
    if not isinstance(key, str):
        raise SpaceError(f"{path.name}: the key {format_value(key)} is not text")
    return True


def _write_subspaces(space: Any, path: SpacePath) -> Fields:
    items = enumerate(space.spaces)
    return {"subspaces": [_write(subspace, path.index(index)) for index, subspace in items]}


def _read_subspaces(fields: Fields, path: SpacePath) -> tuple[Space[Any], ...]:
    items = enumerate(take_field(fields, "subspaces", list, path))
    return tuple(_read(subspace, path.index(index)) for index, subspace in items)


def _read_tuple(fields: Fields, path: SpacePath) -> Space[Any]:
    return spaces.Tuple(_read_subspaces(fields, path))


def _read_one_of(fields: Fields, path: SpacePath) -> Space[Any]:
    return compat.make_one_of(_read_subspaces(fields, path), path.name)


def _write_sequence(space: spaces.Sequence, path: SpacePath) -> Fields:
    inside = path.attribute("feature_space", copied=space.stack)
    return {"stack": bool(space.stack), "feature_space": _write(space.feature_space, inside)}


def _read_sequence(fields: Fields, path: SpacePath) -> spaces.Sequence:
    stack = take_field(fields, "stack", bool, path)
    inside = path.attribute("feature_space", copied=stack)
    feature_space = _read(take_field(fields, "feature_space", dict, path), inside)
    return spaces.Sequence(feature_space, stack=stack)


def _write_graph(space: spaces.Graph, path: SpacePath) -> Fields:
    nodes = _write(space.node_space, path.attribute("node_space", copied=True))
    edges = None
    if space.edge_space is not None:
        edges = _write(space.edge_space, path.attribute("edge_space", copied=True))
    return {"node_space": nodes, "edge_space": edges}


def _read_graph(fields: Fields, path: SpacePath) -> spaces.Graph:
    nodes = _read(
        take_field(fields, "node_space", dict, path), path.attribute("node_space", copied=True)
    )
    edge_fields = take_field(fields, "edge_space", (dict, type(None)), path)
    edges = None
    if edge_fields is not None:
        edges = _read(edge_fields, path.attribute("edge_space", copied=True))
    graph: Any = spaces.Graph
    space: spaces.Graph = graph(nodes, edges)
    return space


_WRITERS: dict[type, Callable[[Any, SpacePath], Fields]] = {
    spaces.Box: _write_box,
    spaces.Discrete: _write_discrete,
    spaces.MultiDiscrete: _write_multi_discrete,
    spaces.MultiBinary: _write_multi_binary,
    spaces.Text: _write_text,
    spaces.Dict: _write_dict,
    spaces.Tuple: _write_subspaces,
    spaces.Sequence: _write_sequence,
    spaces.Graph: _write_graph,
}
if compat.ONE_OF is not None:
    _WRITERS[compat.ONE_OF] = _write_subspaces
for _class in _WRITERS:
    register_space_writer(_class, write_as_base)

_READERS: dict[str, Callable[[Fields, SpacePath], Space[Any]]] = {
    "Box": _read_box,
    "Discrete": _read_discrete,
    "MultiDiscrete": _read_multi_discrete,
    "MultiBinary": _read_multi_binary,
    "Text": _read_text,
    "Dict": _read_dict,
    "Tuple": _read_tuple,
    "OneOf": _read_one_of,
    "Sequence": _read_sequence,
    "Graph": _read_graph,
}
