"""Files of other libraries' layouts that claim too much, or lead elsewhere."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import minari
from minari import DataError, DatasetDamagedError
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A file of D4RL's layout, with what this project writes beside the columns."""
    minari.export_dataset(make_dataset(), tmp_path / "flat.hdf5", "d4rl")
    return tmp_path / "flat.hdf5"


@pytest.fixture
def demonstration(tmp_path: Path) -> Path:
    """A file of robomimic's, of one demonstration without its actions."""
    path = tmp_path / "lift.hdf5"
    with h5py.File(path, "w") as file:
        file["data/demo_0/obs/object"] = np.zeros((2, 3))
        file["data/demo_0/dones"] = np.array([0, 1])
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("layout", [None, "d4rl", "robomimic", "ogbench", "parquet"])
def test_a_pipe_is_refused_and_nobody_waits_for_it(layout: str | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.hdf5")

    with pytest.raises(DatasetDamagedError, match="no plain file"):
        minari.import_dataset(tmp_path / "pipe.hdf5", "made-v0", layout)


def test_a_text_that_claims_to_be_longer_than_its_file_is_damage(flat: Path) -> None:
    with h5py.File(flat) as file:
        length = len(file["minari/facts"][2])
        place = file["minari/facts"].id.get_offset() + 2 * 16
    content = bytearray(flat.read_bytes())
    assert struct.unpack_from("<I", content, place) == (length,)
    struct.pack_into("<I", content, place, 2**32 - 1)
    flat.write_bytes(content)

    with pytest.raises(DatasetDamagedError, match="facts: its arrays claim 429496"):
        minari.import_dataset(flat, "made-v0")


def test_a_heap_without_end_is_damage_and_nobody_waits_for_it(flat: Path) -> None:
    content = bytearray(flat.read_bytes())
    # A heap has a head of 16 bytes, and so has each part of it; that of index 0 is free.
    start = content.find(b"GCOL")
    while start >= 0:
        content[start + 16 : start + 32] = bytes(16)
        start = content.find(b"GCOL", start + 1)
    flat.write_bytes(content)

    with pytest.raises(DatasetDamagedError, match=r"heap at byte \d+ has a free part of no size"):
        minari.import_dataset(flat, "made-v0")


def test_columns_of_more_rows_than_there_are_steps_are_refused(flat: Path) -> None:
    with h5py.File(flat, "a") as file:
        rewards = file["rewards"][:]
        del file["rewards"]
        file["rewards"] = np.append(rewards, 1.0)

    with pytest.raises(DataError, match="rewards has 16 rows, but terminals has 15"):
        minari.import_dataset(flat, "made-v0")


def test_a_flat_column_that_no_byte_was_written_of_is_damage(flat: Path) -> None:
    with h5py.File(flat, "a") as file:
        del file["terminals"]
        file.create_dataset("terminals", (10**11,), "i1", chunks=(1 << 20,))

    with pytest.raises(DatasetDamagedError, match="terminals: a dataset of shape"):
        minari.import_dataset(flat, "made-v0")


def test_a_chunk_that_unpacks_to_more_than_its_shape_is_damage(demonstration: Path) -> None:
    with h5py.File(demonstration, "a") as file:
        made = file.create_dataset(
            "data/demo_0/actions", (2, 1), "f8", chunks=(2, 1), compression="gzip"
        )
        made.id.write_direct_chunk((0, 0), zlib.compress(bytes(1 << 26)))

    with pytest.raises(DatasetDamagedError, match="actions: a chunk unpacks to more than"):
        minari.import_dataset(demonstration, "made-v0", "robomimic", ends="terminated")


def test_a_group_that_leads_into_another_file_is_not_followed(
    demonstration: Path, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "mine.hdf5", "w") as file:
        file["data"] = h5py.ExternalLink(demonstration.name, "data")

    with pytest.raises(DataError, match="has no group 'data'"):
        minari.import_dataset(tmp_path / "mine.hdf5", "made-v0", "robomimic", ends="terminated")
    with pytest.raises(minari.FormatError, match="has no layout that is known"):
        minari.import_dataset(tmp_path / "mine.hdf5", "made-v0")


@pytest.mark.parametrize("name", ["features.json", "minari.json"])
def test_a_file_of_a_folder_that_leads_out_of_it_is_not_followed(name: str, tmp_path: Path) -> None:
    minari.export_dataset(make_dataset(), tmp_path / "out", "rlds")
    (tmp_path / "out" / name).rename(tmp_path / "elsewhere.json")
    (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere.json")

    with pytest.raises(DataError, match=f"{name} leads out of the folder"):
        minari.import_dataset(tmp_path / "out", "made-v0")


def test_a_text_that_stands_for_thousands_of_rows_is_not_unpacked(tmp_path: Path) -> None:
    rows = 4000
    table = pa.table(
        {
            "episode_id": np.zeros(rows, np.int64),
            "observation": np.zeros(rows),
            "action": np.zeros(rows),
            "reward": np.zeros(rows),
            "terminated": np.zeros(rows, bool),
            "info.word": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(rows, np.int32)), pa.array(["x" * (1 << 18)])
            ),
        }
    )
    parquet.write_table(table, tmp_path / "steps.parquet", store_schema=False)

    with pytest.raises(DatasetDamagedError, match="its arrays claim"):
        minari.import_dataset(tmp_path / "steps.parquet", "made-v0")


def test_numbers_that_stand_for_more_than_their_file_can_hold_are_not_unpacked(
    tmp_path: Path,
) -> None:
    column = np.zeros(1 << 23, np.int64)
    table = pa.table(dict.fromkeys(("episode_id", "observation", "action"), column))
    parquet.write_table(table, tmp_path / "steps.parquet")

    with pytest.raises(DatasetDamagedError, match="its arrays claim 20132"):
        minari.import_dataset(tmp_path / "steps.parquet", "made-v0")
