"""The samplers of a dataset or view, which are remembered; loaded when one is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from minari_core import sampling
from minari_core.errors import SamplingError
from minari_core.random_stream import RandomStream, current_process
from minari_core.sampling.gathering.info_rows import STEP_INFOS, read_step_infos
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.weights import EpisodeShares, EpisodeWeights
from minari_core.storage.base import Storage

if TYPE_CHECKING:
    from minari_core.formats.columnar.reading import ShardedStorage
    from minari_core.sampling import (
        OffsetSampler,
        SequenceSampler,
        TransitionOptions,
        TransitionSampler,
    )
    from minari_core.sampling.options.keywords import AnyOptions, Order
    from minari_core.sampling.orders.pool_draws import PoolDraws
    from minari_core.sampling.orders.reading_ahead import Fetch
    from minari_core.sampling.steps.episode_steps import EpisodeSteps
    from minari_core.sampling.steps.large_steps import LargeSteps

    AnySampler: TypeAlias = TransitionSampler | SequenceSampler | OffsetSampler

_MOST_REMEMBERED = 16

Made = TypeVar("Made")
Weights: TypeAlias = str | npt.ArrayLike | EpisodeShares


class RememberedSamplers:
    """The samplers of the episodes of a dataset or view, each made when it is first needed."""

    _storage: Storage
    _indices: range | Positions
    _stream: RandomStream
    _samplers: dict[Hashable, Any]

    @property
    def _default_weights(self) -> EpisodeShares | None:
        """The weights where none are given; all transitions are equally likely if None."""
        return None

    def _find_columns(self) -> ShardedStorage:
        """Return the storage that holds the columns of these episodes, under the same indices."""
        from minari_core.formats.columnar.reading import ShardedStorage

        if isinstance(self._storage, ShardedStorage):
            return self._storage
        from minari_core.twins.finding import find_columns  # only for formats of whole episodes

        return find_columns(self._storage)

    def _transition_sampler(self, keywords: Mapping[str, object]) -> TransitionSampler:
        def make() -> TransitionSampler:
            from minari_core.sampling.options.keywords import make_options

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
            from minari_core.sampling.options.keywords import make_options

            storage = self._find_columns()
            if keywords.get("offsets") is None:
                options = make_options(sampling.SequenceOptions, keywords, length=length)
                kind = sampling.SequenceSampler
                if options.across_episodes:
                    from minari_core.sampling.windows.continued import ContinuedSampler

                    kind = ContinuedSampler
                return storage.read_current(
                    lambda: kind(storage, self._indices, options, self._steps(options))
                )
            if length is not None:
                raise SamplingError(f"length is {length}, but offsets say what a window has")
            around = make_options(sampling.OffsetOptions, keywords)
            return storage.read_current(
                lambda: sampling.OffsetSampler(storage, self._indices, around, self._steps(around))
            )

        return self._remember(_freeze("windows", length, **keywords), make)

    def _steps(self, options: AnyOptions) -> EpisodeSteps:
        from minari_core.sampling.steps.episode_steps import EpisodeSteps

        columns, layout = self._find_columns(), options.layout
        return self._remember(
            ("steps", columns.borders, *layout.values()),
            lambda: EpisodeSteps(columns, self._indices, **layout),
        )

    def _transition_steps(self, options: TransitionOptions) -> EpisodeSteps | LargeSteps:
        from minari_core.sampling.steps.large_steps import LargeSteps, are_large

        columns = self._find_columns()
        if any(options.layout.values()) or not are_large(columns, self._indices):
            return self._steps(options)
        return self._remember(("large steps", columns.borders), lambda: LargeSteps(columns))

    def _weigh(self, weights: Weights | None, sampler: AnySampler) -> EpisodeWeights | None:
        """Return the probabilities of the episodes; None if all positions are equally likely."""
        given = weights
        if given is None:
            given = self._default_weights
        if given is None or (isinstance(given, str) and given == "transitions"):
            return None

        def make() -> EpisodeWeights:
            steps = self._steps(sampler.options)
            counts, starts = steps.counts, steps.view_starts
            if not isinstance(sampler, sampling.TransitionSampler):
                counts, starts = sampler.counts, sampler.starts
            counts, starts = steps.join_parts(counts, starts)
            if isinstance(given, EpisodeShares):
                return given.apply(counts, starts)
            return EpisodeWeights(given, counts, starts)

        if isinstance(given, str | EpisodeShares):
            # These depend on the dataset alone; numbers of the caller's may have changed.
            return self._remember(("weights", given, sampler), make)
        return make()

    def _find_draws(
        self, order: Order | None, sampler: AnySampler, *, is_weighted: bool
    ) -> PoolDraws | None:
        """Return what draws from the pool; None if everything or nothing is to be drawn from."""
        # Asked of the storage itself: nothing is looked up with every batch.
        if order is None and not getattr(self._storage, "fetches_rows", False):
            return None
        columns = self._find_columns()
        from minari_core.sampling.gathering.fetching import choose_for_draws, warn_of_exact
        from minari_core.sampling.orders.pool_draws import PoolDraws

        if not choose_for_draws(columns, order, is_weighted=is_weighted):
            if columns.fetches_rows and not is_weighted:
                warn_of_exact(columns)
            return None
        if not len(sampler):
            return None
        generator = self._stream.generator
        # What a child of a fork draws is its own, and so are its threads.
        return self._remember(
            ("draws", sampler, generator, current_process()),
            lambda: PoolDraws(generator, len(sampler), *find_windows(columns, sampler)),
        )

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


def find_windows(columns: ShardedStorage, sampler: AnySampler) -> tuple[int, Fetch | None]:
    """Return the positions in a window of the pool order, and what fetches them where it must."""
    from minari_core.sampling.gathering.binding import measure_row
    from minari_core.sampling.gathering.fetching import fetch_positions
    from minari_core.sampling.options.shared import BATCH_FIELDS
    from minari_core.sampling.orders.pool import choose_window

    names = sampler.options.columns or BATCH_FIELDS
    row_nbytes = columns.read_current(lambda: measure_row(columns, names))
    fetch = partial(fetch_positions, columns, sampler) if columns.fetches_rows else None
    return choose_window(row_nbytes, len(sampler)), fetch


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
