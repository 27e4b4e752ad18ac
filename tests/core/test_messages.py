"""Warnings point at the caller, and messages show values in a few words."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minari_core.messages import (
    MinariDeprecationWarning,
    MinariWarning,
    advise_array,
    advise_text,
    format_value,
    keep_warnings,
    list_outlines,
    make_html_table,
    outline,
    outline_fields,
    warn_caller,
)


class Tensor:
    """Looks like a tensor of another library."""

    def __init__(self, shape: tuple[int, ...] = (2,), requires_grad: object = False) -> None:
        self.shape, self.requires_grad, self.dtype = shape, requires_grad, "float32"

    def numpy(self) -> None:
        raise AssertionError("it is only looked for")


def test_a_value_is_shown_up_to_a_length_and_never_raises() -> None:
    assert format_value("x" * 198) == "'" + "x" * 198 + "'"
    assert format_value("x" * 199) == "'" + "x" * 199 + "…"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert format_value(Broken()) == "<Broken>"
    assert format_value(None) == "None"


def test_a_tensor_is_told_how_it_becomes_an_array() -> None:
    plain, scalar = "; give its .numpy()", "; give its .numpy(), or its .item()"
    assert advise_array(Tensor()) == plain
    assert advise_array(Tensor(requires_grad=True)) == "; give its .detach().numpy()"
    assert advise_array(Tensor(requires_grad="yes")) == plain
    assert advise_array(Tensor(())) == scalar
    assert advise_array([1, "a", (2.0, Tensor())]) == plain
    assert advise_array([]) == advise_array([1, [2]]) == ""
    for other in (np.zeros(2), 1, None, SimpleNamespace(numpy=3), {"a": Tensor()}):
        assert advise_array(other) == ""


def test_dates_times_and_paths_are_told_how_they_become_text() -> None:
    for value, advice in (
        (np.datetime64("2026-01-01"), "; give its .astype(str)"),
        (np.zeros(1, "m8[s]"), "; give its .astype(str)"),
        (datetime.datetime(2026, 1, 1), "; give its .isoformat()"),
        (datetime.time(1), "; give its .isoformat()"),
        (datetime.timedelta(1), "; give its .total_seconds()"),
        (Path("a"), "; give str() of it"),
        (np.zeros(1), ""),
        ("text", ""),
    ):
        assert advise_text(value) == advice


def test_arrays_are_outlined_by_dtype_and_shape_however_they_are_nested() -> None:
    value: dict[str, Any] = {
        "a": np.zeros((2, 3), np.float32),
        "b": (np.zeros(4, bool), [1, 2]),
        "c": [],
        "d": np.float64(1.5),
        "e": Tensor(),
        "f": np.zeros(()),
    }
    assert outline(value) == (
        "{a: float32[2, 3], b: (bool[4], list of 2 int), c: list of 0 nothing, "
        f"d: {np.float64(1.5)!r}, e: float32[2], f: float64[]}}"
    )
    item = SimpleNamespace(one=np.zeros(2), none=None, empty={}, full={"x": 1}, zero=0)
    names = ("one", "none", "empty", "full", "zero")
    assert list_outlines(item, names) == [
        ("one", "float64[2]"),
        ("full", "{x: 1}"),
        ("zero", "0"),
    ]
    assert outline_fields(item, names) == ["one=float64[2]", "full={x: 1}", "zero=0"]


def test_a_table_has_a_row_for_each_value_and_no_markup_of_theirs() -> None:
    rows = [("steps", 0), ("author", None), ("note", ""), ("<b>", "<i>"), ("is_new", False)]
    assert make_html_table("<a>", rows) == (
        "<table><caption>&lt;a&gt;</caption><tr><th>steps</th><td>0</td></tr>"
        "<tr><th>&lt;b&gt;</th><td>&lt;i&gt;</td></tr>"
        "<tr><th>is_new</th><td>False</td></tr></table>"
    )


@pytest.mark.parametrize(
    ("modules", "pointed_at"),
    [
        (("program", "minari_core.a"), "program.py"),
        (("program", "minari.b", "contextlib", "gymnasium.core", "minari_hub"), "program.py"),
        (("program", "minari_collect.x", "other", "minari_core.y"), "other.py"),
        (("program", "minari_corex"), "minari_corex.py"),
    ],
)
def test_a_warning_points_past_the_packages_of_the_project(
    modules: tuple[str, ...], pointed_at: str
) -> None:
    source = "def call(inner, *others):\n    inner(*others)\n"
    functions = []
    for name in modules:
        scope: dict[str, Any] = {"__name__": name}
        exec(compile(source, f"{name}.py", "exec"), scope)
        functions.append(scope["call"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        functions[0](*functions[1:], warn_caller, "careful", MinariDeprecationWarning)
    (warning,) = caught
    assert (warning.filename, warning.lineno) == (pointed_at, 2)
    assert warning.category is MinariDeprecationWarning


def test_warnings_are_kept_for_the_process_that_asks_for_them() -> None:
    with warnings.catch_warnings(), keep_warnings() as kept:
        warnings.simplefilter("error")
        warn_caller("one")
        with keep_warnings() as inner:
            warn_caller("two")
        warn_caller("three")
    assert (kept, inner) == (["one", "three"], ["two"])
    with pytest.warns(MinariWarning, match="four"):
        warn_caller("four")
