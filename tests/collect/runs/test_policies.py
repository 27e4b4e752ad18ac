"""What a policy does in an episode depends on that episode alone, whoever collects it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import collect_dataset
from minari_collect.workers.policies import VectorPolicyRunner
from minari_core.errors import DataError
from tests.collect.helpers.collect_work import (
    Counting,
    NoisySum,
    NoisySums,
    NoisySumsOfItsOwn,
    SumPolicy,
    by_sign,
    noisy_sums,
    recurrent,
)
from tests.collect.helpers.one_by_one import fingerprint

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is (set to )?None"),
    pytest.mark.skipif(
        not hasattr(gymnasium.vector, "AutoresetMode"), reason="resets by mask are newer"
    ),
]


def test_a_stochastic_policy_with_a_state_gives_the_same_bits_in_any_number_of_workers() -> None:
    """Also in a batch, where it is told by its reset or at its call what begins."""
    policies: list[tuple[Any, int]] = [
        (NoisySum(), 1),
        (NoisySums(), 4),
        (NoisySumsOfItsOwn(), 4),
        (noisy_sums, 4),
    ]
    made = {
        (place, workers): fingerprint(
            collect_dataset(
                f"tests/{workers}-{place}-v0",
                Counting,
                policy,
                total_episodes=40,
                seed=3,
                executor=ThreadPoolExecutor(workers),
                num_envs=num_envs,
            )
        )
        for place, (policy, num_envs) in enumerate(policies)
        for workers in (1, 3)
    }

    assert len(made) == 8
    assert len(set(made.values())) == 1


def test_a_policy_of_stable_baselines3_is_told_which_episodes_start() -> None:
    dataset = collect_dataset(
        "tests/recurrent-v0",
        Counting,
        recurrent,
        total_episodes=9,
        seed=3,
        executor=ThreadPoolExecutor(1),
        num_envs=3,
        episodes_per_task=9,
    )

    for episode in dataset:
        assert episode.actions.tolist() == list(range(1, len(episode) + 1))


def test_a_policy_may_keep_the_mask_and_the_seeds_that_it_is_given() -> None:
    told: list[Any] = []

    def keep(observations: Any, *, mask: Any, seeds: Any) -> Any:
        told.append((mask, seeds))
        return observations

    runner = VectorPolicyRunner(keep, spaces.Discrete(3), 3)
    runner.reset({0: 7, 1: 8, 2: 9})
    runner(np.zeros(3))
    runner(np.zeros(3))
    runner.reset({1: 5})
    runner(np.zeros(3))

    assert [mask.tolist() for mask, _ in told] == [[True] * 3, [False] * 3, [False, True, False]]
    assert [seeds.tolist() for _, seeds in told] == [[7, 8, 9], [7, 8, 9], [7, 5, 9]]


class ResetsAll:
    def reset(self) -> None:
        pass

    def __call__(self, observations: Any) -> Any:
        return observations


class KeepsItsState:
    """Its reset is told what begins, and the state that it gets is still that of before."""

    def reset(self, mask: Any, seeds: Any) -> None:
        pass

    def __call__(self, observations: Any, state: Any) -> Any:
        return observations, state


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (SumPolicy(), "the reset of policy SumPolicy takes no mask"),
        (ResetsAll(), "the reset of policy ResetsAll takes no mask"),
        (lambda observations, state: (observations, state), "<lambda> has a state and takes no m"),
        (KeepsItsState(), "policy KeepsItsState has a state and takes no mask"),
    ],
    ids=["seed alone", "nothing", "a state", "a state beside a reset"],
)
def test_a_policy_of_batches_that_cannot_be_told_which_episodes_begin_is_refused(
    policy: Callable[..., Any], reason: str, datasets_root: Any
) -> None:
    with pytest.raises(DataError, match=rf"{reason}.* leave num_envs at 1"):
        collect_dataset("tests/refused-v0", Counting, policy, total_episodes=3, num_envs=2)
    assert not list(datasets_root.rglob("run-*"))


def test_a_policy_without_a_state_needs_no_mask() -> None:
    assert VectorPolicyRunner(by_sign, spaces.Discrete(2), 2)(np.ones(2)) == 1
