"""The options of a layout: the keyword-only parameters of what reads or writes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from minari_core.errors import DataError


def check_options(function: Callable[..., object], given: Mapping[str, object], name: str) -> None:
    """Refuse options that a layout does not have, and ask for those that it must be given.

    Args:
        function: What reads or writes the layout.
        given: The options.
        name: The layout's name, for the message.

    Raises:
        TypeError: There is no such option, or one is missing; the message lists what there is.
    """
    problem = _find_problem(function, given, name)
    if problem is not None:
        raise TypeError(problem)


def parse_options(
    function: Callable[..., object], texts: Sequence[tuple[str, str]], name: str
) -> dict[str, object]:
    """Read options of a command line by the annotations of the parameters.

    Args:
        function: What reads or writes the layout.
        texts: Names and values as text; lists are separated by commas, and what a mapping has is
            named ``OPTION.KEY``, once or several times.
        name: The layout's name, for the message.

    Raises:
        DataError: There is no such option, one is missing or given twice, or a value is not of its
            type.
    """
    problem = _find_problem(function, [option.partition(".")[0] for option, _ in texts], name)
    if problem is not None:
        raise DataError(problem)
    hints = get_type_hints(function)
    found: dict[str, object] = {}
    keyed: dict[str, dict[str, list[str]]] = {}
    for given, text in texts:
        option, dot, key = given.partition(".")
        where = f"option {given!r} of {name}"
        if _is_mapping(hints[option]):
            if not key:
                raise DataError(f"{where} has keys; give {option}.KEY=VALUE")
            keyed.setdefault(option, {}).setdefault(key, []).append(text)
        elif dot or option in found:
            raise DataError(f"{where} {'has no keys' if dot else 'is given twice'}")
        else:
            found[option] = _parse(text, hints[option], where)
    for option, values in keyed.items():
        found[option] = {k: each[0] if len(each) == 1 else each for k, each in values.items()}
    return found


def _find_problem(function: Callable[..., object], given: Collection[str], name: str) -> str | None:
    known = _list_options(function)
    for option in given:
        if option not in known:
            return f"unexpected option {option!r} of {name}; it has {', '.join(known) or 'none'}"
    for option, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and option not in given:
            return f"{name} needs the option {option!r}, which nothing in the data says"
    return None


def _list_options(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {
        option: parameter
        for option, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _is_mapping(hint: Any) -> bool:
    return any(get_origin(kind) is Mapping for kind in (hint, *get_args(hint)))


def _list_alternatives(hint: Any) -> list[Any]:
    """List what a value may be: types, and the words of literal types."""
    if get_origin(hint) in (Literal, Union, UnionType):
        return [kind for part in get_args(hint) for kind in _list_alternatives(part)]
    return [hint]


def _parse(text: str, hint: Any, where: str) -> object:
    plain = [kind for kind in _list_alternatives(hint) if kind is not type(None)]
    for kind in plain:
        if kind is bool:
            if text.lower() in ("true", "yes", "1", "false", "no", "0"):
                return text.lower() in ("true", "yes", "1")
        elif kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        elif kind is date:
            try:
                return date.fromisoformat(text)
            except ValueError:
                continue
        elif get_origin(kind) in (list, tuple, Sequence):
            return [part.strip() for part in text.split(",") if part.strip()]
        elif isinstance(kind, str):  # one of some words
            if text == kind:
                return text
        else:
            return text
    wanted = [repr(k) if isinstance(k, str) else getattr(k, "__name__", str(k)) for k in plain]
    raise DataError(f"{where} is {text!r}, not {' or '.join(wanted)}")
