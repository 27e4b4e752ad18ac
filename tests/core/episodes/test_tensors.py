"""Tensors of other libraries in a buffer are refused with the way out."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import create_dataset_from_buffers
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.errors import DataError


class Tensor:
    """As PyTorch's: it has rows and a method that gives an array, and is no array itself."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def numpy(self) -> np.ndarray:
        return self._values


@pytest.mark.parametrize("column", ["observations", "infos"])
def test_a_tensor_in_a_buffer_is_refused_with_the_way_to_make_an_array(column: str) -> None:
    values: dict[str, object] = {"observations": np.zeros((2, 1)), "infos": {"a": np.zeros(2)}}
    values[column] = (
        Tensor(np.zeros((2, 1))) if column == "observations" else {"a": Tensor(np.zeros(2))}
    )
    buffer = EpisodeBuffer(
        **values,  # type: ignore[arg-type]  # of the fields that are named above
        actions=np.zeros(1, np.int64),
        rewards=np.zeros(1),
        terminations=np.ones(1, bool),
        truncations=np.zeros(1, bool),
    )
    with pytest.raises(DataError, match=r"Tensor.*give its \.numpy\(\)"):
        create_dataset_from_buffers(
            "tests/tensor-v0",
            [buffer],
            observation_space=spaces.Box(-1, 1, (1,), np.float64),
            action_space=spaces.Discrete(2),
        )
