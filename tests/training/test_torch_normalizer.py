"""A normalizer as a module of PyTorch normalizes as the one of arrays does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core import SamplingError
from minari_core.sampling import Normalizer
from tests.training.helpers import walks

torch: Any = pytest.importorskip("torch")

from minari_core.torch import TensorNormalizer, to_tensors  # noqa: E402  # after the skip


def test_tensors_are_normalized_as_arrays_are_and_back() -> None:
    dataset = walks.of_vectors()
    normalizer = Normalizer(dataset.statistics())
    observations = dataset.sample_transitions(64).observations
    module = TensorNormalizer(normalizer)
    tensors = module(torch.from_numpy(observations))
    assert tensors.dtype == torch.float32
    np.testing.assert_allclose(
        tensors.numpy(), normalizer.normalize(observations), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        module.denormalize(tensors).numpy(), observations, rtol=1e-5, atol=1e-5
    )


def test_nested_observations_are_normalized_leaf_by_leaf() -> None:
    dataset = walks.of_everything()
    normalizer = Normalizer(dataset.statistics())
    observations = dataset.sample_transitions(16).observations
    wanted = to_tensors(normalizer.normalize(observations))
    found = TensorNormalizer(normalizer, torch.float64)(to_tensors(observations))
    assert found.pop("word") == wanted.pop("word")
    torch.testing.assert_close(found, wanted)


def test_its_numbers_are_saved_with_the_policy_and_are_not_trained() -> None:
    dataset = walks.of_vectors()
    policy = torch.nn.Sequential(
        TensorNormalizer(Normalizer(dataset.statistics())), torch.nn.Linear(2, 1)
    )
    other = torch.nn.Sequential(
        TensorNormalizer(Normalizer(dataset[:1].statistics())), torch.nn.Linear(2, 1)
    )
    assert len(list(policy.parameters())) == 2
    observations = torch.randn(5, 2)
    assert not torch.equal(other[0](observations), policy[0](observations))
    other.load_state_dict(policy.state_dict())
    assert torch.equal(other(observations), policy(observations))


def test_tensors_without_statistics_are_refused() -> None:
    module = TensorNormalizer(Normalizer(walks.of_vectors().statistics()))
    with pytest.raises(SamplingError, match="no statistics of values/camera, only of values"):
        module({"camera": torch.zeros(3)})


def test_tensors_go_to_a_device_and_become_of_a_type() -> None:
    batch = walks.of_everything().sample_transitions(8)
    plain, moved = to_tensors(batch), to_tensors(batch, device="meta", dtype=torch.bfloat16)
    assert moved["rewards"].device.type == "meta"
    assert moved["rewards"].dtype == torch.bfloat16
    assert moved["time_steps"].dtype == torch.int64
    halved = to_tensors(batch, dtype=torch.float16)
    assert torch.equal(halved["rewards"], plain["rewards"].to(torch.float16))
    assert torch.equal(halved["terminations"], plain["terminations"])
    assert to_tensors(batch, device="cpu")["rewards"].data_ptr() == plain["rewards"].data_ptr()
    with pytest.raises(SamplingError, match="int32, not one of numbers with a fraction"):
        to_tensors(batch, dtype=torch.int32)
