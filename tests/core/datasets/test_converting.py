"""Datasets change their format and nothing else."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    DatasetDamagedError,
    DatasetIdError,
    EpisodeBuffer,
    FormatError,
    MinariDataset,
    SpaceError,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
)
from minari_core.testing.expectations import expect_same_episode

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
SPACE = spaces.Dict(
    image=spaces.Box(0, 255, (40, 36, 3), np.uint8),
    name=spaces.Text(4),
    pair=spaces.Tuple([spaces.Discrete(3), spaces.MultiBinary(2)]),
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


@pytest.mark.parametrize("given", ["id", "path"])
def test_what_load_dataset_takes_is_converted_as_well(given: str, tmp_path: Path) -> None:
    dataset = rich_dataset()
    made = convert_dataset(
        "rich-v0" if given == "id" else tmp_path / "rich-v0", "copy-v0", data_format="arrow"
    )
    for episode, again in zip(dataset, made, strict=True):
        expect_same_episode(episode, again)
    with pytest.raises(DatasetIdError, match="3 is of type int"):
        convert_dataset(3, "other-v0")  # type: ignore[arg-type]  # is what is tested


def rich_dataset(dataset_id: str = "rich-v0", data_format: str = "columnar") -> MinariDataset:
    SPACE.seed(0)
    buffers = []
    for number, steps in enumerate((3, 1, 5)):
        buffers.append(
            EpisodeBuffer(
                observations=[SPACE.sample() for _ in range(steps + 1)],
                actions=np.arange(steps, dtype=np.float32).reshape(-1, 1),
                rewards=np.linspace(0, 1, steps),
                terminations=np.arange(steps) == steps - 1,
                truncations=np.zeros(steps, dtype=bool),
                infos={
                    "speed": np.arange(steps + 1.0),
                    "sometimes": [None, *range(steps)],
                    "ragged": [np.arange(row) for row in range(steps + 1)],
                    "inner": {"text": [str(row) for row in range(steps + 1)]},
                    **({"late": np.arange(steps + 1)} if number else {}),
                },
                seed=number if number else None,
                options={"start": {"x": 1.5}} if number == 1 else None,
                metadata={"score": 0.5 * number, "tags": ["a"], "vector": np.arange(2.0)},
                extras={"own": np.arange(steps + 1)},
            )
        )
    return create_dataset_from_buffers(
        dataset_id,
        buffers,
        "CartPole-v1",
        observation_space=SPACE,
        action_space=spaces.Box(0, 9, (1,), np.float32),
        author=["Ada", "Bob"],
        description="for tests",
        data_format=data_format,
    )


def expect_equal(found: MinariDataset, wanted: MinariDataset) -> None:
    assert found.total_steps == wanted.total_steps
    for one, other in zip(found, wanted, strict=True):
        expect_same_episode(one, other, ids=False)
    said = zip(found.iterate_episode_metadata(), wanted.iterate_episode_metadata(), strict=True)
    for entry, wanted_entry in said:
        assert (entry.seed, entry.options) == (wanted_entry.seed, wanted_entry.options)
        assert entry.total_steps == wanted_entry.total_steps
    for key in ("author", "description"):
        assert found.metadata[key] == wanted.metadata[key]
    assert found.observation_space == wanted.observation_space
    assert found.env_spec == wanted.env_spec


@pytest.mark.parametrize(("there", "back"), list(itertools.permutations(FORMATS, 2)))
def test_there_and_back_gives_equal_data(there: str, back: str) -> None:
    original = rich_dataset()
    converted = convert_dataset(original, "there-v0", data_format=there)
    again = convert_dataset(converted, "back-v0", data_format=back)
    assert (converted.spec.data_format, again.spec.data_format) == (there, back)
    expect_equal(converted, original)
    expect_equal(again, original)
    expect_equal(load_dataset("back-v0"), original)


def test_a_view_is_converted_with_its_own_episodes_and_progress_is_told() -> None:
    original = rich_dataset()
    told: list[tuple[int, int]] = []
    converted = convert_dataset(
        original[[2, 0]], "part-v0", data_format="hdf5", progress=lambda *done: told.append(done)
    )
    assert [len(episode) for episode in converted] == [5, 3]
    assert told == [(1, 2), (2, 2)]


def test_what_the_format_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    graph = spaces.Graph(spaces.Box(0, 1, (2,)), None)
    buffer = EpisodeBuffer(
        observations=[graph.sample(), graph.sample()],
        actions=[0],
        rewards=[0.0],
        terminations=[True],
        truncations=[False],
    )
    dataset = create_dataset_from_buffers(
        "graph-v0", [buffer], observation_space=graph, action_space=spaces.Discrete(2)
    )
    with pytest.raises(SpaceError, match=r"observation_space cannot be .* 'hdf5'"):
        convert_dataset(dataset, "new-v0", data_format="hdf5")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging", "graph-v0"]
    assert not list((tmp_path / ".staging").iterdir())


def test_images_are_jpeg_only_where_that_is_asked_for() -> None:
    original = rich_dataset()
    exact = convert_dataset(original, "exact-v0", data_format="hdf5")
    lossy = convert_dataset(original, "lossy-v0", data_format="hdf5", jpeg_encoding=True)
    assert exact.metadata["jpeg_encoding"] is False
    assert lossy.metadata["jpeg_encoding"] is True
    one, other = original[0].observations["image"], lossy[0].observations["image"]
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("data_format", [None, "columnar"])
def test_jpeg_is_refused_where_the_format_stores_none(
    tmp_path: Path, data_format: str | None
) -> None:
    source = rich_dataset()
    with pytest.raises(FormatError, match="hdf5, arrow, parquet"):
        convert_dataset(source, "jpeg-v0", data_format=data_format, jpeg_encoding=True)
    assert not (tmp_path / "jpeg-v0").exists()


def test_the_root_of_the_hdf5_file_holds_nothing_but_episodes(tmp_path: Path) -> None:
    rich_dataset("plain-v0", "hdf5")
    with h5py.File(tmp_path / "plain-v0" / "data" / "main_data.hdf5") as file:
        assert list(file) == ["episode_0", "episode_1", "episode_2"]
        assert not file.attrs


def test_what_a_killed_append_left_is_removed_by_the_next(tmp_path: Path) -> None:
    for data_format in ("hdf5", "arrow"):
        dataset = rich_dataset(f"{data_format}-v0", data_format)
        data = tmp_path / f"{data_format}-v0" / "data"
        before = (data / "metadata.json").read_bytes()
        dataset.update_dataset_from_buffer([dataset[0]])
        # As if the process had been killed between the data and the metadata.
        (data / "metadata.json").write_bytes(before)
        found = load_dataset(f"{data_format}-v0")
        assert len(found) == 3
        found.update_dataset_from_buffer([found[1]])
        assert [len(episode) for episode in load_dataset(f"{data_format}-v0")] == [3, 1, 5, 1]


def test_a_damaged_episode_is_an_error_that_names_it_and_its_file(tmp_path: Path) -> None:
    for data_format, name in (("hdf5", "main_data.hdf5"), ("arrow", "1/part-0.arrow")):
        rich_dataset(f"{data_format}-v0", data_format)
        path = tmp_path / f"{data_format}-v0" / "data" / name
        if data_format == "hdf5":
            with h5py.File(path, "a") as file:
                del file["episode_1/rewards"]
        else:
            path.write_bytes(path.read_bytes()[:100])
        dataset = load_dataset(f"{data_format}-v0")
        assert len(dataset[0]) == 3
        with pytest.raises(DatasetDamagedError, match=r"episode 1 (of|in) .*-v0.data"):
            dataset[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("observation_space", None),
        ("observation_space", "[]"),
        ("total_episodes", "three"),
        ("total_steps", None),
        ("jpeg_encoding", "no"),
        ("author", 3),
        ("minari_version", 5),
    ],
)
def test_metadata_of_the_wrong_kind_is_refused_with_the_name_of_the_key(
    tmp_path: Path, key: str, value: Any
) -> None:
    rich_dataset("broken-v0", "hdf5")
    path = tmp_path / "broken-v0" / "data" / "metadata.json"
    content = json.loads(path.read_bytes())
    content.pop("minari_core")
    content.pop("env_spec")
    content[key] = value
    if value is None:
        del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetDamagedError, match=key):
        load_dataset("broken-v0")


def test_spaces_that_metadata_lacks_are_those_of_the_environment(tmp_path: Path) -> None:
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    buffer = EpisodeBuffer(observations=[observation]).add_step_data(
        {
            "observation": observation,
            "action": np.int64(0),
            "reward": 1.0,
            "terminated": True,
            "truncated": False,
        }
    )
    create_dataset_from_buffers("old-v0", [buffer], env, data_format="hdf5")
    path = tmp_path / "old-v0" / "data" / "metadata.json"
    content = json.loads(path.read_bytes())
    for key in ("minari_core", "observation_space", "action_space", "jpeg_encoding"):
        del content[key]
    path.write_text(json.dumps(content))
    dataset = load_dataset("old-v0")
    assert dataset.observation_space == env.observation_space
    assert np.array_equal(dataset[0].observations[0], observation)


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_long_episodes_and_one_shot_iterators_are_read_in_arrow(data_format: str) -> None:
    lengths = (40_000, 3, 32_768)
    buffers = [
        EpisodeBuffer(
            observations=np.arange(steps + 1, dtype=np.float32).reshape(-1, 1),
            actions=np.arange(steps),
            rewards=np.arange(steps, dtype=float),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, dtype=bool),
        )
        for steps in lengths
    ]
    create_dataset_from_buffers(
        "long-v0",
        buffers,
        observation_space=spaces.Box(0, 1e6, (1,), np.float32),
        action_space=spaces.Discrete(40_000),
        data_format=data_format,
    )
    dataset = load_dataset("long-v0")
    assert [len(episode) for episode in dataset] == list(lengths)
    chosen = dataset.iterate_episodes(iter([2, 0]))
    for episode, steps in zip(chosen, (32_768, 40_000), strict=True):
        assert np.array_equal(episode.observations[:, 0], np.arange(steps + 1))
        assert np.array_equal(episode.actions, np.arange(steps))


def test_an_unknown_format_is_an_error_that_names_it_and_those_that_are_known(
    tmp_path: Path,
) -> None:
    rich_dataset("later-v0", "hdf5")
    path = tmp_path / "later-v0" / "data" / "metadata.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "data_format": "zarr"}))
    with pytest.raises(FormatError, match=r"'zarr'.*columnar, hdf5, arrow, parquet"):
        load_dataset("later-v0")
    content["minari_core"]["version"] = 99
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"version 99, newer than \d+; upgrade minari-core"):
        load_dataset("later-v0")
