"""Mixtures in the loaders of PyTorch and JAX, whose workers may be forked or spawned."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from minari_core import DatasetMixture, SamplingError, mix_datasets
from tests.training.helpers import walks


def mix() -> DatasetMixture:
    return mix_datasets([walks.of_vectors("walks/a-v0"), walks.of_vectors("walks/b-v0")], [3, 1])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_loader_read_a_mixture(method: str) -> None:
    torch: Any = pytest.importorskip("torch")
    from minari_core.torch import BatchDataset, TransitionDataset, collate

    mixture = mix()
    data = BatchDataset(mixture, 16, seed=3)
    alone = [batch["dataset_indices"] for batch in data]
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context=method
    )
    for batch, indices in zip(loader, alone, strict=True):
        assert batch["dataset_indices"].tolist() == indices.tolist()
    single = torch.utils.data.DataLoader(
        TransitionDataset(mixture), batch_size=32, collate_fn=collate
    )
    found = torch.cat([batch["dataset_indices"] for batch in single])
    assert found.tolist() == [0] * walks.TOTAL + [1] * walks.TOTAL


def test_a_device_of_jax_is_given_a_mixture() -> None:
    pytest.importorskip("jax")
    from minari_core.jax import device_batches

    mixture = mix()
    options: dict[str, Any] = {"seed": 0, "length": 3, "padding": "after"}
    moved = device_batches(mixture.batches(16, **options))
    for batch, wanted in zip(moved, mixture.batches(16, **options), strict=True):
        np.testing.assert_array_equal(batch["dataset_indices"], wanted.dataset_indices)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_device_holds_a_mixture_only_without_weights(framework: str) -> None:
    pytest.importorskip(framework)
    resident = importlib.import_module(f"minari_core.{framework}").ResidentData
    mixture = mix()
    assert len(resident(mix_datasets(mixture.datasets))) == 2 * walks.TOTAL
    with pytest.raises(SamplingError, match="the datasets of this mixture have weights"):
        resident(mixture)
