"""Datasets and views of them: reading, choosing, sampling, splitting, adding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minari_core import (
    MinariDataset,
    load_dataset,
    split_dataset,
)
from minari_core.datasets import combining
from minari_core.errors import (
    DataError,
    EpisodeIndexError,
    SamplingError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import (
    LENGTHS,
    MOVE,
    POSITION,
    create,
    ids,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


# Views
def test_a_dataset_says_what_it_is() -> None:
    dataset = create()
    assert (dataset.id, dataset.name) == ("tests/numbers-v0", "tests/numbers-v0")
    assert (len(dataset), dataset.total_episodes, dataset.total_steps) == (6, 6, 21)
    assert dataset.episode_indices.tolist() == list(range(6))
    assert dataset.observation_space == POSITION
    assert dataset.action_space == MOVE
    assert dataset.metadata["author"] == ["Ada"]
    assert "tests/numbers-v0" in repr(dataset)
    assert "21" in repr(dataset)
    spec = dataset.spec
    assert (spec.dataset_id, spec.total_episodes, spec.total_steps) == (dataset.id, 6, 21)
    assert (spec.observation_space, spec.env_spec, spec.data_format) == (POSITION, None, "columnar")
    assert spec.data_path is not None
    assert Path(spec.data_path, "metadata.json").exists()


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        (slice(None), [0, 1, 2, 3, 4, 5]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [5, 4, 3, 2, 1, 0]),
        (slice(-2, None), [4, 5]),
        (slice(4, 2), []),
        (slice(0, 100, 4), [0, 4]),
        ([3, 0, 3, -1], [3, 0, 3, 5]),
        (np.array([2, 1]), [2, 1]),
        (np.array([True, False, False, True, False, False]), [0, 3]),
        ([], []),
    ],
)
def test_a_view_has_its_own_episodes_only(index: Any, wanted: list[int]) -> None:
    view = create()[index]
    assert isinstance(view, MinariDataset)
    assert ids(view) == view.episode_indices.tolist() == wanted
    assert (len(view), view.spec.total_episodes) == (len(wanted), len(wanted))
    assert view.total_steps == view.spec.total_steps == sum(LENGTHS[i] for i in wanted)
    assert [entry.id for entry in view.iterate_episode_metadata()] == wanted
    for place, number in enumerate(wanted):
        assert view[place].id == view[place - len(wanted)].id == number
    for outside in (len(wanted), -len(wanted) - 1):
        with pytest.raises(EpisodeIndexError):
            view[outside]


@pytest.mark.parametrize("index", [[6], [-7], np.array([True, False]), np.array([0.5])])
def test_an_index_that_makes_no_view_is_refused(index: Any) -> None:
    with pytest.raises(EpisodeIndexError):
        create()[index]


def test_views_of_views_are_views_of_the_dataset() -> None:
    view = create()[::-1][1:5][[3, 0]]
    assert ids(view) == [1, 4]
    assert ids(view.filter_episodes(lambda episode: len(episode) > 1)) == [4]
    assert ids(view.filter_episodes(metadata=lambda entry: entry.seed == 1)) == [1]
    both = view.filter_episodes(lambda e: e.seed == 4, metadata=lambda m: m.total_steps > 1)
    assert ids(both) == [4]
    assert ids(view.filter_episodes(lambda episode: np.bool_(False))) == []
    assert sorted(i for part in split_dataset(view, [1, 1]) for i in ids(part)) == [1, 4]


def test_only_episodes_of_the_view_can_be_iterated() -> None:
    view = create()[[4, 2]]
    assert [episode.id for episode in view.iterate_episodes([2, 2, 4])] == [2, 2, 4]
    assert [episode.id for episode in view.iterate_episodes(iter([4]))] == [4]
    for foreign in ([0], [-1], [2, 6]):
        with pytest.raises(EpisodeIndexError, match=str(foreign[-1])):
            list(view.iterate_episodes(foreign))
    (episode,) = view.iterate_episodes([2], copy=False)
    assert not episode.observations.flags.writeable


def test_sampling_depends_on_the_seed_alone() -> None:
    dataset = create()
    dataset.set_seed(3)
    first = [episode.id for episode in dataset.sample_episodes(4)]
    assert len(set(first)) == 4
    again = load_dataset("tests/numbers-v0")
    again.set_seed(3)
    assert [episode.id for episode in again.sample_episodes(4)] == first
    assert [e.id for e in again.sample_episodes(6)] == [e.id for e in dataset.sample_episodes(6)]


def test_more_than_there_is_cannot_be_sampled() -> None:
    view = create()[:2]
    assert view.sample_episodes(0) == []
    assert sorted(episode.id for episode in view.sample_episodes(2)) == [0, 1]
    for count in (3, -1):
        with pytest.raises(SamplingError, match=f"{count}.* 2"):
            view.sample_episodes(count)


def test_splits_are_disjoint_and_depend_on_the_seed() -> None:
    dataset = create()
    first = [ids(part) for part in split_dataset(dataset, iter([2, 0, 3]), seed=1)]
    assert [len(part) for part in first] == [2, 0, 3]
    assert len({number for part in first for number in part}) == 5
    assert [ids(part) for part in split_dataset(dataset, [2, 0, 3], seed=1)] == first
    for sizes in ([4, 3], [-1, 2]):
        with pytest.raises(SamplingError, match=r"\["):
            split_dataset(dataset, sizes)


def test_a_condition_on_metadata_reads_no_step() -> None:
    dataset = create()
    (shard,) = Path(str(dataset.spec.data_path)).glob("*.h5")
    content = bytearray(shard.read_bytes())
    layout = dataset.metadata | json.loads((shard.parent / "metadata.json").read_text())
    arrays = layout["columnar"]["shards"][0]["arrays"]
    # Observations lie first, and options and metadata last: text that is no text is not read.
    steps_end = arrays[5][0]
    content[arrays[0][0] : steps_end] = b"\xff" * (steps_end - arrays[0][0])
    shard.write_bytes(content)
    spoiled = load_dataset("tests/numbers-v0")
    assert np.isnan(spoiled[0].observations).all()
    kept = spoiled.filter_episodes(
        metadata=lambda entry: entry["name"] == "episode 4" and entry.options == {"number": 4}
    )
    assert kept.episode_indices.tolist() == [4]


def test_indices_outside_the_stored_dataset_are_refused() -> None:
    dataset = create()
    assert ids(MinariDataset(dataset.storage, [5, 0])) == [5, 0]
    for indices in ([6], [-1], range(4, 8)):
        with pytest.raises(EpisodeIndexError, match="6"):
            MinariDataset(dataset.storage, indices)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0.9], r"\[0\.9\] are not the indices"),
        (np.array([0.0, 1.0]), "are not the indices"),
        ([True, False], r"is a mask.*dataset\[mask\]"),
        (np.ones(6, dtype=bool), r"is a mask.*dataset\[mask\]"),
        (["0"], "are not the indices"),
        ([[0], [1]], "are not the indices"),
        ([[0], [1, 2]], r"\[\[0\], \[1, 2\]\]"),
        (iter([None]), "are not the indices"),
    ],
)
def test_what_is_no_list_of_whole_numbers_chooses_no_episodes(indices: Any, message: str) -> None:
    dataset = create()
    with pytest.raises(EpisodeIndexError, match=message):
        dataset.iterate_episodes(indices)
    if not isinstance(indices, Iterator):
        with pytest.raises(EpisodeIndexError, match=message):
            MinariDataset(dataset.storage, indices)
    assert ids(MinariDataset(dataset.storage, [])) == ids(dataset[[]]) == []
    with pytest.raises(EpisodeIndexError, match=r"\[1, 2\]"):
        dataset[[[0], [1, 2]]]  # type: ignore[list-item]  # what a caller may do


def test_a_storage_reads_no_part_of_an_episode() -> None:
    storage = create().storage
    for read in (storage.read_episodes, storage.read_episode_metadata):
        with pytest.raises(EpisodeIndexError, match=r"0\.9 is not a whole number"):
            list(read([0.9]))


@pytest.mark.parametrize("count", [1.5, "2", None, True, np.float64(1)])
def test_a_number_of_episodes_is_whole(count: Any) -> None:
    dataset = create()
    with pytest.raises(SamplingError, match=r"n_episodes .* not a whole number"):
        dataset.sample_episodes(count)
    with pytest.raises(SamplingError, match="not a whole number"):
        dataset.shards(count)
    assert len(dataset.sample_episodes(np.int8(2))) == 2  # type: ignore[arg-type]  # it has no stub


@pytest.mark.parametrize("seed", [-1, 0.5, "x"])
def test_a_seed_is_a_whole_number_of_at_least_0(seed: Any) -> None:
    dataset = create()
    with pytest.raises(SamplingError, match="seed is"):
        dataset.set_seed(seed)
    with pytest.raises(SamplingError, match="seed is"):
        split_dataset(dataset, [1], seed=seed)
    dataset.set_seed(2**100)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5), st.integers(1, 400))
def test_fractions_are_rounded_by_less_than_an_episode(weights: list[int], total: int) -> None:
    fractions = [Fraction(weight, sum(weights)) for weight in weights]
    counts = combining._round_fractions(fractions, total)
    assert sum(counts) == total
    for fraction, count in zip(fractions, counts, strict=True):
        assert abs(count - total * fraction) < 1


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ([1 / 3] * 3, [4, 4, 4]),
        ([2 / 3, 1 / 3], [8, 4]),
        ([1 / 6] * 6, [2] * 6),
        ([5 / 6, 1 / 6], [10, 2]),
        ([1 / 3, 1 / 3], [4, 4]),
        ([np.float32(1 / 3)] * 3, [4, 4, 4]),
        ([0.1] * 10, [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_fractions_that_are_no_decimal_numbers_lose_no_episode(
    sizes: list[float], counts: list[int]
) -> None:
    assert combining._round_fractions(sizes, 12) == counts
    assert sum(combining._round_fractions(sizes, 1_000_003)) == round(1_000_003 * sum(sizes))


def test_a_split_takes_fractions_of_all_episodes() -> None:
    dataset = create()
    for sizes in ([0.8, 0.2], [np.float64(0.8), np.float64(0.2)], [Fraction(4, 5), Fraction(1, 5)]):
        parts = split_dataset(dataset, sizes, seed=0)
        assert [len(part) for part in parts] == [5, 1]
        assert sorted(number for part in parts for number in ids(part)) == list(range(6))
    assert [len(part) for part in split_dataset(dataset, [0.5])] == [3]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([0.8, 1], r"\[0\.8, 1\].*neither"),
        ([0.8, 0.3], r"\[0\.8, 0\.3\] add up to 1\.1"),
        ([1.5], r"\[1\.5\].*0 to 1"),
        ([float("nan")], "nan"),
        (3, "3.*each view"),
    ],
)
def test_sizes_that_make_no_split_are_refused(sizes: Any, message: str) -> None:
    with pytest.raises(SamplingError, match=message):
        split_dataset(create(), sizes)


# Adding
def test_episodes_can_be_added_from_an_iterator() -> None:
    dataset = create()
    dataset.update_dataset_from_buffer(simple_episode(n, 2) for n in (6, 7))
    assert (len(dataset), dataset.total_steps) == (8, 25)
    assert ids(load_dataset(dataset.id)) == list(range(8))
    dataset.update_dataset_from_buffer([])
    dataset.update_dataset_from_buffer(iter(dataset[6:]))
    assert [episode.seed for episode in dataset[8:]] == [6, 7]


@pytest.mark.parametrize("index", [slice(0, 2), slice(1, 3), [4, 0], slice(0, 0), slice(None)])
def test_what_is_added_through_a_view_joins_the_view_and_nothing_else_does(index: Any) -> None:
    dataset = create()
    view = dataset[index]
    assert isinstance(view, MinariDataset)
    before = ids(view)
    view.update_dataset_from_buffer([simple_episode(6, 2)])
    assert ids(view) == [*before, 6]
    assert ids(dataset) == list(range(6))
    assert dataset.total_steps == 21


def test_an_addition_that_fails_changes_nothing() -> None:
    dataset = create()
    bad = simple_episode(7, 2)
    bad.actions = np.zeros(5, np.int64)
    with pytest.raises(DataError, match="episode 1: actions"):
        dataset.update_dataset_from_buffer([simple_episode(6, 2), bad])
    other = simple_episode(7, 2)
    other.observations = np.zeros((3, 2), np.float32)
    with pytest.raises(DataError, match=r"observations.*float32.*float64"):
        dataset.update_dataset_from_buffer([other])
    assert ids(dataset) == ids(load_dataset(dataset.id)) == list(range(6))


def test_compacting_keeps_episodes_and_views() -> None:
    dataset = create()
    for number in range(6, 40):
        dataset.update_dataset_from_buffer([simple_episode(number, 2)])
    view = dataset[[39, 3]]
    before = list(dataset)
    dataset.compact()
    for found, wanted in zip(dataset, before, strict=True):
        expect_same_episode(found, wanted)
    assert [episode.seed for episode in view] == [39, 3]
    assert len(list(Path(str(dataset.spec.data_path)).glob("*.h5"))) == 1
