"""Samplers are made once for the same keywords, and only some are kept."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from minari_core import MinariWarning, SamplingError
from minari_core.sampling import RecentShare
from tests.core.helpers.recorded import VECTOR, record, stored


def test_the_same_keywords_are_answered_by_the_same_sampler() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset:
        one = dataset.transition_sampler(n_step=2, columns=["rewards"])
        assert dataset.transition_sampler(n_step=2, columns=["rewards"]) is one
        assert dataset.transition_sampler(columns=["rewards"], n_step=3) is not one
        assert dataset[:].transition_sampler(n_step=2, columns=["rewards"]) is not one
        goals: dict[str, Any] = {"goals": {"future": 1.0}}
        assert dataset.transition_sampler(**goals) is dataset.transition_sampler(**goals)
        # 2.0 equals 2, and is no whole number.
        wrong: Any = 2.0
        with pytest.raises(SamplingError, match="n_step"):
            dataset.transition_sampler(n_step=wrong, columns=["rewards"])
        windows = dataset._window_sampler(2, {})
        assert dataset._window_sampler(2, {}) is windows
        assert dataset._window_sampler(3, {}) is not windows


def test_the_oldest_of_many_samplers_is_forgotten() -> None:
    with stored(record(VECTOR, VECTOR, [30], 0), on_disk=False) as dataset:
        made = [dataset.transition_sampler(n_step=number) for number in range(1, 41)]
        assert len(dataset._samplers) == 16
        newest = [dataset.transition_sampler(n_step=number) for number in range(40, 30, -1)]
        assert all(one is other for one, other in zip(newest, made[::-1], strict=False))
        assert dataset.transition_sampler(n_step=1) is not made[0]


def test_weights_that_depend_on_the_dataset_alone_are_made_once_and_a_callers_are_not() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset:
        sampler = dataset.transition_sampler()
        for weights in ("episodes", RecentShare(0.5, since=1)):
            shares = dataset._weigh(weights, sampler)
            assert shares is not None
            assert dataset._weigh(weights, sampler) is shares
        given = [1.0, 0.0]
        assert set(dataset.sample_transitions(9, weights=given).episode_ids) == {0}
        given[:] = [0.0, 1.0]
        assert set(dataset.sample_transitions(9, weights=given).episode_ids) == {1}
        assert dataset._weigh(None, sampler) is None
        assert dataset._weigh("transitions", sampler) is None


def test_what_is_remembered_stays_in_its_process_and_view() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=True) as dataset:
        dataset.transition_sampler()
        assert dataset._samplers
        assert not pickle.loads(pickle.dumps(dataset))._samplers
        assert not dataset[1:]._samplers
        dataset.episode_indices = np.array([1])
        assert not dataset._samplers
        assert len(dataset.transition_sampler()) == 3


def test_a_window_has_a_length_or_offsets() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset:
        options: dict[str, Any] = {"offsets": {"actions": [0, 1]}}
        with pytest.raises(SamplingError, match="length is 2, but offsets say what a window has"):
            dataset.sample_sequences(3, 2, **options)
        assert dataset.sample_sequences(3, **options).actions.shape[:2] == (3, 2)


def test_numbers_that_are_not_finite_are_warned_of_with_their_count() -> None:
    recorded = record(VECTOR, VECTOR, [3, 2], 0)
    recorded.episodes[0].observations[1][:2] = np.nan, np.inf
    recorded.episodes[1].observations[2][0] = np.nan
    with stored(recorded, on_disk=False) as dataset:
        said = "^observations has 3 values that are NaN or infinite among 7 rows; they are left out"
        with pytest.warns(MinariWarning, match=said):
            found = dataset.statistics(["observations", "rewards"])
        assert found["observations"].nonfinite.tolist() == [2, 1, 0]
