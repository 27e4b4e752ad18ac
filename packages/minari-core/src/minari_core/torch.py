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
from minari_core.sampling.conversion import convert_batch

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
    return convert_batch(value, torch.from_numpy)


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

    Give ``batch_size=None`` to the `DataLoader`. Its workers share the batches among them, as
    ranks do. Call `set_epoch` before each epoch for another order, as for PyTorch's
    `DistributedSampler`.
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
        """
        if "epochs" in options:
            raise SamplingError("an iteration of a DataLoader is one epoch; epochs cannot be given")
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._rank = rank if rank is not None else _distributed("get_rank", distributed, 0)
        self._world_size = (
            world_size if world_size is not None else _distributed("get_world_size", distributed, 1)
        )
        self._options = options
        self._batches(self._rank, self._world_size)  # refuses bad options here and not in a worker

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        """The batches of this process and worker."""
        worker = get_worker_info()
        workers, number = (1, 0) if worker is None else (worker.num_workers, worker.id)
        rank = self._rank * workers + number
        for batch in self._batches(rank, self._world_size * workers):
            yield to_tensors(batch)

    def _batches(self, rank: int, world_size: int) -> Any:
        seed = int(
            np.random.SeedSequence((self._seed, self._epoch)).generate_state(1, np.uint64)[0]
        )
        return self._dataset.batches(
            self._batch_size, seed=seed, rank=rank, world_size=world_size, **self._options
        )


def _distributed(name: str, initialised: bool, otherwise: int) -> int:
    return int(getattr(torch.distributed, name)()) if initialised else otherwise


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _first(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_first(part) for part in value)
    return value[0]
