"""A `Normalizer` as a module of PyTorch, which is saved and moved with the policy it belongs to."""

from __future__ import annotations

from typing import Any

import torch

from minari_core.columns.base import escape_key
from minari_core.errors import SamplingError
from minari_core.statistics.normalizer import Normalizer


class TensorNormalizer(torch.nn.Module):
    """Shift and scale tensors to mean 0 and standard deviation 1, as a `Normalizer` does arrays.

    Mean and standard deviation are buffers: they are in the module's ``state_dict``, go with it to
    another device, and are not trained. What a Normalizer returns as it is stays as it is.

    Example:
        >>> policy = torch.nn.Sequential(  # doctest: +SKIP
        ...     TensorNormalizer(normalizer), torch.nn.Linear(3, 1)
        ... )
    """

    def __init__(self, normalizer: Normalizer, dtype: torch.dtype = torch.float32) -> None:
        """Take the numbers of a normalizer.

        Args:
            normalizer: What normalizes arrays.
            dtype: What values are converted to and computed in.
        """
        super().__init__()
        self._paths = {path: number for number, path in enumerate(normalizer.leaves)}
        for number, (mean, scale) in enumerate(normalizer.leaves.values()):
            self.register_buffer(f"mean_{number}", torch.tensor(mean, dtype=dtype))
            self.register_buffer(f"scale_{number}", torch.tensor(scale, dtype=dtype))

    def forward(self, values: Any) -> Any:
        """Return ``(values - mean) / std``.

        Args:
            values: Tensors of shape (…, *row), in dicts and tuples as the space has them.

        Raises:
            SamplingError: A tensor has no statistics.
        """
        return self._apply_to(values, "", inverse=False)

    def denormalize(self, values: Any) -> Any:
        """Return ``values * std + mean``, the inverse of calling the module.

        Args:
            values: As for `forward`.

        Raises:
            SamplingError: A tensor has no statistics.
        """
        return self._apply_to(values, "", inverse=True)

    def _apply_to(self, values: Any, path: str, *, inverse: bool) -> Any:
        if isinstance(values, dict):
            return {
                key: self._apply_to(item, f"{path}/{escape_key(key)}", inverse=inverse)
                for key, item in values.items()
            }
        if path in self._paths:
            number = self._paths[path]
            mean, scale = getattr(self, f"mean_{number}"), getattr(self, f"scale_{number}")
            if inverse:
                return values * scale + mean
            return (values.to(mean.dtype) - mean) / scale
        if isinstance(values, tuple):
            return tuple(
                self._apply_to(item, f"{path}/_index_{index}", inverse=inverse)
                for index, item in enumerate(values)
            )
        if isinstance(values, torch.Tensor):
            raise SamplingError(
                f"there are no statistics of values{path}, only of "
                f"{', '.join(f'values{leaf}' for leaf in sorted(self._paths))}"
            )
        return values
