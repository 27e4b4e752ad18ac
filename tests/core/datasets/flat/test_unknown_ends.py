"""It is said that last steps are left out, if some of them ended their episodes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from minari_core import create_dataset_from_arrays
from tests.core.helpers.recorded import DESCRIBED

SAID: Any = DESCRIBED
COLUMNS: dict[str, Any] = {
    "observations": np.arange(6.0).reshape(6, 1),
    "actions": np.zeros(6, np.int64),
    "rewards": np.zeros(6),
    "terminals": np.array([0, 1, 0, 1, 0, 0]),
    "timeouts": np.array([0, 0, 0, 0, 1, 0]),
}
FOLLOWING = np.array([[1.0], [9.0], [3.0], [9.0], [9.0], [9.0]])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "samplers leave 4 last steps out, 2 of which terminated their episodes, unless they"),
        ({"next_observations": FOLLOWING}, None),
        ({"terminals": np.zeros(6), "timeouts": None}, None),
        ({"timeouts": None, "final_rows": True}, None),
    ],
)
def test_a_warning_counts_the_last_steps_that_nobody_samples(
    changes: dict[str, Any], said: str | None
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        create_dataset_from_arrays("tests/x-v0", **{**COLUMNS, **changes}, **SAID)
    told = [str(warning.message) for warning in caught]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]
