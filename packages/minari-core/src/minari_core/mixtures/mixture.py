"""Several datasets as one that is sampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minari_core.datasets.combining import check_datasets
from minari_core.datasets.dataset import MinariDataset, get_raw_storage
from minari_core.errors import IncompatibleDatasetsError, SamplingError
from minari_core.messages import format_value
from minari_core.mixtures.renaming import check_names
from minari_core.mixtures.storage import MixedStorage
from minari_core.sampling.orders.rank_index import Positions
from minari_core.sampling.orders.weights import EpisodeShares, EpisodeWeights


def mix_datasets(
    datasets: Iterable[MinariDataset],
    weights: Iterable[float] | None = None,
    *,
    rename: Sequence[Mapping[str, str | None] | None] | None = None,
) -> DatasetMixture:
    """Sample several datasets as one, without copying them.

    What comes of it has the methods of a dataset: single batches, epochs, windows, goals, and
    loaders of PyTorch and JAX. Batches say in `dataset_indices` which dataset a row is from.

    Args:
        datasets: Datasets or views on this machine, in any formats, with the same spaces.
        weights: How likely each dataset is, in proportion to the sum of all. If None, all
            transitions (or windows) are equally likely, and an epoch has each once; else an epoch
            draws as many with replacement.
        rename: For each dataset None, or a dict of the names of its columns and those that the
            mixture has for them, in one of the groups ``observations``, ``actions`` and ``infos``;
            None leaves a column out. ``{"observations": "observations/state"}`` makes a dict of
            an observation, and ``{"observations/cam": "observations/camera", "observations/depth":
            None}`` names one column as another dataset does, and leaves out what that lacks.

    Raises:
        IncompatibleDatasetsError: There is no dataset, one is streamed, or spaces or the dtypes or
            shapes of columns differ; the message says of which datasets and in what.
        SamplingError: Weights are no finite numbers, one for each dataset, not negative and not
            all 0, or a dataset is itself a mixture that has weights.

    Example:
        >>> mixture = minari_core.mix_datasets(  # doctest: +SKIP
        ...     [expert, human], weights=[0.25, 0.75]
        ... )
        >>> batch = mixture.sample_transitions(256)  # doctest: +SKIP
    """
    mixed = check_datasets(datasets, "mix")
    for dataset in mixed:
        if isinstance(dataset, DatasetMixture) and dataset.weights is not None:
            raise SamplingError(
                f"the {dataset.id} has weights of its own, {dataset.weights}; mix its datasets "
                "themselves, with weights for all"
            )
    names = [None] * len(mixed) if rename is None else _check_renames(rename, len(mixed))
    shares = None if weights is None else _check_weights(weights, mixed)
    storage = MixedStorage(
        [
            (get_raw_storage(dataset), check_names(given, dataset.id))
            for dataset, given in zip(mixed, names, strict=True)
        ]
    )
    return DatasetMixture(storage, mixed, shares)


class DatasetMixture(MinariDataset):
    """Several datasets as one; see `mix_datasets`, which makes it.

    Its episodes are those of the first dataset, then those of the second, and so on, as they were
    when it was made. A view of it keeps the weights of the datasets that the view has episodes of.
    """

    def __init__(
        self,
        storage: MixedStorage,
        datasets: Iterable[MinariDataset],
        weights: tuple[float, ...] | None,
    ) -> None:
        """Show the episodes of some datasets.

        Args:
            storage: The storage of all of their storages.
            datasets: The datasets or views.
            weights: How likely each is; None if all transitions are equally likely.
        """
        self._datasets = tuple(datasets)
        self._weights = weights
        self._starts = starts = storage.dataset_starts
        parts = [
            dataset.episode_indices + start
            for dataset, start in zip(self._datasets, starts, strict=False)
        ]
        indices = np.concatenate(parts)
        is_all = np.array_equal(indices, np.arange(starts[-1]))
        super().__init__(storage, range(int(starts[-1])) if is_all else indices)

    def __repr__(self) -> str:
        """Show the numbers of datasets, episodes and steps."""
        return (
            f"DatasetMixture({len(self._datasets)} datasets, total_episodes={self.total_episodes}, "
            f"total_steps={self.total_steps})"
        )

    @property
    def datasets(self) -> tuple[MinariDataset, ...]:
        """The datasets, in the order in which `dataset_indices` count them."""
        return self._datasets

    @property
    def weights(self) -> tuple[float, ...] | None:
        """How likely each dataset is; None if all transitions are equally likely."""
        return self._weights

    @property
    def dataset_indices(self) -> Positions:
        """The dataset of each episode, int64 of shape (total_episodes,)."""
        return np.searchsorted(self._starts, self.episode_indices, side="right") - 1

    @property
    def _default_weights(self) -> EpisodeShares | None:
        weights = self._weights
        if weights is None:
            return None
        return self._remember(
            "shares",
            lambda: DatasetShares(
                weights, tuple([dataset.id for dataset in self._datasets]), self.dataset_indices
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class DatasetShares(EpisodeShares):
    """Weights by which each dataset has its share of what is drawn."""

    shares: tuple[float, ...]
    """How likely each dataset is."""
    dataset_ids: tuple[str, ...]
    """The ids of the datasets."""
    dataset_indices: Positions
    """The dataset of each episode, shape (episodes,)."""

    def weigh(self, counts: Positions) -> npt.NDArray[np.float64]:
        """Return the weight of each episode.

        Args:
            counts: The number of transitions or windows of each episode, shape (episodes,).

        Raises:
            SamplingError: A dataset that has a share and episodes has nothing to draw.
        """
        number = len(self.shares)
        totals = np.bincount(self.dataset_indices, counts, number)
        episodes = np.bincount(self.dataset_indices, minlength=number)
        for index in np.flatnonzero((totals == 0) & (episodes > 0)).tolist():
            if self.shares[index]:
                raise SamplingError(
                    f"{self.dataset_ids[index]!r} has weight {self.shares[index]}, but no window "
                    "fits into its episodes, or nobody knows what their only steps led to; give it "
                    "weight 0, or ask for padding or include_unknown_final"
                )
        each = np.divide(self.shares, totals, out=np.zeros(number), where=totals > 0)
        weights: npt.NDArray[np.float64] = each[self.dataset_indices] * counts
        return weights

    def apply(self, counts: Positions, starts: Positions) -> EpisodeWeights:
        """Return what draws positions; of neighbours from one dataset all are equally likely."""
        firsts = np.flatnonzero(np.diff(self.dataset_indices, prepend=-1))
        weights = np.add.reduceat(self.weigh(counts), firsts)
        return EpisodeWeights(weights, np.add.reduceat(counts, firsts), starts[firsts])


def _check_renames(given: object, count: int) -> list[object]:
    if not isinstance(given, list | tuple) or len(given) != count:
        raise IncompatibleDatasetsError(
            f"rename is {format_value(given)}; give a list with a dict, or None, for each of the "
            f"{count} datasets"
        )
    return list(given)


def _check_weights(given: Iterable[float], datasets: Sequence[MinariDataset]) -> tuple[float, ...]:
    try:
        weights = tuple([float(weight) for weight in given])
    except (TypeError, ValueError) as error:
        raise SamplingError(f"weights are {format_value(given)}, not numbers") from error
    if len(weights) != len(datasets):
        raise SamplingError(f"there are {len(weights)} weights for {len(datasets)} datasets")
    if not (min(weights) >= 0 and 0 < sum(weights) < np.inf):
        raise SamplingError(
            f"weights are {weights}; give numbers that are finite, not negative and not all 0"
        )
    for weight, dataset in zip(weights, datasets, strict=True):
        if weight and not len(dataset):
            raise SamplingError(f"{dataset.id!r} has weight {weight}, but no episodes")
    return weights
