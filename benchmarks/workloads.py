"""The data that every contender writes and reads; needs only numpy and Gymnasium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Columns = dict[str, npt.NDArray[Any]]
COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations")

ABOUT: dict[str, Any] = {
    "algorithm_name": "random",
    "author": "benchmark",
    "author_email": "benchmark@example.org",
    "code_permalink": "https://example.org",
    "description": "made by the benchmarks",
}
"""What every dataset says of itself, so that nobody warns about what is missing."""


@dataclass(frozen=True)
class Workload:
    """Episodes of one length."""

    name: str
    episodes: int
    steps: int
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]

    @property
    def raw_nbytes(self) -> int:
        """The size of all columns."""
        return sum(column.nbytes for column in self.columns().values())

    def columns(self) -> Columns:
        """The flat columns of all episodes, the same at each call."""
        generator = np.random.default_rng(1)
        rows, steps = self.episodes * (self.steps + 1), self.episodes * self.steps
        ends = np.zeros((self.episodes, self.steps), dtype=bool)
        ends[:, -1] = True
        return {
            "observations": _values(self.observation_space, rows, generator),
            "actions": _values(self.action_space, steps, generator),
            "rewards": generator.standard_normal(steps),
            "terminations": ends.reshape(-1),
            "truncations": np.zeros(steps, dtype=bool),
        }

    def cut(self, columns: Columns) -> Iterator[Columns]:
        """The columns of each episode, as views."""
        for episode in range(self.episodes):
            yield {
                name: column[slice(*self.bounds(name, episode))] for name, column in columns.items()
            }

    def bounds(self, name: str, episode: int) -> tuple[int, int]:
        """The rows of one column that belong to an episode."""
        size = self.steps + (name == "observations")
        return episode * size, (episode + 1) * size


def _values(
    space: spaces.Space[Any], count: int, generator: np.random.Generator
) -> npt.NDArray[Any]:
    if isinstance(space, spaces.Discrete):
        return generator.integers(space.n, size=count)
    if isinstance(space, spaces.Box) and space.dtype == np.uint8:
        return generator.integers(256, size=(count, *space.shape), dtype=np.uint8)
    if isinstance(space, spaces.Box):
        values = generator.random((count, *space.shape)) * 2 - 1
        return values.astype(space.dtype)
    raise TypeError(f"no values for {space}")


def long_episodes(*, quick: bool) -> Workload:
    """500 episodes of 1000 steps: 17 float64, 6 float32, a reward and two flags a step."""
    return Workload(
        "long",
        40 if quick else 500,
        1000,
        spaces.Box(-np.inf, np.inf, (17,), np.float64),
        spaces.Box(-1, 1, (6,), np.float32),
    )


def short_episodes(*, quick: bool) -> Workload:
    """5000 episodes of 20 steps: 4 float64, a discrete action, a reward and two flags a step."""
    return Workload(
        "short",
        200 if quick else 5000,
        20,
        spaces.Box(-np.inf, np.inf, (4,), np.float64),
        spaces.Discrete(2),
    )


class MovingPictures(gymnasium.Env[npt.NDArray[np.uint8], Any]):
    """An endless episode of 84×84×4 images: a grainy picture that moves on at each step."""

    _PLACES = 4096

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (84, 84, 4), np.uint8)
        self.action_space = spaces.Discrete(2)
        generator = np.random.default_rng(1)
        size = (14, self._PLACES // 6 + 15, 4)
        tiles = generator.integers(256, size=size, dtype=np.uint8)
        picture = tiles.repeat(6, axis=0).repeat(6, axis=1)
        grains = generator.random(picture.shape) < 0.05
        picture[grains] = generator.integers(256, size=int(grains.sum()), dtype=np.uint8)
        self._picture = picture
        self._place = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self._place = 0
        return self._image(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self._place = (self._place + 1) % self._PLACES
        return self._image(), 1.0, False, False, {}

    def _image(self) -> npt.NDArray[np.uint8]:
        return self._picture[:, self._place : self._place + 84].copy()


def run(env: gymnasium.Env[Any, Any], actions: list[Any]) -> None:
    """Step an environment through the actions, with a reset whenever an episode ends."""
    env.reset(seed=1)
    for action in actions:
        result = env.step(action)
        if result[2] or result[3]:
            env.reset()


def actions_for(env: gymnasium.Env[Any, Any], steps: int) -> list[Any]:
    """The same random actions at each call."""
    env.action_space.seed(1)
    return [env.action_space.sample() for _ in range(steps)]


def copy_datasets(small: Path, root: Path, datasets: int) -> None:
    """Make many datasets out of a small one, each with its own id in its ``metadata.json``."""
    text = (small / "data" / "metadata.json").read_text(encoding="utf-8")
    metadata = json.loads(text)
    for number in range(datasets):
        name = f"copy{number:05d}-v0"
        shutil.copytree(small, root / name)
        metadata["dataset_id"] = f"{root.name}/{name}"
        (root / name / "data" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
