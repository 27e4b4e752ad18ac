"""docs/api.md knows every public name, so that a name cannot be added and left unsaid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import minari

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(minari.__all__) - {"__version__"}))
def test_the_page_names_what_minari_exports(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE), f"docs/api.md does not say what {name} is"


@pytest.mark.parametrize("name", [n for n in dir(minari.MinariDataset) if not n.startswith("_")])
def test_the_page_names_what_a_dataset_has(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE), f"docs/api.md does not say what dataset.{name} is"
