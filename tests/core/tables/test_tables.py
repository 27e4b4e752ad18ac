"""Steps and episodes become tables, and tables the same dataset again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces
from hypothesis import assume, given, settings

from minari_core import (
    DataError,
    DatasetDamagedError,
    DatasetNotFoundError,
    EpisodeBuffer,
    MinariDataset,
    MinariWarning,
    convert_dataset,
    create_dataset_from_buffers,
    create_dataset_from_table,
    delete_dataset,
    verify_dataset,
)
from minari_core.datasets.dataset import get_raw_storage
from minari_core.tables.parquet import write_parquet
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.recorded import Recorded, recordings, stored
from tests.core.helpers.rows import expect_same_rows

SPACE = spaces.Dict(
    {
        "image": spaces.Box(0, 255, (12, 10, 3), np.uint8),
        "grey": spaces.Box(0, 255, (9, 9), np.uint8),
        "one channel": spaces.Box(0, 255, (9, 8, 1), np.uint8),
        "name": spaces.Text(4),
        "pair": spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)]),
        "matrix": spaces.Box(-1, 1, (2, 3), np.float32),
        "a.b": spaces.Box(-1, 1, (2,), np.float64),
        "nothing": spaces.Box(-1, 1, (0,), np.float64),
    }
)
FORMATS = ("columnar", "hdf5")

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def make_dataset(dataset_id: str = "rich-v0", data_format: str = "columnar") -> MinariDataset:
    SPACE.seed(0)
    buffers = []
    for number, steps in enumerate((3, 1, 5)):
        buffers.append(
            EpisodeBuffer(
                observations=[SPACE.sample() for _ in range(steps + (number != 1))],
                actions=np.arange(steps, dtype=np.float32).reshape(-1, 1),
                rewards=np.array([-np.inf, np.nan, 1.0, 2.0, 3.0])[:steps],
                terminations=np.arange(steps) == (steps - 1 if number else -1),
                truncations=np.arange(steps) == (-1 if number else steps - 1),
                infos={
                    "speed": np.arange(steps + 1.0),
                    "own": np.arange(steps + 1),
                    "sometimes": [None, *range(steps)],
                    "shot": [None, *np.full((steps, 8, 8, 1), number, np.uint8)],
                    "ragged": [np.arange(row) for row in range(steps + 1)],
                    "inner": {"text": [str(row) for row in range(steps + 1)]},
                    **({"late": np.arange(steps + 1)} if number else {}),
                },
                seed=(None, 3, 2**64 - 1)[number],
                options={"start": {"x": 1.5}} if number == 1 else None,
                metadata={"score": 0.5 * number, "tags": ["a"]},
                extras={"own": np.arange(steps + 1)},
            )
        )
    return create_dataset_from_buffers(
        dataset_id,
        buffers,
        "CartPole-v1",
        observation_space=SPACE,
        action_space=spaces.Box(-9, 9, (1,), np.float32),
        step_infos=["own"],
        data_format=data_format,
        author="Ann",
        description="whatever there is",
    )


def expect_same(made: MinariDataset, wanted: MinariDataset) -> None:
    assert made.observation_space == wanted.observation_space
    assert made.action_space == wanted.action_space
    assert len(made) == len(wanted)
    for episode, again in zip(wanted, made, strict=True):
        expect_same_episode(episode, again)


@pytest.mark.parametrize("data_format", FORMATS)
def test_arrow_tables_become_the_same_dataset_again(data_format: str) -> None:
    dataset = convert_dataset(make_dataset(data_format=data_format), "copy-v0")

    made = create_dataset_from_table(
        "again-v0", dataset.to_arrow(), dataset.to_arrow("episodes"), data_format=data_format
    )

    expect_same(made, dataset)
    assert "parents" not in made.metadata
    for key in ("author", "description", "env_spec", "step_infos"):
        assert made.metadata[key] == dataset.metadata[key]


@pytest.mark.parametrize("key", ["splits", "parents", "minari_core"])
def test_what_holds_for_one_dataset_alone_is_not_taken_of_a_table(key: str) -> None:
    table = make_dataset().to_arrow()
    said = {**json.loads(table.schema.metadata[b"minari"]), key: {"train": [[0, 99]]}}
    table = table.replace_schema_metadata({b"minari": json.dumps(said).encode()})

    for data_format in FORMATS:
        made = create_dataset_from_table(f"tests/{data_format}-v0", table, data_format=data_format)
        assert key not in made.metadata
        assert verify_dataset(made.id).ok


def test_parquet_files_become_the_same_dataset_again(tmp_path: Path) -> None:
    dataset = make_dataset()
    storage = get_raw_storage(dataset)
    files = {rows: tmp_path / f"{rows}.parquet" for rows in ("steps", "episodes")}
    for rows, file in files.items():
        write_parquet(storage, range(3), file, rows)  # type: ignore[arg-type]  # both are

    made = create_dataset_from_table("again-v0", files["steps"], str(files["episodes"]))

    expect_same(made, dataset)


@settings(max_examples=30, deadline=None)
@given(recordings())
def test_any_recording_survives_the_way_through_tables(recorded: Recorded) -> None:
    # What goes on after its end is stored of earlier releases, and is not made anew.
    assume(not any(any(episode.truncations[:-1]) for episode in recorded.episodes))
    assume(not any(any(episode.terminations[:-1]) for episode in recorded.episodes))
    with stored(recorded, on_disk=False) as dataset:
        steps, episodes = (dataset.to_arrow(rows, as_json=True) for rows in ("steps", "episodes"))
        made = create_dataset_from_table("again-v0", steps, episodes)
        try:
            assert made.metadata.get("step_infos", []) == recorded.step_infos
            for episode, again in zip(dataset, made, strict=True):
                same_infos = replace(again, infos=episode.infos)
                expect_same_episode(episode, same_infos)
                assert again.infos.keys() == episode.infos.keys()
                for name, values in episode.infos.items():
                    expect_same_rows(again.infos[name], values)
        finally:
            delete_dataset("again-v0")


def test_columns_are_named_by_where_values_lie_and_have_types_of_their_own() -> None:
    table = make_dataset().to_arrow(next_observations=True)

    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["observation.matrix"] == (
        "fixed_size_list<item: fixed_size_list<item: float>[3]>[2]"
    )
    assert kinds["observation.image"] == "struct<bytes: binary, path: string>"
    assert kinds["observation.pair.0"] == "int64"
    assert kinds["observation.a\\.b"] == "fixed_size_list<item: double>[2]"
    assert kinds["next_observation.name"] == "string"
    assert kinds["info.ragged"] == "list<item: int64>"
    assert kinds["terminated"] == "bool"
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["observation.image"] == {"_type": "Image"}


def test_a_row_has_what_its_step_returned_and_infos_of_steps_lie_beside_it() -> None:
    dataset = make_dataset()

    steps = dataset.to_arrow(next_observations=True).to_pydict()
    episodes = dataset.to_arrow("episodes").to_pydict()

    assert steps["episode_id"] == [0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert steps["step"] == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    assert steps["info.speed"] == [1, 2, 3, 1, 1, 2, 3, 4, 5]
    assert steps["info.own"] == [0, 1, 2, 0, 0, 1, 2, 3, 4]
    assert steps["info.late"] == [None, None, None, 1, 1, 2, 3, 4, 5]
    assert steps["next_observation.name"][3] is None, "nobody knows the final observation"
    assert np.isnan(steps["reward"][1])
    assert steps["reward"][0] == -np.inf
    assert episodes["seed"] == [None, 3, 2**64 - 1]
    assert episodes["length"] == [3, 1, 5]
    assert episodes["final_observation.name"][1] is None
    assert episodes["reset_info.speed"] == [0, 0, 0]
    assert episodes["final_info.own"] == [3, 1, 5]
    assert json.loads(episodes["options"][1]) == {"start": {"x": 1.5}}


def test_a_data_frame_has_a_column_for_each_element_and_becomes_the_same_dataset_again() -> None:
    dataset = make_dataset()

    steps, episodes = dataset.to_pandas(), dataset.to_pandas("episodes")

    assert [name for name in steps if str(name).startswith("observation.matrix")] == [
        f"observation.matrix.{row}.{column}" for row in range(2) for column in range(3)
    ]
    assert str(episodes["seed"].dtype) == "UInt64"
    assert episodes["seed"].isna().tolist() == [True, False, False]
    assert steps["observation.image"][0].shape == (12, 10, 3)
    made = create_dataset_from_table(
        "again-v0",
        steps,
        episodes,
        observation_space=dataset.observation_space,
        action_space=dataset.action_space,
        step_infos=["own"],
    )
    expect_same(made, dataset)


def test_a_time_series_with_text_becomes_a_dataset() -> None:
    frame = pd.DataFrame(
        {
            "episode_id": ["a", "a", "b"],
            "observation.0": [0.5, 1.5, 2.5],
            "observation.1": [0.0, 1.0, 2.0],
            "action": [0, 2, 1],
            "reward": [1.0, 2.0, 3.0],
            "terminated": [False, True, False],
            "info.note": ["warm", None, "cold"],
        }
    )

    dataset = create_dataset_from_table("series-v0", frame)

    first, second = dataset
    assert first.observations.tolist() == [[0.5, 0.0], [1.5, 1.0]]
    assert not first.final_observation_known
    assert first.infos["note"] == [None, "warm", None]
    assert second.truncations.tolist() == [True], "it ends, and nothing terminated it"
    assert dataset.action_space == spaces.Discrete(3)


def test_views_give_their_own_episodes_and_empty_ones_no_row() -> None:
    dataset = make_dataset()

    assert set(dataset[1:].to_pandas()["episode_id"]) == {1, 2}
    assert dataset[:0].to_arrow().schema.names == dataset.to_arrow().schema.names
    assert len(dataset[:0].to_arrow("episodes")) == 0


def test_long_episodes_are_taken_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset()
    whole = [dataset.to_arrow(rows) for rows in ("steps", "episodes")]
    monkeypatch.setattr("minari_core.tables.gathering._CHUNK_NBYTES", 2000)

    for table, rows in zip(whole, ("steps", "episodes"), strict=True):
        again = dataset.to_arrow(rows)  # type: ignore[arg-type]  # both are
        assert again.column(0).num_chunks > 1
        for name in table.schema.names:
            assert str(again[name].to_pylist()) == str(table[name].to_pylist()), name


def test_what_is_no_column_is_refused_by_name_or_written_as_json() -> None:
    space = spaces.Dict({"graph": spaces.Graph(spaces.Box(-1, 1, (2,)), None)})
    space.seed(1)
    episode = EpisodeBuffer(
        observations=[space.sample(), space.sample()],
        actions=[1],
        rewards=[1.0],
        terminations=[True],
        truncations=[False],
    )
    dataset = create_dataset_from_buffers(
        "graphs-v0", [episode], observation_space=space, action_space=spaces.Discrete(2)
    )

    with pytest.raises(DataError, match=r"'observation\.graph' has .*as_json=True"):
        dataset.to_arrow()
    made = create_dataset_from_table(
        "again-v0", dataset.to_arrow(next_observations=True, as_json=True)
    )
    expect_same(made, dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": None}, "no column 'reward'"),
        ({"observation": None}, "no column 'observation'"),
        ({"step": [0, 2, 0]}, "episode 0: its steps are not numbered from 0 to 1"),
        ({"episode_id": [0, 1, 0], "step": None}, "episode 0 do not lie one after another"),
        ({"terminated": [0, 1, 1]}, "episode 0: terminated is int64, not true or false"),
        ({"reward": [1.0, None, 1.0]}, "episode 0: reward is missing"),
        ({"action": [[1, 2], [1, 2], None]}, "episode 1: an action is missing"),
        ({"observation": [{"a": 1}] * 3}, "column 'observation' is struct"),
    ],
)
def test_tables_that_are_no_episodes_are_refused_and_nothing_is_left(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    columns: dict[str, Any] = {
        "episode_id": [0, 0, 1],
        "step": [0, 1, 0],
        "observation": [0.0, 1.0, 2.0],
        "action": [0, 1, 1],
        "reward": [1.0, 1.0, 1.0],
        "terminated": [False, True, True],
        **change,
    }
    table = pa.table({name: value for name, value in columns.items() if value is not None})

    with pytest.raises(DataError, match=message):
        create_dataset_from_table(
            "bad-v0",
            table,
            observation_space=spaces.Box(-9, 9, (), np.float64),
            action_space=spaces.Box(-9, 9, (2,) if "action" in change else (), np.int64),
        )
    assert not (tmp_path / "root" / "bad-v0").exists()


def test_steps_and_episodes_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    steps = pd.DataFrame(
        {
            "episode_id": [0, 0, 1, 1],
            "observation": [0.0, 1.0, 5.0, 6.0],
            "next_observation": [1.0, 2.0, 6.0, 7.0],
            "action": [0, 1, 0, 1],
            "reward": 1.0,
            "terminated": False,
        }
    )
    episodes = pd.DataFrame({"episode_id": [0, 1], "length": [2, 2], "final_observation": [2.0, 7]})
    others = steps.assign(next_observation=[1.0, 2.0, 9.0, 7.0])
    wrong = [
        (steps[:3], episodes, "episode 1: it has 1 steps, and .* says length 2"),
        (steps[:2], episodes, "episode 1 is in the table of episodes and has no steps; leave"),
        (steps, episodes.loc[[0, 1, 1]], "episode 1 is in the table of episodes twice"),
        (others, episodes, "episode 1: next_observation of step 0 is not the observation after it"),
        (steps, episodes.assign(final_observation=3.0), "episode 0: next_observation of step 1"),
    ]
    for index, (rows, table, said) in enumerate(wrong):
        path = tmp_path / f"{index}.parquet"
        rows.to_parquet(path)
        with pytest.raises(DataError, match=said):
            create_dataset_from_table("wrong-v0", path, table)
    assert not list((tmp_path / "root").glob("wrong*"))

    made = create_dataset_from_table("right-v0", steps, episodes)
    assert made[1].observations.ravel().tolist() == [5.0, 6.0, 7.0]


def test_columns_that_a_dataset_does_not_have_are_left_out_and_told() -> None:
    steps = pd.DataFrame(
        {
            "when": pd.date_range("2026-01-01", periods=2, tz="UTC"),
            "episode_id": 0,
            "observation": [0.0, 1.0],
            "action": [0, 1],
            "reward": 1.0,
            "terminated": False,
            "weather": "fine",
        }
    )

    with pytest.warns(MinariWarning, match="left out 'when', 'weather'"):
        made = create_dataset_from_table("plant-v0", steps)

    assert made.total_steps == 2


def test_files_that_are_no_tables_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "steps.parquet"
    damaged.write_bytes(b"PAR1 and no more")

    with pytest.raises(DatasetDamagedError, match=r"steps\.parquet is no whole Parquet file"):
        create_dataset_from_table("bad-v0", damaged)
    with pytest.raises(DatasetNotFoundError, match=r"absent\.parquet"):
        create_dataset_from_table("bad-v0", tmp_path / "absent.parquet")
    with pytest.raises(DataError, match="3 is no table"):
        create_dataset_from_table("bad-v0", 3)


def test_a_parquet_file_has_an_index_of_its_pages_and_ends_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari_core.tables.gathering._CHUNK_NBYTES", 2000)
    dataset = make_dataset()
    file = tmp_path / "steps.parquet"

    written = write_parquet(get_raw_storage(dataset), range(3), file, most_nbytes=1)

    assert 0 < written < dataset.total_steps
    metadata = parquet.ParquetFile(file).metadata
    assert metadata.num_rows == written
    assert metadata.row_group(0).column(0).has_offset_index
    assert [path.name for path in tmp_path.iterdir() if path.name != "root"] == [file.name]


def test_text_beside_other_values_comes_back_as_what_it_was(tmp_path: Path) -> None:
    dataset = create_dataset_from_buffers(
        "either-v0",
        [
            EpisodeBuffer(
                observations=np.zeros((4, 1)),
                actions=np.zeros(3, np.int64),
                rewards=np.ones(3),
                terminations=[False, False, True],
                truncations=[False] * 3,
                infos={"either": ["odd", "one", 1, {"deep": [2, "three"]}]},
            )
        ],
        observation_space=spaces.Box(-1, 1, (1,), np.float64),
        action_space=spaces.Discrete(2),
    )
    steps, episodes = (dataset.to_arrow(rows, as_json=True) for rows in ("steps", "episodes"))

    made = create_dataset_from_table("again-v0", steps, episodes)

    assert made[0].infos["either"] == dataset[0].infos["either"]


def test_steps_have_the_observation_that_they_led_to_only_where_it_is_asked_for() -> None:
    dataset = make_dataset()
    for names in (
        dataset.to_arrow().column_names,
        list(dataset.to_pandas().columns),
        dataset.to_polars().columns,
    ):
        assert not [name for name in names if name.startswith("next_observation")]
