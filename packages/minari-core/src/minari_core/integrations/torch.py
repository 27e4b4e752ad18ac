"""Datasets for PyTorch's `DataLoader`; needs the extra ``minari-core[torch]``.

`TransitionDataset` is map-style, for samplers of PyTorch; `BatchDataset` is iterable and makes
its own batches, shuffled without a permutation in memory. Both pickle as paths and indices, so
that workers may be forked or spawned. Batches become tensors without a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minari_core.arguments import check_whole_number
from minari_core.datasets.dataset import MinariDataset
from minari_core.errors import MissingDependencyError, SamplingError
from minari_core.integrations.conversion import convert_batch
from minari_core.sampling.epochs.batches import Batches

try:
    import torch
    from torch.utils.data import Dataset, IterableDataset, get_worker_info
    from torch.utils.data._utils.collate import default_collate_fn_map
except ImportError as error:
    raise MissingDependencyError(
        "minari_core.torch needs PyTorch: pip install 'minari-core[torch]'"
    ) from error

__all__ = ["BatchDataset", "TransitionDataset", "collate", "to_tensors"]


def to_tensors(
    value: Any,
    *,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | None = None,
) -> Any:
    """Convert the arrays in a batch to tensors, which share their memory where they can.

    On their way to a GPU, tensors go through pinned memory, so that this returns before they are
    there; PyTorch itself waits for them where they are used.

    Args:
        value: A batch, or an array, or dicts, tuples and lists of them.
        device: Where to put the tensors; they stay in the memory of the CPU if None.
        dtype: The type of those that are real numbers with a fraction, such as ``torch.float32``
            or ``torch.bfloat16``; that of the arrays if None. Others keep theirs.

    Returns:
        A batch as a dict of its fields; arrays as tensors; masked arrays as a dict of ``values``
        and ``present``; text and other values as they are.

    Raises:
        SamplingError: ``dtype`` is not one of numbers with a fraction.
    """
    if device is None and dtype is None:
        return convert_batch(value, _to_tensor)
    if dtype is not None and not dtype.is_floating_point:
        raise SamplingError(f"dtype is {dtype}, not one of numbers with a fraction")
    target = None if device is None else torch.device(device)
    is_apart = target is not None and target.type == "cuda"

    def convert(array: np.ndarray[Any, Any]) -> torch.Tensor:
        tensor = _to_tensor(array)
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        if target is None:
            return tensor
        return tensor.pin_memory().to(target, non_blocking=True) if is_apart else tensor.to(target)

    return convert_batch(value, convert)


def _to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    # PyTorch knows the byte order of the machine only.
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(native, copy=False))


def collate(batch: Any) -> Any:
    """Pass on what `TransitionDataset.__getitems__` has already made a batch of.

    Raises:
        SamplingError: It is a list: of the batches of a `BatchDataset`, or of single transitions.
    """
    if isinstance(batch, list) and batch and isinstance(batch[0], dict):
        if isinstance(batch[0], _UncollatedBatch):
            _refuse_to_collate(batch)
        raise SamplingError(
            "minari_core.torch.collate passes whole batches on, and these are single transitions: "
            "give this DataLoader no collate_fn"
        )
    return dict(batch) if isinstance(batch, _WholeBatch) else batch


class _WholeBatch(dict[str, Any]):
    """A batch for `collate`; PyTorch's own function would look for its single items."""

    def __missing__(self, key: object) -> Any:
        if isinstance(key, int):
            raise SamplingError(
                "a TransitionDataset makes whole batches: give the DataLoader "
                "collate_fn=minari_core.torch.collate"
            )
        raise KeyError(key)


class _UncollatedBatch(dict[str, Any]):
    """A batch of `BatchDataset`, which a `DataLoader` must not put into a batch once more."""


def _refuse_to_collate(batches: Any, **_: Any) -> Any:
    raise SamplingError(
        "a BatchDataset makes whole batches, and this DataLoader would put each into a batch of "
        "its own, of shape (1, B, …): give the DataLoader batch_size=None"
    )


default_collate_fn_map[_UncollatedBatch] = _refuse_to_collate


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
        """Wrap a dataset.

        Args:
            dataset: The dataset or view.
            **options: What to read, as keywords; see `TransitionOptions`. Goals are drawn by
                PyTorch's seed.

        Raises:
            SamplingError: A number is out of its range, or a column does not exist.
        """
        self._dataset = dataset
        self._options = options
        # A mistake shows here, and not first in a worker.
        len(self)

    def __len__(self) -> int:
        """Return the number of transitions, with those that the dataset has taken in."""
        return len(self._dataset.transition_sampler(**self._options))

    def __getitem__(self, index: int) -> Any:
        """Read a transition, as a dict of tensors without the axis of the batch."""
        position = int(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"transition {position} of {len(self)}")
        return _take_first(self.__getitems__([position % len(self)]))

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """Read several transitions, as a dict of tensors of shape (B, …)."""
        sampler = self._dataset.transition_sampler(**self._options)
        # Goals are drawn by PyTorch's seed, which is another one in each worker.
        generator = (
            np.random.default_rng(int(torch.randint(1 << 62, ()))) if sampler.is_random else None
        )
        batch = sampler.read(np.asarray(indices, dtype=np.int64), generator)
        return _WholeBatch(to_tensors(batch))


class BatchDataset(IterableDataset[Any]):
    """Iterable: whole batches of transitions or windows, each visited once an epoch.

    Give ``batch_size=None`` to the `DataLoader`. Its workers take turns, so that the batches and
    their order are the same with any number of them. Call `set_epoch` before each epoch for
    another order, as for PyTorch's `DistributedSampler`.

    Example:
        >>> from torch.utils.data import DataLoader  # doctest: +SKIP
        >>> data = BatchDataset(dataset, 256, seed=0)  # doctest: +SKIP
        >>> loader = DataLoader(data, batch_size=None, num_workers=2)  # doctest: +SKIP
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
        """Wrap a dataset.

        Args:
            dataset: The dataset or view.
            batch_size: The number of transitions or windows in a batch.
            seed: The seed of the order, together with the epoch.
            rank: The rank of this process; that of `torch.distributed` if it is initialised.
            world_size: The number of processes; likewise.
            **options: ``shuffle, drop_last, weights, order, pool_epochs, length``, and what to
                read, as for `MinariDataset.batches`.

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
        self._seed = check_whole_number("seed", seed, 0)
        # The epoch, the first batch of it, and what other ranks have visited before. Workers that
        # persist were given the dataset once, yet must hear of the next epoch.
        self._position = torch.zeros(3, dtype=torch.int64).share_memory_()
        self._options = {**options, "rank": rank, "world_size": world_size}
        len(self)

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return int(self._position[0])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, and so its order.

        Another epoch begins with its first batch; one that was resumed goes on from its position.
        Workers that are still at work on the present one may or may not follow at once.

        Args:
            epoch: The epoch, from 0.

        Raises:
            SamplingError: It is negative, or no whole number.
        """
        epoch = check_whole_number("epoch", epoch, 0)
        if epoch != self.epoch:
            self._position[1:] = 0
        self._position[0] = epoch

    def state_dict(self, batches: int) -> dict[str, Any]:
        """Return a position in the present epoch, small and as plain JSON.

        Args:
            batches: The number of batches of the epoch that have been used, from its beginning,
                or from where it was resumed with another number of ranks. Only the caller knows:
                workers have read more.

        Raises:
            SamplingError: The epoch does not have that many batches.
        """
        batches = check_whole_number("batches", batches, 0)
        positioned = self._batches()
        visited = int(self._position[2])
        if visited:
            positioned.load_state_dict(
                {**positioned.state_dict(), "version": 2, "visited": visited}
            )
        state = {**positioned.state_dict(), "batch": batches}
        positioned.load_state_dict(state)
        return {"epoch": self.epoch, "batches": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin the next iteration at a position that `state_dict` returned.

        The numbers of workers and of ranks may be others, as for `Batches.load_state_dict`.
        `set_epoch` with the next epoch ends it.

        Args:
            state: What `state_dict` returned.

        Raises:
            SamplingError: The state is of another dataset, view or setting.
        """
        if not {"epoch", "batches"} <= set(state):
            raise SamplingError(f"{str(state)[:80]!r} is no state; state_dict gives one")
        epoch = check_whole_number("epoch of the state", state["epoch"], 0)
        batches = self._batches(epoch)
        batches.load_state_dict(state["batches"])
        loaded = batches.state_dict()
        self._position[:] = torch.tensor([epoch, loaded["batch"], loaded.get("visited", 0)])

    def __len__(self) -> int:
        """Return the number of batches of this process in an epoch that begins now."""
        return self._batches().batches_per_epoch

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of this process, or of this worker of it."""
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        epoch, first, visited = self._position.tolist()
        batches = self._batches(epoch)
        batches.load_state_dict({**batches.state_dict(), "batch": first, "visited": visited})
        for batch in batches.share(number, workers):
            yield _UncollatedBatch(to_tensors(batch))

    def _batches(self, epoch: int | None = None) -> Batches[Any]:
        epoch = self.epoch if epoch is None else epoch
        sequence = np.random.SeedSequence((self._seed, epoch))
        seed = int(sequence.generate_state(1, np.uint64)[0])
        options = dict(self._options)
        if options.get("pool_epochs") is not None:
            # These batches are one epoch, which they count as their first.
            pool_epochs = check_whole_number("pool_epochs", options["pool_epochs"], 0)
            options["pool_epochs"] = max(pool_epochs - epoch, 0)
        return self._dataset.batches(self._batch_size, seed=seed, **options)


def _take_first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _take_first(leaf) for key, leaf in value.items()}
    if isinstance(value, tuple):
        return tuple(_take_first(leaf) for leaf in value)
    return value[0]
