"""Combine datasets into one, and split one into several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar

import numpy as np

from minari_core._version import __version__
from minari_core.arguments import check_whole_number
from minari_core.datasets.converting import allow_widening
from minari_core.datasets.dataset import (
    MinariDataset,
    check_dataset,
    describe_as_parent,
    get_raw_storage,
)
from minari_core.environments.env_specs import env_spec_to_json
from minari_core.environments.recovery import merge_env_specs
from minari_core.errors import IncompatibleDatasetsError, SamplingError
from minari_core.formats.registry import check_format, list_formats, open_storage
from minari_core.json_values import JsonValue
from minari_core.local.dataset_id import choose_id
from minari_core.local.publishing import check_id_is_free, publish
from minari_core.messages import format_value, warn_caller
from minari_core.metadata.parents import PARENTS
from minari_core.metadata.publication import DOI
from minari_core.metadata.splits import SPLITS, cut_splits, join_splits, read_splits
from minari_core.random_stream import RandomStream
from minari_core.sampling.gathering.info_rows import STEP_INFOS, list_infos, read_step_infos
from minari_core.storage.base import Storage, has_same_space, show_space
from minari_core.storage.copied_metadata import is_whole

Dataset = TypeVar("Dataset", bound=MinariDataset)

_ROUNDING = Fraction(1, 10**6)
"""By how much fractions that are given as floats may miss what they mean."""


def combine_datasets(
    datasets_to_combine: Iterable[MinariDataset],
    new_dataset_name: str | None = None,
    *,
    new_dataset_id: str | None = None,
    data_format: str | None = None,
    widen: bool = False,
) -> MinariDataset:
    """Concatenate the episodes of several datasets into a new one.

    Datasets may be views; then only their own episodes are taken. What is on disk already is
    linked and not copied wherever the file system allows it, and the sources can be deleted
    without harm. Seeds, options and episode metadata are kept.

    Args:
        datasets_to_combine: Datasets with the same spaces, from the same environment.
        new_dataset_name: The id of the new dataset.
        new_dataset_id: Another name of ``new_dataset_name``.
        data_format: How to store it; as the first dataset is stored if None.
        widen: Where the dtypes of observations or actions differ, store all in the wider one, if
            that holds all numbers exactly. Needs the columnar format, which is then the default.

    Returns:
        The new dataset. Its environment has the largest ``max_episode_steps`` of all.

    Raises:
        IncompatibleDatasetsError: There is nothing to combine, or the spaces or environments
            differ, the message says in what; or something is no dataset.
        DataError: The dtypes or shapes of columns differ, the message says of which; or widening
            would change a number.
        FormatError: There is no such format, or it cannot be widened.
        DatasetExistsError: The id is taken.
        DatasetWriteError: The file system refused; nothing is left behind.
    """
    new_id = choose_id(new_dataset_name, new_dataset_id)
    check_id_is_free(new_id)
    check_format(data_format)
    datasets = check_datasets(datasets_to_combine, "combine")
    first, first_storage = datasets[0], get_raw_storage(datasets[0])
    if data_format is None and not widen and first_storage.data_format in list_formats():
        data_format = first_storage.data_format
    chosen_format = check_format(data_format)
    for dataset in datasets[1:]:
        storage = get_raw_storage(dataset)
        for name in ("observation_space", "action_space"):
            if not has_same_space(first_storage, storage, name):
                wanted, found = show_space(first_storage, name), show_space(storage, name)
                raise IncompatibleDatasetsError(
                    f"{name} differs: {first.id!r} has {wanted}, {dataset.id!r} has {found}"
                )
    spec = merge_env_specs([dataset.env_spec for dataset in datasets])
    metadata: dict[str, JsonValue] = {
        "minari_version": __version__,
        "observation_space": first.metadata["observation_space"],
        "action_space": first.metadata["action_space"],
        "combined_datasets": [dataset.id for dataset in datasets],
        **_merge_metadata(datasets),
        PARENTS: [describe_as_parent(dataset, "combine", {}) for dataset in datasets],
    }
    if splits := join_splits([(_read_cut_splits(dataset), len(dataset)) for dataset in datasets]):
        metadata[SPLITS] = splits
    if step_infos := _merge_step_infos(datasets):
        metadata[STEP_INFOS] = list(step_infos)
    if spec is not None:
        metadata["env_spec"] = env_spec_to_json(spec)

    def fill(storage: Storage) -> None:
        if widen:
            allow_widening(storage)
        for dataset in datasets:
            storage.append_storage(get_raw_storage(dataset), dataset.episode_indices.tolist())

    given = first_storage.given_spaces
    return MinariDataset(open_storage(publish(new_id, metadata, chosen_format, fill, given), given))


def split_dataset(
    dataset: Dataset, sizes: Iterable[float | Fraction], seed: int | None = None
) -> list[Dataset]:
    """Split a dataset's episodes at random.

    Args:
        dataset: The dataset or view to split.
        sizes: The number of episodes of each view, as ``[80, 20]``, together at most all; or the
            fraction of all episodes, as ``[0.8, 0.2]``, together at most 1. Views of fractions
            differ from them by less than one episode (largest remainders).
        seed: The seed of the split, at least 0; if None, it follows from the dataset's `set_seed`,
            or is random.

    Returns:
        A view for each size; no episode is in two of them.

    Raises:
        SamplingError: A size is neither, or both kinds are mixed, or there are fewer
            episodes; or the seed is no whole number of at least 0.
        IncompatibleDatasetsError: It is no dataset.
    """
    check_dataset(dataset)
    wanted = _check_sizes(sizes, len(dataset))
    if any(size < 0 for size in wanted) or sum(wanted) > len(dataset):
        raise SamplingError(
            "Incompatible arguments: the sum of sizes exceeds the number of episodes in the "
            f"dataset ({len(dataset)}): sizes {wanted} add up to {sum(wanted)}"
        )
    # The length alone is what a file says, the indices are borne out by the data.
    stream = dataset._stream.spawn() if seed is None else RandomStream(seed)
    indices = stream.generator.permutation(len(dataset.episode_indices))
    borders = np.cumsum([0, *wanted])
    return [dataset[indices[start:stop]] for start, stop in pairwise(borders)]


def check_datasets(given: object, operation: str) -> list[MinariDataset]:
    """Validate the datasets that a caller gives, at least one.

    Args:
        given: What is given.
        operation: What they are given for, such as ``"combine"``.

    Raises:
        IncompatibleDatasetsError: It is no list of datasets, or an empty one.
    """
    advice = "give a list of datasets, as load_dataset opens them"
    # A dataset and a text are iterable too.
    if isinstance(given, MinariDataset | str) or not isinstance(given, Iterable):
        raise IncompatibleDatasetsError(f"{format_value(given)} is no list of datasets; {advice}")
    datasets = list(given)
    for dataset in datasets:
        check_dataset(dataset)
    if not datasets:
        raise IncompatibleDatasetsError(
            f"there is nothing to {operation}: the list of datasets is empty"
        )
    return datasets


def _check_sizes(given: object, total: int) -> list[int]:
    """Validate the sizes that a caller gives, as numbers of episodes."""
    if not isinstance(given, Iterable):
        raise SamplingError(
            f"sizes is {format_value(given)}; give the number of episodes of each view"
        )
    sizes = list(given)
    if sizes and all(isinstance(size, float | np.floating | Fraction) for size in sizes):
        return _round_fractions(sizes, total)
    try:
        return [check_whole_number("a size", size) for size in sizes]
    except SamplingError as error:
        raise SamplingError(
            f"sizes {format_value(sizes)} are neither numbers of episodes, as [80, 20], nor "
            f"fractions of all episodes, as [0.8, 0.2]: {error}"
        ) from error


def _round_fractions(sizes: Sequence[float | Fraction], total: int) -> list[int]:
    """Round fractions of all episodes so that the sum is that of the fractions."""
    shown = [float(size) for size in sizes]
    if not all(0 <= size <= 1 for size in shown):
        raise SamplingError(f"sizes {shown} are fractions of all episodes, and not all of 0 to 1")
    # The decimal number that was written, not the binary one nearby: 0.8 and 0.2 are 1 together.
    fractions = [size if isinstance(size, Fraction) else Fraction(str(size)) for size in sizes]
    # Thirds and the like are no decimal numbers.
    if sum(fractions) > 1 + _ROUNDING:
        raise SamplingError(f"the fractions {shown} add up to {sum(shown):g}, more than 1")
    exact = [fraction * total for fraction in fractions]
    counts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: exact[i] - counts[i], reverse=True)
    whole = min(total, int(sum(exact) + _ROUNDING * total))
    for index in by_remainder[: whole - sum(counts)]:
        counts[index] += 1
    return counts


def _read_cut_splits(dataset: MinariDataset) -> dict[str, JsonValue]:
    splits = read_splits(dataset.metadata, get_raw_storage(dataset).total_episodes)
    return cut_splits(splits, dataset.episode_indices.tolist()) if splits else {}


def _merge_step_infos(datasets: Sequence[MinariDataset]) -> list[str]:
    """Return the infos that belong to steps.

    Raises:
        IncompatibleDatasetsError: One dataset says so of an info, and another that has it does not.
    """
    marked = [read_step_infos(dataset.metadata) for dataset in datasets]
    merged = list(dict.fromkeys(key for keys in marked for key in keys))
    for dataset, keys in zip(datasets, marked, strict=True):
        others = set(merged) - set(keys)
        storage = get_raw_storage(dataset)
        if others and storage.total_episodes:
            for key in sorted(others.intersection(list_infos(storage))):
                raise IncompatibleDatasetsError(
                    f"infos[{key!r}] belongs to steps in one dataset, but not in {dataset.id!r}; "
                    f"give both the same {STEP_INFOS} by dataset.storage.update_metadata"
                )
    return merged


def _merge_metadata(datasets: Sequence[MinariDataset]) -> dict[str, JsonValue]:
    """Merge metadata: people and requirements are joined, the rest is taken where all agree."""
    shared: dict[str, JsonValue] = {}
    cards = [dataset.metadata for dataset in datasets]
    for key in ("author", "author_email", "requirements", "tags"):
        items: dict[str, None] = {}
        for metadata in cards:
            value = metadata.get(key, [])
            texts = value if isinstance(value, list) else [value]
            items.update(dict.fromkeys(str(text) for text in texts))
        if items:
            shared[key] = list(items)
    for key in (
        "algorithm_name",
        "code_permalink",
        "description",
        "license",
        "citation",
        DOI,
        "eval_env_spec",
        "ref_min_score",
        "ref_max_score",
        "num_episodes_average_score",
    ):
        values = [metadata.get(key) for metadata in cards]
        if values[0] is not None and all(value == values[0] for value in values):
            shared[key] = values[0]
    if DOI in shared and not _is_whole(datasets):
        del shared[DOI]
        warn_caller(
            f"{', '.join(dataset.id for dataset in datasets)} have a DOI, which a part or a "
            "combination does not have"
        )
    return shared


def _is_whole(datasets: Sequence[MinariDataset]) -> bool:
    indices = [dataset.episode_indices.tolist() for dataset in datasets]
    return len(datasets) == 1 and is_whole(get_raw_storage(datasets[0]), indices[0])
