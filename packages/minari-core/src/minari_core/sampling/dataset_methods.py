"""The methods of a dataset that training uses; what they call is loaded when one is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from typing_extensions import Unpack

from minari_core import sampling
from minari_core.arguments import check_whole_number
from minari_core.messages import warn_caller
from minari_core.random_stream import RandomStream, find_loader_worker
from minari_core.sampling.remembered_samplers import (
    RememberedSamplers,
    Weights,
    find_windows,
)

if TYPE_CHECKING:
    from minari_core.sampling import (
        Batches,
        ColumnStatistics,
        OffsetBatch,
        OffsetSampler,
        PrioritizedReplay,
        SequenceBatch,
        SequenceSampler,
        TransitionBatch,
        TransitionSampler,
    )
    from minari_core.sampling.options.keywords import (
        BatchKeywords,
        OffsetEpochs,
        Order,
        SequenceEpochs,
        TransitionEpochs,
    )
    from minari_core.sampling.options.offsets import OffsetKeywords
    from minari_core.sampling.options.sequences import SequenceKeywords
    from minari_core.sampling.options.transitions import TransitionKeywords

    AnySampler: TypeAlias = TransitionSampler | SequenceSampler | OffsetSampler


class TrainingMethods(RememberedSamplers):
    """Transitions, windows, batches and statistics of the episodes of a dataset or view."""

    _known_episodes: int

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
        shares = self._weigh(weights, sampler)
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
        shares = self._weigh(weights, sampler)
        draws = self._find_draws(order, sampler, is_weighted=shares is not None)
        if draws is not None:
            return sampler.read(draws.draw(check_whole_number("batch_size", batch_size, 1)))
        return sampler.sample(self._stream.generator, batch_size, shares)

    @overload
    def batches(
        self, batch_size: int, *, length: int, **options: Unpack[SequenceEpochs]
    ) -> Batches[SequenceBatch]: ...
    @overload
    def batches(
        self,
        batch_size: int,
        *,
        offsets: Mapping[str, Iterable[int]],
        **options: Unpack[OffsetEpochs],
    ) -> Batches[OffsetBatch]: ...
    @overload
    def batches(
        self, batch_size: int, **options: Unpack[TransitionEpochs]
    ) -> Batches[TransitionBatch]: ...
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
        shares = self._weigh(weights, sampler)
        window, fetch = None, None
        if order is not None or self._find_columns().fetches_rows:
            from minari_core.sampling.gathering.fetching import choose_for_epochs

            columns = self._find_columns()
            stays = pool_epochs is None or (epochs is not None and pool_epochs >= epochs)
            is_random = shuffle and shares is None
            if choose_for_epochs(columns, order, is_random=is_random, stays=stays):
                window, fetch = find_windows(columns, sampler)
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
            seed: The seed of what is drawn. If None, it is a stream spawned from this dataset's,
                which `set_seed` decides.
            **options: What to read, as keywords; see `TransitionOptions`.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, or there is
                nothing to sample.
            TypeError: There is no such keyword.
        """
        return sampling.PrioritizedReplay(
            self,
            options,
            stream=self._stream.spawn() if seed is None else RandomStream(seed),
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
        from minari_core.sampling.options.shared import normalize_columns
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
