"""What bad use gets: a clear error, with nothing lost and nothing left behind."""

from __future__ import annotations

import copy
import os
import pickle
import re
import warnings
from collections.abc import Callable
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
    discard,
    list_recoverable,
    recover,
)
from minari_core.datasets.local import list_local_datasets, load_dataset
from minari_core.errors import (
    DataError,
    DatasetBusyError,
    DatasetExistsError,
    DatasetIdError,
    DatasetNotFoundError,
    IncompatibleDatasetsError,
    MetadataError,
    MinariError,
    RecordingError,
    SpaceError,
)
from minari_core.messages import MinariWarning
from tests.collect.helpers.environments import Counter, Moment, Scripted, run_episode

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")


# Some machines have no wider one.
WIDER_THAN_FLOAT64 = [
    spaces.Box(-1, 1, (2,), dtype=dtype)
    for dtype in (np.longdouble,)
    if np.dtype(dtype).itemsize > 8
]


def files_below(root: Path) -> set[str]:
    """All files but those of a living collector's recording."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*"))
    return {path for path in paths if "collect-" not in path and path != ".staging"}


def recording(**options: Any) -> DataCollectorV0:
    collector = DataCollectorV0(Counter(), **options)
    run_episode(collector, seed=1)
    run_episode(collector, seed=2)
    return collector


@pytest.mark.parametrize(
    ("data_format", "space"),
    [
        (data_format, space)
        for space in (
            spaces.Sequence(spaces.Discrete(2)),
            spaces.Dict({"a": spaces.Graph(spaces.Discrete(2), None)}),
            spaces.Tuple([spaces.Text(3, charset="a\0")]),
            spaces.Box(-1, 1, (0,)),
            *WIDER_THAN_FLOAT64,
        )
        for data_format in ("hdf5", "arrow", "parquet")
        if not (data_format == "hdf5" and space.shape == (0,))
    ],
)
def test_a_format_that_cannot_hold_a_space_is_refused_before_anything_is_recorded(
    data_format: str, space: spaces.Space[Any], datasets_root: Path
) -> None:
    with pytest.raises(SpaceError, match=f"observation_space.*in data format {data_format!r}"):
        DataCollectorV0(Scripted(space), data_format=data_format)
    with pytest.raises(SpaceError, match=f"action_space.*in data format {data_format!r}"):
        DataCollectorV0(Scripted(action_space=space), data_format=data_format)
    # A callback may make of it what the format can hold.
    DataCollectorV0(
        Scripted(space), data_format=data_format, observation_space=Counter.observation_space
    )
    envs: Any = gymnasium.vector.SyncVectorEnv([lambda: Scripted(space)])
    with pytest.raises(SpaceError, match=f"observation_space.*in data format {data_format!r}"):
        VectorDataCollector(envs, data_format=data_format)
    assert files_below(datasets_root) == set()


def test_a_step_before_the_first_reset_is_refused() -> None:
    collector = DataCollectorV0(Counter())
    with pytest.raises(RecordingError, match=r"call env\.reset\(\)"):
        collector.step(0)
    assert collector.unsaved_episodes == 0
    run_episode(collector, seed=1)
    assert len(create_dataset_from_collector_env("tests/a-v0", collector)) == 1


def test_a_closed_collector_refuses_all_but_closing() -> None:
    collector = recording()
    with pytest.warns(MinariWarning, match="closed with 2 recorded episodes") as caught:
        collector.close()
    assert [warning.filename for warning in caught] == [__file__]
    collector.close()
    uses: list[Callable[[], object]] = [
        lambda: collector.step(0),
        collector.reset,
        lambda: create_dataset_from_collector_env("tests/a-v0", collector),
    ]
    for use in uses:
        with pytest.raises(RecordingError, match="closed"):
            use()
    assert list_local_datasets() == {}


def test_closing_counts_what_is_unsaved_wherever_it_is(datasets_root: Path) -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=3)
    for seed in range(3):
        run_episode(collector, seed)
    run_episode(collector, seed=3, steps=2)
    with pytest.warns(MinariWarning, match="closed with 4 recorded episodes"):
        collector.close()
    assert list((datasets_root / ".staging").iterdir()) == []


def test_closing_with_everything_saved_says_nothing() -> None:
    collector = recording()
    create_dataset_from_collector_env("tests/a-v0", collector)
    collector.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collector.close()


def test_closing_cleans_up_even_where_warnings_are_errors(datasets_root: Path) -> None:
    collector = recording(max_buffer_steps=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MinariWarning):
            collector.close()
    assert list((datasets_root / ".staging").iterdir()) == []


def test_a_warning_that_is_an_error_neither_loses_nor_doubles_an_episode() -> None:
    env = Scripted(spaces.Box(-1, 1, (1,), np.float64))
    env.tell(*[Moment(np.array([float(row)])) for row in range(6)])
    collector = DataCollectorV0(env)
    collector.reset()
    for _ in range(5):
        collector.step(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MinariWarning)
        with pytest.raises(MinariWarning, match="recorded as it is"):
            create_dataset_from_collector_env("tests/a-v0", collector)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [episode.observations.tolist() for episode in dataset] == [
        [[float(r)] for r in range(6)]
    ]


BAD_CREATIONS: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (DatasetIdError, "version", {"dataset_name": "no version"}),
    (DatasetIdError, "must start with", {"dataset_name": "../escape-v0"}),
    (DatasetIdError, "both", {"dataset_name": "tests/a-v0", "dataset_id": "tests/a-v0"}),
    (DatasetIdError, "dataset_name", {}),
    (DatasetExistsError, "exists", {"dataset_name": "tests/taken-v0"}),
    (DatasetExistsError, "inside", {"dataset_name": "tests/taken-v0/inner-v0"}),
    (MetadataError, "description", {"dataset_name": "tests/a-v0", "description": object()}),
    (MetadataError, "author", {"dataset_name": "tests/a-v0", "author": [1]}),
    (MetadataError, "ref_max_score", {"dataset_name": "tests/a-v0", "ref_max_score": object()}),
    (MetadataError, "ref_max_score", {"dataset_name": "tests/a-v0", "ref_max_score": np.nan}),
    (
        MetadataError,
        "num_episodes",
        {"dataset_name": "tests/a-v0", "num_episodes_average_score": 0},
    ),
]


@pytest.mark.parametrize("max_buffer_steps", [None, 2])
@pytest.mark.parametrize(
    ("error", "words", "arguments"), BAD_CREATIONS, ids=[str(i) for i in range(len(BAD_CREATIONS))]
)
def test_a_creation_that_is_refused_changes_nothing(
    error: type[MinariError],
    words: str,
    arguments: dict[str, Any],
    max_buffer_steps: int | None,
    datasets_root: Path,
) -> None:
    with recording() as other:
        create_dataset_from_collector_env("tests/taken-v0", other)
    collector = recording(max_buffer_steps=max_buffer_steps)
    before = files_below(datasets_root)
    for _ in range(2):
        with pytest.raises(error, match=words):
            create_dataset_from_collector_env(collector_env=collector, **arguments)
        assert files_below(datasets_root) == before
        assert collector.unsaved_episodes == 2
    dataset = create_dataset_from_collector_env("tests/a-v0", collector, description="now")

    assert [episode.seed for episode in dataset] == [1, 2]
    assert list((datasets_root / ".staging").iterdir()) == []


def test_metadata_may_be_numpy_scalars() -> None:
    dataset = create_dataset_from_collector_env(
        "tests/a-v0",
        recording(),
        ref_min_score=np.float32(0.5),  # type: ignore[arg-type]  # what numpy users pass
        ref_max_score=np.float64(2.0),
        author=(np.str_("one"), "two"),
    )
    metadata = load_dataset(dataset.id).metadata

    assert (metadata["ref_min_score"], metadata["ref_max_score"]) == (0.5, 2.0)
    assert metadata["author"] == ["one", "two"]


def test_creating_from_nothing_is_refused_and_possible_later(datasets_root: Path) -> None:
    collector = DataCollectorV0(Counter())
    for _ in range(2):
        with pytest.raises(DataError, match="nothing was recorded"):
            create_dataset_from_collector_env("tests/a-v0", collector)
        collector.reset(seed=3)
        assert files_below(datasets_root) == set()
    for _ in range(5):
        collector.step(0)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [(len(episode), episode.seed) for episode in dataset] == [(5, 3)]


def test_an_episode_that_has_only_begun_goes_on_after_a_checkpoint() -> None:
    collector = recording(max_buffer_steps=3)
    collector.reset(seed=3, options={"x": 1})
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)
    for _ in range(5):
        collector.step(7)
    collector.reset(seed=4)
    dataset.update_dataset_from_collector_env(collector)
    dataset.update_dataset_from_collector_env(collector)
    collector.step(8)
    dataset.update_dataset_from_collector_env(collector)

    assert [(len(e), e.seed, e.options) for e in dataset] == [
        (5, 1, None),
        (5, 2, None),
        (5, 3, {"x": 1}),
        (1, 4, None),
    ]
    assert dataset[2].observations[0].tolist() == [3.0, 0.0]
    assert dataset[3].truncations.tolist() == [True]


@pytest.mark.parametrize("given", [None, 5, Counter(), gymnasium.Wrapper(Counter())])
def test_what_is_no_collector_is_refused(given: Any) -> None:
    with pytest.raises(RecordingError, match="DataCollectorV0"):
        create_dataset_from_collector_env("tests/a-v0", given)
    dataset = create_dataset_from_collector_env("tests/a-v0", recording())
    with pytest.raises(RecordingError, match="DataCollectorV0"):
        dataset.update_dataset_from_collector_env(given)


def test_who_gives_a_wrapper_around_a_collector_is_told_where_the_collector_is() -> None:
    collector = recording()
    given: Any = gymnasium.Wrapper(gymnasium.Wrapper(collector))
    told = r"pass the collector itself, which is collector_env\.env\.env$"
    with pytest.raises(RecordingError, match=told):
        create_dataset_from_collector_env("tests/a-v0", given)
    dataset = create_dataset_from_collector_env("tests/a-v0", given.env.env)
    run_episode(given, seed=3)
    with pytest.raises(RecordingError, match=told):
        dataset.update_dataset_from_collector_env(given)
    dataset.update_dataset_from_collector_env(collector)
    assert [episode.seed for episode in dataset] == [1, 2, 3]


BAD_VALUES: list[tuple[spaces.Space[Any], Any, Any]] = [
    (spaces.Box(-9, 9, (2,)), np.zeros(2, np.float32), np.zeros(3, np.float32)),
    (spaces.Box(-9, 9, (2,)), np.zeros(2, np.float32), np.zeros(2, np.bool_)),
    (spaces.Box(0, 2**62, (2,), np.int64), np.full(2, 2**60 + 1), np.zeros(2, np.float64)),
    (spaces.Box(-9, 9, (2,)), np.zeros(2, np.float32), None),
    (spaces.Box(-9, 9, (2,)), np.zeros(2, np.float32), [[1], [2, 3]]),
    (spaces.Discrete(3), 1, 0.5),
    (spaces.Discrete(3), 1, "1"),
    (spaces.Discrete(3), 1, 2**70),
    (spaces.Text(3), "a", 5),
    (spaces.Text(3), "a", b"a"),
    (spaces.Dict({"a": spaces.Discrete(2)}), {"a": 1}, {"b": 1}),
    (spaces.Dict({"a": spaces.Discrete(2)}), {"a": 1}, {"a": 1, "b": 1}),
    (spaces.Dict({"a": spaces.Discrete(2)}), {"a": 1}, 1),
    (spaces.Dict({"a": spaces.Text(2)}), {"a": "x"}, {"a": 1}),
    (spaces.Tuple([spaces.Discrete(2)]), (1,), (1, 1)),
    (spaces.Tuple([spaces.Discrete(2)]), (1,), None),
    (spaces.Sequence(spaces.Discrete(3)), (1, 2), 1),
    (spaces.Sequence(spaces.Discrete(3)), (1, 2), (0.5,)),
    (spaces.Sequence(spaces.Box(-1, 1, (2,))), (np.zeros(2, np.float32),), (np.zeros(3),)),
    (
        spaces.Graph(spaces.Discrete(3), None),
        spaces.GraphInstance(np.array([1, 2]), None, None),
        (np.array([1, 2]), None, None),
    ),
]


@pytest.mark.parametrize("max_buffer_steps", [None, 3])
@pytest.mark.parametrize(
    ("space", "good", "bad"), BAD_VALUES, ids=[str(i) for i in range(len(BAD_VALUES))]
)
def test_an_observation_that_does_not_fit_ends_the_episode_before_it(
    space: spaces.Space[Any], good: Any, bad: Any, max_buffer_steps: int | None
) -> None:
    env = Scripted(space)
    collector = DataCollectorV0(env, max_buffer_steps=max_buffer_steps)
    env.tell(Moment(good), *[Moment(good, step) for step in range(4)], Moment(bad, 99.0, True))
    collector.reset(seed=1)
    for _ in range(4):
        collector.step(0)
    with pytest.raises(DataError, match="observation"):
        collector.step(0)
    env.tell(Moment(bad))
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    with pytest.raises(DataError, match="observation"):
        collector.reset(seed=2)
    env.tell(Moment(good), Moment(good, 5.0, True))
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    collector.reset(seed=3)
    collector.step(0)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [(episode.seed, episode.rewards.tolist()) for episode in dataset] == [
        (1, [0, 1, 2, 3]),
        (3, [5]),
    ]
    assert dataset[0].truncations.tolist() == [False, False, False, True]
    assert not dataset[0].terminations.any()


@pytest.mark.parametrize("bad", [0.5, "x", np.zeros(2), None, -(2**70)])
def test_an_action_or_reward_that_does_not_fit_ends_the_episode_before_it(bad: Any) -> None:
    observation = np.zeros(3, np.float32)
    env = Scripted(moments=[Moment(observation) for _ in range(5)])
    collector = DataCollectorV0(env)
    collector.reset()
    collector.step(0)
    with pytest.raises(DataError, match="action"):
        collector.step(bad)
    collector.reset()
    collector.step(1)
    env.tell(Moment(observation, reward=None), Moment(observation), Moment(observation))
    with pytest.raises(DataError, match="reward"):
        collector.step(0)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [episode.actions.tolist() for episode in dataset] == [[0], [1]]


def test_a_policy_that_raises_loses_nothing() -> None:
    collector = recording()
    with pytest.raises(ZeroDivisionError):
        run_with(collector, lambda step: 1 // (3 - step))
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [len(episode) for episode in dataset] == [5, 5, 3]
    assert dataset[2].truncations.tolist() == [False, False, True]


def run_with(collector: DataCollectorV0, policy: Callable[[int], int]) -> None:
    collector.reset(seed=9)
    for step in range(5):
        collector.step(policy(step))


def test_an_environment_whose_reset_fails_does_not_go_on_with_the_old_episode() -> None:
    class Broken(Counter):
        fails = False

        def reset(self, **kwargs: Any) -> Any:
            observation, info = super().reset(**kwargs)
            if self.fails:
                raise OSError("the simulator is gone")
            return observation, info

    env = Broken()
    collector = DataCollectorV0(env)
    run_episode(collector, seed=1, steps=2)
    env.fails = True
    with pytest.raises(OSError, match="simulator"):
        collector.reset(seed=2)
    with pytest.raises(RecordingError, match="before reset"):
        collector.step(0)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert [episode.observations.tolist() for episode in dataset] == [[[1, 0], [1, 1], [1, 2]]]


def test_updating_a_dataset_of_other_spaces_is_refused_and_loses_nothing(
    datasets_root: Path,
) -> None:
    dataset = create_dataset_from_collector_env("tests/a-v0", recording())
    env = Scripted(moments=[Moment(np.zeros(3, np.float32)) for _ in range(3)])
    other = DataCollectorV0(env)
    other.reset(seed=5)
    other.step(0)
    before = files_below(datasets_root)
    with pytest.raises(IncompatibleDatasetsError, match="observation_space differs"):
        dataset.update_dataset_from_collector_env(other)
    assert files_below(datasets_root) - before <= {"tests/a-v0/data/.lock"}
    assert len(load_dataset("tests/a-v0")) == 2

    assert [e.seed for e in create_dataset_from_collector_env("tests/b-v0", other)] == [5]


def test_updating_with_a_dtype_that_cannot_be_widened_is_refused_and_loses_nothing(
    datasets_root: Path,
) -> None:
    def recorded_as(value: Any) -> DataCollectorV0:
        env = Scripted(spaces.Box(-(2**62), 2**62, (3,), np.int64))
        env.tell(*[Moment(value) for _ in range(2)])
        collector = DataCollectorV0(env)
        collector.reset(seed=1)
        collector.step(0)
        return collector

    dataset = create_dataset_from_collector_env("tests/a-v0", recorded_as(np.zeros(3)))
    other = recorded_as(np.full(3, 2**60 + 1))
    with pytest.raises(
        DataError, match="observations of step 0 has int64 numbers that float64 does not"
    ):
        dataset.update_dataset_from_collector_env(other)
    assert len(list((datasets_root / "tests/a-v0/data").glob("*.h5"))) == 1
    assert len(load_dataset("tests/a-v0")) == 1
    create_dataset_from_collector_env("tests/b-v0", other)

    assert load_dataset("tests/b-v0")[0].observations.dtype == np.int64


@pytest.mark.parametrize("name", ["max_buffer_steps", "max_buffer_episodes"])
@pytest.mark.parametrize("limit", [0, -1, 2.5, "x", np.nan])
def test_a_buffer_without_a_whole_number_of_places_is_refused(name: str, limit: Any) -> None:
    options: dict[str, Any] = {name: limit}
    with pytest.raises(DataError, match=f"{name} is {re.escape(repr(limit))}; give a whole number"):
        DataCollectorV0(Counter(), **options)
    with pytest.raises(
        ValueError, match=f"{name} is {re.escape(repr(limit))}; give a whole number"
    ):
        VectorDataCollector(gymnasium.vector.SyncVectorEnv([Counter]), **options)


@pytest.mark.parametrize("name", ["step_data_callback", "episode_metadata_callback"])
def test_a_callback_that_cannot_be_called_is_refused_at_once(name: str) -> None:
    options: dict[str, Any] = {name: 5}
    with pytest.raises(DataError, match=f"{name} is 5, which cannot be called"):
        DataCollectorV0(Counter(), **options)
    with pytest.raises(DataError, match=f"{name} is 5, which cannot be called"):
        VectorDataCollector(gymnasium.vector.SyncVectorEnv([Counter]), **options)


def collectors(**options: Any) -> list[tuple[DataCollectorV0 | VectorDataCollector, Any]]:
    """A collector of each kind, and an action for it."""
    envs = gymnasium.vector.SyncVectorEnv([Counter])
    return [
        (DataCollectorV0(Counter(), **options), 1),
        (VectorDataCollector(envs, **options), np.array([1])),
    ]


def test_a_step_callback_that_returns_nothing_is_told_so() -> None:
    class Nothing(StepDataCallback):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return None if kwargs.get("action") is not None else super().__call__(*args, **kwargs)

    for collector, action in collectors(step_data_callback=Nothing):
        collector.reset()
        with pytest.raises(RecordingError, match="step_data_callback returned None, not a dict"):
            collector.step(action)
        collector.close()


def test_a_metadata_callback_that_returns_nothing_is_told_so_and_nothing_is_lost() -> None:
    class Nothing(EpisodeMetadataCallback):
        says: Any = None

        def __call__(self, episode: Any) -> Any:
            return self.says

    for number, (collector, action) in enumerate(collectors(episode_metadata_callback=Nothing)):
        collector.reset()
        collector.step(action)
        with pytest.raises(RecordingError, match="metadata_callback returned None, not a dict"):
            create_dataset_from_collector_env(f"tests/a-v{number}", collector)
        Nothing.says = {}
        created = create_dataset_from_collector_env(f"tests/a-v{number}", collector)
        assert [len(episode) for episode in created] == [1]
        Nothing.says = None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_collector_is_neither_copied_nor_pickled(copied: Callable[[Any], Any]) -> None:
    for collector, _ in collectors():
        with pytest.raises(RecordingError, match="cannot be copied or pickled"):
            copied(collector)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "seven"])
def test_a_seed_that_cannot_be_recorded_is_refused_before_the_reset(seed: Any) -> None:
    collector = DataCollectorV0(Counter())
    run_episode(collector, seed=1, steps=2)
    with pytest.raises(DataError, match=re.escape(f"seed {seed!r}")):
        collector.reset(seed=seed)
    collector.step(0)
    dataset = create_dataset_from_collector_env("tests/a-v0", collector)

    assert dataset[0].observations[:, 1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(7), np.uint8(7)])
@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_seeds_of_64_bits_and_numpys_integers_are_recorded(
    seed: Any, max_buffer_steps: int | None
) -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=max_buffer_steps)
    run_episode(collector, seed=seed)
    recorded = create_dataset_from_collector_env("tests/a-v0", collector)[0].seed

    assert (recorded, type(recorded)) == (seed, int)


@pytest.mark.parametrize("options", [{"engine": object()}, [1], {"deep": {"set": {1}}}])
def test_options_that_cannot_be_recorded_are_refused_before_the_reset(options: Any) -> None:
    collector = DataCollectorV0(Counter())
    run_episode(collector, seed=1, steps=2)
    with pytest.raises(DataError, match="options"):
        collector.reset(options=options)
    collector.step(0)

    assert len(create_dataset_from_collector_env("tests/a-v0", collector)[0]) == 3


@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_options_are_recorded_as_they_were_at_reset(max_buffer_steps: int | None) -> None:
    collector = DataCollectorV0(Counter(), max_buffer_steps=max_buffer_steps)
    options: dict[str, Any] = {"map": [1, 2], "wind": np.float32(0.5), "at": (1, None)}
    collector.reset(options=options)
    options["map"].append(3)
    for _ in range(5):
        collector.step(0)
    recorded = create_dataset_from_collector_env("tests/a-v0", collector)[0].options

    assert recorded == {"map": [1, 2], "wind": 0.5, "at": (1, None)}


def test_a_recording_of_a_living_collector_is_neither_listed_nor_taken() -> None:
    collector = recording(max_buffer_steps=2)
    staging = Path(os.environ["MINARI_DATASETS_PATH"]) / ".staging"
    (folder,) = staging.iterdir()

    assert list_recoverable() == []
    with pytest.raises(DatasetBusyError, match="still alive"):
        recover(folder.name, "tests/a-v0")
    with pytest.raises(DatasetBusyError, match="still alive"):
        discard(folder.name)
    assert [e.seed for e in create_dataset_from_collector_env("tests/a-v0", collector)] == [1, 2]


@pytest.mark.parametrize("recording_id", ["collect-none", "../tests", "", "collect-a/../.."])
def test_an_id_of_no_recording_is_refused(recording_id: str, datasets_root: Path) -> None:
    create_dataset_from_collector_env("tests/a-v0", recording())
    before = files_below(datasets_root)
    with pytest.raises(DatasetNotFoundError):
        recover(recording_id, "tests/b-v0")
    with pytest.raises(DatasetNotFoundError):
        discard(recording_id)
    assert files_below(datasets_root) == before


@pytest.mark.parametrize("recording_id", ["other", "collect-a/../other", "collect-a/../../other"])
def test_an_id_leads_to_recordings_alone(recording_id: str, datasets_root: Path) -> None:
    staging = datasets_root / ".staging"
    (staging / "collect-a").mkdir(parents=True)
    for folder in (staging / "other", datasets_root / "other"):
        folder.mkdir()
        (folder / "journal.jsonl").write_text("{}")
    before = files_below(datasets_root)
    with pytest.raises(DatasetNotFoundError, match="is no id of a recording"):
        discard(recording_id)
    assert files_below(datasets_root) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_forked_process_leaves_its_parents_recording_alone(datasets_root: Path) -> None:
    collector = recording(max_buffer_steps=3)
    collector.reset(seed=3)
    collector.step(0)
    child = os.fork()
    if child == 0:
        try:
            problems = []
            if collector.unsaved_episodes or list_recoverable():
                problems.append("the child has its parent's episodes")
            try:
                collector.step(0)
                problems.append("the child goes on with its parent's episode")
            except RecordingError:
                pass
            run_episode(collector, seed=7)
            create_dataset_from_collector_env("tests/child-v0", collector)
            collector.close()
            os._exit(len(problems))
        except BaseException:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list_recoverable() == []
    collector.step(0)
    dataset = create_dataset_from_collector_env("tests/parent-v0", collector)

    assert [(episode.seed, len(episode)) for episode in dataset] == [(1, 5), (2, 5), (3, 2)]
    assert [episode.seed for episode in load_dataset("tests/child-v0")] == [7]


class Tensor(np.ndarray[Any, Any]):
    """A number that PyTorch keeps, with its method that makes it one of numpy's."""

    def numpy(self) -> Any:
        return np.asarray(self)


@pytest.mark.parametrize("data", ["observation", "reward", "action"])
def test_a_tensor_is_refused_with_the_way_to_make_a_number_or_an_array(data: str) -> None:
    step = {"observation": np.zeros(2), "reward": 1.0, "action": 0}
    tensor = np.asarray(step[data], np.float64).view(Tensor)
    step[data] = tensor
    collector = DataCollectorV0(
        Scripted(moments=[Moment(np.zeros(2)), Moment(step["observation"], reward=step["reward"])])
    )
    collector.reset()
    way = r"give its \.numpy\(\)" + (r", or its \.item\(\)" if tensor.shape == () else "")
    with pytest.raises(
        DataError, match=f"episode 0, step 0: {data}: .* is no array of numpy; {way}"
    ):
        collector.step(step["action"])
