"""Whatever is wrong with a file of a public layout is told by an error of the tree."""

from __future__ import annotations

import json
import shutil
import zipfile
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
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import DatasetDamagedError

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def stored(tmp_path: Path, data_format: str) -> Path:
    """A dataset of two episodes, each with a sidecar; its ``data`` folder."""
    buffer = EpisodeBuffer(
        observations=np.ones((4, 2), np.float32),
        actions=np.zeros(3, np.int64),
        rewards=np.ones(3),
        terminations=np.arange(3) == 2,
        truncations=np.zeros(3, bool),
        infos={"pair": np.ones((4, 2)), "text": ["a"] * 4},
        options={"deep": [1, {"er": None}]},
    )
    create_dataset_from_buffers(
        "damaged-v0",
        [buffer, buffer],
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    return tmp_path / "damaged-v0" / "data"


def forget_checksums(data: Path) -> None:
    """As if an earlier release had written the dataset."""
    manifest = json.loads((data / "metadata.json").read_text())
    for key in ("crc32", "described", "checksums"):
        del manifest["minari_core"][key]
    (data / "metadata.json").write_text(json.dumps(manifest))


def expect_damage(told: str) -> None:
    """Episode 1 cannot be read, which its reader and `verify` say; episode 0 can."""
    dataset = load_dataset("damaged-v0")
    assert len(dataset[0]) == 3
    with pytest.raises(DatasetDamagedError, match="episode 1") as raised:
        dataset[1]
    assert told in str(raised.value)
    report = verify_dataset("damaged-v0")
    assert {problem.episode for problem in report.problems} == {1}


def edit_table(data: Path, data_format: str, edit: Callable[[Any], Any]) -> None:
    """Replace the table of episode 1."""
    path = data / "1" / f"part-0.{data_format}"
    if data_format == "arrow":
        with pa.OSFile(str(path)) as file:
            table = edit(pa.ipc.open_file(file).read_all())
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        parquet.write_table(edit(parquet.read_table(path, partitioning=None)), path)


def with_column(name: str, values: Any) -> Callable[[Any], Any]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, values)


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
@pytest.mark.parametrize(
    "damage",
    [b"", b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 60, b"\x93NUMPY", b"nothing"],
    ids=["empty", "head", "zeros", "numpy", "text"],
)
def test_a_damaged_sidecar_is_told(tmp_path: Path, data_format: str, damage: bytes) -> None:
    (stored(tmp_path, data_format) / "1" / "_minari_core.npz").write_bytes(damage)
    expect_damage("")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }",
        "[" * 3000 + "]" * 3000,
        "{'descr': '<f8'",
    ],
    ids=["huge", "negative", "deep", "cut"],
)
def test_an_array_of_a_sidecar_that_lies_is_told(tmp_path: Path, header: str) -> None:
    path = stored(tmp_path, "arrow") / "1" / "_minari_core.npz"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = header.encode() + b"\n"
    parts["0.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    expect_damage("")


def edit_sidecar(data: Path, name: str, content: np.ndarray) -> None:
    """Replace an array in the sidecar of episode 1."""
    if (data / "main_data.hdf5").exists():
        with h5py.File(data / "main_data.hdf5", "a") as file:
            del file[f"episode_1/minari_core/{name}"]
            file[f"episode_1/minari_core/{name}"] = content
        return
    path = data / "1" / "_minari_core.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, name: content})


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "null",
        "[[]]",
        '{"entry": {"kind": "text"}}',
        '[["entry", {"kind": "text"}]]',
        '[[["infos"], {"kind": "text"}]]',
        '[[["elsewhere", "x"], {"kind": "text"}]]',
        '[[["infos", 1], {"kind": "text"}]]',
        '[[["infos", "x"], {"kind": "none such"}]]',
        '[[["infos", "x"], []]]',
        '[[["infos", "x"], {"kind": "fixed", "dtype": "O", "shape": []}]]',
        '[[["infos", "x"], {"kind": "fixed", "dtype": "<f8", "shape": [9999999999999]}]]',
    ],
    ids=lambda text: text[:60],
)
def test_columns_of_a_sidecar_that_are_malformed_are_told(
    tmp_path: Path, data_format: str, text: str
) -> None:
    edit_sidecar(stored(tmp_path, data_format), "columns", np.frombuffer(text.encode(), np.uint8))
    expect_damage("")


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("text", ["{", "nul", '{"a": }', "\udcff", "[" * 100_000])
def test_kept_json_that_is_malformed_is_told(tmp_path: Path, data_format: str, text: str) -> None:
    data = stored(tmp_path, data_format)
    blob = text.encode("utf-8", "surrogatepass")
    # The options: their length, whether there are any, their text, and where it begins and ends.
    edit_sidecar(data, "2", np.frombuffer(blob, np.uint8))
    edit_sidecar(data, "3", np.array([0, len(blob)]))
    expect_damage("json")


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"total_steps": 1e999}', "[]", "{", '"\\ud800"'])
def test_damaged_attributes_are_told(tmp_path: Path, data_format: str, text: str) -> None:
    (stored(tmp_path, data_format) / "1" / "metadata.json").write_text(text)
    expect_damage("")


@pytest.mark.parametrize("column", ["rewards", "terminations", "actions", "observations"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([pa.MonthDayNano([1, 2, 3])] * 4, pa.month_day_nano_interval()),
        pa.array([b"a"] * 4, pa.binary(1)),
        pa.array(["a"] * 4),
        pa.array([None] * 4, pa.null()),
        pa.array([1] * 4, pa.timestamp("ns")),
        pa.array([[1.0]] * 4, pa.list_(pa.float64())),
        pa.array([[1, None]] * 4, pa.list_(pa.int64(), 2)),
        pa.array([1] * 4).dictionary_encode(),
    ],
    ids=lambda values: str(values.type).replace(" ", ""),
)
def test_a_column_of_a_type_without_numbers_is_refused_before_its_values(
    tmp_path: Path, column: str, values: Any
) -> None:
    edit_table(stored(tmp_path, "arrow"), "arrow", with_column(column, values))
    expect_damage(column)


def test_infos_of_intervals_are_refused(tmp_path: Path) -> None:
    intervals = pa.array([pa.MonthDayNano([1, 2, 3])] * 4, pa.month_day_nano_interval())
    lists = pa.ListArray.from_arrays([0, 1, 2, 3, 4], intervals)
    for values in (intervals, lists):
        infos = pa.StructArray.from_arrays([values], ["pair"])
        data = tmp_path / "damaged-v0" / "data"
        edit_table(
            data if data.exists() else stored(tmp_path, "arrow"),
            "arrow",
            with_column("infos", infos),
        )
        expect_damage("pair")


def test_offsets_that_lead_out_of_a_table_are_told(tmp_path: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 10**9, 2, 3, 4], np.int32))
    wrong = pa.Array.from_buffers(pa.string(), 4, [None, offsets, pa.py_buffer(b"abcd")])
    infos = pa.StructArray.from_arrays([wrong], ["text"])
    data = stored(tmp_path, "arrow")
    edit_table(data, "arrow", with_column("infos", infos))
    expect_damage("")


@pytest.mark.parametrize("seed", [np.inf, -np.inf, np.nan, 1.5])
def test_a_seed_that_is_no_whole_number_is_told(tmp_path: Path, seed: float) -> None:
    with h5py.File(stored(tmp_path, "hdf5") / "main_data.hdf5", "a") as file:
        file["episode_1"].attrs["seed"] = seed
        del file["episode_1/minari_core"]
    expect_damage("the seed is")
    with pytest.raises(DatasetDamagedError, match="episode 1"):
        list(load_dataset("damaged-v0").storage.read_episode_metadata([1]))


@pytest.mark.parametrize("name", ["actions", "rewards"])
@pytest.mark.parametrize("value", [np.array([b"1", b"2", b"3"]), np.float64(1)])
def test_what_is_no_array_of_numbers_is_told(tmp_path: Path, name: str, value: Any) -> None:
    with h5py.File(stored(tmp_path, "hdf5") / "main_data.hdf5", "a") as file:
        del file[f"episode_1/{name}"]
        file[f"episode_1/{name}"] = value
    with pytest.raises(DatasetDamagedError, match=rf"{name} (is|are) .*of shape \("):
        list(load_dataset("damaged-v0"))


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("steps", [3.5, 3.0, "3", True])
def test_a_length_that_is_no_whole_number_is_found(
    tmp_path: Path, data_format: str, steps: Any
) -> None:
    data = stored(tmp_path, data_format)
    forget_checksums(data)
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "a") as file:
            file["episode_1"].attrs["total_steps"] = steps
    else:
        path = data / "1" / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "total_steps": steps}))
    with pytest.raises(DatasetDamagedError, match="episode 1"):
        load_dataset("damaged-v0").storage.episode_lengths()
    assert {problem.episode for problem in verify_dataset("damaged-v0").problems} == {1}


@pytest.mark.parametrize("name", ["infos/pair", "infos/a/b", "further"])
@pytest.mark.parametrize("rows", [0, 2, 5, 300, None])
def test_rows_of_infos_that_do_not_fit_are_found(
    tmp_path: Path, name: str, rows: int | None
) -> None:
    data = stored(tmp_path, "hdf5")
    forget_checksums(data)
    with h5py.File(data / "main_data.hdf5", "a") as file:
        if name in file["episode_1"]:
            del file["episode_1"][name]
        file["episode_1"][name] = 1.0 if rows is None else np.ones((rows, 2))
    problems = verify_dataset("damaged-v0").problems
    assert [problem.episode for problem in problems] == [1]
    assert name.split("/")[-1] in str(problems[0].column)


@pytest.mark.parametrize("rows", [3, 4])
def test_infos_of_a_row_for_each_step_or_observation_fit(tmp_path: Path, rows: int) -> None:
    data = stored(tmp_path, "hdf5")
    forget_checksums(data)
    with h5py.File(data / "main_data.hdf5", "a") as file:
        file["episode_1/infos/more"] = np.ones((rows, 2))
    assert verify_dataset("damaged-v0").ok


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
@pytest.mark.parametrize("infos", [{}, {"more": [None, 1, 2, 3, 4, 5]}])
def test_a_sidecar_of_an_episode_of_another_length_is_told(
    tmp_path: Path, data_format: str, infos: dict[str, Any]
) -> None:
    data = stored(tmp_path, data_format)
    longer = EpisodeBuffer(
        observations=np.ones((6, 2), np.float32),
        actions=np.zeros(5, np.int64),
        rewards=np.ones(5),
        terminations=np.arange(5) == 4,
        truncations=np.zeros(5, bool),
        infos=infos,
        options={"deep": [1, {"er": None}]},
    )
    load_dataset("damaged-v0").update_dataset_from_buffer([longer])
    forget_checksums(data)
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "a") as file:
            del file["episode_1/minari_core"]
            file.copy("episode_2/minari_core", "episode_1/minari_core")
    else:
        shutil.copy(data / "2" / "_minari_core.npz", data / "1" / "_minari_core.npz")
    expect_damage("")


def test_a_sidecar_with_an_array_too_many_is_told(tmp_path: Path) -> None:
    data = stored(tmp_path, "arrow")
    forget_checksums(data)
    with np.load(data / "1" / "_minari_core.npz") as archive:
        further = str(len(archive.files) - 1)
    edit_sidecar(data, further, np.zeros(1))
    expect_damage("belong to no column")


@pytest.mark.parametrize("dtype", ["u1", "i4", "f4", "f8", "?"])
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
def test_elements_of_lists_are_read_as_they_are_stored(
    tmp_path: Path, dtype: str, kind: Callable[[Any], Any]
) -> None:
    data = stored(tmp_path, "arrow")
    forget_checksums(data)
    made = [np.ones(length, dtype) for length in (2, 0, 3, 1)]
    lists = pa.array([row.tolist() for row in made], kind(pa.from_numpy_dtype(np.dtype(dtype))))
    texts = pa.array([["a"], [], ["b", "cd"], None], pa.list_(pa.string()))
    infos = pa.StructArray.from_arrays([lists, texts], ["lists", "texts"])
    edit_table(data, "arrow", with_column("infos", infos))
    found: Any = load_dataset("damaged-v0")[1].infos
    for one, other in zip(found["lists"], made, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert [None if row is None else row.tolist() for row in found["texts"]] == texts.to_pylist()


def test_an_element_that_is_missing_is_told(tmp_path: Path) -> None:
    data = stored(tmp_path, "arrow")
    lists = pa.array([[1], [1, None], [], [2]], pa.list_(pa.int64()))
    infos = pa.StructArray.from_arrays([lists], ["pair"])
    edit_table(data, "arrow", with_column("infos", infos))
    expect_damage("elements without a value")


@pytest.mark.parametrize("data_format", ["hdf5", "arrow"])
@pytest.mark.parametrize("count", [-1, 1.5, "2", None, True, 1e999, 2**70])
def test_a_count_that_is_none_is_told(tmp_path: Path, data_format: str, count: object) -> None:
    path = stored(tmp_path, data_format) / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "total_episodes": count}))
    with pytest.raises(DatasetDamagedError, match="'total_episodes' is"):
        load_dataset("damaged-v0")
    assert not verify_dataset("damaged-v0").ok


@pytest.mark.parametrize("own", [{}, {"": None}, {"infos": None}])
def test_an_own_part_of_the_metadata_that_lost_its_contents_is_found(
    tmp_path: Path, own: dict[str, Any]
) -> None:
    path = stored(tmp_path, "hdf5") / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "minari_core": own}))
    assert "minari_core" in str(verify_dataset("damaged-v0").problems)
