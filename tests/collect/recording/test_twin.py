"""The collector against a slow, obvious twin that keeps lists of copies."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minari_collect import DataCollectorV0, create_dataset_from_collector_env
from minari_collect.callbacks import EpisodeMetadataCallback, StepDataCallback
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.local import load_dataset
from minari_core.errors import RecordingError
from tests.collect.helpers.comparing import assert_same, stacked
from tests.collect.helpers.environments import TWO, VECTOR, Moment, Scripted

_numbers = itertools.count()

SPACES: list[spaces.Space[Any]] = [
    VECTOR,
    spaces.Dict({"a": spaces.Discrete(5), "b/c": spaces.Box(0, 255, (2, 2), np.uint8)}),
    spaces.Tuple((spaces.Discrete(9), spaces.Text(4), spaces.MultiBinary(3))),
    spaces.Text(5),
    spaces.Sequence(spaces.Box(-1, 1, (2,), np.float32)),
]


@dataclass
class TwinEpisode:
    observations: list[Any]
    infos: list[dict[str, Any]]
    seed: int | None = None
    options: dict[str, Any] | None = None
    actions: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminations: list[bool] = field(default_factory=list)
    truncations: list[bool] = field(default_factory=list)


class Twin:
    """Records as the collector should, in the simplest way."""

    def __init__(self) -> None:
        self.saved: list[TwinEpisode] = []
        self.finished: list[TwinEpisode] = []
        self.going_on: TwinEpisode | None = None
        self.last: TwinEpisode | None = None
        self.is_over = False

    def reset(self, moment: Moment, seed: int | None, options: dict[str, Any] | None) -> None:
        self.end()
        self.is_over = False
        self.going_on = TwinEpisode(
            [copy.deepcopy(moment.observation)], [copy.deepcopy(moment.info)], seed, options
        )

    def step(self, action: Any, moment: Moment) -> None:
        if self.going_on is None:
            assert self.last is not None
            self.going_on = TwinEpisode(self.last.observations[-1:], self.last.infos[-1:])
        episode = self.going_on
        episode.observations.append(copy.deepcopy(moment.observation))
        episode.infos.append(copy.deepcopy(moment.info))
        episode.actions.append(copy.deepcopy(action))
        episode.rewards.append(float(moment.reward))
        episode.terminations.append(bool(moment.terminated))
        episode.truncations.append(bool(moment.truncated))
        if moment.terminated or moment.truncated:
            self._finish()

    def end(self) -> None:
        if self.going_on is not None and self.going_on.actions:
            self.going_on.truncations[-1] = True
            self._finish()

    def checkpoint(self) -> None:
        self.end()
        self.saved += self.finished
        self.finished = []

    def _finish(self) -> None:
        assert self.going_on is not None
        self.finished.append(self.going_on)
        self.last, self.going_on = self.going_on, None


def shown_infos(rows: list[dict[str, Any]], known: list[dict[str, Any]]) -> dict[str, Any]:
    """What an episode shows of its infos, given the infos of the whole dataset."""
    shown: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in known for key in row):
        examples = [row[key] for row in known if key in row]
        values = [row.get(key) for row in rows]
        if isinstance(examples[0], dict):
            shown[key] = shown_infos([value or {} for value in values], examples)
        elif isinstance(examples[0], str) or key == "ragged":
            shown[key] = values
        else:
            filler = np.zeros_like(examples[0])
            array = np.array([filler if value is None else value for value in values])
            absent = np.array([value is None for value in values])
            if absent.any():
                mask = np.broadcast_to(absent.reshape(-1, *[1] * filler.ndim), array.shape)
                shown[key] = np.ma.MaskedArray(array, mask=mask)
            else:
                shown[key] = array
    return shown


class Cuts(StepDataCallback):
    """Sets the flags of a step, whatever the environment returned."""

    flags: tuple[bool, bool] | None = None

    def __call__(self, *arguments: Any, **step: Any) -> dict[str, Any]:
        data = super().__call__(*arguments, **step)
        if self.flags is not None:
            data["terminated"], data["truncated"] = self.flags
        return data


class Recount(EpisodeMetadataCallback):
    """Looks at all of an episode."""

    def __call__(self, episode: Any) -> dict[str, Any]:
        infos = episode["infos"]
        return {
            **super().__call__(episode),
            "steps": episode["total_steps"],
            "actions": len(episode["actions"]),
            "flags": int(episode["terminations"].sum() + 2 * episode["truncations"].sum()),
            "f": sum(float(value) for value in infos.get("f", []) if value is not None),
            "inner": sum(int(v["n"]) for v in infos.get("inner", []) if v and "n" in v),
        }


def assert_equals_twin(dataset: MinariDataset, twin: Twin, record_infos: bool) -> None:
    known = [row for episode in twin.saved for row in episode.infos] if record_infos else []
    assert len(dataset) == len(twin.saved)
    assert dataset.total_steps == sum(len(episode.actions) for episode in twin.saved)
    space = dataset.observation_space
    for found, wanted in zip(dataset, twin.saved, strict=True):
        assert_same(found.observations, stacked(space, wanted.observations), "observations")
        assert_same(found.actions, stacked(TWO, wanted.actions), "actions")
        assert_same(found.rewards, np.array(wanted.rewards), "rewards")
        assert_same(found.terminations, np.array(wanted.terminations), "terminations")
        assert_same(found.truncations, np.array(wanted.truncations), "truncations")
        infos = shown_infos(wanted.infos, known) if record_infos else {}
        shown = dict(found.infos)
        if "ragged" in shown:
            # Whether it shows as an array or as a list depends on the lengths of the others.
            shown["ragged"] = [
                None if row is None or np.ma.getmaskarray(row).any() else np.asarray(row)
                for row in shown["ragged"]
            ]
        assert_same(shown, infos, "infos")
        assert (found.seed, found.options) == (wanted.seed, wanted.options)
        rewards = np.array(wanted.rewards)
        flags = sum(wanted.terminations) + 2 * sum(wanted.truncations)
        assert found.metadata == {
            "rewards_sum": rewards.sum(),
            "rewards_mean": rewards.mean(),
            "rewards_std": rewards.std(),
            "rewards_max": rewards.max(),
            "rewards_min": rewards.min(),
            "steps": len(wanted.actions),
            "actions": len(wanted.actions),
            "flags": flags,
            "f": sum(row.get("f", 0.0) for row in wanted.infos if record_infos),
            "inner": sum(row.get("inner", {}).get("n", 0) for row in wanted.infos if record_infos),
        }


infos = st.fixed_dictionaries(
    {},
    optional={
        "f": st.integers(-100, 100).map(float),
        "v": st.integers(-9, 9).map(lambda n: np.array([n, 2 * n], dtype=np.int32)),
        "t": st.text(max_size=3),
        "ragged": st.integers(0, 3).map(lambda n: np.arange(n, dtype=np.float32)),
        "inner": st.fixed_dictionaries(
            {}, optional={"n": st.integers(0, 9), "word": st.sampled_from(["x", "yy"])}
        ).filter(bool),
    },
)
resets = st.tuples(
    st.just("reset"),
    st.none() | st.integers(0, 2**64 - 1),
    st.sampled_from([None, None, {}, {"x": 1, "deep": [1, {"y": "z"}]}]),
    infos,
)
steps = st.tuples(
    st.just("step"),
    st.sampled_from([(False, False)] * 8 + [(True, False), (False, True), (True, True)]),
    st.integers(-5, 5),
    infos,
)
checkpoints = st.just(("checkpoint",))
scripts = st.builds(
    lambda first, rest: [first, *rest],
    resets,
    st.lists(st.one_of(resets, steps, steps, steps, steps, steps, checkpoints), max_size=45),
)


@pytest.mark.filterwarnings("ignore:.*is (set to )?None")
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    script=scripts,
    space=st.sampled_from(SPACES),
    record_infos=st.booleans(),
    max_steps=st.none() | st.integers(1, 20),
    max_episodes=st.none() | st.integers(1, 20),
    cut_by_callback=st.booleans(),
)
def test_what_is_recorded_is_what_a_list_of_copies_says(
    script: list[Any],
    space: spaces.Space[Any],
    record_infos: bool,
    max_steps: int | None,
    max_episodes: int | None,
    cut_by_callback: bool,
) -> None:
    space.seed(1)
    env = Scripted(space)
    cuts = Cuts()
    collector = DataCollectorV0(
        env,
        cuts if cut_by_callback else StepDataCallback,
        episode_metadata_callback=Recount,
        record_infos=record_infos,
        max_buffer_steps=max_steps,
        max_buffer_episodes=max_episodes,
    )
    twin = Twin()
    name = f"twin/number{next(_numbers)}-v0"
    dataset: MinariDataset | None = None

    def checkpoint() -> MinariDataset | None:
        twin.checkpoint()
        if dataset is None and twin.saved:
            return create_dataset_from_collector_env(name, collector)
        if dataset is not None:
            dataset.update_dataset_from_collector_env(collector)
        return dataset

    for operation, *details in script:
        if operation == "reset":
            seed, options, info = details
            moment = Moment(space.sample(), info=info)
            env.tell(moment)
            collector.reset(seed=seed, options=options)
            twin.reset(moment, seed, options)
        elif operation == "step":
            (terminated, truncated), reward, info = details
            moment = Moment(space.sample(), reward, terminated, truncated, info)
            action = TWO.sample()
            if twin.is_over:
                with pytest.raises(RecordingError, match="after the episode had ended"):
                    collector.step(action)
                continue
            env.tell(moment)
            if cut_by_callback:
                cuts.flags = (terminated, truncated)
                env.moments[-1] = replace(moment, terminated=False, truncated=False)
            collector.step(action)
            twin.step(action, moment)
            twin.is_over = not cut_by_callback and (terminated or truncated)
        else:
            dataset = checkpoint()
        if max_steps is not None:
            assert collector.buffered_steps <= max(max_steps, 2)
        if max_episodes is not None:
            assert len(twin.finished) - collector.unsaved_episodes <= 0
    dataset = checkpoint()

    if dataset is not None:
        assert_equals_twin(dataset, twin, record_infos)
        assert_equals_twin(load_dataset(name), twin, record_infos)
    else:
        assert collector.unsaved_episodes == 0
    collector.close()
