"""Warn at the caller's line, write values into messages, and report progress."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

# contextlib runs the end of a transaction.
_OWN_PACKAGES = frozenset(
    {"minari", "minari_core", "minari_collect", "minari_hub", "gymnasium", "contextlib"}
)

Progress: TypeAlias = Callable[[int, int], None]
"""Told how much is done, and how much there is to do."""


class MinariWarning(UserWarning):
    """The category of every warning that this project gives."""


class MinariDeprecationWarning(MinariWarning, DeprecationWarning):
    """The category of what still works and has a better form."""


_kept: ContextVar[list[str] | None] = ContextVar("kept warnings", default=None)


@contextmanager
def keep_warnings() -> Iterator[list[str]]:
    """Keep the warnings of this thread, for a process that can give them at the caller's line.

    Yields:
        The messages so far.
    """
    kept: list[str] = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


def warn_caller(message: str, category: type[MinariWarning] = MinariWarning) -> None:
    """Warn at the innermost line outside this project and Gymnasium.

    Args:
        message: What happened, and what to do about it.
        category: The category of the warning.
    """
    kept = _kept.get()
    if kept is not None:
        kept.append(message)
        return
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _OWN_PACKAGES:
            break
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


_LONGEST = 200


def format_value(value: object) -> str:
    """Write a value for an error message, cut short; never raise."""
    try:
        text = repr(value)
    except Exception:  # an object of the caller's may raise anything, and so does a huge number
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def advise_array(value: object) -> str:
    """Say how a tensor of another library becomes an array; nothing of other values.

    Args:
        value: The value. Lists and tuples are looked into.
    """
    if isinstance(value, list | tuple):
        # One of each type tells of all.
        return next(
            filter(
                None, map(advise_array, dict(zip(map(type, value), value, strict=True)).values())
            ),
            "",
        )
    if not callable(getattr(value, "numpy", None)):
        return ""
    needs_detaching = getattr(value, "requires_grad", False) is True
    advice = "; give its .detach().numpy()" if needs_detaching else "; give its .numpy()"
    return f"{advice}, or its .item()" if getattr(value, "shape", None) == () else advice


def advise_text(value: object) -> str:
    """Say how a date, a time or a path becomes text; nothing of other values."""
    # Few messages need these.
    import datetime
    from pathlib import PurePath

    import numpy as np

    # The type itself: an object may raise anything when it is asked for an attribute.
    kind = type(value)
    if issubclass(kind, np.generic | np.ndarray) and np.asarray(value).dtype.kind in "mM":
        return "; give its .astype(str)"
    if issubclass(kind, datetime.date | datetime.time):
        return "; give its .isoformat()"
    if issubclass(kind, datetime.timedelta):
        return "; give its .total_seconds()"
    return "; give str() of it" if issubclass(kind, PurePath) else ""


def outline(value: object) -> str:
    """Write the shapes and dtypes of arrays, alone or in lists, dicts and tuples."""
    import numpy as np  # most messages are of no array, and some programs have none

    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {outline(leaf)}" for key, leaf in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(outline(leaf) for leaf in value) + ")"
    if isinstance(value, list):
        kind = type(value[0]).__name__ if value else "nothing"
        return f"list of {len(value)} {kind}"
    # Arrays of other libraries too.
    if hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, np.generic):
        return f"{value.dtype}{list(value.shape)}"
    return format_value(value)


def list_outlines(item: object, names: Iterable[str]) -> list[tuple[str, str]]:
    """List name and outline of each attribute that is neither None nor an empty dict."""
    values = {name: getattr(item, name) for name in names}
    return [
        (name, outline(value))
        for name, value in values.items()
        if value is not None and not (isinstance(value, Mapping) and not value)
    ]


def outline_fields(item: object, names: Iterable[str]) -> list[str]:
    """Write ``name=outline`` for each attribute that is neither None nor an empty dict."""
    return [f"{name}={text}" for name, text in list_outlines(item, names)]


def make_html_table(title: object, rows: Iterable[tuple[str, object]]) -> str:
    """Make the table that a notebook shows of an object; whatever is in it is text.

    Args:
        title: What stands above it.
        rows: Names and values; those of None and of empty text are left out.

    Example:
        >>> make_html_table("<a>", [("steps", 3), ("author", None)])
        '<table><caption>&lt;a&gt;</caption><tr><th>steps</th><td>3</td></tr></table>'
    """
    import html  # only notebooks need its tables of characters

    lines = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in rows
        if value is not None and value != ""
    )
    return f"<table><caption>{html.escape(str(title))}</caption>{lines}</table>"
