"""Batches as JAX arrays: the documented path of `minari_core.integrations.jax`."""

from __future__ import annotations

from minari_core.integrations.jax import device_batches, to_device

__all__ = ["device_batches", "to_device"]
