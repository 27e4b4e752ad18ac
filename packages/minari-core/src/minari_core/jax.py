"""Batches as JAX arrays: the documented path of `minari_core.integrations.jax`."""

from __future__ import annotations

from minari_core.integrations.jax import device_batches, to_device
from minari_core.integrations.jax_resident import ResidentData

__all__ = ["ResidentData", "device_batches", "to_device"]
