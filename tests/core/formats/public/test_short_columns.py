"""T observations or infos of T rows for T steps, as the public Minari writes what it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    combine_datasets,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.messages import MinariWarning
from minari_core.testing.expectations import expect_same, expect_same_episode

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
SPACE = spaces.Dict(
    place=spaces.Box(-9, 9, (2,), np.float64),
    pair=spaces.Tuple([spaces.Discrete(9), spaces.Text(4)]),
)
STEPS = (3, 1)


def make_buffer(steps: int, rows: int, info_rows: int) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations={
            "place": np.arange(2.0 * rows).reshape(rows, 2),
            "pair": (np.arange(rows), ["abcd"[:row] for row in range(rows)]),
        },
        actions=np.arange(steps),
        rewards=np.arange(1.0, steps + 1),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
        infos={
            "count": np.arange(info_rows),
            "speed": np.arange(info_rows) / 2,
            "inner": {
                "place": np.arange(2 * info_rows, dtype=np.float32).reshape(info_rows, 2),
                "said": [f"é{row}" for row in range(info_rows)],
            },
        },
    )


def create(name: str, data_format: str, *, rows: int = 0, info_rows: int = 0) -> MinariDataset:
    """Make a dataset whose episodes have so many rows more than steps."""
    return create_dataset_from_buffers(
        name,
        [make_buffer(steps, steps + rows, steps + info_rows) for steps in STEPS],
        observation_space=SPACE,
        action_space=spaces.Discrete(5),
        data_format=data_format,
    )


def folder_of(dataset: MinariDataset) -> Path:
    return Path(str(dataset.spec.data_path))


def expect_unknown_finals(dataset: MinariDataset) -> None:
    entries = [dataset.storage.read_episode_metadata([index]) for index in range(len(STEPS))]
    for steps, episode, entry in zip(STEPS, dataset, entries, strict=True):
        assert len(episode) == steps
        assert not episode.final_observation_known
        assert episode.metadata[FINAL_OBSERVATION] is False
        assert next(entry).metadata == episode.metadata
        expect_same(episode.observations["place"], np.arange(2.0 * steps).reshape(steps, 2))
        expect_same(episode.observations["pair"][0], np.arange(steps))
        assert episode.observations["pair"][1] == ["abcd"[:row] for row in range(steps)]
        expect_same(episode.actions, np.arange(steps))
        expect_same(episode.rewards, np.arange(1.0, steps + 1))
        assert episode.truncations.tolist() == [False] * (steps - 1) + [True]


def expect_short_infos(dataset: MinariDataset) -> None:
    for steps, episode in zip(STEPS, dataset, strict=True):
        inner = episode.infos["inner"]
        for rows in (episode.infos["count"], episode.infos["speed"], inner["place"]):
            assert len(rows) == steps + 1
            mask = np.ma.getmaskarray(rows).reshape(steps + 1, -1)
            assert not mask[:-1].any()
            assert mask[-1].all()
        expect_same(np.asarray(episode.infos["count"][:-1]), np.arange(steps))
        expect_same(np.asarray(episode.infos["speed"][:-1]), np.arange(steps) / 2)
        wanted = np.arange(2 * steps, dtype=np.float32).reshape(steps, 2)
        expect_same(np.asarray(inner["place"][:-1]), wanted)
        assert inner["said"] == [*(f"é{row}" for row in range(steps)), None]


def expect_everything(dataset: MinariDataset) -> None:
    """Use a dataset of T observations in the ways that there are, and compare copies of it."""
    expect_unknown_finals(dataset)
    assert verify_dataset(dataset.id).problems == ()
    filtered = dataset.filter_episodes(lambda episode: len(episode) == 3)
    assert [len(episode) for episode in filtered.sample_episodes(1)] == [3]
    unknown = dataset.filter_episodes(metadata=lambda entry: not entry.final_observation_known)
    assert len(unknown) == len(STEPS)
    copy = convert_dataset(dataset, "copies/columnar-v0")
    assert verify_dataset(copy.id).problems == ()
    assert len(copy.sample_transitions(2).actions) == 2
    (batch,) = copy.batches(9, shuffle=False)
    assert batch.actions.tolist() == [0, 1]
    (batch,) = copy.batches(9, shuffle=False, include_unknown_final=True)
    assert batch.actions.tolist() == [0, 1, 2, 0]
    combined = combine_datasets([dataset, dataset], "copies/combined-v0")
    for data_format in ("hdf5", "arrow"):
        again = convert_dataset(copy, f"copies/{data_format}-v1", data_format=data_format)
        expect_unknown_finals(load_dataset(again.id))
        assert verify_dataset(again.id).problems == ()
        for found, wanted in zip(again, dataset, strict=True):
            expect_same_episode(found, wanted)
    for found, wanted in zip(combined[len(STEPS) :], dataset, strict=True):
        expect_same_episode(found, wanted, ids=False)


@pytest.mark.parametrize("data_format", FORMATS)
def test_buffers_of_as_many_observations_as_steps_have_final_ones_that_nobody_knows(
    data_format: str,
) -> None:
    with pytest.warns(MinariWarning, match=r"episode 0 has 3 observations for 3 steps"):
        dataset = create("short/made-v0", data_format, info_rows=1)
    expect_everything(dataset)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("rows", [0, 1])
def test_infos_of_one_row_a_step_have_none_beside_the_final_observation(
    data_format: str, rows: int
) -> None:
    dataset = create("short/made-v0", data_format, rows=rows)
    expect_short_infos(load_dataset(dataset.id))
    assert verify_dataset(dataset.id).problems == ()
    for other in ("columnar", "hdf5", "parquet"):
        copy = convert_dataset(dataset, f"copies/{other}-v0", data_format=other)
        expect_short_infos(copy)
        back = convert_dataset(copy, f"back/{other}-v0", data_format=data_format)
        for found, wanted in zip(back, dataset, strict=True):
            expect_same_episode(found, wanted)
    dataset.update_dataset_from_buffer([make_buffer(2, 3, 3)])
    assert load_dataset(dataset.id)[2].infos["count"].tolist() == [0, 1, 2]


def test_the_hdf5_file_has_the_rows_of_infos_that_there_are() -> None:
    dataset = create("short/made-v0", "hdf5", rows=1)
    with h5py.File(folder_of(dataset) / "main_data.hdf5") as file:
        infos = file["episode_0/infos"]
        assert infos["count"][()].tolist() == [0, 1, 2]
        assert [text.decode() for text in infos["inner/said"][()]] == ["é0", "é1", "é2"]


def test_metadata_that_claims_the_final_observation_is_not_believed() -> None:
    buffer = make_buffer(3, 3, 4)
    buffer.metadata = {FINAL_OBSERVATION: True}
    dataset = create("short/made-v0", "columnar", rows=1)
    with pytest.raises(ValueError, match=r"observations.*has 3 rows, not 4"):
        dataset.update_dataset_from_buffer([buffer])


def test_a_dataset_is_added_to_by_buffers_and_dicts() -> None:
    dataset = create("short/made-v0", "columnar", rows=1)
    before = dataset[0]
    fields = {name: getattr(before, name) for name in EpisodeBuffer.__dataclass_fields__}
    dataset.update_dataset_from_buffer([make_buffer(3, 3, 3), fields])
    dataset.storage.update_episodes([{**fields, "id": None}])
    again = load_dataset(dataset.id)
    assert [episode.final_observation_known for episode in again] == [True, True, False, True, True]
    for index in (3, 4):
        expect_same_episode(again[index], before, ids=False)
    with pytest.raises(ValueError, match=r"episode 0 has keys \['speed'\]"):
        dataset.update_dataset_from_buffer([{"speed": 1}])


def remove_own_key(folder: Path) -> None:
    """Leave of the metadata what the public Minari writes."""
    path = folder / "metadata.json"
    metadata = json.loads(path.read_bytes())
    for key in [key for key in metadata if key.startswith("minari_core")]:
        del metadata[key]
    path.write_text(json.dumps(metadata))


def list_columns(group: Any, name: str) -> list[str]:
    node = group[name]
    if not isinstance(node, h5py.Group):
        return [name]
    return [column for key in node for column in list_columns(group, f"{name}/{key}")]


def shorten_hdf5(folder: Path) -> None:
    """Cut the final observations and infos off, as the public Minari stores buffers of T rows."""
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for group in list(file.values()):
            columns = [
                name for part in ("observations", "infos") for name in list_columns(group, part)
            ]
            for name in columns:
                values = group[name][:-1]
                del group[name]
                dtype = h5py.string_dtype() if values.dtype == object else None
                chunks = {"chunks": True, "maxshape": (None, *values.shape[1:])}
                group.create_dataset(name, data=values, dtype=dtype, **chunks)


def shorten_arrow(folder: Path) -> None:
    """Cut the last row off, which is padding in all columns but observations and infos."""
    for path in folder.glob("*/part-0.arrow"):
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table.slice(0, table.num_rows - 1).combine_chunks())


def shorten_parquet(folder: Path) -> None:
    for path in folder.glob("*/part-0.parquet"):
        table = parquet.read_table(path, partitioning=None)
        parquet.write_table(table.slice(0, table.num_rows - 1), path)


@pytest.mark.parametrize("shorten", [shorten_hdf5, shorten_arrow, shorten_parquet])
def test_files_of_the_public_minari_with_t_rows_are_read(shorten: Callable[[Path], None]) -> None:
    data_format = shorten.__name__.partition("_")[2]
    folder = folder_of(create("short/public-v0", data_format, rows=1, info_rows=1))
    shorten(folder)
    remove_own_key(folder)
    dataset = load_dataset("short/public-v0")
    expect_everything(dataset)
    expect_short_infos(dataset)
    dataset.update_dataset_from_buffer([make_buffer(2, 3, 3), make_buffer(2, 2, 2)])
    again = load_dataset(dataset.id)
    assert [episode.final_observation_known for episode in again] == [False, False, True, False]
    assert verify_dataset(dataset.id).problems == ()


def test_an_episode_is_damaged_if_a_column_has_still_fewer_rows() -> None:
    folder = folder_of(create("short/public-v0", "hdf5", rows=1, info_rows=1))
    shorten_hdf5(folder)
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        values: Any = file["episode_0/observations/place"]
        values.resize((2, 2))
    remove_own_key(folder)
    with pytest.raises(OSError, match=r"observations.*has 2 rows"):
        load_dataset("short/public-v0")[0]
