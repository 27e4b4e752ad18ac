"""Checks of content: every planted fault is found, and clean data gives no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import CheckReport, EpisodeBuffer, Finding

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
SPACE = spaces.Dict(
    {
        "camera": spaces.Box(0, 255, (16, 16, 3), np.uint8),
        "state": spaces.Box(-100, 100, (4,), np.float32),
    }
)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)
STEPS = 50


def make_episode(number: int) -> EpisodeBuffer:
    """An episode with nothing wrong."""
    rng = np.random.default_rng(number)
    rewards = rng.standard_normal((2, STEPS))
    return EpisodeBuffer(
        observations={
            "camera": rng.integers(0, 255, (STEPS + 1, 16, 16, 3), dtype=np.uint8),
            "state": rng.standard_normal((STEPS + 1, 4)).astype(np.float32),
        },
        actions=rng.uniform(-0.9, 0.9, (STEPS, 2)).astype(np.float32),
        rewards=rewards.sum(axis=0),
        terminations=np.arange(STEPS) == STEPS - 1,
        truncations=np.zeros(STEPS, dtype=bool),
        infos={
            "reward_one": np.concatenate([[0], rewards[0]]),
            "reward_two": np.concatenate([[0], rewards[1]]),
            "episode": {"r": np.concatenate([[0], rewards.sum(axis=0).cumsum()])},
        },
        seed=number,
    )


def create(
    change: Callable[[int, EpisodeBuffer], EpisodeBuffer | None] = lambda number, each: each,
    name: str = "tests/checked-v0",
    first: int = 0,
) -> minari.MinariDataset:
    changed = (change(number, make_episode(first + number)) for number in range(8))
    return minari.create_dataset_from_buffers(
        name,
        [each for each in changed if each is not None],
        observation_space=SPACE,
        action_space=ACTIONS,
    )


def find(report: CheckReport, check: str) -> Finding:
    """The one finding of a check."""
    (finding,) = [each for each in report.findings if each.check == check]
    return finding


def test_data_with_nothing_wrong_gives_no_finding(datasets_root: Path) -> None:
    report = minari.check_dataset(create())

    assert report.findings == ()
    assert report.ok
    assert report.total_episodes == 8
    (reason,) = report.not_checked
    assert "nothing was replayed" in reason


def plant(number: int, wanted: int, episode: EpisodeBuffer, fault: str) -> EpisodeBuffer:
    observations: Any = episode.observations
    infos: Any = episode.infos
    actions = np.array(episode.actions)
    if fault == "constant":
        observations["state"][:, 2] = 7
        return episode
    if fault == "clipped":
        observations["state"][:, 1] = observations["state"][:, 1].clip(-1, 9)
        return episode
    if fault == "duplicated":
        observations["state"][:, 3] = observations["state"][:, 0]
        return episode
    if fault == "same-episode" and number == wanted:
        return replace(make_episode(1), seed=number)
    if fault == "seed-twice" and number == wanted:
        return replace(episode, seed=1)
    if number != wanted:
        return episode
    if fault == "not-finite":
        observations["state"][9, 1] = np.nan
    elif fault == "outside-space":
        actions[3, 1] = 1.5
    elif fault == "reward-parts":
        infos["reward_one"][5] += 1
    elif fault == "recorded-return":
        infos["episode"]["r"][-1] += 1
    elif fault == "no-end":
        return replace(episode, terminations=np.zeros(STEPS, dtype=bool))
    elif fault == "plain-image":
        observations["camera"][4:40] = 3
    return replace(episode, actions=actions)


@pytest.mark.parametrize(
    ("fault", "severity", "column", "element", "examples"),
    [
        ("constant", "note", "observations/state", 2, ()),
        ("clipped", "note", "observations/state", 1, ()),
        ("duplicated", "warning", "observations/state", 0, ()),
        ("not-finite", "warning", "observations/state", None, (6,)),
        ("outside-space", "warning", "actions", None, (6,)),
        ("reward-parts", "warning", "rewards", None, (6,)),
        ("recorded-return", "warning", "rewards", None, (6,)),
        ("no-end", "warning", None, None, (6,)),
        ("same-episode", "warning", None, None, (6,)),
        ("seed-twice", "warning", None, None, (1, 6)),
        ("plain-image", "warning", "observations/camera", None, (6,)),
    ],
)
def test_a_planted_fault_is_found_and_no_other(
    fault: str,
    severity: str,
    column: str | None,
    element: int | None,
    examples: tuple[int, ...],
    datasets_root: Path,
) -> None:
    report = minari.check_dataset(create(lambda number, each: plant(number, 6, each, fault)))

    finding = find(report, fault)
    assert report.findings == (finding,)
    assert (finding.severity, finding.column, finding.element) == (severity, column, element)
    assert finding.examples == examples
    assert finding.episodes == len(examples)
    assert report.ok == (severity == "note")


def test_episodes_of_another_split_are_found(datasets_root: Path) -> None:
    train = create()
    test = create(
        lambda number, each: make_episode(3) if number == 2 else each, "tests/test-v0", first=100
    )

    assert minari.check_dataset(test).findings == ()
    finding = find(minari.check_dataset(test, against=train), "same-episode")
    assert finding.examples == (2,)
    assert "other dataset" in finding.sentence
    assert minari.check_dataset(create(name="tests/own-v0", first=50), against=train).ok


def test_checks_of_blocks_agree_however_episodes_fall_into_them(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(number: int, each: EpisodeBuffer) -> EpisodeBuffer:
        for fault in ("constant", "duplicated", "not-finite", "seed-twice", "plain-image"):
            each = plant(number, 5, each, fault)
        return each

    dataset = create(spoil)
    whole = minari.check_dataset(dataset).findings
    assert len(whole) == 5
    monkeypatch.setattr("minari.checks.blocks._STEPS_A_BLOCK", 1)
    assert minari.check_dataset(dataset).findings == whole


CLEAN: dict[str, dict[str, Any]] = {
    "CartPole": {},
    "MountainCar": {"max_episode_steps": 100},
    "Acrobot": {"max_episode_steps": 100},
    "Pendulum": {"max_episode_steps": 100},
    "MountainCarContinuous": {"max_episode_steps": 100},
    "FrozenLake": {},
    "Taxi": {},
    "CliffWalking": {"max_episode_steps": 100},
    "Blackjack": {},
    "HalfCheetah": {"max_episode_steps": 100},
    "Hopper": {},
    "LunarLander": {},
}


def find_newest(name: str) -> str:
    """The id of the newest version that this Gymnasium has of an environment."""
    versions = [
        spec.version
        for spec in gymnasium.registry.values()
        if spec.namespace is None and spec.name == name and spec.version is not None
    ]
    return f"{name}-v{max(versions)}"


# What is wrong with environments of the oldest Gymnasium, and no alarm that is false.
FAULTS = {
    "Acrobot": "the Acrobot of this Gymnasium needs a numpy before 2",
    "LunarLander": "observations of this Gymnasium's LunarLander leave their space",
}


def record(env_id: str, episodes: int = 12, **arguments: Any) -> minari.MinariDataset:
    try:
        env = gymnasium.make(env_id, **arguments)
    except gymnasium.error.Error as error:
        pytest.skip(f"{env_id} cannot be made here: {error}")
    collector = minari.DataCollectorV0(env, record_infos=True)
    collector.action_space.seed(1)
    for seed in range(episodes):
        collector.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = collector.step(collector.action_space.sample())
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env("tests/clean-v0", collector)
    collector.close()
    return dataset


@pytest.mark.parametrize("name", CLEAN)
def test_clean_data_gives_no_alarm_and_its_replay_is_faithful(
    name: str, datasets_root: Path
) -> None:
    if name in FAULTS and gymnasium.__version__ < "1":
        pytest.skip(FAULTS[name])
    dataset = record(find_newest(name), **CLEAN[name])
    report = minari.check_dataset(dataset, replay_seconds=60)

    assert [str(each) for each in report.findings if each.severity == "warning"] == []
    assert report.not_checked == ()
    assert not any(each.check == "replay" for each in report.findings)


@pytest.fixture
def pendulums(datasets_root: Path) -> list[Any]:
    return list(record("Pendulum-v1", 4, max_episode_steps=60))


def restore(episodes: list[Any], **arguments: Any) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        "tests/again-v0", episodes, env="Pendulum-v1", **arguments
    )


def test_actions_that_are_shifted_by_a_step_are_found_by_replaying(pendulums: list[Any]) -> None:
    shifted = [replace(each, actions=np.roll(each.actions, 1, axis=0)) for each in pendulums]

    finding = find(minari.check_dataset(restore(shifted)), "shifted-actions")

    assert finding.severity == "warning"
    assert finding.examples == (0, 1, 2, 3)


def test_observations_that_a_replay_does_not_reach_are_found(pendulums: list[Any]) -> None:
    offset = (np.arange(61) > 30)[:, None] * np.float32(0.01)
    changed = [replace(each, observations=each.observations + offset) for each in pendulums]

    finding = find(minari.check_dataset(restore(changed)), "replay")

    assert finding.severity == "warning"
    assert "in episode 0 from step 31 on" in finding.sentence


def test_episodes_longer_than_the_environment_allows_are_found(pendulums: list[Any]) -> None:
    long = [
        replace(each, truncations=np.zeros(60, dtype=bool), terminations=np.arange(60) == 59)
        for each in pendulums
    ]
    spec = gymnasium.make("Pendulum-v1", max_episode_steps=59).spec
    dataset = minari.create_dataset_from_buffers("tests/long-v0", long, env=spec)

    assert find(minari.check_dataset(dataset), "too-long").examples == (0, 1, 2, 3)


def test_without_seeds_nothing_is_replayed_and_that_is_said(pendulums: list[Any]) -> None:
    dataset = restore([replace(each, seed=None) for each in pendulums])
    finding = find(minari.check_dataset(dataset), "replay")
    assert (finding.severity, "no episode has a seed" in finding.sentence) == ("note", True)
    assert minari.check_dataset(dataset, replay_seconds=0).findings == ()


def test_an_environment_that_raises_ends_the_replay_and_not_the_checks(
    pendulums: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = restore(pendulums)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no physics today")

    monkeypatch.setattr("gymnasium.envs.classic_control.pendulum.PendulumEnv.step", fail)
    report = minari.check_dataset(dataset)
    assert report.not_checked == ("the replay failed: RuntimeError: no physics today",)


def test_episodes_that_differ_between_their_ends_alone_are_not_the_same() -> None:
    def change(number: int, episode: EpisodeBuffer) -> EpisodeBuffer:
        again = replace(make_episode(1), seed=number)
        assert isinstance(again.observations, dict)
        again.observations["camera"][STEPS // 2] += np.uint8(number)
        return again

    checks = {finding.check for finding in minari.check_dataset(create(change)).findings}
    assert "same-episode" not in checks
