"""Batches as arrays on JAX's devices; needs the extra ``minari-core[jax]``.

JAX has 32-bit numbers unless ``jax_enable_x64`` is set; as with every array that is given to it,
float64 becomes float32 then.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from minari_core.errors import MissingDependencyError
from minari_core.integrations.conversion import convert_batch

try:
    import jax
except ImportError as error:
    raise MissingDependencyError(
        "minari_core.jax needs JAX: pip install 'minari-core[jax]'"
    ) from error

__all__ = ["device_batches", "to_device"]


def to_device(value: Any, device: Any = None) -> Any:
    """Move the arrays in a batch to a device.

    On the CPU these may share the memory of the batch, as it suits JAX. So while they are in use,
    the batch must not be changed, nor filled again.

    Args:
        value: A batch, or an array, or dicts and tuples of them.
        device: A device or sharding of JAX; its default if None.

    Returns:
        A batch as a dict of its fields; masked arrays as a dict of ``values`` and ``present``;
        text and other values as they are.
    """
    with warnings.catch_warnings():
        # That JAX is set to 32 bits is its user's choice, and said above.
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        return convert_batch(value, lambda array: jax.device_put(array, device))


def device_batches(batches: Iterable[Any], device: Any = None) -> Iterator[Any]:
    """Yield the batches of `MinariDataset.batches` on a device, one ahead of the one in use.

    Args:
        batches: The batches.
        device: A device or sharding of JAX; its default if None.
    """
    ahead: list[Any] = []
    for batch in batches:
        # JAX copies while the caller computes, so the next batch is on its way meanwhile.
        ahead.append(to_device(batch, device))
        if len(ahead) > 1:
            yield ahead.pop(0)
    yield from ahead
