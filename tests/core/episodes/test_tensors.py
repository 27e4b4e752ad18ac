"""Tensors of other libraries in a buffer are refused with the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from minari_core import MinariDataset, create_dataset_from_buffers
from minari_core.episodes.episode import EpisodeBuffer
from minari_core.errors import DataError


class Tensor:
    """As PyTorch's: it has rows and a method that gives an array, and is no array itself."""

    def __init__(self, values: npt.ArrayLike, *, requires_grad: bool = False) -> None:
        self._values = np.asarray(values, np.float64)
        self.shape = self._values.shape
        self.requires_grad = requires_grad

    def __len__(self) -> int:
        return len(self._values)

    def numpy(self) -> npt.NDArray[np.float64]:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self._values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.numpy()


def create(**values: Any) -> MinariDataset:
    columns: dict[str, Any] = {
        "observations": np.zeros((2, 1)),
        "actions": np.zeros((1, 1)),
        "rewards": np.zeros(1),
        "terminations": np.ones(1, bool),
        "truncations": np.zeros(1, bool),
    }
    box = spaces.Box(-1, 1, (1,), np.float64)
    return create_dataset_from_buffers(
        "tests/tensor-v0",
        [EpisodeBuffer(**{**columns, **values})],
        observation_space=box,
        action_space=box,
    )


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(
    ("column", "shape"),
    [
        ("observations", (2, 1)),
        ("actions", (1, 1)),
        ("rewards", (1,)),
        ("terminations", (1,)),
        ("infos", (2,)),
    ],
)
def test_a_tensor_in_a_buffer_is_refused_with_the_way_to_make_an_array(
    column: str, shape: tuple[int, ...], requires_grad: bool
) -> None:
    whole = Tensor(np.zeros(shape), requires_grad=requires_grad)
    way = r"; give its \.detach\(\)\.numpy\(\)" if requires_grad else r"; give its \.numpy\(\)"
    with pytest.raises(DataError, match=f"{column}.*{way}"):
        create(**{column: {"a": whole} if column == "infos" else whole})
    if column == "infos":
        return
    rows: list[Any] = [Tensor(np.zeros(shape[1:]), requires_grad=requires_grad)] * shape[0]
    way += r", or its \.item\(\)$" if shape[1:] == () else ""
    with pytest.raises(DataError, match=f"{column}.*{way}"):
        create(**{column: rows})


def test_a_tensor_among_numbers_is_refused_too() -> None:
    with pytest.raises(DataError, match=r"rewards.*; give its \.numpy\(\), or its \.item\(\)$"):
        create(
            rewards=[1.0, Tensor(0.0)],
            observations=np.zeros((3, 1)),
            actions=np.zeros((2, 1)),
            terminations=np.zeros(2, bool),
            truncations=np.array([False, True]),
        )
