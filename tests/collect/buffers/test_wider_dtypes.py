"""A wider dtype that comes later widens its column, wherever the values before it lie."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_collect import (
    DataCollectorV0,
    VectorDataCollector,
    collect_dataset,
    list_recoverable,
    recover,
)
from minari_collect import create_dataset_from_collector_env as create
from minari_core import MinariDataset, load_dataset, verify_dataset
from minari_core.errors import DataError, DatasetWriteError
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Moment, Scripted

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

BOX = spaces.Box(-(2**62), 2**62, (2,), np.float64)
F32, F64, I64 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")
A_THIRD = 1 / 3


def values(dtypes: Sequence[Any]) -> list[Any]:
    """A value of each dtype; floats are those that a narrower float cannot hold."""
    return [(np.full(2, A_THIRD) + row * (np.dtype(d).kind in "iu")).astype(d) for row, d in
            enumerate(dtypes)]  # fmt: skip


def record(collector: DataCollectorV0, observations: Sequence[Any], actions: Sequence[Any]) -> None:
    env: Any = collector.env
    env.tell(*[Moment(observation) for observation in observations])
    collector.reset(seed=1)
    for action in actions:
        collector.step(action)


def made(space: spaces.Space[Any] = BOX, **options: Any) -> DataCollectorV0:
    return DataCollectorV0(Scripted(space, space), **options)


def told(caught: Sequence[Any]) -> list[str]:
    return [str(w.message) for w in caught if issubclass(w.category, MinariWarning)]


CASES: dict[str, list[Any]] = {
    "an action with noise": [F32, F64, F32, F64, F32, F32],
    "narrower later": [F64, F32, F32, F64, F32, F32],
    "ints, then floats": [I64, I64, F64, I64, F64, F32],
    "small ints": [np.uint8, np.int8, np.uint8, np.int16, np.int32, np.uint8],
    "halves": [np.float16, F32, F64, np.float16, F32, F64],
}


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow"])
@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 2}, {"max_buffer_episodes": 1}])
@pytest.mark.parametrize("name", CASES)
def test_columns_take_the_dtype_that_holds_all_values(
    name: str, limits: dict[str, Any], data_format: str
) -> None:
    given = values(CASES[name])
    collector = made(data_format=data_format, **limits)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            record(collector, given, given[:-1])
        record(collector, given[:1] * 6, given[:1] * 5)
        dataset = create("tests/a-v0", collector)

    wider = np.result_type(*CASES[name])
    for episode, rows in zip(dataset, [given, given, given[:1] * 6], strict=True):
        assert episode.observations.dtype == episode.actions.dtype == wider
        np.testing.assert_array_equal(episode.observations, np.array(rows, dtype=wider))
        np.testing.assert_array_equal(episode.actions, np.array(rows[:-1], dtype=wider))
    for column in ("observation", "action"):
        assert sum(text.startswith(f"{column}: ") for text in told(caught)) == 1
    assert {w.filename for w in caught if issubclass(w.category, MinariWarning)} == {__file__}
    if data_format == "columnar":
        assert verify_dataset("tests/a-v0").ok
        assert dataset.sample_transitions(6).observations.dtype == wider


def test_a_reset_in_another_dtype_than_the_steps_widens_the_column() -> None:
    space = spaces.Dict({"a": BOX, "b": spaces.Box(-9, 9, (), np.float32)})
    collector = made(space)
    first = {"a": np.zeros(2, np.float32), "b": np.float32(0.5)}
    later = {"a": np.full(2, A_THIRD), "b": A_THIRD}
    with pytest.warns(MinariWarning, match=r"observation\['a'\]: float64 after float32"):
        record(collector, [first, later, later], [first, first])
    (episode,) = create("tests/a-v0", collector)

    assert episode.observations["a"][:, 0].tolist() == [0, A_THIRD, A_THIRD]
    assert episode.observations["b"].tolist() == [0.5, A_THIRD, A_THIRD]
    assert episode.actions["a"].dtype == np.float32


REFUSED: dict[str, tuple[spaces.Space[Any], Any, Any]] = {
    "large ints and floats": (BOX, np.full(2, 2**60 + 1), np.zeros(2)),
    "floats and large ints": (BOX, np.zeros(2), np.full(2, 2**60 + 1)),
    "flags and numbers": (BOX, np.zeros(2, bool), np.zeros(2)),
    "a fraction of a Discrete": (spaces.Discrete(3), 1, 0.5),
    "fractions of a MultiDiscrete": (spaces.MultiDiscrete([3, 3]), np.array([1, 2]), np.ones(2)),
    "another shape": (BOX, np.zeros(2, np.float32), np.zeros(3)),
}


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 2}])
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_dtype_holds_is_refused_before_the_step_is_recorded(
    name: str, limits: dict[str, Any]
) -> None:
    space, before, later = REFUSED[name]
    collector = made(space, **limits)
    record(collector, [before] * 6, [before] * 5)
    with pytest.raises(DataError, match=r"^episode 1, step 1: action: "):
        record(collector, [before] * 3, [before, later])
    collector.env.unwrapped.moments.clear()  # type: ignore[attr-defined]  # a Scripted
    with pytest.raises(DataError, match=r"^episode 2, step 1: observation: "):
        record(collector, [before, before, later], [before] * 2)
    dataset = create("tests/a-v0", collector)

    assert [len(episode) for episode in dataset] == [5, 1, 1]
    assert dataset[0].observations.dtype == np.asarray(before).dtype


def vector(dtypes: Sequence[np.dtype[Any]], limit: int | None) -> MinariDataset:
    class Growing(gymnasium.vector.SyncVectorEnv):
        count = 0

        def step(self, actions: Any) -> Any:
            observations, *rest = super().step(actions)
            self.count += 1
            return (observations.astype(dtypes[self.count]), *rest)

    def single() -> Any:
        return Scripted(BOX, BOX, [Moment(np.full(2, float(n))) for n in range(len(dtypes))])

    envs = VectorDataCollector(Growing([single, single]), max_buffer_steps=limit)
    envs.reset()
    for dtype in dtypes[1:]:
        envs.step(np.full((2, 2), A_THIRD).astype(dtype))
    return create("tests/vector-v0", envs, eval_env="CartPole-v1")


@pytest.mark.parametrize("limit", [None, 1], ids=["one buffer", "lanes"])
def test_many_environments_widen_their_columns(limit: int | None) -> None:
    dtypes: list[np.dtype[Any]] = [F32] * 8 + [F64, F32] * 4
    with pytest.warns(MinariWarning, match="action: float64 after float32"):
        dataset = vector(dtypes, limit)

    wanted = [float(np.full(1, A_THIRD).astype(dtype)[0]) for dtype in dtypes[1:]]
    for episode in dataset:
        assert episode.observations[:, 0].tolist() == list(range(16))
        assert episode.observations.dtype == np.float64
        assert episode.actions[:, 0].tolist() == wanted


class Noisy:
    """A policy whose actions get wider in the second half of a run."""

    def reset(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, observation: Any) -> Any:
        action = self.random.normal(size=1)
        return action.astype(np.float32) if self.random.random() < 0.5 else action


class WiderFromSeed:
    """A policy whose actions are wider in some episodes."""

    def reset(self, seed: int) -> None:
        self.dtype = (np.float32, np.float64)[seed % 2]

    def __call__(self, observation: Any) -> Any:
        return np.full(1, A_THIRD, self.dtype)


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow"])
@pytest.mark.parametrize(("policy", "message"), [
    (Noisy(), "action: float"),
    (WiderFromSeed(), "action from float32 to float64: tasks differ"),
])  # fmt: skip
def test_a_run_of_many_tasks_stores_all_in_the_widest_dtype_and_warns_once(
    policy: Any, message: str, data_format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = collect_dataset(
            "tests/a-v0", "Pendulum-v1", policy, total_episodes=6, workers=2, episodes_per_task=1,
            seed=1, max_episode_steps=9, progress=False, data_format=data_format,
        )  # fmt: skip

    assert {episode.actions.dtype for episode in dataset} == {np.dtype(np.float64)}
    assert len(dataset) == 6
    assert verify_dataset("tests/a-v0").ok
    about = [w for w in caught if str(w.message).startswith("action")]
    assert [w.filename for w in about] == [__file__]
    assert str(about[0].message).startswith(message)
    assert "Warning" not in capfd.readouterr().err


def dataset_of(dtype: Any, dataset_id: str, episodes: int = 3, **options: Any) -> MinariDataset:
    collector = made(**options)
    for _ in range(episodes):
        given = values([dtype] * 4)
        record(collector, given, given[:-1])
    return create(dataset_id, collector)


@pytest.mark.filterwarnings("ignore:.*all are stored as")
@pytest.mark.parametrize(("before", "later"), [(F32, F64), (F64, F32), (I64, F64)])
def test_a_checkpoint_widens_the_dataset_and_says_how_many_bytes(
    before: Any, later: Any, datasets_root: Path
) -> None:
    dataset = dataset_of(before, "tests/a-v0", max_buffer_steps=3)
    opened, sampling = load_dataset("tests/a-v0"), load_dataset("tests/a-v0")
    reading = iter(load_dataset("tests/a-v0"))
    next(reading)
    sampling.sample_transitions(2)
    copy = load_dataset("tests/a-v0")
    old = [episode.observations for episode in opened]
    collector = made()
    given = values([later] * 4)
    record(collector, given, given[:-1])
    with pytest.warns(
        MinariWarning, match=r"observations from .*, actions from .* bytes"
    ) as caught:
        dataset.update_dataset_from_collector_env(collector)
    assert [warning.filename for warning in caught] == [__file__]

    wider = np.result_type(before, later)
    assert [len(episode) for episode in reading] == [3, 3]
    for some in (dataset, load_dataset("tests/a-v0")):
        assert [episode.observations.dtype for episode in some] == [wider] * 4
        np.testing.assert_array_equal(some[3].actions, np.array(given[:-1], dtype=wider))
        for episode, known in zip(some, old, strict=False):
            np.testing.assert_array_equal(episode.observations, known.astype(wider))
        assert some.sample_transitions(5).actions.dtype == wider
    for some in (opened, copy, sampling):
        assert len(some) == 3
        for episode, known in zip(some, old, strict=True):
            np.testing.assert_array_equal(episode.observations, known)
        assert len(some.sample_transitions(5).actions) == 5
    named = {shard.file for shard in dataset.storage.snapshot.shards}
    assert {path.name for path in (datasets_root / "tests/a-v0/data").glob("shard-*")} == named
    assert verify_dataset("tests/a-v0").ok


@pytest.mark.filterwarnings("ignore:.*all are stored as")
def test_a_checkpoint_that_cannot_be_widened_leaves_both_as_they_are() -> None:
    dataset = dataset_of(F64, "tests/a-v0")
    collector = made()
    record(collector, [np.full(2, 2**60 + 1)] * 2, [np.full(2, 2**60 + 1)])
    before = {shard.file for shard in dataset.storage.snapshot.shards}
    refusal = r"^episode 3: observations of step 0 has int64 numbers that float64 does not hold"
    for _ in range(2):
        with pytest.raises(DataError, match=refusal):
            dataset.update_dataset_from_collector_env(collector)
    assert before == {s.file for s in load_dataset("tests/a-v0").storage.snapshot.shards}
    assert len(create("tests/b-v0", collector)) == 1


@pytest.mark.filterwarnings("ignore:.*all are stored as")
@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
def test_a_checkpoint_to_a_public_format_widens_what_is_new(data_format: str) -> None:
    dataset = dataset_of(F64, "tests/a-v0", data_format=data_format)
    for narrow in (F32, I64):
        collector = made()
        given = values([narrow] * 4)
        record(collector, given, given[:-1])
        dataset.update_dataset_from_collector_env(collector)
        for some in (dataset, load_dataset("tests/a-v0")):
            assert some[-1].observations.dtype == some[-1].actions.dtype == F64
            np.testing.assert_array_equal(some[-1].observations, np.array(given, F64))
    collector = made()
    small, large = np.full(2, 1), np.full(2, 2**60 + 1)
    record(collector, [small] * 2, [small])
    record(collector, [small] * 4, [small, small, large])
    refusal = r"^episode 6: actions of step 2 has int64 numbers that float64 does not hold"
    with pytest.raises(DataError, match=refusal):
        dataset.update_dataset_from_collector_env(collector)
    assert len(load_dataset("tests/a-v0")) == 5
    assert verify_dataset("tests/a-v0").ok


def record_infos(collector: DataCollectorV0, infos: Sequence[Any]) -> None:
    env: Any = collector.env
    row = np.zeros(2)
    env.tell(*[Moment(row, info={"given": info}) for info in infos])
    collector.reset(seed=1)
    for _ in infos[1:]:
        collector.step(row)


@pytest.mark.parametrize(
    ("rows", "dtype"),
    [
        (([1, 2, 3], [0.5, 1.5, 2.5]), np.float64),
        (([np.float32(A_THIRD)] * 3, [1, 2**53, -(2**53)]), np.float64),
        (([np.uint8(3)] * 3, [np.int64(-1)] * 3, [0.25] * 3), np.float64),
        (([2**53 + 1] * 3, [0.5] * 3), None),
        (([True] * 3, [1, 2, 3]), None),
    ],
    ids=["ints, then floats", "floats, then large ints", "three dtypes", "too large", "flags"],
)
def test_infos_of_shards_with_other_dtypes_are_sampled_as_arrays_if_one_holds_all(
    rows: Sequence[Sequence[Any]], dtype: Any
) -> None:
    dataset: MinariDataset | None = None
    for infos in rows:
        collector = made(record_infos=True)
        record_infos(collector, infos)
        if dataset is None:
            dataset = create("tests/a-v0", collector)
        else:
            dataset.update_dataset_from_collector_env(collector)
    assert dataset is not None
    batch = next(dataset.batches(100, shuffle=False, columns=["infos/given"]))
    given = [info for infos in rows for info in infos[1:]]

    found = batch.columns["infos/given"]
    assert list(found) == given
    if dtype is None:
        assert isinstance(found, list)
        assert [type(value) is bool or isinstance(value, np.bool_) for value in found] == [
            isinstance(value, bool) for value in given
        ]
    else:
        assert found.dtype == dtype


@pytest.mark.filterwarnings("ignore:.*bytes are written anew")
def test_a_disk_that_refuses_the_new_manifest_leaves_the_dataset_as_it_was(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dataset_of(F32, "tests/a-v0", max_buffer_steps=3)
    collector = made()
    record(collector, values([F64] * 3), values([F64] * 2))
    files = {path.name for path in (datasets_root / "tests/a-v0/data").glob("shard-*")}

    def refuse(*_: object) -> None:
        raise DatasetWriteError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("minari_core.formats.columnar.dataset_folder.write_manifest", refuse)
        with pytest.raises(DatasetWriteError, match="no space"):
            dataset.update_dataset_from_collector_env(collector)
    assert {path.name for path in (datasets_root / "tests/a-v0/data").glob("shard-*")} == files
    assert [e.actions.dtype for e in load_dataset("tests/a-v0")] == [np.float32] * 3
    assert verify_dataset("tests/a-v0").ok
    dataset.update_dataset_from_collector_env(collector)
    assert [e.actions.dtype for e in load_dataset("tests/a-v0")] == [np.float64] * 4


def test_a_warning_that_is_an_error_changes_nothing_of_the_dataset() -> None:
    dataset = dataset_of(F32, "tests/a-v0")
    collector = made()
    record(collector, values([F64] * 2), values([F64]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        with pytest.raises(MinariWarning, match="bytes are written anew"):
            dataset.update_dataset_from_collector_env(collector)
    assert load_dataset("tests/a-v0")[0].actions.dtype == np.float32
    with pytest.warns(MinariWarning, match="bytes are written anew"):
        dataset.update_dataset_from_collector_env(collector)
    assert len(load_dataset("tests/a-v0")) == 4


@pytest.mark.parametrize("limits", [{}, {"max_buffer_steps": 2}])
def test_elements_of_a_sequence_may_get_wider(limits: dict[str, Any]) -> None:
    space = spaces.Sequence(BOX)
    rows = [(np.zeros(2, np.float32),), (np.full(2, A_THIRD),) * 2, (np.ones(2, np.float32),), ()]
    collector = made(space, **limits)
    record(collector, rows * 2, [*rows, *rows[:3]])
    (episode,) = create("tests/a-v0", collector)

    for found, wanted in zip(episode.observations, rows * 2, strict=True):
        assert [element.tolist() for element in found] == [e.tolist() for e in wanted]


IMAGE = spaces.Box(0, 255, (64, 64, 3), np.uint8)


def test_compressed_images_are_widened_too() -> None:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 255, (20, 64, 64, 3)).astype(np.uint8)
    collector = made(IMAGE, max_buffer_steps=5)
    large = small.astype(np.float32) / 255
    with pytest.warns(MinariWarning, match="float32 after uint8"):
        record(collector, [*small, *large], [*small, *large[:-1]])
    (episode,) = create("tests/a-v0", collector)

    np.testing.assert_array_equal(episode.observations, np.concatenate([small, large]))
    assert episode.actions.dtype == np.float32


KILLED = """
import os, numpy as np
from tests.collect.buffers.test_wider_dtypes import F32, F64, made, record, values
collector = made(max_buffer_steps=2)
record(collector, values([F32] * 6), values([F32] * 5))
record(collector, values([F32] * 3 + [F64] * 7), values([F32] * 3 + [F64] * 6))
os._exit(9)
"""


@pytest.mark.filterwarnings("ignore:.*all are stored as")
def test_a_killed_recording_of_two_dtypes_is_recovered() -> None:
    root = Path(__file__).parents[3]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    subprocess.run([sys.executable, "-c", KILLED], env=env, check=False, capture_output=True)
    (recording,) = list_recoverable()
    dataset = recover(recording.id, "tests/a-v0")

    assert [episode.actions.dtype for episode in dataset] == [np.float64] * 2
    assert dataset[0].actions.tolist() == [v.astype(F64).tolist() for v in values([F32] * 5)]
    assert dataset[1].actions[3:].tolist() == [[A_THIRD] * 2] * (len(dataset[1]) - 3)
    assert len(dataset[1]) >= 5


@settings(max_examples=40, deadline=None)
@given(
    dtypes=st.lists(st.sampled_from(["u1", "i2", "i4", "i8", "f4", "f8"]), min_size=2, max_size=9),
    limit=st.none() | st.integers(1, 5),
    cuts=st.sets(st.integers(1, 8)),
)
def test_whatever_the_order_of_dtypes_no_value_changes(
    dtypes: list[str], limit: int | None, cuts: set[int]
) -> None:
    shutil.rmtree(Path(os.environ["MINARI_DATASETS_PATH"]) / "tests", ignore_errors=True)
    given_values = [np.array([row + 0.5, -row]).astype(dtype) for row, dtype in enumerate(dtypes)]
    given_values = [v if np.dtype(d).kind != "u" else np.abs(v) for v, d in
                    zip(given_values, dtypes, strict=True)]  # fmt: skip
    collector = made(max_buffer_steps=limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset: MinariDataset | None = None
        env: Any = collector.env
        env.tell(Moment(given_values[0]))
        collector.reset()
        for number, value in enumerate(given_values[1:], start=1):
            env.tell(Moment(value))
            collector.step(value)
            if number in cuts and dataset is None:
                dataset = create("tests/a-v0", collector)
            elif number in cuts and dataset is not None:
                dataset.update_dataset_from_collector_env(collector)
        if dataset is None:
            dataset = create("tests/a-v0", collector)
        else:
            dataset.update_dataset_from_collector_env(collector)
    actions = np.concatenate([episode.actions for episode in dataset])

    assert len({episode.actions.dtype for episode in dataset}) == 1
    assert len({episode.observations.dtype for episode in dataset}) == 1
    np.testing.assert_array_equal(actions, np.array(given_values[1:], dtype=np.float64))
    observations = [episode.observations[1:] for episode in dataset]
    np.testing.assert_array_equal(np.concatenate(observations), actions)
    collector.close()


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_a_dtype_that_is_not_the_spaces_is_no_damage(data_format: str) -> None:
    collector = made(data_format=data_format)
    record(collector, [np.arange(2), np.arange(2)], [np.ones(2, np.int64)])
    dataset = create("tests/a-v0", collector)

    assert dataset[0].observations.dtype == I64
    assert verify_dataset("tests/a-v0").problems == ()
