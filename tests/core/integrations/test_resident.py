"""Columns as they are held on a device, without a library that has devices."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import MinariDataset, SamplingError, mix_datasets
from minari_core.integrations import resident
from minari_core.integrations.conversion import convert_batch
from minari_core.integrations.known_steps import leave_out_unknown_step
from minari_core.integrations.resident import STEP_COLUMNS, lay_out, split_to_fit, take_turns
from minari_core.random_stream import RandomStream
from tests.core.helpers.recorded import (
    NESTED,
    VECTOR,
    WITH_IMAGE,
    Recorded,
    record,
    recordings,
    stored,
    views,
)


def read_column(dataset: MinariDataset, column: str) -> Any:
    blocks = list(lay_out(dataset).iterate_blocks(column))
    starts = [start for start, _ in blocks]
    assert starts == np.cumsum([0, *(len(rows) for _, rows in blocks)])[:-1].tolist()
    return np.concatenate([rows for _, rows in blocks])


@given(recordings(), st.data(), st.booleans(), st.sampled_from([1, 100, 1 << 24]))
@settings(max_examples=40)
def test_steps_lie_as_transitions_are_numbered_and_observations_as_one_more_an_episode(
    recorded: Recorded, data: st.DataObject, assembled: bool, at_once: int
) -> None:
    chosen, _ = data.draw(views(len(recorded.episodes)))
    with (
        stored(recorded, on_disk=False, assembled=assembled) as dataset,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(resident, "_NBYTES_AT_ONCE", at_once)
        view = dataset[chosen]
        sampler = view.transition_sampler()
        if not len(sampler):
            with pytest.raises(SamplingError, match="there is no step to sample"):
                lay_out(view)
            return
        layout = lay_out(view)
        batch = sampler.read(np.arange(len(sampler)))
        # An episode, or a part of one that ends before it does.
        over = batch.terminations | batch.truncations
        goes_on = (np.diff(batch.episode_ids) == 0) & (np.diff(batch.time_steps) == 1) & ~over[:-1]
        borders = [0, *(np.flatnonzero(~goes_on) + 1), len(sampler)]
        lengths = np.diff(borders).tolist()
        wanted_rows, wanted_ends, done = [], [], 0
        for number, length in enumerate(lengths):
            wanted_rows += [done + step + number for step in range(length)]
            wanted_ends += [done + length] * length
            done += length
        assert layout.rows.tolist() == wanted_rows
        assert layout.ends.tolist() == wanted_ends
        for column in STEP_COLUMNS[1:]:
            np.testing.assert_array_equal(read_column(view, column), getattr(batch, column))


def test_a_step_and_the_next_one_share_an_observation() -> None:
    recorded = record(VECTOR, VECTOR, [3, 1, 4], 0, cuts=2)
    with stored(recorded, on_disk=False) as dataset:
        for view in (dataset, dataset[[2, 0]], dataset[1:]):
            layout = lay_out(view)
            batch = view.transition_sampler().read(np.arange(view.total_steps))
            observations = read_column(view, "observations")
            assert len(observations) == view.total_steps + len(view)
            assert np.array_equal(observations[layout.rows], batch.observations)
            assert np.array_equal(observations[layout.rows + 1], batch.next_observations)
            assert np.array_equal(read_column(view, "actions"), batch.actions)
            row_nbytes = batch.observations[0].nbytes
            step_nbytes = batch.actions[0].nbytes + batch.rewards.itemsize + 2
            assert layout.count_nbytes() == (
                (8 + 8 + step_nbytes) * view.total_steps + row_nbytes * len(observations)
            )


def test_columns_come_in_blocks_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with stored(record(VECTOR, VECTOR, [9, 4], 0), on_disk=False) as dataset:
        row_nbytes = dataset[0].observations[0].nbytes

        def count_rows(nbytes: int) -> list[int]:
            monkeypatch.setattr(resident, "_NBYTES_AT_ONCE", nbytes)
            return [len(rows) for _, rows in lay_out(dataset).iterate_blocks("observations")]

        assert count_rows(15 * row_nbytes) == [15]
        assert count_rows(15 * row_nbytes - 1) == [14, 1]
        assert count_rows(4 * row_nbytes) == [4, 4, 4, 3]
        assert count_rows(1) == [1] * 15


def test_nested_columns_are_held_and_values_of_no_fixed_shape_are_not() -> None:
    with stored(record(WITH_IMAGE, WITH_IMAGE, [3], 0), on_disk=False) as dataset:
        ((start, found),) = lay_out(dataset).iterate_blocks("observations")
        assert start == 0
        assert {len(rows) for rows in found.values()} == {4}
    with stored(record(NESTED, VECTOR, [3], 0), on_disk=False) as dataset:
        told = pytest.raises(SamplingError, match="observations have values that are no arrays of")
        with told:
            list(lay_out(dataset).iterate_blocks("observations"))


def test_a_mixture_with_weights_is_held_by_nobody() -> None:
    with stored(record(VECTOR, VECTOR, [3], 0), on_disk=False) as dataset:
        mixture = mix_datasets([dataset, dataset], [1, 3])
        with pytest.raises(SamplingError, match="the datasets of this mixture have weights; mix"):
            lay_out(mixture)
        assert len(lay_out(mix_datasets([dataset, dataset])).rows) == 6


def test_parts_are_of_whole_episodes_two_of_which_fit() -> None:
    with stored(record(VECTOR, VECTOR, [4] * 8, 0), on_disk=False) as dataset:
        one = lay_out(dataset[:1]).count_nbytes()
        whole = lay_out(dataset).count_nbytes()
        assert whole == 8 * one

        def list_lengths(most: int) -> list[int]:
            parts = split_to_fit(dataset, whole, most)
            ids = [episode.id for part in parts for episode in part]
            assert ids == list(range(8))
            return [len(part) for part in parts]

        assert list_lengths(16 * one) == [8]
        assert list_lengths(16 * one - 1) == [4, 4]
        assert list_lengths(8 * one) == [4, 4]
        assert list_lengths(8 * one - 1) == [2, 3, 3]
        assert list_lengths(2 * one) == [1] * 8
        with pytest.raises(
            SamplingError, match=f"^an episode takes {one} bytes, and two at a time must fit into "
        ):
            split_to_fit(dataset, whole, 2 * one - 1)
    # Where episodes differ in length, parts are made smaller until the largest fits.
    with stored(record(VECTOR, VECTOR, [20, 1, 1, 1, 1, 1], 0), on_disk=False) as dataset:
        nbytes = [lay_out(dataset[:count]).count_nbytes() for count in (1, 6)]
        parts = split_to_fit(dataset, nbytes[1], 2 * nbytes[0])
        # Two do not fit, because the first of them is longer.
        assert [len(part) for part in parts] == [1, 2, 1, 2]


def test_parts_take_turns_each_time_in_another_order_and_one_is_loaded_ahead() -> None:
    with stored(record(VECTOR, VECTOR, [1] * 5, 0), on_disk=False) as dataset:
        parts = [dataset[index : index + 1] for index in range(5)]
        loaded: list[int] = []

        def load(part: MinariDataset) -> int:
            loaded.append(part[0].id)
            return part[0].id

        turns = take_turns(parts, load, RandomStream(3))
        found = list(islice(turns, 20))
        assert len(loaded) - len(found) in (0, 1)
        assert loaded[: len(found)] == found
        rounds = [found[start : start + 5] for start in range(0, 20, 5)]
        assert all(sorted(each) == list(range(5)) for each in rounds)
        assert len({tuple(each) for each in rounds}) > 1
        generator = RandomStream(3).generator
        assert rounds == [generator.permutation(5).tolist() for _ in range(4)]
        turns.close()  # type: ignore[attr-defined]  # a generator


def test_an_episode_whose_end_nobody_knows_is_a_step_shorter() -> None:
    recorded = record(VECTOR, VECTOR, [3, 1], 0)
    with stored(recorded, on_disk=False) as dataset:
        for known in dataset:
            assert leave_out_unknown_step(known) is known
    for episode in recorded.episodes:
        episode.knows_final = False
    with stored(recorded, on_disk=False) as dataset:
        long, short = dataset
        assert not long.final_observation_known
        assert leave_out_unknown_step(short) is None
        shorter = leave_out_unknown_step(long)
        assert shorter is not None
        assert shorter.final_observation_known
        assert len(shorter) == 2
        assert np.array_equal(shorter.observations, long.observations)
        for name in ("actions", "rewards", "terminations", "truncations"):
            assert np.array_equal(getattr(shorter, name), getattr(long, name)[:2])


def test_values_are_converted_wherever_they_lie() -> None:
    value = {
        "a": (np.array([1, 2]), "text", None),
        "b": np.ma.MaskedArray([1.0, 2.0], [False, True]),
        "c": 3,
    }
    converted = convert_batch(value, np.ndarray.tolist)
    assert converted == {
        "a": ([1, 2], "text", None),
        "b": {"values": [1.0, 2.0], "present": [True, False]},
        "c": 3,
    }
