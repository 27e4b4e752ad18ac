"""docs/api.md has a line for every public name, and docs/api/ its docstring."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import minari
import minari_collect
import minari_core
import minari_hub

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
SHOWN = sorted(
    name
    for page in (DOCS / "api").glob("*.md")
    for name in re.findall(r"(?m)^(?:#+ )?::: ([\w.]+)$", page.read_text(encoding="utf-8"))
)


def list_members(name: str) -> Iterator[tuple[str, object]]:
    """A name that docs/api/ shows, and what is public of a class of that name."""
    module, _, last = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), last)
    except minari.MissingDependencyError:
        pytest.skip(f"{module} needs an extra")
    yield name, found
    if inspect.isclass(found) and found.__module__.startswith("minari"):
        for member in dir(found):
            # What a class inherits of the language or of Gymnasium is theirs to describe.
            if not member.startswith("_") and any(
                member in vars(base)
                for base in found.__mro__
                if base.__module__.startswith("minari")
            ):
                yield f"{name}.{member}", getattr(found, member)


@pytest.mark.parametrize("name", sorted(set(minari.__all__) - {"__version__"}))
def test_the_page_names_what_minari_exports(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE), f"docs/api.md does not say what {name} is"


@pytest.mark.parametrize("name", [n for n in dir(minari.MinariDataset) if not n.startswith("_")])
def test_the_page_names_what_a_dataset_has(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE), f"docs/api.md does not say what dataset.{name} is"


@pytest.mark.parametrize("package", [minari, minari_collect, minari_core, minari_hub])
def test_the_docstring_of_every_public_name_is_shown(package: ModuleType) -> None:
    public = set(package.__all__) - {"__version__"}
    missing = public - {name.rpartition(".")[2] for name in SHOWN}
    assert not missing, f"no page of docs/api shows the docstring of {missing}"


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_has_a_docstring(name: str) -> None:
    for path, found in list_members(name):
        if callable(found) or isinstance(found, property):
            assert inspect.getdoc(found), f"{path} has no docstring"
