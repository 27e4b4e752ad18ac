"""A policy is scored by whole episodes, the same ones for any number of environments."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from minari_collect import DataCollectorV0, create_dataset_from_collector_env, evaluate
from minari_collect.workers.messages import derive_seeds
from minari_core import MinariDataset
from minari_core.errors import (
    DataError,
    DatasetExistsError,
    DatasetIdError,
    EnvironmentNotRecoverableError,
    RecordingError,
    UntrustedEnvironmentError,
)
from tests.collect.helpers.collect_work import Counting, NoisySum, NoisySums, noisy_sums
from tests.collect.helpers.one_by_one import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def push_right(_observation: Any) -> int:
    return 1


def record_cart_poles(dataset_name: str, env: Any = "CartPole-v1", **details: Any) -> MinariDataset:
    collector = DataCollectorV0(gymnasium.make(env))
    collector.reset(seed=1)
    collector.step(1)
    dataset = create_dataset_from_collector_env(dataset_name, collector, **details)
    collector.close()
    return dataset


def test_returns_are_those_of_episodes_run_by_hand() -> None:
    evaluation = evaluate(push_right, "CartPole-v1", 4, seeds=7)

    env = gymnasium.make("CartPole-v1")
    for episode in range(4):
        seed = derive_seeds(7, episode)[0]
        env.reset(seed=seed)
        total, steps, over = 0.0, 0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(1)
            total, steps, over = total + float(reward), steps + 1, terminated or truncated
        assert evaluation.seeds[episode] == seed
        assert evaluation.returns[episode] == total
        assert evaluation.lengths[episode] == steps
    assert evaluation.mean_return == evaluation.returns.mean()
    assert (evaluation.normalized_scores, evaluation.normalized_score) == (None, None)
    assert evaluation.normalized_score_standard_error is None
    assert evaluation.dataset is None


def test_results_and_kept_episodes_are_the_same_for_any_number_of_environments() -> None:
    """Of random actions, and of policies with a state, told of what begins by reset or call."""
    runs: list[list[tuple[Any, int]]] = [
        [(None, 1), (None, 2), (None, 5), (None, 20)],
        [(NoisySum(), 1), (NoisySums(), 3), (noisy_sums, 4), (NoisySums(), 11)],
    ]
    for place, policies in enumerate(runs):
        found = [
            evaluate(
                policy,
                Counting,
                11,
                seeds=3,
                num_envs=num_envs,
                dataset_name=f"tests/{place}-{num_envs}-v0",
            )
            for policy, num_envs in policies
        ]

        assert len({tuple(each.returns) for each in found}) == 1
        assert len({tuple(each.lengths) for each in found}) == 1
        assert len({fingerprint(each.dataset) for each in found if each.dataset is not None}) == 1
        assert len(set(found[0].lengths)) > 1


def test_an_environment_of_nested_spaces_is_stepped_in_batches() -> None:
    class Nested(Counting):
        observation_space = spaces.Dict(  # type: ignore[assignment]  # another kind of space
            {"at": spaces.Box(-1, 1, (2,)), "pair": spaces.Tuple([spaces.Discrete(9)] * 2)}
        )
        action_space = spaces.Dict(  # type: ignore[assignment]  # another kind of space
            {"move": spaces.Box(-1, 1, (2,)), "choice": spaces.Discrete(3)}
        )

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            assert self.action_space.contains(action)
            result = super().step(action["choice"])
            return result[0], float(action["move"].sum()), *result[2:]

        def _observation(self) -> Any:
            at = self.np_random.uniform(-1, 1, 2).astype(np.float32)
            return {"at": at, "pair": (self.count % 9, 0)}

    alone = evaluate(None, Nested, 5, seeds=1)
    together = evaluate(None, Nested, 5, seeds=1, num_envs=3)

    assert np.array_equal(alone.returns, together.returns)


def test_the_recorded_seeds_repeat_an_evaluation() -> None:
    first = evaluate(NoisySum(), Counting, 6)
    again = evaluate(NoisySum(), Counting, seeds=first.seeds)
    part = evaluate(NoisySum(), Counting, seeds=first.seeds[2:4].tolist())

    assert len(set(first.seeds.tolist())) == 6
    assert np.array_equal(first.returns, again.returns)
    assert np.array_equal(first.returns[2:4], part.returns)


def test_scores_are_normalized_by_the_dataset_and_have_the_error_of_their_mean() -> None:
    dataset = record_cart_poles("tests/scored-v0", ref_min_score=5.0, ref_max_score=10.0)

    evaluation = evaluate(push_right, dataset, 3, seeds=1)

    assert evaluation.normalized_scores is not None
    first, second, third = scores = [(total - 5) / 5 for total in evaluation.returns.tolist()]
    mean = sum(scores) / 3
    spread = (first - mean) ** 2 + (second - mean) ** 2 + (third - mean) ** 2
    assert spread > 0
    assert evaluation.normalized_scores.tolist() == scores
    assert evaluation.normalized_score == pytest.approx(mean)
    error = math.sqrt(spread / 2) / math.sqrt(3)
    assert evaluation.normalized_score_standard_error == pytest.approx(error)
    assert evaluation.return_standard_error == pytest.approx(5 * error)


def test_one_episode_has_no_standard_error() -> None:
    evaluation = evaluate(push_right, "CartPole-v1", 1, seeds=1)

    assert math.isnan(evaluation.return_standard_error)


@pytest.mark.parametrize("scores", [{}, {"ref_min_score": 2.0, "ref_max_score": 2.0}])
def test_without_reference_scores_that_differ_nothing_is_normalized(scores: Any) -> None:
    dataset = record_cart_poles("tests/unscored-v0", **scores)

    evaluation = evaluate(push_right, dataset, 1, seeds=1)

    assert evaluation.normalized_score is None


def test_a_dataset_is_evaluated_in_the_environment_that_it_names_for_that() -> None:
    dataset = record_cart_poles(
        "tests/evaluated-v0", eval_env=gymnasium.make("CartPole-v1", max_episode_steps=3)
    )

    assert evaluate(None, dataset, 4, seeds=1, num_envs=2).lengths.tolist() == [3] * 4
    shorter = evaluate(None, dataset, 2, seeds=1, env_kwargs={"max_episode_steps": 2})
    assert shorter.lengths.tolist() == [2, 2]


def test_code_that_only_a_dataset_names_is_run_only_if_it_is_trusted() -> None:
    spec = EnvSpec("Counting-v0", entry_point="tests.collect.helpers.collect_work:Counting")
    dataset = record_cart_poles("tests/untrusted-v0", spec)
    disguised = record_cart_poles(
        "tests/disguised-v0",
        eval_env=EnvSpec("CartPole-v1", entry_point="tests.collect.helpers.collect_work:Counting"),
    )

    with pytest.raises(EnvironmentNotRecoverableError):
        evaluate(None, dataset, 2, seeds=1)
    with pytest.raises(UntrustedEnvironmentError):
        evaluate(None, disguised, 2, seeds=1)
    trusted = evaluate(None, dataset, 2, seeds=1, env_kwargs={"trust_entry_point": True})
    assert np.array_equal(trusted.returns, evaluate(None, Counting, 2, seeds=1).returns)


def test_episodes_are_kept_as_a_dataset_in_the_order_of_their_seeds() -> None:
    evaluation = evaluate(
        push_right,
        "CartPole-v1",
        5,
        seeds=2,
        dataset_name="tests/kept-v0",
        algorithm_name="to the right",
    )

    dataset = evaluation.dataset
    assert dataset is not None
    assert dataset.metadata["algorithm_name"] == "to the right"
    assert dataset.env_spec is not None
    assert dataset.env_spec.id == "CartPole-v1"
    assert [episode.seed for episode in dataset] == evaluation.seeds.tolist()
    assert [episode.rewards.sum() for episode in dataset] == evaluation.returns.tolist()
    assert [len(episode) for episode in dataset] == evaluation.lengths.tolist()


def test_an_environment_that_is_given_is_left_open_and_others_are_closed() -> None:
    closed: list[Any] = []

    class Closing(Counting):
        def close(self) -> None:
            closed.append(self)

    given = Closing()
    kept = evaluate(None, given, 2, seeds=1, dataset_name="tests/open-v0")
    assert closed == []
    made = evaluate(None, Closing, 2, seeds=1, num_envs=2)
    assert len(closed) == 2
    assert np.array_equal(kept.returns, made.returns)


def test_after_an_error_of_the_environment_nothing_is_left(tmp_path: Path) -> None:
    closed: list[Any] = []

    class Failing(Counting):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            if self.count == 2:
                raise ZeroDivisionError("a motor is stuck")
            return super().step(action)

        def close(self) -> None:
            closed.append(self)

    with pytest.raises(ZeroDivisionError, match="a motor is stuck"):
        evaluate(None, Failing, 4, num_envs=2, dataset_name="tests/failed-v0")

    assert len(closed) == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert evaluate(None, Counting, 1, dataset_name="tests/failed-v0").dataset is not None


def test_a_reward_that_is_no_number_is_refused() -> None:
    class TwoGoals(Counting):
        def step(self, action: Any) -> Any:
            return super().step(action)[0], np.zeros(2), False, False, {}

    with pytest.raises(DataError, match="a return is a sum of numbers"):
        evaluate(None, TwoGoals, 1)


def needs_mask(observations: Any, state: Any) -> Any:
    return observations, state


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"episodes": None}, DataError, "give episodes"),
        ({"episodes": 0}, DataError, "episodes is 0"),
        ({"seeds": [1, 2, 3]}, DataError, "3 seeds for 2 episodes"),
        ({"seeds": [], "episodes": None}, DataError, "seeds has none"),
        ({"seeds": [1, 2**63]}, DataError, "one above"),
        ({"seeds": [1, -1]}, DataError, r"seeds\[1\] is -1"),
        ({"seeds": "12"}, DataError, "seeds is '12'"),
        ({"seeds": 0.5}, DataError, "seeds is 0.5"),
        ({"num_envs": 0}, DataError, "num_envs is 0"),
        ({"policy": 3}, DataError, "policy is 3"),
        ({"policy": needs_mask, "num_envs": 2}, DataError, "takes no mask"),
        ({"env": 3}, DataError, "env is 3; give a dataset"),
        ({"env": Counting(), "num_envs": 2}, DataError, "made already"),
        ({"env": Counting(), "env_kwargs": {"a": 1}}, DataError, "made already"),
        ({"env": "NoSuchEnvironment-v0"}, RecordingError, "cannot be made.*nothing was run"),
        ({"author": "me"}, DataError, "author describe a dataset that is kept"),
        ({"dataset_name": "no version"}, DatasetIdError, "no version"),
        ({"dataset_name": "tests/taken-v0"}, DatasetExistsError, "taken"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_a_step(
    arguments: dict[str, Any], error: type[Exception], reason: str
) -> None:
    record_cart_poles("tests/taken-v0")
    acted: list[Any] = []
    chosen: dict[str, Any] = {"policy": acted.append, "env": Counting, "episodes": 2, **arguments}
    run: Callable[..., Any] = evaluate

    with pytest.raises(error, match=reason):
        run(**chosen)
    assert acted == []
