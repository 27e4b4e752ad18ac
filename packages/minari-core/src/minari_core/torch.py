"""Datasets and tensors for PyTorch: the documented path of `minari_core.integrations.torch`."""

from __future__ import annotations

from minari_core.integrations.torch import BatchDataset, TransitionDataset, collate, to_tensors
from minari_core.integrations.torch_normalizer import TensorNormalizer
from minari_core.integrations.torch_resident import ResidentData

__all__ = [
    "BatchDataset",
    "ResidentData",
    "TensorNormalizer",
    "TransitionDataset",
    "collate",
    "to_tensors",
]
