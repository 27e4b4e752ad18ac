"""Environments that reset themselves, and those that do not and are stepped on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from minari_collect import DataCollectorV0, StepDataCallback, VectorDataCollector
from minari_collect import create_dataset_from_collector_env as create
from minari_collect.collectors.vector_environment import DISABLED, SAME_STEP
from minari_core.errors import RecordingError
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter, Reusing, run_episode
from tests.collect.helpers.vector_twin import vector_of

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

HAS_MODES = hasattr(gymnasium.vector, "AutoresetMode")
RESETS_LATER = hasattr(gymnasium.wrappers, "Autoreset")
newer = pytest.mark.skipif(not RESETS_LATER, reason="Gymnasium's wrapper resets in the same step")
older = pytest.mark.skipif(RESETS_LATER, reason="Gymnasium's wrapper resets in the next step")
with_modes = pytest.mark.skipif(not HAS_MODES, reason="autoreset modes are newer")

AROUND: dict[str, Callable[[Any], Any]] = {
    "outermost": lambda env: env,
    "inside others": lambda env: gymnasium.Wrapper(gymnasium.Wrapper(env)),
    "inside a time limit": lambda env: gymnasium.wrappers.TimeLimit(env, 1000),
}


def autoreset(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    name = "Autoreset" if RESETS_LATER else "AutoResetWrapper"
    wrapper: Any = getattr(gymnasium.wrappers, name)
    wrapped: gymnasium.Env[Any, Any] = wrapper(env)
    return wrapped


def counts(dataset: Any) -> list[list[float]]:
    return [episode.observations[:, 1].tolist() for episode in dataset]


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 3}, {"max_buffer_episodes": 1}])
@pytest.mark.parametrize("around", AROUND)
def test_an_environment_that_resets_itself_is_recorded_without_its_resets(
    around: str, limits: dict[str, Any]
) -> None:
    env = AROUND[around](autoreset(Counter(3)))
    collector = DataCollectorV0(env, record_infos=True, **limits)
    collector.reset(seed=7)
    for action in range(11 if RESETS_LATER else 9):
        collector.step(action)
    dataset = create("tests/a-v0", collector)

    assert counts(dataset) == [[0, 1, 2, 3]] * 3
    assert [e.actions.tolist() for e in dataset] == (
        [[0, 1, 2], [4, 5, 6], [8, 9, 10]] if RESETS_LATER else [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    )
    assert [e.terminations.tolist() for e in dataset] == [[False, False, True]] * 3
    assert not any(e.truncations.any() for e in dataset)
    assert [e.infos["count"].tolist() for e in dataset] == [[0, 1, 2, 3]] * 3
    assert [e.seed for e in dataset] == [7, None, None]
    assert all(set(e.infos) == {"count"} for e in dataset)


def test_a_callback_sees_resets_as_resets_and_cannot_keep_an_ended_episode_going() -> None:
    seen: list[Any] = []

    class Clearing(StepDataCallback):
        def __call__(self, *arguments: Any, **step: Any) -> dict[str, Any]:
            data = super().__call__(*arguments, **step)
            seen.append(data["action"])
            if data["action"] is not None:
                data["terminated"] = False
            return data

    collector = DataCollectorV0(autoreset(Counter(2)), Clearing)
    collector.reset()
    for action in range(6):
        collector.step(action)
    dataset = create("tests/a-v0", collector)

    assert seen == ([None, 0, 1, None, 3, 4, None] if RESETS_LATER else
                    [None, 0, 1, None, 2, 3, None, 4, 5, None])  # fmt: skip
    assert set(map(tuple, counts(dataset))) == {(0, 1, 2)}
    assert [e.truncations.tolist() for e in dataset] == [[False, True]] * (2 if RESETS_LATER else 3)


@newer
def test_a_wrapper_that_hides_the_end_does_not_hide_the_reset() -> None:
    class Endless(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, reward, _, _, info = self.env.step(action)
            return observation, reward, False, False, info

    collector = DataCollectorV0(Endless(autoreset(Counter(2))))
    collector.reset()
    for action in range(6):
        collector.step(action)

    assert counts(create("tests/a-v0", collector)) == [[0, 1, 2], [0, 1, 2]]


def test_a_checkpoint_between_the_end_and_the_reset_loses_nothing() -> None:
    collector = DataCollectorV0(autoreset(Counter(2)))
    collector.reset()
    for action in range(2):
        collector.step(action)
    dataset = create("tests/a-v0", collector)
    for action in range(3 if RESETS_LATER else 2):
        collector.step(action)
    dataset.update_dataset_from_collector_env(collector)

    assert counts(dataset) == [[0, 1, 2], [0, 1, 2]]


@newer
def test_an_explicit_reset_takes_the_place_of_the_automatic_one() -> None:
    collector = DataCollectorV0(autoreset(Counter(2)))
    run_episode(collector, seed=1)
    run_episode(collector, seed=2)
    dataset = create("tests/a-v0", collector)

    assert [(e.seed, len(e)) for e in dataset] == [(1, 2), (2, 2)]


@newer
def test_a_time_limit_around_an_environment_that_resets_itself_still_needs_a_reset() -> None:
    collector = DataCollectorV0(gymnasium.wrappers.TimeLimit(autoreset(Counter(5)), 2))
    collector.reset()
    for _ in range(2):
        collector.step(0)
    with pytest.raises(RecordingError, match="after the episode had ended"):
        collector.step(0)


@older
def test_a_wrapper_that_would_not_change_last_observations_is_refused() -> None:
    class Doubled(gymnasium.ObservationWrapper[Any, Any, Any]):
        def observation(self, observation: Any) -> Any:
            return observation * 2

    class Noisy(gymnasium.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, *others = self.env.step(action)
            return (observation + 1, *others)

    class Named(gymnasium.Wrapper[Any, Any, Any, Any]):
        name = "keeps what it is given"

    for changing in (Doubled, Noisy):
        name = changing.__name__
        with pytest.raises(
            RecordingError, match=f"{name} is around .*AutoResetWrapper around {name}"
        ):
            DataCollectorV0(Named(changing(autoreset(Counter()))))
        DataCollectorV0(Named(autoreset(changing(Counter()))))
    for keeping in (
        gymnasium.wrappers.RecordEpisodeStatistics,
        gymnasium.wrappers.NormalizeReward,
        lambda env: gymnasium.wrappers.TransformReward(env, float),
        DataCollectorV0,
    ):
        DataCollectorV0(keeping(autoreset(Counter())))


VectorWrapper: Any = getattr(gymnasium.vector, "VectorWrapper", gymnasium.Wrapper)


def test_wrappers_that_may_change_all_but_last_observations_of_vectors_are_named() -> None:
    class Shifting(VectorWrapper):  # type: ignore[misc]  # another class in each Gymnasium
        def step(self, actions: Any) -> Any:
            observations, *others = self.env.step(actions)
            return (observations + 1, *others)

    class Passing(VectorWrapper):  # type: ignore[misc]
        def reset(self, **options: Any) -> Any:
            return self.env.reset(**options)

    with pytest.warns(MinariWarning, match="Shifting is around environments that are reset") as got:
        VectorDataCollector(Shifting(vector_of(lambda: Counter(2), 2, SAME_STEP)))
    (ours,) = [each for each in got if each.category is MinariWarning]
    assert ours.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        VectorDataCollector(Passing(vector_of(lambda: Counter(2), 2, SAME_STEP)))
        if HAS_MODES:
            VectorDataCollector(Shifting(vector_of(lambda: Counter(2), 2, DISABLED)))


@pytest.mark.filterwarnings("ignore:.*autoreset_mode")
def test_wrappers_that_change_all_but_last_observations_of_vectors_are_refused() -> None:
    envs: Any = vector_of(lambda: Counter(2), 2, SAME_STEP)
    if HAS_MODES:
        envs.metadata = {}  # or else Gymnasium refuses it itself
        wrapped: Any = gymnasium.wrappers.vector.TransformObservation(envs, lambda batch: batch + 1)
    else:
        wrapped = gymnasium.wrappers.NormalizeObservation(envs)
    with pytest.raises(RecordingError, match="so they would not be changed like others"):
        VectorDataCollector(wrapped, autoreset_mode=SAME_STEP)


@older
def test_statistics_of_a_reset_within_the_step_are_those_of_the_episode_before() -> None:
    env = gymnasium.wrappers.RecordEpisodeStatistics(autoreset(Counter(2)))
    collector = DataCollectorV0(env, record_infos=True)
    collector.reset()
    for _ in range(4):
        collector.step(0)
    dataset = create("tests/a-v0", collector)

    assert [np.ma.getmaskarray(e.infos["episode"]["r"]).tolist() for e in dataset] == [
        [[True], [True], [False]],
        [[True], [True], [False]],
    ]


@older
def test_an_environment_that_reuses_its_array_is_named_when_it_resets_within_the_step() -> None:
    collector = DataCollectorV0(autoreset(Reusing(2)))
    collector.reset()
    collector.step(0)
    with pytest.warns(MinariWarning, match="last observation of an episode of Reusing"):
        collector.step(0)


def test_stepping_on_after_the_end_is_refused_and_does_not_step_the_environment() -> None:
    env = Counter(2)
    collector = DataCollectorV0(env, max_buffer_episodes=1)
    run_episode(collector, seed=1)
    for _ in range(2):
        with pytest.raises(RecordingError, match=r"terminated or truncated; call env\.reset\(\)"):
            collector.step(0)
    assert env.count == 2
    dataset = create("tests/a-v0", collector)
    with pytest.raises(RecordingError, match=r"call env\.reset\(\)"):
        collector.step(0)
    run_episode(collector, seed=2)
    dataset.update_dataset_from_collector_env(collector)

    assert counts(dataset) == [[0, 1, 2], [0, 1, 2]]


class Cutting(StepDataCallback):
    """Changes the flags of every second step: ends what goes on, or keeps what has ended going."""

    def __init__(self, truncated: bool) -> None:
        self.truncated = truncated
        self.calls = 0

    def __call__(self, *arguments: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*arguments, **step)
        if data["action"] is not None:
            self.calls += 1
            if self.calls % 2 == 0:
                data["terminated"], data["truncated"] = False, self.truncated
        return data


@pytest.mark.parametrize("truncated", [False, True])
def test_where_a_callback_changed_the_flags_stepping_goes_on(truncated: bool) -> None:
    # The environment terminates with its second step and counts on.
    collector = DataCollectorV0(Counter(2), Cutting(truncated))
    collector.reset()
    for _ in range(2):
        collector.step(0)
    collector.step(0)
    with pytest.raises(RecordingError, match="after the episode had ended"):
        collector.step(0)
    dataset = create("tests/a-v0", collector)

    assert counts(dataset) == ([[0, 1, 2], [2, 3]] if truncated else [[0, 1, 2, 3]])


@with_modes
def test_environments_that_do_not_reset_themselves_are_not_stepped_on() -> None:
    envs = VectorDataCollector(vector_of(lambda: Counter(2), 3, DISABLED))
    envs.reset()
    for _ in range(2):
        envs.step(np.zeros(3, np.int64))
    with pytest.raises(RecordingError, match=r"environments \[0, 1, 2\] had ended"):
        envs.step(np.zeros(3, np.int64))
    envs.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(RecordingError, match=r"environments \[1, 2\] had ended"):
        envs.step(np.zeros(3, np.int64))
    envs.reset(options={"reset_mask": np.array([False, True, True])})
    for _ in range(2):
        envs.step(np.zeros(3, np.int64))

    assert counts(create("tests/a-v0", envs)) == [[0, 1, 2]] * 6


def make_counters() -> Any:
    class Counters(gymnasium.vector.VectorEnv[Any, Any, Any]):
        """Counts on after it has terminated, as Gymnasium's own vector environments do not."""

        metadata: Any = {"autoreset_mode": DISABLED}  # noqa: RUF012  # an attribute of Gymnasium's
        num_envs = 2
        single_observation_space = Counter.observation_space
        single_action_space = Counter.action_space

        def reset(self, **_: Any) -> tuple[Any, dict[str, Any]]:
            self.count = 0
            return np.zeros((2, 2)), {}

        def step(self, actions: Any) -> Any:
            self.count += 1
            observations = np.array([[0.0, self.count]] * 2)
            return observations, np.zeros(2), np.array([self.count == 2] * 2), np.zeros(2, bool), {}

    return Counters()


@with_modes
def test_environments_whose_flags_a_callback_changed_are_stepped_on() -> None:
    class Clearing(StepDataCallback):
        def __call__(self, *arguments: Any, **step: Any) -> dict[str, Any]:
            data = super().__call__(*arguments, **step)
            return data if data["action"] is None else {**data, "terminated": False}

    envs = VectorDataCollector(make_counters(), Clearing)
    envs.reset()
    for _ in range(4):
        envs.step(np.zeros(2, np.int64))
    dataset = create("tests/a-v0", envs, eval_env="CartPole-v1")

    assert counts(dataset) == [[0, 1, 2, 3, 4]] * 2


def test_vector_environments_are_not_stepped_before_their_first_reset() -> None:
    stepped: list[Any] = []

    class Noting(Counter):
        def step(self, action: Any) -> Any:
            stepped.append(action)
            return super().step(action)

    envs = VectorDataCollector(gymnasium.vector.SyncVectorEnv([Noting]))
    with pytest.raises(RecordingError, match="before reset"):
        envs.step(np.zeros(1, np.int64))
    assert stepped == []


@pytest.mark.parametrize("with_callback", [False, True])
def test_environments_that_reuse_their_array_are_named_once(with_callback: bool) -> None:
    class Own(StepDataCallback):
        pass

    callback: Any = Own if with_callback else StepDataCallback
    envs = VectorDataCollector(vector_of(lambda: Reusing(2), 2, SAME_STEP), callback)
    envs.reset(seed=[1, 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(8):
            envs.step(np.zeros(2, np.int64))
    (warning,) = caught
    assert "last observation of an episode of Reusing" in str(warning.message)
    assert warning.filename == __file__
    envs.discard()


def test_environments_that_return_fresh_arrays_are_not_warned_of() -> None:
    envs = VectorDataCollector(vector_of(lambda: Counter(2), 2, SAME_STEP))
    envs.reset(seed=[1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(8):
            envs.step(np.zeros(2, np.int64))
    envs.discard()
