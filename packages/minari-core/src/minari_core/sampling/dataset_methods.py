"""The methods of a dataset that training uses; what they call is loaded when one is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt
from typing_extensions import Unpack

from minari_core import sampling
from minari_core.arguments import check_whole_number
from minari_core.errors import SamplingError
from minari_core.messages import warn_caller
from minari_core.random_stream import RandomStream, current_process, find_loader_worker
from minari_core.sampling.gathering.info_rows import STEP_INFOS, read_step_infos
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.recent_share import RecentShare
from minari_core.storage.base import Storage

if TYPE_CHECKING:
    from minari_core.formats.columnar.reading import ShardedStorage
    from minari_core.sampling import (
        Batches,
        ColumnStatistics,
        OffsetBatch,
        OffsetSampler,
        PrioritizedReplay,
        SequenceBatch,
        SequenceSampler,
        TransitionBatch,
        TransitionOptions,
        TransitionSampler,
    )
    from minari_core.sampling.large_steps import LargeSteps
    from minari_core.sampling.options import (
        AnyOptions,
        BatchKeywords,
        OffsetKeywords,
        Order,
        SequenceKeywords,
        TransitionKeywords,
    )
    from minari_core.sampling.orders.pool_draws import PoolDraws
    from minari_core.sampling.orders.reading_ahead import Fetch
    from minari_core.sampling.orders.weights import EpisodeWeights
    from minari_core.sampling.steps import EpisodeSteps

    AnySampler: TypeAlias = TransitionSampler | SequenceSampler | OffsetSampler

_MOST_REMEMBERED = 16

Made = TypeVar("Made")
Weights: TypeAlias = str | npt.ArrayLike | RecentShare


class TrainingMethods:
    """Transitions, windows, batches and statistics of the episodes of a dataset or view."""

    _storage: Storage
    _indices: range | Positions
    _known_episodes: int
    _stream: RandomStream
    _samplers: dict[Hashable, Any]

    def _find_columns(self) -> ShardedStorage:
        """Return the storage that holds the columns of these episodes, under the same indices."""
        from minari_core.formats.columnar.reading import ShardedStorage

        if isinstance(self._storage, ShardedStorage):
            return self._storage
        from minari_core.twins.finding import find_columns  # only for formats of whole episodes

        return find_columns(self._storage)

    def sample_transitions(
        self,
        batch_size: int,
        *,
        weights: Weights | None = None,
        order: Order | None = None,
        out: TransitionBatch | None = None,
        **options: Unpack[TransitionKeywords],
    ) -> TransitionBatch:
        """Sample transitions uniformly, or by weights, with replacement.

        Args:
            batch_size: The number of transitions, B.
            weights: ``None`` or ``"transitions"``: all transitions are equally likely;
                ``"episodes"``: all episodes are; a weight for each episode; or a `RecentShare` of
                the newest ones.
            order: ``"exact"`` draws from everything, the default for datasets on this machine and
                where weights are given. ``"pool"`` is the default for streams, which it reads some
                MB at a time: each call takes what comes next in one epoch after another of
                that order of `batches`, so that each transition is drawn once an epoch. The
                same seed gives a stream and a dataset on this machine the same draws of an order.
            out: A batch of an earlier call with the same arguments, whose arrays are filled again.
            **options: What to read, as keywords; see `TransitionOptions`.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, weights do not
                fit, or there is nothing to sample.
            TypeError: There is no such keyword.
        """
        sampler = self.transition_sampler(**options)
        shares = None if weights is None else self._transition_weights(weights, sampler)
        draws = self._find_draws(order, sampler, is_weighted=shares is not None)
        if draws is not None:
            positions = draws.draw(check_whole_number("batch_size", batch_size, 1))
            return sampler.read(positions, self._stream.generator, out)
        return sampler.sample(self._stream.generator, batch_size, shares, out)

    @overload
    def sample_sequences(
        self,
        batch_size: int,
        length: int,
        *,
        weights: Weights | None = None,
        order: Order | None = None,
        **options: Unpack[SequenceKeywords],
    ) -> SequenceBatch: ...
    @overload
    def sample_sequences(
        self,
        batch_size: int,
        *,
        weights: Weights | None = None,
        order: Order | None = None,
        **options: Unpack[OffsetKeywords],
    ) -> OffsetBatch: ...
    def sample_sequences(
        self,
        batch_size: int,
        length: int | None = None,
        *,
        weights: Weights | None = None,
        order: Order | None = None,
        **options: Any,
    ) -> SequenceBatch | OffsetBatch:
        """Sample windows of consecutive steps uniformly, or by weights, with replacement.

        Args:
            batch_size: The number of windows, B.
            length: The number of steps in each, L; not given with ``offsets``.
            weights: As for `sample_transitions`. Without padding, ``"episodes"`` are those that
                hold a window, and only they may be given a weight.
            order: As for `sample_transitions`.
            **options: What to read, as keywords; see `SequenceOptions`, or `OffsetOptions` for
                windows whose columns have ranges of their own.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, weights do not
                fit, or every episode is shorter than a window without padding.
            TypeError: There is no such keyword.
        """
        sampler = self._window_sampler(length, options)
        shares = None
        if weights is not None and not _is_uniform(weights):
            counts, starts = sampler.steps.join_parts(sampler.counts, sampler.starts)
            shares = _weigh_episodes(weights, counts, starts)
        draws = self._find_draws(order, sampler, is_weighted=shares is not None)
        if draws is not None:
            return sampler.read(draws.draw(check_whole_number("batch_size", batch_size, 1)))
        return sampler.sample(self._stream.generator, batch_size, shares)

    def batches(
        self,
        batch_size: int,
        *,
        epochs: int | None = 1,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        weights: Weights | None = None,
        order: Order | None = None,
        pool_epochs: int | None = None,
        length: int | None = None,
        **options: Unpack[BatchKeywords],
    ) -> Batches[Any]:
        """Visit each transition, or each window, exactly once an epoch.

        An epoch has as many transitions as the dataset has steps; one less for each episode whose
        final observation is not known, unless these are included.

        Args:
            batch_size: The number of transitions or windows in a batch.
            epochs: The number of epochs; without end if None.
            shuffle: Whether the order is random. It depends on the seed alone, and takes no
                memory.
            drop_last: Leave out a last batch that is not full.
            seed: The seed of the order; drawn from this dataset's generator if None, so that
                `set_seed` decides it. Ranks must be given the same. Without either, each process
                has an order of its own.
            rank: The rank of this process, from 0; ranks share nothing and leave nothing out.
            world_size: The number of processes.
            weights: As for `sample_transitions` and `sample_sequences`: do not visit each once,
                but draw as many with replacement. The draws depend on the seed alone, for any
                number of processes.
            order: Which random order. ``"exact"`` is a permutation of everything, the default for
                datasets on this machine. ``"pool"`` is the default for streams, which it reads
                some MB at a time: windows of neighbours, 8,192 rows if a row has 194 bytes, are
                admitted to a pool in random order, and batches are drawn from the up to 32 that
                are there. It also visits each row once, and depends on the seed alone.
            pool_epochs: The number of epochs in the order ``"pool"``, before those in the order
                ``"exact"``; all if None.
            length: Visit windows of this many steps, not transitions.
            **options: What to read, as keywords; see `TransitionOptions`, with ``length``
                `SequenceOptions`, and for windows with ``offsets`` `OffsetOptions`.

        Returns:
            An iterator of `TransitionBatch`, `SequenceBatch` or `OffsetBatch`; its
            `Batches.state_dict` and `Batches.load_state_dict` resume it.

        Raises:
            SamplingError: As `sample_transitions` and `sample_sequences`.
            TypeError: There is no such keyword.
        """
        sampler: AnySampler
        if length is None and options.get("offsets") is None:
            sampler = self._transition_sampler(options)
        else:
            sampler = self._window_sampler(length, options)
        shares: EpisodeWeights | None = None
        if weights is not None and not _is_uniform(weights):
            steps = self._steps(sampler.options)
            counts, starts = steps.counts, steps.view_starts
            if not isinstance(sampler, sampling.TransitionSampler):
                counts, starts = sampler.counts, sampler.starts
            shares = _weigh_episodes(weights, *steps.join_parts(counts, starts))
        window, fetch = None, None
        if order is not None or self._find_columns().fetches_rows:
            from minari_core.sampling.gathering.fetching import choose_for_epochs

            columns = self._find_columns()
            stays = pool_epochs is None or (epochs is not None and pool_epochs >= epochs)
            is_random = shuffle and shares is None
            if choose_for_epochs(columns, order, is_random=is_random, stays=stays):
                window, fetch = _find_windows(columns, sampler)
        is_drawn = seed is None and self._stream.is_seeded
        return sampling.Batches(
            sampler,
            batch_size,
            seed=int(self._stream.generator.integers(2**63)) if is_drawn else seed,
            is_shared=seed is not None or find_loader_worker() is None,
            identity=self._identity(sampler.options),
            epochs=epochs,
            shuffle=shuffle,
            drop_last=drop_last,
            rank=rank,
            world_size=world_size,
            weights=shares,
            window=window,
            pool_epochs=pool_epochs,
            fetch=fetch,
        )

    def prioritized_replay(
        self,
        *,
        alpha: float = 0.6,
        epsilon: float = 1e-6,
        seed: int | None = None,
        **options: Unpack[TransitionKeywords],
    ) -> PrioritizedReplay:
        """Sample transitions by priorities that change while one trains (Schaul et al., 2016).

        Args:
            alpha: How much priorities matter: at 0 all transitions are equally likely, at 1 they
                are drawn in proportion to their priorities.
            epsilon: What is added to each priority, so that all may be drawn again.
            seed: The seed of what is drawn; drawn from this dataset's generator if None.
            **options: What to read, as keywords; see `TransitionOptions`.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, or there is
                nothing to sample.
            TypeError: There is no such keyword.
        """
        return sampling.PrioritizedReplay(
            self,
            options,
            seed=int(self._stream.generator.integers(2**63)) if seed is None else seed,
            alpha=alpha,
            epsilon=epsilon,
        )

    def statistics(
        self, columns: Sequence[str] = ("observations", "actions", "rewards")
    ) -> dict[str, ColumnStatistics]:
        """Compute mean, standard deviation, range and quantiles of columns, in one pass.

        For a whole dataset they are kept beside it, and computed anew when its data has changed.
        NaN and infinities are counted, left out, and warned about once.

        Args:
            columns: Names as for `sample_transitions`.

        Returns:
            The statistics of each numeric leaf by its path: ``observations``, or
            ``observations/camera`` for a Dict space.

        Raises:
            SamplingError: A column does not exist, or there are no episodes.
        """
        from minari_core.sampling.options import normalize_columns
        from minari_core.sampling.statistics import compute_statistics, load_statistics

        storage = self._find_columns()
        names = normalize_columns(columns) or ()
        is_whole = isinstance(self._indices, range) and len(self._indices) > 0
        if is_whole and self._indices == range(storage.total_episodes):
            found = load_statistics(storage, names, self._fingerprint())
        else:
            found = storage.read_current(lambda: compute_statistics(storage, self._indices, names))
        for path, leaf in found.items():
            if leaf.nonfinite.any():
                warn_caller(
                    f"{path} has {leaf.nonfinite.sum()} values that are NaN or infinite among "
                    f"{leaf.count} rows; they are left out of its statistics"
                )
        return found

    def _find_draws(
        self, order: Order | None, sampler: AnySampler, *, is_weighted: bool
    ) -> PoolDraws | None:
        """Return what draws from the pool; None if everything or nothing is to be drawn from."""
        columns = self._find_columns()
        if order is None and not columns.fetches_rows:
            return None
        from minari_core.sampling.gathering.fetching import choose_for_draws, warn_of_exact
        from minari_core.sampling.orders.pool_draws import PoolDraws

        def warn() -> bool:
            warn_of_exact(columns)
            return True

        if not choose_for_draws(columns, order, is_weighted=is_weighted):
            if columns.fetches_rows and not is_weighted:
                self._remember(("warned",), warn)
            return None
        if not len(sampler):
            return None
        generator = self._stream.generator
        # What a child of a fork draws is its own, and so are its threads.
        return self._remember(
            ("draws", sampler, generator, current_process()),
            lambda: PoolDraws(generator, len(sampler), *_find_windows(columns, sampler)),
        )

    def newer_episodes(self) -> int:
        """Count the episodes that others have added meanwhile, which `refresh` takes in."""
        # What was joined meanwhile is read from newer shards, which may hold others' episodes.
        taken_in = self._storage.total_episodes - self._known_episodes
        return taken_in + self._storage.newer_episodes()

    def transition_sampler(self, **options: Unpack[TransitionKeywords]) -> TransitionSampler:
        """Make a reader of transitions by their positions, from 0 to its length less one.

        Args:
            **options: What to read, as keywords; see `TransitionOptions`.

        Raises:
            SamplingError: A number is out of its range, or a column does not exist.
            TypeError: There is no such keyword.
        """
        return self._transition_sampler(options)

    def _transition_sampler(self, keywords: Mapping[str, object]) -> TransitionSampler:
        def make() -> TransitionSampler:
            from minari_core.sampling.options import make_options

            options = make_options(sampling.TransitionOptions, keywords)
            storage = self._find_columns()
            return storage.read_current(
                lambda: sampling.TransitionSampler(
                    storage, self._indices, options, self._transition_steps(options)
                )
            )

        return self._remember(_freeze("transitions", **keywords), make)

    def _window_sampler(
        self, length: int | None, keywords: Mapping[str, object]
    ) -> SequenceSampler | OffsetSampler:
        def make() -> SequenceSampler | OffsetSampler:
            from minari_core.sampling.options import make_options

            storage = self._find_columns()
            if keywords.get("offsets") is None:
                options = make_options(sampling.SequenceOptions, keywords, length=length)
                return storage.read_current(
                    lambda: sampling.SequenceSampler(
                        storage, self._indices, options, self._steps(options)
                    )
                )
            if length is not None:
                raise SamplingError(f"length is {length}, but offsets say what a window has")
            around = make_options(sampling.OffsetOptions, keywords)
            return storage.read_current(
                lambda: sampling.OffsetSampler(storage, self._indices, around, self._steps(around))
            )

        return self._remember(_freeze("windows", length, **keywords), make)

    def _steps(self, options: AnyOptions) -> EpisodeSteps:
        from minari_core.sampling.steps import EpisodeSteps

        columns, layout = self._find_columns(), options.layout
        return self._remember(
            ("steps", columns.borders, *layout.values()),
            lambda: EpisodeSteps(columns, self._indices, **layout),
        )

    def _transition_steps(self, options: TransitionOptions) -> EpisodeSteps | LargeSteps:
        from minari_core.sampling.large_steps import LargeSteps, are_large

        columns = self._find_columns()
        if any(options.layout.values()) or not are_large(columns, self._indices):
            return self._steps(options)
        return self._remember(("large steps", columns.borders), lambda: LargeSteps(columns))

    def _transition_weights(
        self, weights: Weights, sampler: TransitionSampler
    ) -> EpisodeWeights | None:
        if _is_uniform(weights):
            return None
        steps = self._steps(sampler.options)
        counts, starts = steps.join_parts(steps.counts, steps.view_starts)
        if isinstance(weights, str | RecentShare):
            # These depend on the dataset alone; numbers of the caller's may have changed.
            return self._remember(
                ("weights", weights, sampler.options.include_unknown_final),
                lambda: _weigh_episodes(weights, counts, starts),
            )
        return _weigh_episodes(weights, counts, starts)

    def _remember(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what was made for a key before, or make it; the oldest of many is forgotten."""
        try:
            made = self._samplers.get(key)
        except TypeError:  # a keyword that cannot be hashed, which most often is refused
            return make()
        if made is None:
            made = make()
            for oldest in [*self._samplers][: 1 - _MOST_REMEMBERED]:
                self._samplers.pop(oldest, None)
            self._samplers[key] = made
        return cast("Made", made)

    def _identity(self, options: AnyOptions) -> str:
        """Return what a sampler reads, for people, and a fingerprint of it."""
        return self._describe(f"{len(self._indices)} episodes, {self._fingerprint()}", options)

    def _identify_first(self, episodes: int, options: AnyOptions) -> str:
        """Return what a sampler reads of the first episodes, whatever is added behind them."""
        indices = self._indices[:episodes]
        if isinstance(indices, range):
            indices = np.arange(indices.start, indices.stop, indices.step, dtype=np.int64)
        # Stored episodes never change, so that a dataset and indices name what is read.
        digest = _digest(self._storage.uid or self._storage.fingerprint(), indices.tobytes())
        return self._describe(f"{episodes} episodes, {digest}", options)

    def _describe(self, episodes: str, options: AnyOptions) -> str:
        name = self._storage.metadata.get("dataset_id", "")
        marked = read_step_infos(self._storage.metadata)
        rows = f" {STEP_INFOS}={sorted(marked)}" if marked else ""
        return f"{name} ({episodes}) {options}{rows}"

    def _fingerprint(self) -> str:
        """Return text that changes with the stored data and with the view."""
        indices = self._indices
        shown = repr(indices).encode() if isinstance(indices, range) else indices.tobytes()
        return _digest(self._storage.fingerprint(), shown)


def _digest(stored: str, indices: bytes) -> str:
    return hashlib.sha256(stored.encode("utf-8") + indices).hexdigest()[:32]


def _weigh_episodes(weights: Weights, counts: Positions, starts: Positions) -> EpisodeWeights:
    from minari_core.sampling.orders.weights import EpisodeWeights

    if isinstance(weights, RecentShare):
        weights = weights.weigh(counts)
    return EpisodeWeights(weights, counts, starts)


def _find_windows(columns: ShardedStorage, sampler: AnySampler) -> tuple[int, Fetch | None]:
    """Return the positions in a window of the pool order, and what fetches them where it must."""
    from minari_core.sampling.gathering.binding import measure_row
    from minari_core.sampling.gathering.fetching import fetch_positions
    from minari_core.sampling.options import BATCH_FIELDS
    from minari_core.sampling.orders.pool import choose_window

    names = sampler.options.columns or BATCH_FIELDS
    row_nbytes = columns.read_current(lambda: measure_row(columns, names))
    fetch = partial(fetch_positions, columns, sampler) if columns.fetches_rows else None
    return choose_window(row_nbytes, len(sampler)), fetch


def _is_uniform(weights: Weights) -> bool:
    return isinstance(weights, str) and weights == "transitions"


def _freeze(*parts: object, **keywords: object) -> Hashable:
    """Return what tells keywords from others, in less time than options are made and compared."""
    # 1.0 equals 1, and is refused where whole numbers are asked for.
    kinds = [*map(type, parts), *map(type, keywords.values())]
    return (*parts, *keywords, *map(_freeze_value, keywords.values()), *kinds)


def _freeze_value(value: Any) -> Hashable:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return tuple([(key, _freeze_value(item)) for key, item in value.items()])
    return cast("Hashable", value)
