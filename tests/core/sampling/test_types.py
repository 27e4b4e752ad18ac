"""Whoever checks types is told which batches come of which arguments, and what arrays they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

from minari_core.sampling import Batches, OffsetBatch, SequenceBatch, TransitionBatch
from tests.core.helpers.recorded import VECTOR, record, stored


def test_batches_are_of_the_kind_that_the_arguments_ask_for() -> None:
    with stored(record(VECTOR, VECTOR, [9, 5], 0), on_disk=False) as dataset:
        transitions = assert_type(
            dataset.batches(4, n_step=2, seed=0, goals="future"), Batches[TransitionBatch]
        )
        windows = assert_type(
            dataset.batches(4, length=3, padding="after", epochs=None), Batches[SequenceBatch]
        )
        around = assert_type(
            dataset.batches(4, offsets={"actions": range(3)}, shuffle=False), Batches[OffsetBatch]
        )
        kinds = [type(next(each)) for each in (transitions, windows, around)]
        assert kinds == [TransitionBatch, SequenceBatch, OffsetBatch]
        assert_type(dataset.sample_sequences(4, 3, is_first=True), SequenceBatch)
        assert_type(dataset.sample_sequences(4, offsets={"actions": [0]}), OffsetBatch)


def test_arrays_have_the_types_that_are_said() -> None:
    with stored(record(VECTOR, VECTOR, [9, 5], 0), on_disk=False) as dataset:
        batch = dataset.sample_transitions(4, n_step=2, returns_to_go=True)
        windows = dataset.sample_sequences(4, 3, is_first=True, returns_to_go=True)
        around = dataset.sample_sequences(4, offsets={"rewards": [0], "terminations": [0]})
    assert_type(batch.rewards, npt.NDArray[np.float64])
    assert_type(batch.truncations, npt.NDArray[np.bool_])
    assert_type(windows.mask, npt.NDArray[np.bool_])
    assert_type(windows.time_steps, npt.NDArray[np.int64])
    numbers: list[npt.NDArray[Any]] = [batch.rewards, batch.discounts, batch.returns_to_go]
    numbers += [windows.rewards, windows.returns_to_go, around.rewards]
    assert {array.dtype for array in numbers} == {np.dtype(np.float64)}
    flags: list[npt.NDArray[Any]] = [batch.terminations, batch.truncations, windows.mask]
    flags += [windows.is_first, windows.terminations, around.terminations]
    assert {array.dtype for array in flags} == {np.dtype(np.bool_)}
    counts = [batch.episode_ids, batch.time_steps, windows.episode_ids, windows.time_steps]
    assert {array.dtype for array in counts} == {np.dtype(np.int64)}
