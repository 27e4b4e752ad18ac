"""What bad use gets: an error that names the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import MinariDataset, MinariError, SamplingError
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.sampling import TransitionBatch
from tests.core.helpers.recorded import NESTED, VECTOR, WITH_IMAGE, record, stored

Call = Callable[[MinariDataset], Any]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.sample_transitions(0), "batch_size is 0, not at least 1"),
        (lambda d: d.sample_transitions(-3), "batch_size is -3"),
        (lambda d: d.sample_transitions(2.5), r"batch_size is 2\.5, not a whole number"),
        (lambda d: d.sample_transitions(True), "batch_size is True"),
        (lambda d: d.sample_transitions("4"), "batch_size is '4', not a whole number"),
        (lambda d: d.sample_sequences(0, 2), "batch_size is 0, not at least 1"),
        (lambda d: d.sample_sequences(0, 2, padding="after"), "batch_size is 0"),
        (lambda d: d.sample_sequences(2, 0), "length is 0, not at least 1"),
        (lambda d: d.sample_sequences(2, 1.5), r"length is 1\.5, not a whole number"),
        (lambda d: d.sample_sequences(2, 9), r"windows of 9 steps .* \(the longest has 5 steps\)"),
        (lambda d: d.sample_sequences(2, 2, padding="both"), "padding is 'both', not 'after', 'be"),
        (lambda d: d.sample_sequences(2, 2, discount=2), "discount is 2, not between 0 and 1"),
        (lambda d: d.sample_transitions(2, n_step=0), "n_step is 0, not at least 1"),
        (lambda d: d.sample_transitions(2, n_step=1.5), r"n_step is 1\.5, not a whole number"),
        (lambda d: d.sample_transitions(2, stack=-1), "stack is -1, not at least 0"),
        (lambda d: d.sample_transitions(2, discount=1.1), r"discount is 1\.1, not between"),
        (lambda d: d.sample_transitions(2, discount=float("nan")), "discount is nan, not between"),
        (lambda d: d.sample_transitions(2, discount="1x"), "discount is '1x', not a number"),
        (lambda d: d.sample_transitions(2, goals="past"), "goals is 'past'; give 'future'"),
        (lambda d: d.sample_transitions(2, goals={"past": 1}), "goals is 'past'; give 'future'"),
        (lambda d: d.sample_transitions(2, goals={}), "goals is {}; give a strategy, or a dict"),
        (lambda d: d.sample_transitions(2, goals={"final": -1, "random": 2}), "not negative, and"),
        (lambda d: d.sample_transitions(2, goals={"final": "x"}), "goals is {'final': 'x'}; give"),
        (lambda d: d.sample_transitions(2, goal_discount=1), "goal_discount is 1, not below 1"),
        (lambda d: d.sample_transitions(2, goals="final", goal_column="goal"), "column 'goal'"),
        (lambda d: d.sample_transitions(2, columns="rewards"), "columns is 'rewards', not a list"),
        (lambda d: d.sample_transitions(2, columns=[]), r"columns is \[\], not a list of names"),
        (lambda d: d.batches(4, padding="before"), "padding='before' is of windows"),
        (lambda d: d.batches(4, reward_scale=0), "reward_scale is 0, neither a finite number abo"),
        (lambda d: d.sample_transitions(2, reward_scale=True), "reward_scale is True, neither"),
        (lambda d: d.sample_transitions(2, reward_scale=np.ones(2)), "reward_scale is array"),
        (lambda d: d.sample_sequences(2, 2, reward_scale="range"), "reward_scale is 'range', nei"),
        (
            lambda d: d[[0, 0]].sample_transitions(2, reward_scale="return_range"),
            r"the returns of these episodes run from (\S+) to \1; give a number",
        ),
        (lambda d: d.batches(4, length=2, n_step=5), "n_step=5 is of transitions"),
        (lambda d: d.batches(4, length=2, stack=4), "stack=4 is of transitions"),
        (lambda d: d.sample_transitions(2, out={}), "out is a dict, not a TransitionBatch"),
        (lambda d: d.batches(4).load_state_dict(None), "'None' is no state"),
        (lambda d: d.sample_transitions(2, weights=1j * np.ones(len(d))), "weights are no numbers"),
        (
            lambda d: (d.sample_transitions(2, n_step=1), d.sample_transitions(2, n_step=1.0)),
            "n_step is 1.0",
        ),
        (lambda d: d.sample_transitions(2, columns=5), "columns is 5, not a list of names"),
        (lambda d: d.sample_transitions(2, columns=[1]), r"columns is \[1\], not a list of names"),
        (
            lambda d: d.sample_transitions(2, columns=["reward"]),
            "no column 'reward'; column groups are obs",
        ),
        (lambda d: d.sample_transitions(2, columns=["episodes"]), "no column 'episodes'"),
        (
            lambda d: d.sample_transitions(2, columns=["infos/x"]),
            "no column 'infos/x'; infos has infos/",
        ),
        (lambda d: d.sample_transitions(2, columns=["infos/always/x"]), "no column 'infos/always/"),
        (lambda d: d.sample_transitions(2, columns=["rewards/"]), "no column 'rewards/'"),
        (
            lambda d: d.sample_transitions(2, columns=["next_observations/goal"]),
            "no column 'next_observations/goal'; next_observations has observations/achieved%2Fgo",
        ),
        (
            lambda d: d.sample_transitions(2, columns=["observations/parts/_index_3"]),
            "no column 'observations/parts/_index_3'",
        ),
        (lambda d: d.sample_transitions(2, weights="steps"), "weights is 'steps'; give 'transit"),
        (lambda d: d.sample_transitions(2, weights=[1, 2]), r"shape \(2,\) for 3 episodes"),
        (lambda d: d.sample_transitions(2, weights=[[1, 2, 3]]), r"shape \(1, 3\) for 3 episodes"),
        (lambda d: d.sample_transitions(2, weights=[1, -2, 3]), r"episode 1 of the view is -2\.0"),
        (lambda d: d.sample_transitions(2, weights=[1, 2, np.nan]), "episode 2 of the view is nan"),
        (lambda d: d.sample_transitions(2, weights=[0, 0, 0]), "weights of all 3 episodes are 0"),
        (lambda d: d.sample_transitions(2, weights=["a", 0, 0]), "weights are no numbers"),
        (lambda d: d.batches(0), "batch_size is 0"),
        (lambda d: d.batches(2, length=9), "windows of 9 steps are longer"),
        (lambda d: d.transition_sampler().read([0, 8]), "run from 0 to 8, but there are only 0 to"),
        (lambda d: d.transition_sampler().read([-1]), "positions run from -1 to -1"),
        (lambda d: d.transition_sampler().read([0.5]), "positions are float64 of shape"),
        (lambda d: d.transition_sampler().read(3), r"positions are int64 of shape \(\)"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_values(call: Call, message: str) -> None:
    with stored(record(NESTED, VECTOR, [1, 5, 2], 0), on_disk=False) as dataset:
        with pytest.raises(SamplingError, match=message) as caught:
            call(dataset)
        assert isinstance(caught.value, MinariError | ValueError)
        # A refusal harms nothing.
        assert len(dataset.sample_transitions(3)) == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.sample_transitions(2),
        lambda d: d.sample_transitions(2, weights="episodes"),
        lambda d: d.sample_sequences(2, 3),
        lambda d: d.sample_sequences(2, 3, padding="after"),
        lambda d: d.batches(2),
        lambda d: d.batches(2, length=3),
        lambda d: d.statistics(),
    ],
)
def test_nothing_can_be_sampled_from_nothing(call: Call) -> None:
    empty = MinariDataset(MemoryStorage(VECTOR, VECTOR))
    with stored(record(VECTOR, VECTOR, [4, 5], 0), on_disk=False) as dataset:
        nothing = dataset.filter_episodes(lambda episode: False)
        for without in (empty, dataset[:0], nothing, dataset[[]]):
            with pytest.raises(SamplingError, match=r"empty|without episodes|of all 0 episodes"):
                call(without)
        assert [len(view) for view in (empty, nothing)] == [0, 0]
        assert len(dataset.transition_sampler()) == 9
        assert len(dataset[:0].transition_sampler()) == 0


def test_out_of_another_size_or_kind_is_refused() -> None:
    for assembled in (True, False):
        recorded = record(NESTED, VECTOR, [4, 5], 0, cuts=2)
        with stored(recorded, on_disk=False, assembled=assembled) as dataset:
            small = dataset.sample_transitions(2)
            with pytest.raises(SamplingError, match=r"belongs; give a batch of the same size"):
                dataset.sample_transitions(3, out=small)
            stacked = dataset.sample_transitions(2, stack=2)
            with pytest.raises(SamplingError, match=r"of shape \(2, 2, 2\) where"):
                dataset.sample_transitions(2, out=stacked)
            for wrong in (
                TransitionBatch(rewards=np.zeros(2, np.float32)),
                TransitionBatch(actions=[1, 2]),
                TransitionBatch(observations=np.zeros((2, 3))),
                TransitionBatch(observations={"parts": None}),
                TransitionBatch(observations={**small.observations, "parts": (1, 2)}),
            ):
                with pytest.raises(SamplingError, match="out has"):
                    dataset.sample_transitions(2, out=wrong)
            for wrong in (
                TransitionBatch(rewards=np.zeros(3)),
                TransitionBatch(discounts=np.zeros(3)),
            ):
                with pytest.raises(SamplingError, match=r"out does not fit float64 of shape \(2,"):
                    dataset.sample_transitions(2, n_step=3, out=wrong)


def test_out_of_another_size_is_refused_beside_compressed_images() -> None:
    recorded = record(WITH_IMAGE, VECTOR, [4, 5], 0, cuts=2)
    for assembled in (True, False):
        with stored(recorded, on_disk=True, assembled=assembled) as dataset:
            # One row would be repeated as often as there is room.
            for size, other in ((4, 1), (1, 4)):
                batch = dataset.sample_transitions(size)
                with pytest.raises(SamplingError, match=r"belongs; give a batch of the same size"):
                    dataset.sample_transitions(other, out=batch)
                camera = batch.observations["camera"]
                for mine in (
                    TransitionBatch(observations={"camera": camera, "speed": np.zeros(other)}),
                    TransitionBatch(next_observations={"camera": camera, "speed": np.zeros(other)}),
                ):
                    with pytest.raises(SamplingError, match=rf"shape \({size}, 64, 64\)"):
                        dataset.sample_transitions(other, out=mine)


def test_a_batch_that_was_not_read_says_so() -> None:
    with pytest.raises(SamplingError, match="has not been read"):
        len(TransitionBatch())


def test_random_goals_need_a_generator() -> None:
    from minari_core.sampling import TransitionOptions, TransitionSampler

    with stored(record(VECTOR, VECTOR, [4], 0), on_disk=False) as dataset:
        storage: Any = get_raw_storage(dataset)
        sampler = TransitionSampler(storage, range(1), TransitionOptions(goals="uniform"))
        with pytest.raises(SamplingError, match="uniform goals are random, but no generator"):
            sampler.read([0])
        assert sampler.read([3], np.random.default_rng(0)).goals.shape == (1, 3)


def test_sampling_needs_no_environment_and_leaves_no_open_file() -> None:
    dataset = minari_core.create_dataset_from_buffers(
        "tests/plain-v0",
        [
            {
                "observations": np.zeros(3, np.int64),
                "actions": np.zeros(2, np.int64),
                "rewards": [0.0, 1.0],
                "terminations": [False, True],
                "truncations": [False, False],
            }
        ],
        observation_space=spaces.Discrete(2),
        action_space=spaces.Discrete(2),
        author="somebody",
        author_email="somebody@example.org",
        algorithm_name="none",
        code_permalink="none",
    )
    assert dataset.sample_transitions(8).observations.tolist() == [0] * 8
