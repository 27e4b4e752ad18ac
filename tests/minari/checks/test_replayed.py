"""Which episodes a check replays, what it says of them, and what a report says of all checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

import minari
from minari import EpisodeBuffer, Finding
from minari.checks.replay import replay_episodes

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
STEPS = 10


class Echo(gym.Env[npt.NDArray[np.float64], np.int64]):
    """An environment that shows the last action, and remembers how it was used."""

    observation_space = spaces.Box(-100, 100, (1,), np.float64)
    action_space = spaces.Discrete(100)

    def __init__(self) -> None:
        self.seeds: list[int | None] = []
        self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
        self.seeds.append(seed)
        return np.zeros(1), {}

    def step(
        self, action: np.int64
    ) -> tuple[npt.NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.array([float(action)]), 0.0, False, False, {}


def create(episodes: Sequence[EpisodeBuffer], **described: Any) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        "tests/echoes-v0",
        list(episodes),
        observation_space=Echo.observation_space,
        action_space=Echo.action_space,
        **described,
    )


def echo(
    seed: int | None, shown: Sequence[float] | None = None, steps: int = STEPS
) -> EpisodeBuffer:
    """An episode of the actions 1, 2, …, and of what they are said to have led to."""
    actions = np.arange(1, steps + 1)
    rows = np.concatenate([[0], actions]) if shown is None else np.array(shown, np.float64)
    return EpisodeBuffer(
        observations=rows.astype(np.float64)[:, None],
        actions=actions,
        rewards=np.zeros(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        seed=seed,
    )


def shift(by: int, until: int = STEPS + 1) -> list[float]:
    """What actions lead to that are taken some steps earlier; from a row on, what none does."""
    rows = [0, *(min(max(row + by, 1), STEPS) for row in range(1, STEPS + 1))]
    return [*rows[:until], *[-50] * (STEPS + 1 - until)]


def test_actions_are_shifted_if_moved_ones_lead_half_an_episode_further(
    datasets_root: Path,
) -> None:
    dataset = create(
        [
            echo(0),
            echo(1, [5, *range(1, STEPS + 1)]),
            echo(2, shift(1, until=9)),
            echo(3, shift(1, until=8)),
            echo(4, shift(-1)),
            echo(None, [50] * (STEPS + 1)),
            echo(6, shift(1)),
        ]
    )

    found = list(replay_episodes(dataset, Echo(), 60))

    assert found == [
        Finding(
            check="shifted-actions",
            severity="warning",
            column="actions",
            sentence="fit their observations when moved by a step, in 3 of 6 replayed episodes",
            episodes=3,
            examples=(2, 4, 6),
        ),
        Finding(
            check="replay",
            severity="warning",
            column="observations",
            sentence="of a replay differ in 2 of 6 replayed episodes; in episode 1 from step 0 on",
            episodes=2,
            examples=(1, 3),
        ),
    ]


def test_some_of_many_episodes_are_replayed_from_the_first_to_the_last(
    datasets_root: Path,
) -> None:
    seeds = [None if number % 5 == 1 else number for number in range(50)]
    env = Echo()

    assert (
        list(
            replay_episodes(create([echo(seed, steps=1, shown=[0, 1]) for seed in seeds]), env, 60)
        )
        == []
    )

    assert len(env.seeds) == 32
    assert env.seeds == sorted({seed for seed in env.seeds if seed is not None})
    assert (env.seeds[0], env.seeds[-1]) == (0, 49)


def test_a_replay_ends_when_its_time_is_over(datasets_root: Path) -> None:
    env = Echo()

    (found,) = replay_episodes(create([echo(0), echo(1)]), env, 1e-9)

    assert (found.check, found.severity) == ("replay", "note")
    assert found.sentence == "nothing was replayed: none ended within 1e-09 seconds"
    assert (env.seeds, env.steps) == ([0], 0)
    (found,) = replay_episodes(minari.load_dataset("tests/echoes-v0")[:0], env, 60)
    assert found.sentence == "nothing was replayed: no episode has a seed"


def test_a_report_has_warnings_first_and_says_how_far_it_is(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari.checks.blocks._STEPS_A_BLOCK", 60)
    lengths = [60, 40, 30, 10]
    episodes = [
        echo(number, np.full(steps + 1, 7).tolist(), steps) for number, steps in enumerate(lengths)
    ]
    episodes[2].terminations = np.zeros(30, bool)
    seen: list[tuple[int, int]] = []

    report = minari.check_dataset(create(episodes), progress=lambda *each: seen.append(each))

    assert seen == [(60, 140), (130, 140), (140, 140)]
    assert [(each.severity, each.check) for each in report.findings] == [
        ("warning", "no-end"),
        ("note", "constant"),
    ]
    assert not report.ok
    assert report.to_json() == {
        "dataset_id": "tests/echoes-v0",
        "ok": False,
        "total_episodes": 4,
        "findings": [each.to_json() for each in report.findings],
        "not_checked": list(report.not_checked),
    }
    view = minari.check_dataset(minari.load_dataset("tests/echoes-v0")[:2])
    assert (view.ok, view.total_episodes) == (True, 2)


def test_what_is_no_dataset_is_refused_before_anything_is_read(datasets_root: Path) -> None:
    dataset = create([echo(0)])
    with pytest.raises(minari.IncompatibleDatasetsError, match="no dataset"):
        minari.check_dataset("tests/echoes-v0")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(minari.IncompatibleDatasetsError, match="no dataset"):
        minari.check_dataset(dataset, against="x")  # type: ignore[arg-type]  # on purpose


def test_a_spec_that_cannot_be_read_ends_no_check(datasets_root: Path) -> None:
    create([echo(0), echo(0)])
    manifest = datasets_root / "tests" / "echoes-v0" / "data" / "metadata.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "env_spec": "{"}))

    report = minari.check_dataset(minari.load_dataset("tests/echoes-v0"))

    assert {each.check for each in report.findings} == {"seed-twice", "same-episode"}
    assert len(report.not_checked) == 1
