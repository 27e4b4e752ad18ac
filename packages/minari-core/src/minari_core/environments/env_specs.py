"""Write environment specs as JSON and read them back, without importing what they name.

Gymnasium's own JSON names the fields of the release that wrote it, and other releases refuse it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from minari_core.environments.space_arrays import (
    array_from_json,
    dtype_from_json,
    shape_from_json,
)
from minari_core.errors import MetadataError, SpaceError
from minari_core.messages import format_value

_EXACT_TYPES = "python_types"


_TUPLE = "tuple"


_Path: TypeAlias = tuple["str | int", ...]


def env_spec_to_json(spec: EnvSpec, *, keep_types: bool = True) -> str:
    """Write an environment spec as JSON, with the keys that Gymnasium's own JSON has.

    Numpy's scalars become numbers. A tuple or an array in the arguments becomes a list; where
    there is one, and only then, one more key says so to `env_spec_from_json`. The text is
    strict JSON unless an argument is not finite: that is ``NaN`` or ``Infinity``, which
    every Gymnasium reads.

    Args:
        spec: The spec of an environment.
        keep_types: Whether that key may be written. Without it Gymnasium's own
            ``EnvSpec.from_json`` reads the text, if it is of the same release.

    Raises:
        MetadataError: Something in it, such as an entry point that is a function, cannot be
            kept as JSON; the message names it.
    """
    where = f"environment spec {spec.id!r}"
    types: list[list[object]] = []
    fields: dict[str, object] = {}
    try:
        for name in _field_names():
            value = getattr(spec, name)
            if name == "additional_wrappers":
                value = [dataclasses.asdict(wrapper) for wrapper in value]
            fields[name] = _to_json(value, (name,), types, where)
    except RecursionError as error:
        raise MetadataError(f"{where}: its arguments are nested too deep for JSON") from error
    if types and keep_types:
        fields[_EXACT_TYPES] = types
    return json.dumps(fields, separators=(",", ":"))


def drop_unstorable_arguments(spec: EnvSpec) -> tuple[EnvSpec, tuple[str, ...]]:
    """Drop the arguments of wrappers that JSON cannot keep, such as functions.

    Returns:
        The spec, in which such wrappers are as Gymnasium has those that record no arguments; and
        the names of these wrappers.
    """
    dropped: list[str] = []
    wrappers: list[WrapperSpec] = []
    for wrapper in spec.additional_wrappers:
        try:
            _to_json(wrapper.kwargs, (wrapper.name,), [], "")
        except (MetadataError, RecursionError):
            dropped.append(wrapper.name)
            wrapper = dataclasses.replace(wrapper, kwargs=None)
        wrappers.append(wrapper)
    if dropped:
        spec = dataclasses.replace(spec, additional_wrappers=tuple(wrappers))
    return spec, tuple(dropped)


def env_spec_from_json(text: str) -> EnvSpec:
    """Read an environment spec that any release of Gymnasium wrote.

    Fields that the installed Gymnasium does not have (``autoreset`` and
    ``apply_api_compatibility`` of 0.29, in 1.x) are dropped. Nothing is imported, made or run.

    Raises:
        MetadataError: The text is not the JSON of a spec; the message names the field.
    """
    if not isinstance(text, str):
        raise MetadataError(f"environment spec: expected JSON text, not {format_value(text)}")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"environment spec: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MetadataError(f"environment spec: expected an object, not {format_value(fields)}")
    _restore_types(fields)
    wrappers = fields.get("additional_wrappers", [])
    if not isinstance(wrappers, list):
        raise _make_type_error("additional_wrappers", "a list", wrappers)
    arguments: dict[str, Any] = {name: fields[name] for name in _field_names() if name in fields}
    for name, value in arguments.items():
        _check_field(name, value, _FIELD_TYPES.get(name))
    arguments["additional_wrappers"] = tuple(
        _read_wrapper_spec(wrapper, f"additional_wrappers[{index}]")
        for index, wrapper in enumerate(wrappers)
    )
    try:
        return EnvSpec(**arguments)
    except (gymnasium.error.Error, ValueError, TypeError) as error:
        raise MetadataError(f"environment spec: {error}") from error


def env_spec_fields(spec: EnvSpec) -> dict[str, object]:
    """Return the fields of an `EnvSpec`, by the names of its constructor's arguments."""
    return {name: getattr(spec, name) for name in _field_names()}


def to_plain(value: object) -> object:
    """Convert a value as JSON would, so that a stored spec equals one that was not stored."""
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, WrapperSpec):
        return to_plain(dataclasses.asdict(value))
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def _field_names() -> list[str]:
    return [field.name for field in dataclasses.fields(EnvSpec) if field.init]


def _to_json(value: object, path: _Path, types: list[list[object]], where: str) -> object:
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and np.dtype(type(value)).itemsize <= 8:
        return float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        types.append([list(path), value.dtype.str, list(value.shape)])
        return value.tolist()
    if isinstance(value, list | tuple):
        items = [_to_json(item, (*path, index), types, where) for index, item in enumerate(value)]
        if isinstance(value, tuple):
            types.append([list(path), _TUPLE])
        return items
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise MetadataError(f"{where}: {_format_path(path)} has the key {key!r}: not text")
        return {str(key): _to_json(item, (*path, key), types, where) for key, item in value.items()}
    what = f"{type(value).__name__} {format_value(value)}"
    advice = ""
    if callable(value):
        advice = (
            "; code cannot be kept as data: register the environment with an entry point "
            'such as "package.module:Class"'
        )
    raise MetadataError(
        f"{where}: {_format_path(path)} is the {what}, which JSON cannot keep{advice}"
    )


def _restore_types(fields: dict[str, Any]) -> None:
    entries = fields.pop(_EXACT_TYPES, [])
    if not isinstance(entries, list):
        raise _make_type_error(_EXACT_TYPES, "a list", entries)
    for entry in entries:
        if not isinstance(entry, list) or len(entry) < 2 or not isinstance(entry[0], list):
            raise _make_type_error(_EXACT_TYPES, "a list of paths and types", entry)
        *parents, last = entry[0] or [None]
        holder: Any = fields
        for step in parents:
            _check_key(holder, step)
            holder = holder[step]
        _check_key(holder, last)
        if entry[1] == _TUPLE and isinstance(holder[last], list):
            holder[last] = tuple(holder[last])
        else:
            holder[last] = _restore_array(holder[last], entry)


def _check_key(holder: object, step: object) -> None:
    if isinstance(holder, dict) and isinstance(step, str) and step in holder:
        return
    if isinstance(holder, list) and type(step) is int and 0 <= step < len(holder):
        return
    raise _make_type_error(_EXACT_TYPES, "paths to what is there", step)


def _restore_array(value: object, entry: list[object]) -> object:
    if len(entry) != 3:
        raise _make_type_error(_EXACT_TYPES, '"tuple", or a dtype and a shape', entry)
    try:
        dtype = dtype_from_json(entry[1], "biuf", _EXACT_TYPES)
        shape = shape_from_json(entry[2], _EXACT_TYPES)
        # A single number may not fill a large shape: there must be a value for each element.
        if shape and not isinstance(value, list):
            raise _make_type_error(_EXACT_TYPES, "an array's elements", value)
        return array_from_json(value, shape, dtype, _EXACT_TYPES)[0]
    except SpaceError as error:
        raise MetadataError(f"environment spec: {error}") from error


_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "entry_point": (str, type(None)),
    "reward_threshold": (int, float, type(None)),
    "nondeterministic": (bool,),
    "max_episode_steps": (int, type(None)),
    "order_enforce": (bool,),
    "autoreset": (bool,),
    "disable_env_checker": (bool, type(None)),
    "apply_api_compatibility": (bool, type(None)),
    "kwargs": (dict,),
    "vector_entry_point": (str, type(None)),
}


def _check_field(name: str, value: object, expected: tuple[type, ...] | None) -> None:
    if expected is None or type(value) in expected:
        return
    raise _make_type_error(name, " or ".join(kind.__name__ for kind in expected), value)


def _read_wrapper_spec(wrapper: object, where: str) -> WrapperSpec:
    if not isinstance(wrapper, dict):
        raise _make_type_error(where, "an object", wrapper)
    for name in ("name", "entry_point"):
        _check_field(f"{where}.{name}", wrapper.get(name), (str,))
    _check_field(f"{where}.kwargs", wrapper.get("kwargs"), (dict, type(None)))
    return WrapperSpec(
        name=wrapper["name"], entry_point=wrapper["entry_point"], kwargs=wrapper.get("kwargs")
    )


def _make_type_error(name: str, expected: str, value: object) -> MetadataError:
    return MetadataError(f"environment spec: {name} must be {expected}, not {format_value(value)}")


def _format_path(path: _Path) -> str:
    first, *rest = path
    return f"{first}" + "".join(f"[{json.dumps(step)}]" for step in rest)


def find_env_spec(
    environment: str | gymnasium.Env[object, object] | EnvSpec | None, argument: str = "env"
) -> EnvSpec | None:
    """Return the spec of an environment given as an id, a spec or an ``Env``.

    Args:
        environment: The environment.
        argument: The argument that gives it, for messages.

    Raises:
        MetadataError: It is something else, or no environment of this id is registered.
    """
    if environment is None or isinstance(environment, EnvSpec):
        return environment
    if isinstance(environment, str):
        try:
            return gymnasium.spec(environment)
        except (gymnasium.error.Error, ImportError) as error:
            raise MetadataError(
                f"environment {environment!r} is not registered here: {error}"
            ) from error
    if isinstance(environment, gymnasium.Env):
        return environment.spec
    raise MetadataError(
        f"Unsupported env type {type(environment).__name__}. The `{argument}` argument must be of "
        "types str|EnvSpec|gym.Env"
    )
