"""Datasets for PyTorch's `DataLoader`; needs the extra ``minari-core[torch]``.

`TransitionDataset` is map-style, for samplers of PyTorch; `BatchDataset` is iterable and makes
its own batches, shuffled without a permutation in memory. Both pickle as paths and indices, so
that workers may be forked or spawned. Batches become tensors without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minari_core.dataset import MinariDataset
from minari_core.errors import MissingDependencyError, SamplingError
from minari_core.sampling.batches import Batches
from minari_core.sampling.conversion import convert_batch
from minari_core.sampling.steps import whole_number

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, get_worker_info
except ImportError as error:
    raise MissingDependencyError(
        "minari_core.torch needs PyTorch: pip install 'minari-core[torch]'"
    ) from error

__all__ = ["BatchDataset", "TransitionDataset", "collate", "to_tensors"]


def to_tensors(value: Any) -> Any:
    """The arrays in a batch as tensors that share their memory.

    Args:
        value: A batch, or an array, or dicts, tuples and lists of them.

    Returns:
        A batch as a dict of what it has; arrays as tensors; masked arrays as a dict of ``values``
        and ``present``; text and other values as they are.
    """
    return convert_batch(value, _to_tensor)


def _to_tensor(array: np.ndarray[Any, Any]) -> Any:
    # PyTorch knows the byte order of the machine only.
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(native, copy=False))


def collate(batch: Any) -> Any:
    """Pass on what `TransitionDataset.__getitems__` has already made a batch of."""
    return batch


class TransitionDataset(Dataset[Any]):
    """Map-style: the transitions of a dataset or view by number.

    Give `collate` as ``collate_fn``, so that each batch is read in one piece.

    Example:
        >>> from torch.utils.data import DataLoader  # doctest: +SKIP
        >>> loader = DataLoader(  # doctest: +SKIP
        ...     TransitionDataset(dataset), batch_size=256, shuffle=True, collate_fn=collate
        ... )
    """

    def __init__(self, dataset: MinariDataset, **options: Any) -> None:
        """Show a dataset's transitions.

        Args:
            dataset: The dataset or view.
            **options: ``columns``, ``n_step``, ``discount`` and ``stack``, as for
                `MinariDataset.batches`.
        """
        self._dataset = dataset
        self._options = options
        self._length = dataset.total_steps

    def __len__(self) -> int:
        """The number of transitions."""
        return self._length

    def __getitem__(self, index: int) -> Any:
        """One transition, as a dict of tensors without an axis of the batch."""
        place = int(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"transition {place} of {len(self)}")
        return _first(self.__getitems__([place % len(self)]))

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Several transitions, as a dict of tensors of shape (B, …)."""
        sampler = self._dataset.transition_sampler(**self._options)
        return to_tensors(sampler.read(np.asarray(indices, dtype=np.int64)))


class BatchDataset(IterableDataset[Any]):
    """Iterable: whole batches of transitions or windows, each visited once an epoch.

    Give ``batch_size=None`` to the `DataLoader`. Its workers take turns, so that the batches and
    their order are the same with any number of them. Call `set_epoch` before each epoch for
    another order, as for PyTorch's `DistributedSampler`.
    """

    def __init__(
        self,
        dataset: MinariDataset,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Any,
    ) -> None:
        """Show a dataset's batches.

        Args:
            dataset: The dataset or view.
            batch_size: Transitions or windows in a batch.
            seed: What the order depends on, together with the epoch.
            rank: Which process this is; that of `torch.distributed` if it is initialised.
            world_size: How many processes there are; likewise.
            **options: ``shuffle, drop_last, length, padding, columns, n_step, discount, stack``
                and ``returns_to_go``, as for `MinariDataset.batches`.

        Raises:
            SamplingError: As for `MinariDataset.batches`, or there is an option ``epochs``.
        """
        if "epochs" in options:
            raise SamplingError("an iteration of a DataLoader is one epoch; epochs cannot be given")
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if rank is None:
            rank = torch.distributed.get_rank() if distributed else 0
        if world_size is None:
            world_size = torch.distributed.get_world_size() if distributed else 1
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = whole_number("seed", seed, 0)
        # Workers that persist were given the dataset once, yet must hear of the next epoch.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._options = {**options, "rank": rank, "world_size": world_size}
        self._length = self._batches().batches_per_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration.

        Args:
            epoch: A number from 0.

        Raises:
            SamplingError: It is negative, or no whole number.
        """
        self._epoch[0] = whole_number("epoch", epoch, 0)

    def __len__(self) -> int:
        """How many batches this process has in an epoch."""
        return self._length

    def __iter__(self) -> Iterator[Any]:
        """The batches of this process, or of this worker of it."""
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in self._batches().share(number, workers):
            yield to_tensors(batch)

    def _batches(self) -> Batches[Any]:
        sequence = np.random.SeedSequence((self._seed, int(self._epoch)))
        seed = int(sequence.generate_state(1, np.uint64)[0])
        return self._dataset.batches(self._batch_size, seed=seed, **self._options)


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _first(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_first(part) for part in value)
    return value[0]
