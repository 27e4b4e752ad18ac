"""The calls that the page on training gives for the methods of the literature run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from minari_core.sampling import Normalizer
from tests.core.helpers.recorded import VECTOR, record, stored

PAGE = Path(__file__).parents[3] / "docs" / "training.md"
CALLS = dict(re.findall(r"(?m)^\| ([^|]+) \| `(dataset\.[^`]+)` \|$", PAGE.read_text("utf-8")))


def test_the_table_has_every_method() -> None:
    names = {name.partition(" (")[0] for name in CALLS}
    assert names == {
        "behavioural cloning",
        "TD3+BC",
        "IQL",
        "CQL",
        "SARSA",
        "AWR",
        "decision transformer",
        "diffusion policy",
        "ACT",
        "HER",
        "TD-MPC",
        "Dreamer",
    }


@pytest.mark.parametrize("name", CALLS)
def test_the_call_of_a_method_gives_batches(name: str) -> None:
    with stored(record(VECTOR, VECTOR, [60, 12], 0), on_disk=False) as dataset:
        known = {
            "dataset": dataset,
            "Normalizer": Normalizer,
            "compute_reward": lambda achieved, goals, infos: -np.abs(achieved - goals).sum(-1),
        }
        batch = eval(CALLS[name], known)  # the page's own code
        batch = next(batch) if name == "behavioural cloning" else batch
        assert len(batch) > 0
        assert batch.observations is not None
        assert batch.actions is not None or "previous_actions" in batch.columns
