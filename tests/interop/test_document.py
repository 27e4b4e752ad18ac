"""The page on coming from the public Minari is true to its last block."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.markdown import python_blocks, run_block

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"


@pytest.mark.filterwarnings("ignore")
def test_every_block_of_the_page_runs_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(PAGE)
    assert {extra for block in blocks for extra in block.needs} == {"torchrl", "d3rlpy"}

    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        run_block(block, namespace, str)
