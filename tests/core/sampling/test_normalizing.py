"""What is sampled is normalized on the way, as a Normalizer does it afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minari_core import MinariDataset, SamplingError
from minari_core.sampling import Normalizer, SequenceBatch, TransitionBatch
from tests.core.helpers.recorded import NESTED, VECTOR, WITH_IMAGE, record, stored


def expect_equal(found: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
    if isinstance(wanted, dict | tuple):
        keys = wanted if isinstance(wanted, dict) else range(len(wanted))
        for key in keys:
            expect_equal(found[key], wanted[key])
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        assert np.ma.allequal(found, wanted)
        assert np.array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(wanted))
    else:
        assert found == wanted


def read(dataset: MinariDataset, kind: str, **options: Any) -> TransitionBatch | SequenceBatch:
    dataset.set_seed(1)
    if kind == "transitions":
        return dataset.sample_transitions(9, **options)
    if kind == "windows":
        return dataset.sample_sequences(9, 3, padding="after", **options)
    batch: TransitionBatch = next(dataset.batches(9, **options))
    return batch


@pytest.mark.parametrize("kind", ["transitions", "windows", "batches"])
def test_what_is_sampled_is_normalized_and_of_float32(kind: str) -> None:
    columns = ["observations", "next_observations", "actions", "rewards", "next_actions"]
    with stored(record(NESTED, WITH_IMAGE, [5, 2, 7], 0), on_disk=True) as dataset:
        statistics = dataset.statistics()
        observing = Normalizer(statistics)
        speed = Normalizer(statistics, column="actions/speed")
        normalize = {"observations": observing, "actions/speed": speed}
        plain = read(dataset, kind, columns=columns)
        found = read(dataset, kind, columns=columns, normalize=normalize)
        for name in ("observations", "next_observations"):
            wanted = observing.normalize(getattr(plain, name), np.float32)
            expect_equal(getattr(found, name), wanted)
        expect_equal(found.actions["speed"], speed.normalize(plain.actions["speed"], np.float32))
        expect_equal(found.actions["camera"], plain.actions["camera"])
        following = plain.columns["next_actions"]
        expect_equal(
            found.columns["next_actions"]["speed"], speed.normalize(following["speed"], np.float32)
        )
        expect_equal(found.rewards, plain.rewards)


def test_a_column_inside_and_goals_are_normalized_as_the_observations_they_are_from() -> None:
    with stored(record(NESTED, VECTOR, [5, 2, 7], 0), on_disk=True) as dataset:
        normalizer = Normalizer(dataset.statistics())
        path = "observations/achieved%2Fgoal"
        options: dict[str, Any] = {"columns": [path], "goals": "final", "goal_column": path}
        dataset.set_seed(1)
        plain = dataset.sample_transitions(9, **options)
        dataset.set_seed(1)
        found = dataset.sample_transitions(9, normalize=normalizer, **options)
        for before, after in (
            (plain.goals, found.goals),
            (plain.columns[path], found.columns[path]),
        ):
            expect_equal(after, normalizer.normalize(before, np.float32, path="/achieved%2Fgoal"))


def test_a_batch_is_filled_again_with_normalized_values() -> None:
    with stored(record(VECTOR, VECTOR, [5, 2, 7], 0), on_disk=True) as dataset:
        normalizer = Normalizer(dataset.statistics())
        wanted = read(dataset, "transitions", normalize=normalizer)
        again = read(dataset, "transitions", normalize=normalizer, out=wanted)
        assert again is wanted
        plain = read(dataset, "transitions")
        expect_equal(again.observations, normalizer.normalize(plain.observations, np.float32))


def test_a_state_of_other_numbers_is_refused() -> None:
    with stored(record(VECTOR, VECTOR, [5, 2, 7], 0), on_disk=True) as dataset:
        mine = dataset.batches(3, seed=0, normalize=Normalizer(dataset.statistics()))
        state = mine.state_dict()
        dataset.batches(3, seed=0, normalize=Normalizer(dataset.statistics())).load_state_dict(
            state
        )
        changes: list[dict[str, Any]] = [{}, {"normalize": Normalizer(dataset[1:].statistics())}]
        for others in changes:
            with pytest.raises(SamplingError, match="the state is of"):
                dataset.batches(3, seed=0, **others).load_state_dict(state)


def test_what_cannot_be_normalized_is_refused() -> None:
    with stored(record(VECTOR, VECTOR, [5, 2, 7], 0), on_disk=True) as dataset:
        normalizer = Normalizer(dataset.statistics())
        refused: list[Any] = [1.0, {}, {"rewards": normalizer}, {"observations": 1}]
        for normalize in refused:
            with pytest.raises(SamplingError, match="give a Normalizer of the observations"):
                dataset.sample_transitions(2, normalize=normalize)
        with pytest.raises(SamplingError, match="no column 'infos/x'"):
            dataset.sample_sequences(2, 1, normalize={"infos/x": normalizer})
