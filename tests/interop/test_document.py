"""The pages on coming from other libraries are true to their last block."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.markdown import python_blocks, run_block

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("page", "extras"),
    [
        ("migrating", set()),
        ("coming_from/torchrl", {"torch", "torchrl"}),
        ("coming_from/d3rlpy", {"d3rlpy"}),
    ],
)
def test_every_block_of_a_page_runs_in_order(
    page: str, extras: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(DOCS / f"{page}.md")
    assert {extra for block in blocks for extra in block.needs} == extras

    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        run_block(block, namespace, str)
