"""Batches become tensors of PyTorch without a copy, whatever the spaces are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core.sampling import TransitionBatch
from tests.training.helpers import walks

torch: Any = pytest.importorskip("torch")

from minari_core.torch import TransitionDataset, to_tensors  # noqa: E402  # after the skip


def arrays_of(value: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays in nested dicts and tuples by their paths."""
    if isinstance(value, np.ndarray):
        return {"": value}
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        f"/{key}{path}": array
        for key, part in inner
        if isinstance(part, np.ndarray | dict | tuple)
        for path, array in arrays_of(part).items()
    }


def tensors_of(value: Any) -> dict[str, Any]:
    """The tensors in nested dicts and tuples by their paths."""
    if isinstance(value, torch.Tensor):
        return {"": value}
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        f"/{key}{path}": tensor
        for key, part in inner
        if isinstance(part, torch.Tensor | dict | tuple)
        for path, tensor in tensors_of(part).items()
    }


def test_tensors_share_the_memory_of_a_batch_of_transitions() -> None:
    batch = walks.of_vectors().sample_transitions(32)
    tensors = to_tensors(batch)

    for name in ("observations", "actions", "rewards", "next_observations", "terminations"):
        array = getattr(batch, name)
        assert tensors[name].data_ptr() == array.ctypes.data, name
        assert tensors[name].shape == array.shape, name
    batch.rewards[0] = -5
    assert tensors["rewards"][0] == -5


def test_tensors_share_the_memory_of_a_batch_of_windows() -> None:
    batch = walks.of_vectors().sample_sequences(8, 5, padding="before", returns_to_go=True)
    tensors = to_tensors(batch)

    for name in ("observations", "rewards", "mask", "time_steps", "returns_to_go"):
        assert tensors[name].data_ptr() == getattr(batch, name).ctypes.data, name
    assert tensors["mask"].dtype == torch.bool
    assert tensors["time_steps"].dtype == torch.int64


def test_parts_that_were_not_asked_for_are_not_there() -> None:
    tensors = to_tensors(walks.of_vectors().sample_transitions(4, columns=["actions", "rewards"]))

    assert set(tensors) == {"actions", "rewards", "episode_ids", "time_steps"}


def test_a_filled_batch_changes_the_tensors_that_were_made_of_it() -> None:
    dataset = walks.of_vectors()
    batch = dataset.sample_transitions(16)
    tensors = to_tensors(batch)

    dataset.sample_transitions(16, out=batch)

    assert torch.equal(tensors["observations"], torch.from_numpy(batch.observations))


def test_every_kind_of_space_becomes_what_it_can_be() -> None:
    columns = ["observations", "next_observations", "actions", "infos/speed"]
    dataset = walks.of_everything()
    sampler = dataset.transition_sampler(columns=columns)
    batch: TransitionBatch = sampler.read(np.arange(walks.TOTAL))
    tensors = to_tensors(batch)

    observed, following = tensors["observations"], tensors["next_observations"]
    rows = torch.tensor([row for _, row in walks.EVERY_STEP])
    assert observed["camera"].shape == (walks.TOTAL, 64, 64)
    assert observed["camera"].dtype == torch.uint8
    assert torch.equal(observed["camera"][:, 3, 5], (rows % 256).to(torch.uint8))
    assert torch.equal(following["camera"][:, 63, 0], ((rows + 1) % 256).to(torch.uint8))
    assert isinstance(observed["pair"], tuple)
    assert torch.equal(observed["pair"][0], rows)
    assert torch.equal(following["pair"][1][:, 0], (rows + 1).to(torch.int8) % 2)
    # Text has no tensor: it stays a list of str, beside the tensors.
    assert observed["word"] == [f"{episode}a{row}" for episode, row in walks.EVERY_STEP]
    speed = tensors["columns"]["infos/speed"]
    assert torch.equal(speed["present"], (rows + 1) % 2 == 0)
    assert torch.equal(speed["values"][speed["present"]], (rows + 1)[speed["present"]].double())
    for side in (batch.observations, batch.next_observations):
        whose = observed if side is batch.observations else following
        arrays, made = arrays_of(side), tensors_of(whose)
        assert arrays.keys() == made.keys()
        assert {path: a.ctypes.data for path, a in arrays.items()} == {
            path: tensor.data_ptr() for path, tensor in made.items()
        }


def test_numbers_in_another_byte_order_keep_their_values() -> None:
    array = np.arange(5, dtype=">f8")

    assert torch.equal(to_tensors(array), torch.arange(5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.int64, np.float16])
def test_dtypes_stay_what_they_are(dtype: type[np.generic]) -> None:
    array = np.ones(3, dtype=dtype)

    assert to_tensors(array).numpy().dtype == array.dtype


def test_a_map_style_dataset_gives_single_transitions_by_their_numbers() -> None:
    dataset = TransitionDataset(walks.of_everything(), stack=3)

    one = dataset[walks.TOTAL - 1]

    assert len(dataset) == walks.TOTAL
    assert one["actions"].tolist() == [4, 59]
    assert one["observations"]["camera"].shape == (3, 64, 64)
    assert one["observations"]["camera"][:, 0, 0].tolist() == [57, 58, 59]
    assert one["terminations"]
    assert one["observations"]["word"] == ["4a57", "4a58", "4a59"]
    assert dataset[-1]["actions"].tolist() == [4, 59]
    for outside in (walks.TOTAL, -walks.TOTAL - 1):
        with pytest.raises(IndexError, match=f"of {walks.TOTAL}"):
            dataset[outside]
