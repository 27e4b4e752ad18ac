"""Epochs: every transition or window exactly once, in an order that depends on a seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.messages import warn_caller
from minari_core.random_stream import Process, current_process, find_loader_worker
from minari_core.sampling.epochs.division import Division
from minari_core.sampling.epochs.random_orders import RandomOrder, RandomOrders
from minari_core.sampling.orders.placed_numbers import PlacedNumbers
from minari_core.sampling.orders.pool import PoolOrder
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.reading_ahead import Fetch, ReadingAhead
from minari_core.sampling.orders.weights import EpisodeWeights
from minari_core.sampling.steps.episode_steps import EMPTY

Batch = TypeVar("Batch", covariant=True)

_POSITIONS_AT_ONCE = 1 << 14
# A state that goes on behind what other ranks have visited is of the second version.
_STATE_VERSIONS = (1, 2)
# These may change in the middle of an epoch: the order is that of all ranks together.
_RANKS = ("batch_size", "rank", "world_size")
_SEED_THEM = "give seed= to batches, or a seed to set_seed before"


class Sampler(Protocol[Batch]):
    """A reader of batches by position: a `TransitionSampler` or a `SequenceSampler`."""

    def __len__(self) -> int:
        """The number of positions."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether it needs a source of randomness."""
        ...

    def read(self, positions: Positions, generator: np.random.Generator | None = None) -> Batch:
        """Read a batch."""
        ...


class Batches(Generic[Batch]):
    """An iterator over the batches of some epochs.

    Among ``world_size`` ranks, rank r takes the positions r, r + world_size, … of each epoch's
    order, so ranks share nothing and leave nothing out. Memory does not grow with the dataset.
    Ranks that have read the same number of batches have visited the beginning of the order, whose
    rest other ranks may divide.

    An order that nobody seeded is that of one process alone. Another one, to which it comes by a
    fork or a pickle, draws an order of its own, and refuses to go on in the middle of an epoch.

    Not safe to share between threads: it holds its position.
    """

    def __init__(
        self,
        sampler: Sampler[Batch],
        batch_size: int,
        *,
        seed: int | None,
        identity: str,
        is_shared: bool = True,
        epochs: int | None = 1,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        weights: EpisodeWeights | None = None,
        window: int | None = None,
        pool_epochs: int | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        """Begin with the first epoch.

        Args:
            sampler: The reader of the batches.
            batch_size: The number of transitions or windows in a batch, of this rank.
            seed: The seed of the order; from fresh entropy if None, in each process anew.
            identity: Tells the dataset, view and options from others, for `load_state_dict`.
            is_shared: Whether all processes that `share` an epoch have the same seed.
            epochs: The number of epochs; without end if None.
            shuffle: Whether the order is random; else it is that of the dataset.
            drop_last: Leave out a last batch that is not full; with several ranks, all have the
                same number of batches then.
            rank: The rank of this process, from 0.
            world_size: The number of ranks.
            weights: Draw with replacement, as often as there are positions, in shares of the
                episodes; visit each position once if None.
            window: The positions in a window of the pool order; the exact order if None.
            pool_epochs: The number of epochs in the pool order, before those in the exact one;
                all if None.
            fetch: Makes positions quick to read, and is called for the windows of the pool order
                before they are read; None if all are at hand.

        Raises:
            SamplingError: A number is out of its range, options exclude each other, or there is
                nothing to visit.
        """
        division = Division(
            size=len(sampler),
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            drop_last=bool(drop_last),
        )
        is_ordered = seed is not None or not shuffle
        seed = _draw_seed() if seed is None else check_whole_number("seed", seed, 0)
        if division.world_size > 1 and not is_ordered:
            raise SamplingError(
                f"the {division.world_size} ranks of an epoch need one order, and nobody seeded "
                f"this one; {_SEED_THEM}, the same for each rank"
            )
        if epochs is not None:
            epochs = check_whole_number("epochs", epochs, 1)
        if weights is not None and not shuffle:
            raise SamplingError("weights draw at random; they cannot go with shuffle=False")
        if window is not None and not shuffle:
            raise SamplingError("the order 'pool' is random; it cannot go with shuffle=False")
        orders = RandomOrders(
            size=len(sampler), weights=weights, window=window, pool_epochs=pool_epochs
        )
        if len(sampler) == 0:
            raise SamplingError(f"there is nothing to visit: {EMPTY}")
        self._sampler = sampler
        self._division = division
        self._orders = orders
        self._seed = seed
        self._identity = identity
        self._epochs = epochs
        self._shuffle = bool(shuffle)
        self._fetch = fetch
        self._ahead = self._make_ahead()
        self._epoch = 0
        self._batch = 0
        # How much of the present epoch's order was visited before these ranks began.
        self._visited = 0
        self._order: tuple[int, RandomOrder] | None = None
        self._numbers: tuple[int, PlacedNumbers] | None = None
        self._known: tuple[int, int, int, Positions] | None = None
        self._is_ordered = is_ordered
        self._is_shared = is_shared or not shuffle
        # Where it was made; of an order that nobody seeded, where that was drawn.
        self._process: Process | None = current_process()
        self._visited_in: Process | None = None

    @property
    def batches_per_epoch(self) -> int:
        """The number of batches of this rank in a whole epoch."""
        return self._division.count_batches(0)

    def __len__(self) -> int:
        """Return the number of batches of this rank in all epochs.

        Raises:
            SamplingError: There is no end of epochs.
        """
        if self._epochs is None:
            raise SamplingError("epochs is None, so there is no last batch to count to")
        return self.batches_per_epoch * self._epochs

    def __iter__(self) -> Iterator[Batch]:
        """Return the iterator itself, which goes on from its position."""
        return self

    def share(self, number: int, count: int) -> Iterator[Batch]:
        """Iterate over every ``count``-th remaining batch, from ``number``, without advancing this.

        Worker ``number`` of the ``count`` workers of one rank reads these: taken in turns, they
        are the batches of the rank in their order, for any number of workers.

        Args:
            number: The index of the share, from 0 to ``count - 1``.
            count: The number of shares.

        Raises:
            SamplingError: There are several, and each process that has one has drawn its own order.
        """
        self._enter_process()
        if count > 1 and not self._is_shared:
            raise SamplingError(
                f"the {count} processes that share an epoch need one order, and each draws its own "
                "here; give seed= to batches"
            )
        epoch, batch, visited = self._epoch, self._batch, self._visited
        reading = self._make_ahead(number, count)
        ahead = number
        while self._epochs is None or epoch < self._epochs:
            left = self._division.count_batches(visited) - batch
            for offset in range(ahead, left, count):
                self._prepare(reading, epoch, batch + offset, visited)
                yield self._read(epoch, batch + offset, visited)
            # How far the next batch of this share lies in the next epoch.
            ahead = ahead - left if ahead >= left else (ahead - left) % count
            epoch, batch, visited = epoch + 1, 0, 0
            if self.batches_per_epoch == 0:
                return

    def __next__(self) -> Batch:
        """Read the next batch.

        Raises:
            SamplingError: These batches come from another process to one of several workers of a
                ``DataLoader``; or nobody seeded them, and they come in the middle of an epoch.
        """
        self._enter_process()
        if self._visited_in is not current_process():
            self._check_visitors()
        if self._batch >= self._division.count_batches(self._visited):
            self._epoch, self._batch, self._visited = self._epoch + 1, 0, 0
        if self.batches_per_epoch == 0 or (
            self._epochs is not None and self._epoch >= self._epochs
        ):
            raise StopIteration
        self._prepare(self._ahead, self._epoch, self._batch, self._visited)
        batch = self._read(self._epoch, self._batch, self._visited)
        self._batch += 1
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the present position, small and as plain JSON.

        Of several ranks, that of rank 0 is the position of all, if all have read as many batches of
        the epoch as it has, or all that they have.
        """
        self._enter_process()
        state = {
            "version": _STATE_VERSIONS[0],
            "identity": self._identity,
            "settings": self._settings(),
            "epoch": self._epoch,
            "batch": self._batch,
        }
        if self._visited:
            state.update(version=_STATE_VERSIONS[1], visited=self._visited)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a position that `state_dict` returned.

        The number of ranks may be another, and so may the size of batches: the ranks of now divide
        what is left of the epoch, so that nothing is visited twice and nothing is left out.

        Raises:
            SamplingError: The state is of another dataset, view or setting; the message says of
                which.
        """
        self._enter_process()
        keys = ("version", "identity", "settings", "epoch", "batch")
        if not set(keys) <= set(state or ()):
            raise SamplingError(f"{str(state)[:80]!r} is no state; state_dict gives one")
        if state["version"] not in _STATE_VERSIONS:
            raise SamplingError(
                f"the state is of version {state['version']!r}, not {_STATE_VERSIONS[-1]}"
            )
        if state["identity"] != self._identity:
            raise SamplingError(
                f"the state is of {state['identity']!r}, but these batches are of "
                f"{self._identity!r}"
            )
        saved, own = state["settings"], self._settings()
        if not isinstance(saved, Mapping) or {**saved, **{key: own[key] for key in _RANKS}} != own:
            raise SamplingError(f"the state is of settings {saved}, but these are {own}")
        batch_size = check_whole_number("batch_size of the state", saved.get("batch_size"), 1)
        world_size = check_whole_number("world_size of the state", saved.get("world_size"), 1)
        epoch = check_whole_number("epoch of the state", state["epoch"], 0)
        batch = check_whole_number("batch of the state", state["batch"], 0)
        visited = check_whole_number("visited of the state", state.get("visited", 0), 0)
        together, own_ranks = batch_size * world_size, self._division.world_size
        # Rank 0 has the most batches.
        most = max(0, -(-(self._division.size - visited) // together))
        if batch > most:
            raise SamplingError(f"the state is at batch {batch} of {most}")
        if together != self._division.batch_size * own_ranks or world_size != own_ranks:
            batch, visited = 0, min(visited + batch * together, self._division.size)
        self._epoch, self._visited = epoch, visited
        self._batch = min(batch, self._division.count_batches(visited))
        self._ahead = self._make_ahead()

    def __getstate__(self) -> dict[str, Any]:
        """Everything of batches that somebody seeded; of others, all but their order."""
        state = {**self.__dict__, "_process": None, "_visited_in": None, "_ahead": None}
        state["_numbers"] = None
        if not self._is_ordered:
            self._check_between_epochs()
            state.update(_seed=None, _order=None, _known=None, _is_shared=False)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read ahead with threads of this process."""
        self.__dict__.update(state)
        self._ahead = self._make_ahead()

    def _make_ahead(self, number: int = 0, count: int = 1) -> ReadingAhead | None:
        return None if self._fetch is None else ReadingAhead(self._fetch, number, count)

    def _prepare(self, reading: ReadingAhead | None, epoch: int, batch: int, visited: int) -> None:
        """Wait for what a batch is drawn from, if it has to be fetched."""
        if reading is None or not self._shuffle:
            return
        order = self._random_order(epoch)
        if isinstance(order, PoolOrder):
            first = self._division.find_first(batch, visited)
            reading.prepare(epoch, order, first, self._division.find_last(batch, visited))

    def _enter_process(self) -> None:
        """Draw an order of this process's own, if nobody seeded that of the one it comes from."""
        if self._is_ordered or self._process is current_process():
            return
        worker = find_loader_worker()
        if worker is not None and worker[1] > 1:
            raise SamplingError(
                f"nobody seeded these batches, so that none of the {worker[1]} workers of this "
                f"DataLoader knows what the others visit; {_SEED_THEM}, and iterate over "
                "share(worker.id, worker.num_workers)"
            )
        self._check_between_epochs()
        self._seed, self._order, self._known = _draw_seed(), None, None
        self._process, self._is_shared = current_process(), False

    def _check_visitors(self) -> None:
        """Refuse to visit what each worker of a ``DataLoader`` visits, or warn of it."""
        worker = find_loader_worker()
        # What was drawn in a worker is an order of its own.
        if worker is not None and worker[1] > 1 and self._is_shared:
            problem = (
                f"each of the {worker[1]} workers of this DataLoader visits all of these batches; "
                "iterate over share(worker.id, worker.num_workers) for a part in each, or over "
                "share(0, 1) if each is to visit all"
            )
            if self._process is not current_process():
                raise SamplingError(problem)
            # Its seed may be one of this worker's own.
            if self._division.world_size == 1:
                warn_caller(problem)
        self._visited_in = current_process()

    def _check_between_epochs(self) -> None:
        if 0 < self._batch < self._division.count_batches(self._visited):
            raise SamplingError(
                f"nobody seeded these batches, which are at batch {self._batch} of "
                f"{self.batches_per_epoch} of an epoch: another process would draw another order, "
                f"and visit some twice and some never; {_SEED_THEM}"
            )

    def _settings(self) -> dict[str, Any]:
        return {
            **asdict(self._division),
            "seed": self._seed,
            "shuffle": self._shuffle,
            **self._orders.describe(),
        }

    def _read(self, epoch: int, batch: int, visited: int) -> Batch:
        positions = self._positions(epoch, batch, visited)
        if not self._sampler.is_random:
            return self._sampler.read(positions)
        if self._numbers is None or self._numbers[0] != epoch:
            self._numbers = epoch, PlacedNumbers(self._seed, epoch)
        # No other batch of any rank has this place.
        place = self._division.find_first(batch, visited)
        return self._sampler.read(positions, self._numbers[1].begin(place))

    def _positions(self, epoch: int, batch: int, visited: int) -> Positions:
        """Return the positions of a batch; those of many batches are computed together."""
        batch_size = self._division.batch_size
        at_once = max(1, _POSITIONS_AT_ONCE // batch_size)
        block, offset = divmod(batch, at_once)
        if self._known is None or self._known[:3] != (epoch, block, visited):
            places = self._division.list_places(block * at_once, at_once, visited)
            order = self._random_order(epoch)(places) if self._shuffle else places
            self._known = (epoch, block, visited, order)
        return self._known[3][offset * batch_size : (offset + 1) * batch_size]

    def _random_order(self, epoch: int) -> RandomOrder:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._orders.choose(self._seed, epoch)
        return self._order[1]


def _draw_seed() -> int:
    """Draw a seed from fresh entropy."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
