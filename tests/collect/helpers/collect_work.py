"""Environments and policies that worker processes import."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from minari_collect import StepDataCallback
from tests.collect.helpers.vector_twin import DictSpaces


class Counting(gymnasium.Env[Any, Any]):
    """Its length and its values follow from the seed of its reset."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = spaces.Discrete(100)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.seed = seed
        self.count = 0
        self.length = int(self.np_random.integers(3, 30))
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self._observation(), float(action), self.count >= self.length, False, {}

    def _observation(self) -> Any:
        return self.np_random.normal(size=3)


class Brief(Counting):
    """Its episodes have one to three steps."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        first = super().reset(seed=seed, options=options)
        self.length = 1 + self.length % 3
        return first


class Troubled(Counting):
    """Goes wrong at the seeds of some episodes, a number of times each.

    What has happened is counted in files, for all processes together.
    """

    def __init__(self, kind: str, times: int, seeds: list[int], marks: str) -> None:
        self.trouble = (kind, times, seeds, Path(marks))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        result = super().step(action)
        kind, times, seeds, marks = self.trouble
        is_troubled = self.count == 2 and self.seed in seeds
        if is_troubled and len(list(marks.glob(f"{self.seed}-*"))) < times:
            (marks / f"{self.seed}-{time.monotonic_ns()}").touch()
            go_wrong(kind)
        return result


def go_wrong(kind: str) -> None:
    if kind == "kill":
        os.kill(os.getpid(), 9)  # SIGKILL, of which Windows has no name
    elif kind == "raise":
        raise RuntimeError("the environment broke")
    elif kind == "exit":
        sys.exit("the environment wants to exit")
    elif kind == "hang":
        while True:
            time.sleep(0.01)
    elif kind == "freeze":
        time.sleep(3600)


class Slow(Counting):
    """Takes its time with each step."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(0.004)
        return super().step(action)


class Asleep(Counting):
    """Names its process in a folder, and does not come back from its first step."""

    def __init__(self, marks: str) -> None:
        (Path(marks) / f"{os.getpid()}.pid").touch()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(3600)
        return super().step(action)


def dict_spaces() -> DictSpaces:
    return DictSpaces()


class SumPolicy:
    """Acts by what it has seen since the episode began, and by its seed."""

    def __init__(self) -> None:
        self.bonus = 0

    def reset(self, seed: int) -> None:
        self.bonus = seed % 7

    def __call__(self, observation: Any, state: float | None) -> tuple[int, float]:
        total = (state or 0.0) + float(np.sum(observation))
        return (int(abs(total) * 10) + self.bonus) % 100, total


def by_sign(observation: Any) -> int:
    return int(observation[0] > 0)


def by_signs(observations: Any) -> Any:
    return (observations[:, 0] > 0).astype(np.int64)


def fill_the_disk_once(marks: str) -> Counting:
    """An environment in a worker that can write no file, if it is the first one of all."""
    if is_first(Path(marks) / "full"):
        limit_files()
    return Counting()


def fill_the_disk_of_a_worker(marks: str) -> Counting:
    """The same, where a function is called before the run to look at the spaces."""
    is_worker = multiprocessing.parent_process() is not None
    return fill_the_disk_once(marks) if is_worker else Counting()


def limit_files() -> None:
    """Let this process write no file of any size."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))


def is_first(mark: Path) -> bool:
    """Whether no process has asked for this mark before."""
    try:
        mark.mkdir()
    except FileExistsError:
        return False
    (mark / "pid").write_text(str(os.getpid()))
    return True


class Shelf:
    """A remote in memory, which refuses once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.calls = 0

    def create(self, name: str, content: bytes, metadata: Any) -> None:
        self.calls += 1
        if self.calls == 2:
            raise ConnectionError("try again")
        assert name not in self.objects
        self.objects[name] = content

    def read(self, name: str, start: int, stop: int) -> bytes:
        return self.objects[name][start : min(stop, start + 1000)]


_shelf = Shelf()


def open_shelf() -> Shelf:
    """The shelf of this process."""
    return _shelf


class NoisySum:
    """Acts by noise of its own, and by what it has seen since the episode began."""

    def __init__(self) -> None:
        self.noise = np.random.default_rng(0)
        self.calls = 0

    def reset(self, seed: int) -> None:
        self.noise = np.random.default_rng(seed)
        self.calls = 0

    def __call__(self, observation: Any, state: float | None) -> tuple[int, float]:
        self.calls += 1
        total = (state or 0.0) + float(np.sum(observation))
        drawn = int(self.noise.integers(30)) + self.calls
        return (int(abs(total) * 10) + drawn) % 100, total


class NoisySums:
    """The same for batches, told by its reset which seeds episodes have, and when they begin."""

    def __init__(self) -> None:
        self.singles: dict[int, NoisySum] = {}

    def reset(self, mask: Any, seeds: Any) -> None:
        for env in np.flatnonzero(mask).tolist():
            self.singles.setdefault(env, NoisySum()).reset(int(seeds[env]))

    def __call__(self, observations: Any, state: Any, mask: Any) -> tuple[Any, Any]:
        before = np.zeros(len(observations)) if state is None else np.where(mask, 0, state)
        pairs = [self.singles[i](observations[i], before[i]) for i in range(len(observations))]
        return np.array([action for action, _ in pairs]), np.array([total for _, total in pairs])


class NoisySumsOfItsOwn(NoisySums):
    """The same with a state that the policy keeps itself, so that its reset alone is told."""

    def reset(self, mask: Any, seeds: Any) -> None:
        super().reset(mask, seeds)
        self.totals = np.where(mask, 0.0, getattr(self, "totals", 0.0))

    def __call__(self, observations: Any) -> Any:  # type: ignore[override]  # has no state
        actions, self.totals = super().__call__(observations, self.totals, np.zeros(1, bool))
        return actions


def noisy_sums(observations: Any, state: Any, *, mask: Any, seeds: Any) -> tuple[Any, Any]:
    """The same as a function, told at each call which episodes begin."""
    singles = state or {}
    for env in np.flatnonzero(mask).tolist():
        singles[env] = (NoisySum(), 0.0)
        singles[env][0].reset(int(seeds[env]))
    actions = []
    for env, (policy, total) in sorted(singles.items()):
        action, total = policy(observations[env], total)
        singles[env] = (policy, total)
        actions.append(action)
    return np.array(actions), singles


def recurrent(observations: Any, state: Any = None, episode_start: Any = None) -> tuple[Any, Any]:
    """A policy with a state, in the signature of stable-baselines3."""
    counts = np.zeros(len(observations), int) if state is None else state
    counts = np.where(episode_start, 0, counts) + 1
    return counts % 100, counts


class AfterOutputs(Counting):
    """The episode of one seed goes on until something else was handed in, or for too long."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self, folder: str, seed: int) -> None:
        self.folder, self.waits_at = Path(folder), seed

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        if self.seed != self.waits_at:
            return self._observation(), 0.0, self.count >= 3, False, {}
        time.sleep(0.002)
        seen = any(self.folder.glob("episodes-*"))
        # Steps go on a while, so that what was handed in is not all that there is.
        over = self.count >= 3000 or (seen and self.count % 40 == 0)
        return self._observation(), float(seen), over, False, {}

    def _observation(self) -> Any:
        return np.array([float(self.seed or 0) + self.count / 4096])


class OwnEnds(StepDataCallback):
    """Ends some episodes early, and leaves the end of others to the reset."""

    def __call__(self, env: gymnasium.Env[Any, Any], *given: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(env, *given, **step)
        counting: Any = env.unwrapped
        if step.get("action") is not None:
            data["terminated"] = counting.seed % 3 == 0 and counting.count == 2
            data["truncated"] = counting.seed % 3 == 1 and step["terminated"]
        return data
