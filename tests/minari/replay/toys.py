"""A small environment whose frames tell the step, and which fails in many ways when it renders."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

import minari

NAME = "ReplayToy-v0"
FAULTY_STEP = 5
STEPS = 12


class Toy(gym.Env[npt.NDArray[np.float64], np.int64]):
    """A seeded random walk; while nothing is rendered, as when it is recorded, all is well."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 25}  # noqa: RUF012  # as Gymnasium has it
    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, render_mode: str | None = None, fault: str = "", told: str = "") -> None:
        self.render_mode = render_mode
        self._fault = fault if render_mode is not None else ""
        self._told = told
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float64], dict[str, Any]]:
        super().reset(seed=seed)
        self._step = 0
        self._at = self.np_random.standard_normal(2) + (options or {}).get("offset", 0)
        return self._at.copy(), {}

    def step(
        self, action: np.int64
    ) -> tuple[npt.NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        self._step += 1
        self._at += action + 0.1 * self.np_random.standard_normal(2)
        if self._step > FAULTY_STEP:
            self._fail()
        is_early = self._fault == "end" and self._step > FAULTY_STEP
        return self._at.copy(), 1.0, self._step >= STEPS or is_early, False, {}

    def _fail(self) -> None:
        if self._fault == "raise":
            raise RuntimeError("no physics today")
        if self._fault == "exit":
            raise SystemExit(3)
        if self._fault == "crash":
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if self._fault == "hang":
            Path(self._told).write_text(str(os.getpid()), encoding="utf-8")
            time.sleep(600)
        if self._fault == "random":
            self._at += 1.0
        if self._fault == "rounding":
            self._at *= 1 + 1e-12
        if self._fault == "print":
            print("{not a message", flush=True)  # noqa: T201  # as environments do
            os.write(1, b'{"done": true}\n')

    def render(self) -> Any:
        if self._fault == "blind":
            return None
        height = 25 if self._fault == "grow" and self._step > FAULTY_STEP else 24
        frame = np.zeros((height, 32, 3), dtype=np.uint8)
        frame[self._step] = (self._step, 200, 10 * self._step)
        return frame


@contextmanager
def register() -> Iterator[None]:
    """Register the environment for a while."""
    gym.register(NAME, entry_point=f"{__name__}:Toy")
    try:
        yield
    finally:
        gym.registry.pop(NAME, None)


def record(
    dataset_id: str = "tests/toy-v0", seeds: tuple[int | None, ...] = (3, 4), **arguments: Any
) -> minari.MinariDataset:
    """Record one episode for each seed, with an option of its reset."""
    collector = minari.DataCollectorV0(gym.make(NAME, **arguments))
    for seed in seeds:
        collector.reset(seed=seed, options={"offset": 2})
        for step in range(STEPS):
            collector.step(step % 3)
    dataset = minari.create_dataset_from_collector_env(dataset_id, collector)
    collector.close()
    return dataset


def frame(step: int) -> npt.NDArray[np.uint8]:
    """The frame after some steps."""
    toy = Toy("rgb_array")
    toy._step = step
    return np.asarray(toy.render(), dtype=np.uint8)
