"""The methods of a dataset that training uses; what they call is loaded when one is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy.typing as npt

from minari_core import sampling
from minari_core.errors import SamplingError
from minari_core.messages import warn_caller
from minari_core.random_stream import RandomStream, find_loader_worker
from minari_core.sampling.gathering.info_rows import STEP_INFOS, read_step_infos
from minari_core.sampling.orders.rank_index import Positions
from minari_core.storage.base import Storage

if TYPE_CHECKING:
    from minari_core.formats.columnar.reading import ShardedStorage
    from minari_core.sampling import (
        Batches,
        ColumnStatistics,
        SequenceBatch,
        SequenceOptions,
        SequenceSampler,
        TransitionBatch,
        TransitionOptions,
        TransitionSampler,
    )
    from minari_core.sampling.large_steps import LargeSteps
    from minari_core.sampling.options import GoalMixture, Goals, Padding, RewardScale
    from minari_core.sampling.orders.weights import EpisodeWeights
    from minari_core.sampling.steps import EpisodeSteps

_MOST_REMEMBERED = 16
_UNSCALED = 1.0

Made = TypeVar("Made")


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
        columns: Sequence[str] | None = None,
        weights: str | npt.ArrayLike | None = None,
        n_step: int = 1,
        discount: float = 0.99,
        stack: int = 0,
        goals: Goals | Mapping[Goals, float] | None = None,
        goal_discount: float = 0.99,
        goal_column: str = "observations",
        include_unknown_final: bool = False,
        returns_to_go: bool = False,
        reward_scale: RewardScale = _UNSCALED,
        out: TransitionBatch | None = None,
    ) -> TransitionBatch:
        """Sample transitions uniformly, or by weights, with replacement.

        Args:
            batch_size: The number of transitions, B.
            columns: The columns to read; nothing else is read. Names are ``observations``,
                ``actions``, ``rewards``, ``next_observations``, ``terminations``, ``truncations``
                (all six if None), ``infos`` and ``extras``, and columns inside them such as
                ``infos/x_position`` or ``observations/camera``. An info is that which the step
                returned, or the one beside it if the dataset's metadata lists it in
                ``step_infos``; ``current_infos/…`` is always that before the step, and
                ``returned_infos/…`` that after it. ``next_actions`` are the actions of the next
                observations, in masked arrays: none follows the last step of an episode.
            weights: ``None`` or ``"transitions"``: all transitions are equally likely;
                ``"episodes"``: all episodes are; or a weight for each episode.
            n_step: The number of steps whose rewards are summed, fewer at the end of the episode;
                the next observations and the flags are then those after the last of them.
            discount: The discount of n-step returns and returns-to-go.
            stack: The number of frames to stack as an observation; before the beginning of the
                episode the first frame is repeated. 0 for no axis of frames.
            goals: Also return goals for hindsight experience replay (HER, Andrychowicz et al.,
                2017): observations from after the step in the same episode. ``"future"`` (or
                ``"uniform"``, the same) gives each of them the same chance, ``"geometric"``
                prefers near ones, and ``"final"`` takes the last. ``"current"`` takes the one
                before the step, ``"random"`` one after any step of the dataset or view. A dict
                of strategies and weights draws one of them for each transition.
            goal_discount: With geometric goals, the chance of going one step further.
            goal_column: The column of goals, such as ``observations/achieved_goal``.
            include_unknown_final: Also sample the last steps of episodes whose final observation
                is not known. Next observations (and goals) are masked arrays then.
            returns_to_go: Also return the discounted sum of rewards from each step to the end of
                the episode.
            reward_scale: The factor of rewards and of their sums. ``"return_range"`` takes 1000
                divided by the range of the undiscounted returns of these episodes, as IQL does
                (Kostrikov et al., 2022).
            out: A batch of an earlier call with the same arguments, whose arrays are filled again.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, weights do not
                fit, or there is nothing to sample.
        """
        # Making and hashing options takes as long as gathering a column, so what is asked for
        # again and again is known by its arguments.
        names = _normalize_columns(columns)
        kinds = (type(n_step), type(stack))  # 1.0 equals 1, and is refused
        unknown = bool(include_unknown_final)
        strategy: Goals | GoalMixture | None
        if goals is None or isinstance(goals, str):
            strategy = goals
        else:
            from minari_core.sampling.options import normalize_goals

            strategy = normalize_goals(goals)
        key: Hashable = (
            names,
            n_step,
            discount,
            stack,
            strategy,
            goal_discount,
            goal_column,
            unknown,
            kinds,
        )
        if returns_to_go or reward_scale is not _UNSCALED:
            key = (key, bool(returns_to_go), reward_scale, type(reward_scale))
        sampler = self._find_sampler(key)
        if sampler is None:
            options = sampling.TransitionOptions(
                columns=names,
                n_step=n_step,
                discount=discount,
                stack=stack,
                goals=strategy,
                goal_discount=goal_discount,
                goal_column=goal_column,
                include_unknown_final=unknown,
                returns_to_go=bool(returns_to_go),
                reward_scale=reward_scale,
            )
            sampler = self._transition_sampler(options)
            self._remember(key, lambda: sampler)
        shares = None if weights is None else self._transition_weights(weights, sampler)
        return sampler.sample(self._stream.generator, batch_size, shares, out)

    def sample_sequences(
        self,
        batch_size: int,
        length: int,
        *,
        columns: Sequence[str] | None = None,
        weights: str | npt.ArrayLike | None = None,
        padding: Padding | None = None,
        returns_to_go: bool = False,
        discount: float = 1.0,
        include_unknown_final: bool = False,
        reward_scale: RewardScale = _UNSCALED,
    ) -> SequenceBatch:
        """Sample windows of consecutive steps uniformly, or by weights, with replacement.

        Args:
            batch_size: The number of windows, B.
            length: The number of steps in each, L.
            columns: The columns to read, as for `sample_transitions`; all but
                ``next_observations`` if None.
            weights: As for `sample_transitions`. Without padding, ``"episodes"`` are those that
                hold a window, and only they may be given a weight.
            padding: ``None`` for whole windows only; ``"after"`` for windows that begin at any
                step and are padded after the episode's end; ``"before"`` for windows that end at
                any step and are padded before its beginning.
            returns_to_go: Also return the discounted sum of rewards from each step to the end of
                the episode.
            discount: The discount of returns-to-go.
            include_unknown_final: Also the last steps of episodes whose final observation is not
                known, which else are in no window; returns-to-go have their rewards anyway.
            reward_scale: As for `sample_transitions`.

        Raises:
            SamplingError: A number is out of its range, a column does not exist, weights do not
                fit, or every episode is shorter than a window without padding.
        """
        options = sampling.SequenceOptions(
            length=length,
            columns=_normalize_columns(columns),
            padding=padding,
            returns_to_go=returns_to_go,
            discount=discount,
            include_unknown_final=bool(include_unknown_final),
            reward_scale=reward_scale,
        )
        sampler = self._sequence_sampler(options)
        shares = None
        if weights is not None and not _is_uniform(weights):
            counts, starts = sampler.steps.join_parts(sampler.counts, sampler.starts)
            shares = _weigh_episodes(weights, counts, starts)
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
        weights: str | npt.ArrayLike | None = None,
        length: int | None = None,
        padding: Padding | None = None,
        columns: Sequence[str] | None = None,
        n_step: int = 1,
        discount: float | None = None,
        stack: int = 0,
        returns_to_go: bool = False,
        include_unknown_final: bool = False,
        reward_scale: RewardScale = _UNSCALED,
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
            length: Visit windows of this many steps, not transitions.
            padding: As for `sample_sequences`.
            columns: The columns to read, as for `sample_transitions`.
            n_step: As for `sample_transitions`.
            discount: As for `sample_transitions` (0.99 if None) and `sample_sequences` (1).
            stack: As for `sample_transitions`.
            returns_to_go: As for `sample_transitions` and `sample_sequences`.
            include_unknown_final: As for `sample_transitions` and `sample_sequences`.
            reward_scale: As for `sample_transitions` and `sample_sequences`.

        Returns:
            An iterator of `TransitionBatch` or `SequenceBatch`; its `Batches.state_dict` and
            `Batches.load_state_dict` resume it.

        Raises:
            SamplingError: As `sample_transitions` and `sample_sequences`.
        """
        sampler: TransitionSampler | SequenceSampler
        only_windows = {"padding": padding}
        only_transitions = {"n_step": None if n_step == 1 else n_step, "stack": stack or None}
        for name, given in (only_windows if length is None else only_transitions).items():
            if given is not None:
                kind = "windows; give length too" if length is None else "transitions, not windows"
                raise SamplingError(f"{name}={given!r} is of {kind}")
        if length is None:
            transition_options = sampling.TransitionOptions(
                columns=_normalize_columns(columns),
                n_step=n_step,
                discount=0.99 if discount is None else discount,
                stack=stack,
                include_unknown_final=bool(include_unknown_final),
                returns_to_go=bool(returns_to_go),
                reward_scale=reward_scale,
            )
            sampler = self._transition_sampler(transition_options)
        else:
            sequence_options = sampling.SequenceOptions(
                length=length,
                columns=_normalize_columns(columns),
                padding=padding,
                returns_to_go=returns_to_go,
                discount=1.0 if discount is None else discount,
                include_unknown_final=bool(include_unknown_final),
                reward_scale=reward_scale,
            )
            sampler = self._sequence_sampler(sequence_options)
        shares: EpisodeWeights | None = None
        if weights is not None and not _is_uniform(weights):
            steps = self._steps(sampler.options)
            counts, starts = steps.counts, steps.view_starts
            if isinstance(sampler, sampling.SequenceSampler):
                counts, starts = sampler.counts, sampler.starts
            shares = _weigh_episodes(weights, *steps.join_parts(counts, starts))
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
        )

    def statistics(
        self, columns: Sequence[str] = ("observations", "actions", "rewards")
    ) -> dict[str, ColumnStatistics]:
        """Compute mean, standard deviation, minimum and maximum of columns, in one pass.

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
        from minari_core.sampling.statistics import compute_statistics, load_statistics

        storage = self._find_columns()
        names = _normalize_columns(columns) or ()
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
        """Count the episodes that others have added since this object was made; it lacks them."""
        # What was joined meanwhile is read from newer shards, which may hold others' episodes.
        taken_in = self._storage.total_episodes - self._known_episodes
        return taken_in + self._storage.newer_episodes()

    def transition_sampler(
        self,
        *,
        columns: Sequence[str] | None = None,
        n_step: int = 1,
        discount: float = 0.99,
        stack: int = 0,
        include_unknown_final: bool = False,
        returns_to_go: bool = False,
        reward_scale: RewardScale = _UNSCALED,
    ) -> TransitionSampler:
        """Make a reader of transitions by their positions, from 0 to its length less one.

        Args:
            columns: The columns to read, as for `sample_transitions`.
            n_step: The number of steps whose rewards are summed.
            discount: The discount of n-step returns and returns-to-go.
            stack: The number of frames to stack.
            include_unknown_final: As for `sample_transitions`.
            returns_to_go: As for `sample_transitions`.
            reward_scale: As for `sample_transitions`.
        """
        return self._transition_sampler(
            sampling.TransitionOptions(
                columns=_normalize_columns(columns),
                n_step=n_step,
                discount=discount,
                stack=stack,
                include_unknown_final=bool(include_unknown_final),
                returns_to_go=bool(returns_to_go),
                reward_scale=reward_scale,
            )
        )

    def _transition_sampler(self, options: TransitionOptions) -> TransitionSampler:
        def make() -> TransitionSampler:
            storage = self._find_columns()
            return storage.read_current(
                lambda: sampling.TransitionSampler(
                    storage, self._indices, options, self._transition_steps(options)
                )
            )

        return self._remember(options, make)

    def _find_sampler(self, key: Hashable) -> TransitionSampler | None:
        try:
            return cast("TransitionSampler | None", self._samplers.get(key))
        except TypeError:  # what cannot be hashed is refused by the options
            return None

    def _sequence_sampler(self, options: SequenceOptions) -> SequenceSampler:
        def make() -> SequenceSampler:
            storage = self._find_columns()
            return storage.read_current(
                lambda: sampling.SequenceSampler(
                    storage, self._indices, options, self._steps(options)
                )
            )

        return self._remember(options, make)

    def _steps(self, options: TransitionOptions | SequenceOptions) -> EpisodeSteps:
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
        self, weights: str | npt.ArrayLike, sampler: TransitionSampler
    ) -> EpisodeWeights | None:
        if _is_uniform(weights):
            return None
        steps = self._steps(sampler.options)
        counts, starts = steps.join_parts(steps.counts, steps.view_starts)
        if isinstance(weights, str):
            # These depend on the dataset alone; numbers of the caller's may have changed.
            return self._remember(
                ("weights", weights, sampler.options.include_unknown_final),
                lambda: _weigh_episodes(weights, counts, starts),
            )
        return _weigh_episodes(weights, counts, starts)

    def _remember(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what was made for a key before, or make it; the oldest of many is forgotten."""
        made = self._samplers.get(key)
        if made is None:
            made = make()
            for oldest in [*self._samplers][: 1 - _MOST_REMEMBERED]:
                self._samplers.pop(oldest, None)
            self._samplers[key] = made
        return cast("Made", made)

    def _identity(self, options: TransitionOptions | SequenceOptions) -> str:
        """Return what a sampler reads, for people, and a fingerprint of it."""
        name = self._storage.metadata.get("dataset_id", "")
        marked = read_step_infos(self._storage.metadata)
        rows = f" {STEP_INFOS}={sorted(marked)}" if marked else ""
        return f"{name} ({len(self._indices)} episodes, {self._fingerprint()}) {options}{rows}"

    def _fingerprint(self) -> str:
        """Return text that changes with the stored data and with the view."""
        digest = hashlib.sha256(self._storage.fingerprint().encode("utf-8"))
        if isinstance(self._indices, range):
            digest.update(repr(self._indices).encode("ascii"))
        else:
            digest.update(self._indices.tobytes())
        return digest.hexdigest()[:32]


def _weigh_episodes(
    weights: str | npt.ArrayLike, counts: Positions, starts: Positions
) -> EpisodeWeights:
    from minari_core.sampling.orders.weights import EpisodeWeights

    return EpisodeWeights(weights, counts, starts)


def _is_uniform(weights: str | npt.ArrayLike) -> bool:
    return isinstance(weights, str) and weights == "transitions"


def _normalize_columns(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of columns as options keep them.

    Raises:
        SamplingError: It is a single text, or empty, or not all items are text.
    """
    if columns is None:
        return None
    try:
        names = () if isinstance(columns, str) else tuple(columns)
    except TypeError:
        names = ()
    if not names or not all(isinstance(name, str) for name in names):
        raise SamplingError(f"columns is {columns!r}, not a list of names")
    return names
