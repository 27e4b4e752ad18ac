"""Episodes that go on after an end: refused in what is new, remarked on in what is stored."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core import DataError, EpisodeBuffer, MinariDataset
from minari_core.datasets.dataset import get_raw_storage

ACTIONS = spaces.Box(-9, 9, (2,), np.float32)
OBSERVATIONS = spaces.Dict({"x": spaces.Box(-9, 9, (1,), np.float64)})
FORMATS = ("columnar", "hdf5", "arrow", "parquet")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def episode(steps: int, **flags: int) -> EpisodeBuffer:
    """An episode that says that it ended at some steps."""
    return EpisodeBuffer(
        observations={"x": np.arange(steps + 1.0)[:, None]},
        actions=np.zeros((steps, 2), np.float32),
        rewards=np.ones(steps),
        terminations=np.arange(steps) == flags.get("terminated", steps - 1),
        truncations=(np.arange(steps) == flags.get("truncated", -1)).tolist(),
    )


def create(*buffers: Any, data_format: str = "columnar") -> MinariDataset:
    return minari_core.create_dataset_from_buffers(
        "early/ends-v0",
        list(buffers),
        observation_space=OBSERVATIONS,
        action_space=ACTIONS,
        data_format=data_format,
        author="Ada",
        author_email="a@b.c",
        algorithm_name="none",
        code_permalink="none",
    )


@pytest.mark.parametrize("flags", [{"terminated": 2}, {"truncated": 2}])
def test_what_is_new_ends_where_it_says(flags: dict[str, int]) -> None:
    early = episode(6, **flags)
    for given in (early, dataclasses.asdict(early)):
        with pytest.raises(
            DataError, match=r"episode 1 goes on after step 2 of 6, .* cut it there"
        ):
            create(episode(3), given)
    dataset = create(episode(3))
    with pytest.raises(DataError, match="episode 1 goes on after step 2 of 6"):
        dataset.update_dataset_from_buffer(iter([episode(3), early]))
    assert len(minari_core.load_dataset("early/ends-v0")) == 1


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_no_step_but_the_last_ends_what_is_new(flag: str, step: int) -> None:
    with pytest.raises(DataError, match=f"episode 1 goes on after step {step} of 6"):
        create(episode(3), episode(6, **{flag: step}))
    create(episode(3), episode(6, **{flag: 5}))


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_is_stored_is_kept_and_remarked_on(data_format: str) -> None:
    dataset = create(episode(3), data_format=data_format)
    get_raw_storage(dataset).append_episodes([episode(6, terminated=2), episode(4, truncated=1)])
    dataset = minari_core.load_dataset("early/ends-v0")
    report = minari_core.verify_dataset("early/ends-v0")
    (remark,) = report.remarks
    assert report.ok
    assert "2 steps end an episode that goes on, step 2 is the first" in remark.message
    assert remark.episode == 1
    converted = minari_core.convert_dataset(dataset[1:], "early/copy-v0", data_format="columnar")
    assert converted[0].terminations.tolist() == [False, False, True, False, False, False]
    (batch,) = converted.batches(99, shuffle=False, n_step=4, discount=1.0)
    assert batch.rewards.tolist() == [3, 2, 1, 3, 2, 1, 2, 1, 2, 1]
    assert batch.time_steps.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    (windows,) = converted.batches(99, shuffle=False, length=2, returns_to_go=True)
    assert windows.time_steps[:, 0].tolist() == [0, 1, 3, 4, 0, 2]
    assert windows.returns_to_go[:, 0].tolist() == [3, 2, 3, 2, 2, 2]


def test_weights_are_those_of_whole_episodes() -> None:
    dataset = create(episode(3))
    get_raw_storage(dataset).append_episodes([episode(6, terminated=2)])
    dataset = minari_core.load_dataset("early/ends-v0")
    dataset.set_seed(0)
    for weights in ([0, 1], [1, 0]):
        batch = dataset.sample_transitions(200, n_step=2, weights=weights)
        assert set(batch.episode_ids.tolist()) == {weights.index(1)}
        assert set(batch.time_steps.tolist()) == set(range(6 if weights[1] else 3))
        windows = dataset.sample_sequences(200, 3, weights=weights)
        assert set(windows.time_steps[:, 0].tolist()) == ({0, 3} if weights[1] else {0})


@pytest.mark.parametrize("data_format", FORMATS)
def test_values_that_are_not_finite_are_remarked_on(data_format: str) -> None:
    bad = episode(4)
    bad.observations = {"x": np.array([[0.0], [np.nan], [np.inf], [0.0], [np.nan]])}
    bad.rewards = np.array([0, np.inf, -np.inf, np.nan])
    unknown = episode(2)
    unknown.observations = {"x": np.array([[0.0], [np.nan]])}
    unknown.metadata = {"final_observation_known": False}
    create(episode(3), bad, unknown, data_format=data_format)
    report = minari_core.verify_dataset("early/ends-v0")
    assert report.ok
    assert [(r.column, r.message.partition(";")[0], r.episode) for r in report.remarks] == [
        ("observations/x", "3 values are NaN and 1 infinite", 1),
        ("rewards", "1 values are NaN and 2 infinite", 1),
    ]


def test_large_values_are_finite() -> None:
    large = episode(4)
    large.rewards = np.full(4, 1.7e308)
    create(large)
    assert minari_core.verify_dataset("early/ends-v0").remarks == ()


def test_values_of_changing_length_are_remarked_on() -> None:
    buffer = episode(2)
    rows: list[list[float]] = [[1.0], [], [2.0, np.nan]]
    buffer.observations = [tuple(np.float32(value) for value in row) for row in rows]
    minari_core.create_dataset_from_buffers(
        "early/ends-v0",
        [buffer],
        observation_space=spaces.Sequence(spaces.Box(-1, 1, (), np.float32)),
        action_space=ACTIONS,
        author="Ada",
        author_email="a@b.c",
        algorithm_name="none",
        code_permalink="none",
    )
    (remark,) = minari_core.verify_dataset("early/ends-v0").remarks
    assert "1 values are NaN and 0 infinite" in remark.message
