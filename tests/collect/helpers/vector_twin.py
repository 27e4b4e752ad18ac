"""Vector environments beside single ones that are given the same seeds and actions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from minari_collect import DataCollectorV0, VectorDataCollector, create_dataset_from_collector_env
from minari_collect.collectors.vector_environment import DISABLED, NEXT_STEP, select_env_value
from minari_core.datasets.dataset import MinariDataset
from minari_core.episodes.episode import EpisodeData
from tests.collect.helpers.comparing import assert_same

MakeEnv = Callable[[], gymnasium.Env[Any, Any]]


class DictSpaces(gymnasium.Env[Any, Any]):
    """Observations of a Dict, actions of a Tuple; length and flags follow from the seed."""

    observation_space = spaces.Dict(
        {
            "position": spaces.Box(-np.inf, np.inf, (2,), np.float64),
            "inner": spaces.Dict({"count": spaces.Discrete(1000)}),
            "pair": spaces.Tuple((spaces.Discrete(9), spaces.MultiBinary(3))),
        }
    )
    action_space = spaces.Tuple((spaces.Discrete(5), spaces.Box(-1, 1, (2,), np.float32)))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        self.length = int(self.np_random.integers(1, 9))
        return self._observation(), {"length": self.length, "of_reset": "yes"}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        over = self.count >= self.length
        info: dict[str, Any] = {"count": self.count, "nested": {"half": self.count / 2}}
        if self.count % 2:
            info["odd"] = np.array([self.count, 1.5])
        reward = float(action[0]) + float(self.np_random.normal())
        return self._observation(), reward, over and self.length % 2 == 0, over, info

    def _observation(self) -> Any:
        return {
            "position": self.np_random.normal(size=2),
            "inner": {"count": self.count},
            "pair": (self.count % 9, np.array([1, 0, self.count % 2], dtype=np.int8)),
        }


class OneStep(gymnasium.Env[Any, Any]):
    """Terminates and truncates at once, at every step."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.np_random.normal(size=1).astype(np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.np_random.normal(size=1).astype(np.float32), float(action), True, True, {}


class Words(gymnasium.Env[Any, Any]):
    """Observations whose size changes."""

    observation_space = spaces.Dict(
        {
            "word": spaces.Text(6, charset="ab"),
            "list": spaces.Sequence(spaces.Discrete(4)),
        }
    )
    action_space = spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self._observation(), 0.5, self.count == 4, False, {}

    def _observation(self) -> Any:
        count = int(self.np_random.integers(1, 6))
        return {"word": "ab" * (count // 2) + "a", "list": tuple(range(count % 4))}


def registered(env_id: str, **kwargs: Any) -> MakeEnv:
    return lambda: gymnasium.make(env_id, **kwargs)


@dataclass
class Lockstep:
    """Single environments with a collector each, which step together."""

    collectors: list[DataCollectorV0]
    mode: str
    ends: list[list[float]] = field(default_factory=list)
    time: int = 0

    def __post_init__(self) -> None:
        self.over = [False] * len(self.collectors)
        self.going_on = [0] * len(self.collectors)
        self.ends = [[] for _ in self.collectors]

    def reset(
        self, seeds: Sequence[int | None], options: Any, chosen: Sequence[int] | None = None
    ) -> None:
        places = range(len(self.collectors)) if chosen is None else chosen
        for place in places:
            if self.going_on[place]:
                self.ends[place].append(self.time + 0.5)
            self.collectors[place].reset(seed=seeds[place], options=copy.deepcopy(options))
            self.over[place], self.going_on[place] = False, 0

    def step(self, actions: Sequence[Any]) -> None:
        self.time += 1
        for place, (collector, action) in enumerate(zip(self.collectors, actions, strict=True)):
            if self.over[place] and self.mode == NEXT_STEP:
                collector.reset()
                self.over[place] = False
                continue
            _, _, terminated, truncated, _ = collector.step(action)
            self.going_on[place] += 1
            self.over[place] = bool(terminated or truncated)
            if collector._recorder.unfinished is None:
                self.ends[place].append(self.time)
                self.going_on[place] = 0
            if self.over[place] and self.mode not in (NEXT_STEP, DISABLED):
                collector.reset()
                self.over[place] = False

    def episodes(self) -> list[EpisodeData]:
        """The episodes in the order in which they ended."""
        ordered: list[tuple[float, int, EpisodeData]] = []
        for place, collector in enumerate(self.collectors):
            if self.going_on[place]:
                self.ends[place].append(self.time + 0.5)
            if collector.unsaved_episodes == 0:
                continue
            dataset = create_dataset_from_collector_env(f"tests/single{place}-v0", collector)
            assert len(dataset) == len(self.ends[place])
            for end, episode in zip(self.ends[place], dataset, strict=True):
                ordered.append((end, place, episode))
        return [episode for _, _, episode in sorted(ordered, key=lambda entry: entry[:2])]


def vector_of(make: MakeEnv, num_envs: int, mode: str) -> gymnasium.vector.SyncVectorEnv[Any, Any]:
    if hasattr(gymnasium.vector, "AutoresetMode"):
        return gymnasium.vector.SyncVectorEnv([make] * num_envs, autoreset_mode=mode)
    return gymnasium.vector.SyncVectorEnv([make] * num_envs)


def assert_same_episodes(dataset: MinariDataset, wanted: Sequence[EpisodeData]) -> None:
    assert len(dataset) == len(wanted)
    for number, (found, expected) in enumerate(zip(dataset, wanted, strict=True)):
        where = f"episode {number}"
        for part in ("observations", "actions", "rewards", "terminations", "truncations"):
            assert_same(getattr(found, part), getattr(expected, part), f"{where} {part}")
        assert_same(present(found.infos), present(expected.infos), f"{where} infos")
        assert_same(present(found.extras), present(expected.extras), f"{where} extras")
        assert found.seed == expected.seed, where
        assert found.options == expected.options, where
        assert found.metadata == expected.metadata, where


def present(infos: Any) -> dict[str, Any]:
    """Infos without keys that have no value in the episode, and None for each missing value."""
    rows = {key: listed(column) for key, column in infos.items()}
    return {key: values for key, values in rows.items() if any(v is not None for v in values)}


def listed(column: Any) -> list[Any]:
    if isinstance(column, dict):
        parts = {key: listed(part) for key, part in column.items()}
        count = len(next(iter(parts.values()), []))
        rows = [{key: part[row] for key, part in parts.items()} for row in range(count)]
        known = [{key: value for key, value in row.items() if value is not None} for row in rows]
        return [row or None for row in known]
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        return [None if mask[row].all() else np.array(v) for row, v in enumerate(column.data)]
    if isinstance(column, np.ndarray):
        return [np.array(value) for value in column]
    return list(column)


def run(
    make: MakeEnv,
    mode: str,
    steps: int,
    *,
    num_envs: int = 3,
    seeds: Sequence[int] = (5, 17, 3),
    reset_at: Sequence[int] = (),
    cut_at: Sequence[int] = (),
    **arguments: Any,
) -> tuple[MinariDataset, list[EpisodeData]]:
    """Run a vector environment and single ones side by side.

    ``reset_at`` says after which steps all environments are reset, ``cut_at`` after which steps
    the first one alone is.
    """
    envs = VectorDataCollector(vector_of(make, num_envs, mode), **arguments)
    single_arguments = {k: v for k, v in arguments.items() if k != "autoreset_mode"}
    single = Lockstep([DataCollectorV0(make(), **single_arguments) for _ in range(num_envs)], mode)
    envs.action_space.seed(1)
    envs.reset(seed=list(seeds))
    single.reset(list(seeds), None)
    for step in range(steps):
        actions = envs.action_space.sample()
        _, _, terminated, truncated, _ = envs.step(actions)
        single.step(
            [
                select_env_value(envs.single_action_space, actions, place)
                for place in range(num_envs)
            ]
        )
        over = np.logical_or(terminated, truncated)
        if step in reset_at:
            envs.reset(seed=100 * step)
            single.reset([100 * step + place for place in range(num_envs)], None)
        elif step in cut_at or (mode == DISABLED and over.any()):
            mask = over if mode == DISABLED else np.zeros(num_envs, dtype=bool)
            mask[0] |= step in cut_at
            new_seeds = [step + place for place in range(num_envs)]
            envs.reset(seed=new_seeds, options={"reset_mask": mask})
            single.reset(new_seeds, None, np.flatnonzero(mask).tolist())
    dataset = create_dataset_from_collector_env("tests/vector-v0", envs)
    envs.close()
    return dataset, single.episodes()
