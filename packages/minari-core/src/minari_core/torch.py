"""Datasets for PyTorch's `DataLoader`: the documented path of `minari_core.integrations.torch`."""

from __future__ import annotations

from minari_core.integrations.torch import BatchDataset, TransitionDataset, collate, to_tensors

__all__ = ["BatchDataset", "TransitionDataset", "collate", "to_tensors"]
