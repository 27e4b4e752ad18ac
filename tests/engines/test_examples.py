"""The examples of `docs/scaling.md` run on the engines that they are for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.markdown import Block, python_blocks, run_block

BLOCKS = [
    block
    for block in python_blocks(Path(__file__).parents[2] / "docs" / "scaling.md")
    if block.needs and all(find_spec(module) for module in block.needs)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.needs))
def test_an_example_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    run_block(block, {"__name__": "__main__"}, str)
