"""What a batched policy is given, and gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_collect.workers.policies import batch_values
from minari_core.testing.expectations import expect_same


@pytest.mark.parametrize(
    ("space", "values", "batch"),
    [
        (spaces.Box(-1, 1, (2,), np.float32), [np.zeros(2, "f4")] * 3, np.zeros((3, 2), "f4")),
        (spaces.Discrete(5), [np.int64(2), np.int64(4)], np.array([2, 4])),
        (spaces.MultiBinary(2), [np.ones(2, "i1")], np.ones((1, 2), "i1")),
        (spaces.MultiDiscrete([3, 4]), [np.array([1, 2])] * 2, np.array([[1, 2]] * 2)),
        (spaces.Text(3), ["a", "bc"], ("a", "bc")),
        (
            spaces.Dict({"n": spaces.Discrete(5), "t": spaces.Tuple((spaces.Text(2),))}),
            [{"n": np.int64(1), "t": ("x",)}, {"n": np.int64(3), "t": ("y",)}],
            {"n": np.array([1, 3]), "t": (("x", "y"),)},
        ),
    ],
)
def test_values_are_batched_as_gymnasium_batches_them(
    space: spaces.Space[Any], values: list[Any], batch: Any
) -> None:
    expect_same(batch_values(space, values), batch)
