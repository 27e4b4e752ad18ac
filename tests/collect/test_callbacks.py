"""What callbacks may do, and what becomes of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import (
    DataCollectorV0,
    EpisodeMetadataCallback,
    StepDataCallback,
    VectorDataCollector,
    create_dataset_from_collector_env,
)
from minari_core.errors import RecordingError
from minari_core.messages import MinariWarning
from tests.collect.helpers.comparing import assert_same
from tests.collect.helpers.environments import Counter, run_episode
from tests.collect.helpers.saving import saved
from tests.collect.helpers.vector_twin import present

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


class WithExtras(StepDataCallback):
    """Adds a nested column, one that is there at every other call, and one of text."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        data = super().__call__(*args, **kwargs)
        obs = data["observation"]
        data["inner"] = {"double": obs * 2, "deeper": {"count": int(obs[1])}}
        data["word"] = f"call {self.calls}"
        if self.calls % 2:
            data["sometimes"] = float(self.calls)
        self.calls += 1
        return data


@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_further_keys_of_a_step_callback_become_columns(max_buffer_steps: int | None) -> None:
    collector = DataCollectorV0(
        Counter(4), step_data_callback=WithExtras, max_buffer_steps=max_buffer_steps
    )
    run_episode(collector, seed=7)
    extras = saved(collector)[0].extras

    assert_same(
        extras,
        {
            "inner": {
                "double": np.array([[14.0, 2.0 * row] for row in range(5)]),
                "deeper": {"count": np.arange(5)},
            },
            "word": [f"call {row}" for row in range(5)],
            "sometimes": np.ma.MaskedArray(
                [0.0, 1.0, 0.0, 3.0, 0.0], mask=[True, False] * 2 + [True]
            ),
        },
    )


@pytest.mark.parametrize("key", ["observation", "action", "reward", "terminated", "truncated"])
def test_a_step_callback_that_leaves_a_key_out_is_told_which(key: str) -> None:
    class Forgetful(StepDataCallback):
        def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            data = super().__call__(*args, **kwargs)
            if data["action"] is not None:
                del data[key]
            return data

    collector = DataCollectorV0(Counter(), step_data_callback=Forgetful())
    collector.reset()
    with pytest.raises(RecordingError, match=f"without '{key}'"):
        collector.step(0)
    with pytest.raises(RecordingError):
        collector.step(0)
    assert collector.unsaved_episodes == 0
    collector.close()


def test_a_step_callback_that_fails_at_reset_ends_the_episode_before_it() -> None:
    class Picky(StepDataCallback):
        fails = False

        def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            if self.fails:
                raise KeyError("no such sensor")
            return super().__call__(*args, **kwargs)

    callback = Picky()
    collector = DataCollectorV0(Counter(9), step_data_callback=callback)
    run_episode(collector, seed=1, steps=3)
    callback.fails = True
    with pytest.raises(KeyError, match="no such sensor"):
        collector.reset(seed=2)
    callback.fails = False
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    run_episode(collector, seed=3, steps=2)
    dataset = saved(collector)

    assert [(len(episode), episode.seed) for episode in dataset] == [(3, 1), (2, 3)]
    assert dataset[0].truncations.tolist() == [False, False, True]


class EveryThird(StepDataCallback):
    """Truncates each third step, and changes what is recorded."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        data = super().__call__(*args, **kwargs)
        obs = data["observation"]
        data["observation"] = obs.astype(np.float32) + 0.5
        if data["action"] is not None:
            data["truncated"] = obs[1] % 3 == 0
            data["reward"] = -data["reward"]
        return data


@pytest.mark.parametrize("max_buffer_steps", [None, 1, 2, 4, 5])
def test_an_episode_that_a_callback_truncates_goes_on_as_the_next_one(
    max_buffer_steps: int | None,
) -> None:
    collector = DataCollectorV0(
        Counter(8),
        step_data_callback=EveryThird,
        max_buffer_steps=max_buffer_steps,
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float32),
    )
    run_episode(collector, seed=1)
    dataset = saved(collector)

    assert [len(episode) for episode in dataset] == [3, 3, 2]
    assert [episode.seed for episode in dataset] == [1, None, None]
    counts = [episode.observations[:, 1].tolist() for episode in dataset]
    assert counts == [[0.5, 1.5, 2.5, 3.5], [3.5, 4.5, 5.5, 6.5], [6.5, 7.5, 8.5]]
    assert [episode.truncations[-1] for episode in dataset] == [True, True, False]
    assert [episode.rewards[0] for episode in dataset] == [-1.0, -4.0, -7.0]
    assert dataset[0].observations.dtype == np.float32


class AllOfIt(EpisodeMetadataCallback):
    """Sums every part, so that a missing row shows."""

    def __call__(self, episode: Any) -> dict[str, Any]:
        assert set(episode) > {"observations", "infos", "seed"}
        inner = [row for row in episode["infos"]["inner"] if row]
        return {
            "observed": episode["observations"][:, 1].sum(),
            "acted": episode["actions"].sum(),
            "earned": np.float32(episode["rewards"].sum()),
            "over": bool(episode["terminations"].any()),
            "inner": sum(row["count"] for row in inner),
            "late": [int(value) for value in episode["infos"].get("late", []) if value is not None],
            "seed": episode["seed"],
            "options": episode["options"],
            "steps": episode["total_steps"],
            "nested": {"list": [1, "two", None], "array": np.arange(3)},
        }


class Informative(Counter):
    """Has a nested info, one that appears late, and one of changing type."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = super().step(action)
        info: dict[str, Any] = {"inner": {"count": self.count}}
        if self.count > 6:
            info["late"] = self.count
        info["mixed"] = self.count if self.count % 4 else f"text {self.count}"
        return observation, reward, terminated, truncated, info


@pytest.mark.parametrize("max_buffer_steps", [None, 1, 3, 4, 7])
@pytest.mark.parametrize("callback", [AllOfIt, AllOfIt()])
def test_a_metadata_callback_sees_all_of_an_episode_that_was_written_in_parts(
    max_buffer_steps: int | None, callback: Any
) -> None:
    collector = DataCollectorV0(
        Informative(10),
        episode_metadata_callback=callback,
        record_infos=True,
        max_buffer_steps=max_buffer_steps,
    )
    collector.reset(seed=5, options={"wind": 3})
    for step in range(10):
        collector.step(step)
    run_episode(collector, seed=6, steps=2)
    dataset = saved(collector)

    first, second = dataset.iterate_episode_metadata()
    assert first.metadata["nested"]["list"] == [1, "two", None]
    assert first.metadata["nested"]["array"].tolist() == [0, 1, 2]
    assert {key: value for key, value in first.metadata.items() if key != "nested"} == {
        "observed": 55.0,
        "acted": 45,
        "earned": 55.0,
        "over": True,
        "inner": 55,
        "late": [7, 8, 9, 10],
        "seed": 5,
        "options": {"wind": 3},
        "steps": 10,
    }
    assert (second["late"], second["steps"], second["seed"]) == ([], 2, 6)
    infos = dataset[0].infos
    assert list(infos["mixed"])[1:] == [
        count if count % 4 else f"text {count}" for count in range(1, 11)
    ]


def plain(value: Any) -> Any:
    """Infos as Python's own values, by whatever they were shown."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return None if value is None else np.asarray(value).tolist()


class Batched(Informative):
    """Has no info of changing type, of which Gymnasium makes no batches."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        *result, info = super().step(action)
        del info["mixed"]
        return (*result, info)


class Seeing(EpisodeMetadataCallback):
    """Keeps all that it is shown of each episode."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}

    def __call__(self, episode: Any) -> dict[str, Any]:
        self.seen[episode["id"]] = dict(episode)
        return {}


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 1}, {"max_buffer_episodes": 2}])
@pytest.mark.parametrize("num_envs", [1, 3])
def test_a_metadata_callback_sees_each_episode_as_it_is_recorded(
    num_envs: int, limits: dict[str, Any]
) -> None:
    callback = Seeing()
    options: Any = {"step_data_callback": WithExtras, "record_infos": True, **limits}
    lengths = [4, 3, 30][:num_envs]
    collector: Any
    if num_envs == 1:
        collector = DataCollectorV0(Batched(4), episode_metadata_callback=callback, **options)
    else:
        # The longest is written in pieces beside the others, where the buffer is small.
        envs = gymnasium.vector.SyncVectorEnv([partial(Batched, length) for length in lengths])
        collector = VectorDataCollector(envs, episode_metadata_callback=callback, **options)
    collector.reset(seed=5, options={"wind": 3})
    for step in range(45):
        action = step if num_envs == 1 else np.arange(num_envs) + step
        *_, terminated, _, _ = collector.step(action)
        if num_envs == 1 and terminated:
            collector.reset()
    dataset = saved(collector)

    assert len(dataset) > 10
    assert sorted(callback.seen) == list(range(len(dataset)))
    for number, episode in enumerate(dataset):
        seen = callback.seen[number]
        for group in ("observations", "actions", "rewards", "terminations", "truncations"):
            assert_same(seen[group], getattr(episode, group), group)
        for group in ("infos", "extras"):
            shown = present(getattr(episode, group))
            assert plain(present(seen[group])) == plain(shown), group
        assert (seen["seed"], seen["options"]) == (episode.seed, episode.options)
        assert seen["total_steps"] == len(episode)


@pytest.mark.parametrize("max_buffer_steps", [None, 4])
def test_a_metadata_callback_that_fails_loses_nothing(
    max_buffer_steps: int | None, datasets_root: Path
) -> None:
    class Failing(EpisodeMetadataCallback):
        fails = True

        def __call__(self, episode: Any) -> dict[str, Any]:
            if self.fails:
                raise ZeroDivisionError("no reward")
            return {"steps": episode["total_steps"]}

    callback = Failing()
    collector = DataCollectorV0(
        Counter(3), episode_metadata_callback=callback, max_buffer_steps=max_buffer_steps
    )
    run_episode(collector, seed=1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            create_dataset_from_collector_env("tests/callbacks-v0", collector)
        assert not (datasets_root / "tests").exists()
    assert collector.unsaved_episodes == 1
    callback.fails = False
    run_episode(collector, seed=2)
    dataset = saved(collector)

    assert [episode.metadata for episode in dataset] == [{"steps": 3}, {"steps": 3}]
    assert [episode.seed for episode in dataset] == [1, 2]


def test_a_metadata_callback_that_fails_within_an_episode_ends_it_and_loses_nothing() -> None:
    class FailsOnce(EpisodeMetadataCallback):
        calls = 0

        def __call__(self, episode: Any) -> dict[str, Any]:
            self.calls += 1
            if self.calls == 1:
                raise ZeroDivisionError
            return super().__call__(episode)

    collector = DataCollectorV0(
        Counter(3), episode_metadata_callback=FailsOnce(), max_buffer_steps=4
    )
    run_episode(collector, seed=1)
    with pytest.raises(ZeroDivisionError):
        run_episode(collector, seed=2)
    run_episode(collector, seed=3)
    dataset = saved(collector)

    seeds = [episode.seed for episode in dataset]
    assert seeds in ([1, 2, 3], [1, 3])
    assert [len(episode) for episode in dataset if episode.seed != 2] == [3, 3]


def test_metadata_that_no_column_holds_is_left_out_with_a_warning() -> None:
    class Odd(EpisodeMetadataCallback):
        def __call__(self, episode: Any) -> dict[str, Any]:
            return {"good": 1, "bad": object()}

    collector = DataCollectorV0(Counter(), episode_metadata_callback=Odd)
    run_episode(collector, seed=1)
    with pytest.warns(MinariWarning, match=r"metadata\['bad'\]"):
        dataset = saved(collector)

    assert dataset[0].metadata == {"good": 1}


def test_a_metadata_callback_that_asks_for_what_no_episode_has_is_told_so() -> None:
    seen: list[Any] = []

    class Asking(EpisodeMetadataCallback):
        def __call__(self, episode: Any) -> dict[str, Any]:
            with pytest.raises(KeyError, match="wind"):
                episode["wind"]
            seen.append((len(episode), set(episode), "wind" in episode, episode.get("wind", 3)))
            return {}

    collector = DataCollectorV0(Counter(), episode_metadata_callback=Asking)
    run_episode(collector, seed=1)
    saved(collector)
    keys = {"observations", "actions", "rewards", "terminations", "truncations", "infos"}
    assert seen == [(11, keys | {"extras", "id", "seed", "options", "total_steps"}, False, 3)]


def test_metadata_that_is_none_is_the_same_as_no_metadata() -> None:
    class Sometimes(EpisodeMetadataCallback):
        def __call__(self, episode: Any) -> dict[str, Any]:
            score = None if episode["seed"] == 1 else 0.5
            return {"score": score, "deep": {"score": score, "seed": episode["seed"]}}

    collector = DataCollectorV0(Counter(), episode_metadata_callback=Sometimes)
    for seed in (1, 2):
        run_episode(collector, seed=seed)

    assert [episode.metadata for episode in saved(collector)] == [
        {"deep": {"seed": 1}},
        {"score": 0.5, "deep": {"score": 0.5, "seed": 2}},
    ]


class Rewarded(Counter):
    """Gives these rewards, whatever happens."""

    def __init__(self, rewards: list[float]) -> None:
        super().__init__(len(rewards))
        self.rewards = rewards

    def step(self, action: Any) -> Any:
        observation, _, *others = super().step(action)
        return observation, self.rewards[self.count - 1], *others


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize(
    "rewards", [[np.inf, -np.inf, 1.0], [np.inf, 1.0, 1.0], [1e308, 1e308, 1.0], [np.nan] * 3]
)
def test_statistics_of_rewards_that_are_not_finite_are_no_mistake(
    num_envs: int, rewards: list[float]
) -> None:
    collector: Any = DataCollectorV0(Rewarded(rewards))
    actions: Any = 0
    if num_envs > 1:
        envs = gymnasium.vector.SyncVectorEnv([lambda: Rewarded(rewards)] * num_envs)
        collector, actions = VectorDataCollector(envs), np.zeros(num_envs, np.int64)
    collector.reset()
    for _ in rewards:
        collector.step(actions)
    metadata = saved(collector)[0].metadata

    assert metadata["rewards_max"] == max(rewards) or np.isnan(rewards[0])
    assert not np.isfinite(metadata["rewards_sum"])
    assert np.isnan(metadata["rewards_std"]) or rewards[0] == 1e308
