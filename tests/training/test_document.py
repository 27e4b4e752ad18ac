"""The page on training is true to its last block, those that need an extra included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.markdown import python_blocks, run_block

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
def test_every_block_of_the_page_on_training_runs_in_order() -> None:
    blocks = python_blocks(PAGE)
    for extra in dict.fromkeys(extra for block in blocks for extra in block.needs):
        pytest.importorskip(extra)

    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks:
        run_block(block, namespace, str)
