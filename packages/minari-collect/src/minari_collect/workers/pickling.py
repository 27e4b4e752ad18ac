"""Pickle the recipe of a run, so that it can be sent to workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TypeAlias

from minari_collect.workers.messages import Recipe
from minari_core.errors import DataError, MissingDependencyError

_Dump: TypeAlias = Callable[[object], bytes]


def pickle_recipe(recipe: Recipe) -> bytes:
    """Pickle a recipe, with cloudpickle where pickle cannot.

    Raises:
        MissingDependencyError: Pickle could not, and cloudpickle is not installed.
        DataError: Neither could.
    """
    pickled: bytes | None = None
    try:
        pickled = pickle.dumps(recipe)
    except Exception as error:  # what is pickled raises whatever it likes
        reason = error
    # What is defined in the main module of a script is not there in a worker.
    if pickled is not None and b"__main__" not in pickled:
        return pickled
    try:
        import cloudpickle  # type: ignore[import-untyped]  # ships no types
    except ImportError:
        if pickled is not None:
            return pickled
        name, reason = _find_culprit(recipe, pickle.dumps) or ("env or policy", reason)
        raise MissingDependencyError(
            f"{name} cannot be sent to workers: {_describe(reason)}; make locks, open files "
            "and connections in the worker, and define the rest in a module that it can import, or "
            "install cloudpickle"
        ) from reason
    try:
        return bytes(cloudpickle.dumps(recipe))
    except Exception as error:
        if pickled is not None:
            return pickled
        name, reason = _find_culprit(recipe, cloudpickle.dumps) or ("env or policy", error)
        raise DataError(
            f"{name} cannot be sent to workers: {_describe(reason)}; make what cannot be pickled "
            "(locks, open files, connections) in the worker, when it is first used"
        ) from reason


def _find_culprit(recipe: Recipe, dump: _Dump) -> tuple[str, Exception] | None:
    """Find the part of a recipe that cannot be pickled, and say why."""
    for name, part in _list_parts(recipe):
        reason = _try_to(dump, part)
        if reason is None:
            continue
        for attribute, value in _list_attributes(part):
            closer = _try_to(dump, value)
            if closer is not None:
                return f"{name}.{attribute}", closer
        kind = getattr(part, "__qualname__", type(part).__qualname__)
        return f"{name} ({kind})", reason
    return None


def _list_parts(recipe: Recipe) -> Iterator[tuple[str, object]]:
    names = {"open_remote": "remote"}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if not isinstance(value, Mapping):
            yield names.get(field.name, field.name), value
            continue
        for key, item in value.items():
            # Those of the collector are arguments of their own.
            yield str(key) if field.name == "collector" else f"{field.name}[{key!r}]", item


def _list_attributes(part: object) -> list[tuple[str, object]]:
    if isinstance(part, type):
        return []
    return list(getattr(part, "__dict__", {}).items())


def _try_to(dump: _Dump, value: object) -> Exception | None:
    try:
        dump(value)
    except Exception as error:
        return error
    return None


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
