"""Arrays of flat files at the bounds of what they may claim, and what is refused by name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import DataError, DatasetDamagedError
from minari.interchange.facts import Survey
from minari.interchange.flat import npz
from minari.interchange.flat.d4rl import recognize as is_d4rl
from minari.interchange.flat.dsrl import recognize as is_dsrl
from minari.interchange.flat.hdf5 import _list_columns, has_sidecar, look_into
from minari.interchange.flat.npz import ArrayReader, ArraysWriter, list_arrays
from minari.interchange.flat.ogbench import _take_column
from minari.interchange.flat.ogbench import recognize as is_ogbench
from minari_core import EpisodeData
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_are_written_in_pieces_and_read_in_others(compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    rows = np.arange(20, dtype=np.int16).reshape(10, 2)
    with ArraysWriter(path, compressed=compressed) as file:
        file.write("rows", 10, (rows[first : first + 3] for first in range(0, 10, 3)))
        file.write("single", 1, [rows[:1, ::-1]])
        file.write_text("text", "é\n")
        with pytest.raises(
            DataError, match=r"bad is int64 of shape \(2,\) a row, and before it was"
        ):
            file.write("bad", 2, [rows[:1], rows[1:2].astype(np.int64)])
        with pytest.raises(DataError, match=r"bad2 is int16 of shape \(1,\) a row"):
            file.write("bad2", 2, [rows[:1], rows[1:2, :1]])

    assert list_arrays(path) == {"rows", "single", "text", "bad", "bad2"}
    with np.load(path) as found:
        assert found["rows"].tolist() == rows.tolist()
        assert found["rows"].dtype == np.int16
        assert found["single"].tolist() == [[1, 0]]
        assert found["text"].tobytes().decode() == "é\n"
    with zipfile.ZipFile(path) as file:
        kinds = {entry.compress_type for entry in file.infolist()}
        assert kinds == {zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED}
        reader = ArrayReader(file, "rows")
        assert (reader.shape, reader.dtype) == ((10, 2), np.dtype(np.int16))
        for first, last in ((0, 1), (1, 1), (1, 7), (7, 10)):
            taken = reader.take(last - first)
            assert taken.tolist() == rows[first:last].tolist()
            taken[...] = 0  # what is read may be changed
        with pytest.raises(DatasetDamagedError, match=r"x\.npz: rows is cut short"):
            reader.take(1)
        reader.close()
        whole = ArrayReader(file, "rows")
        assert whole.take_all().tolist() == rows.tolist()
    with pytest.raises(FileExistsError):
        ArraysWriter(path, compressed=True)
    path.write_bytes(b"no archive")
    assert list_arrays(path) == set()


def write_claim(path: Path, shape: tuple[int, ...], nbytes: int, descr: str = "<f8") -> None:
    """Write an array that claims a shape, and has so many bytes."""
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with zipfile.ZipFile(path, "w") as file, file.open("a.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(nbytes))


def test_an_array_claims_no_more_than_its_file_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    monkeypatch.setattr(npz, "FREE_NBYTES", 0)
    monkeypatch.setattr(npz, "MOST_PACKED", 1)

    def read() -> Any:
        with zipfile.ZipFile(path) as file:
            return ArrayReader(file, "a").take_all()

    header = 128
    write_claim(path, (4, 2), 64)
    assert read().shape == (4, 2)
    # The header is no part of the rows, and not told from them.
    write_claim(path, (4, 2), 0)
    with pytest.raises(DatasetDamagedError, match="a is cut short"):
        read()
    write_claim(path, (header // 8 + 1,), 0)
    with pytest.raises(DatasetDamagedError, match="a claims 136 bytes, of which the file has 128"):
        read()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", b"")
    np.savez_compressed(path, a=np.zeros(1000))
    with pytest.raises(DatasetDamagedError, match="a claims 8000 bytes"):
        read()
    monkeypatch.setattr(npz, "FREE_NBYTES", 8000)
    assert read().shape == (1000,)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.float64(1), r"a is float64 of shape \(\), not rows of numbers"),
        (np.asfortranarray(np.zeros((2, 3))), r"of shape \(2, 3\), not rows"),
        (np.array(["x"]), r"not rows of numbers"),
        (np.zeros(2, complex), r"not rows of numbers"),
        (np.array([None]), r"not rows of numbers"),
    ],
)
def test_what_is_no_rows_of_numbers_is_refused(array: Any, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=array)
    with zipfile.ZipFile(path) as file:
        with pytest.raises(DataError, match=sentence):
            ArrayReader(file, "a")
        with pytest.raises(DataError, match=r"x\.npz: b is not there"):
            ArrayReader(file, "b")
    for version in ((1, 0), (2, 0)):
        with zipfile.ZipFile(path, "w") as file, file.open("a.npy", "w") as stream:
            np.lib.format.write_array(stream, np.arange(3.0), version)
        with zipfile.ZipFile(path) as file:
            assert ArrayReader(file, "a").take_all().tolist() == [0, 1, 2]


def make_columns(**more: Any) -> dict[str, Any]:
    return {
        "observations": np.arange(5.0)[:, None],
        "actions": np.arange(5.0)[:, None] + 10,
        "terminals": np.array([0, 1, 0, 0, 1], bool),
        **more,
    }


def test_episodes_of_ogbench_end_as_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **make_columns(qpos=np.arange(5)))
    assert is_ogbench(path)
    assert not is_ogbench(tmp_path)
    made = minari.import_dataset(path, "a-v0", ends="terminated")
    assert [episode.terminations.tolist() for episode in made] == [[True], [False, True]]
    assert not any(episode.truncations.any() for episode in made)
    assert [episode.actions.ravel().tolist() for episode in made] == [[10], [12, 13]]
    assert [episode.observations.ravel().tolist() for episode in made] == [[0, 1], [2, 3, 4]]
    assert made[1].infos["qpos"].tolist() == [2, 3, 4]
    assert made[0].rewards.tolist() == [0]
    for name in ("observations", "actions", "terminals"):
        columns = make_columns()
        del columns[name]
        np.savez(path, **columns)
        assert not is_ogbench(path)
    np.savez(path, **make_columns(terminals=np.array([0, 1, 0, 1, 0])))
    with pytest.raises(DataError, match="the last row is no terminal"):
        minari.import_dataset(path, "b-v0", "ogbench")
    np.savez(path, **make_columns(terminals=np.zeros((5, 1))))
    with pytest.raises(DataError, match=r"terminals is of shape \(5, 1\), not one flag a row"):
        minari.import_dataset(path, "b-v0", "ogbench")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"minari_terminated": np.zeros(14, bool)}, "minari_terminated has 14 rows, not 15, one a"),
        ({"minari_description": b"{"}, "minari_description: "),
        ({"minari_description": b"\xff"}, "minari_description: "),
        ({"minari_facts": b"{}\n{}"}, "minari_facts is of 2 episodes, and the file has 5"),
        ({"minari_facts": b"\n\n\n\n"}, "minari_facts of episode 0"),
    ],
)
def test_what_lies_beside_the_columns_of_ogbench_is_checked(
    changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    minari.export_dataset(make_dataset(), path, "ogbench")
    columns = dict(np.load(path))
    for name, value in changes.items():
        columns[name] = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
    np.savez(path, **columns)
    with pytest.raises((DataError, DatasetDamagedError)) as caught:
        minari.import_dataset(path, "b-v0")
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def one_episode(**fields: Any) -> minari.MinariDataset:
    plain: dict[str, Any] = {
        "observations": np.arange(4.0)[:, None],
        "actions": np.arange(3.0)[:, None],
        "rewards": np.zeros(3),
        "terminations": [False, False, True],
        "truncations": [False] * 3,
    }
    return minari.create_dataset_from_buffers(
        "one-v0",
        [minari.EpisodeBuffer(**{**plain, **fields})],
        observation_space=spaces.Box(-9, 9, (1,), np.float64),
        action_space=spaces.Box(-9, 9, (1,), np.float64),
    )


@pytest.mark.parametrize("layout", ["ogbench", "d4rl"])
def test_infos_may_not_be_called_as_columns_are(layout: str, tmp_path: Path) -> None:
    for number, name in enumerate(("actions", "minari_facts")):
        dataset = one_episode(infos={name: np.arange(4.0)})
        path = tmp_path / f"{number}.npz"
        if layout == "ogbench":
            with pytest.raises(DataError, match=f"info '{name}' has the name of a column"):
                minari.export_dataset(dataset, path, layout)
        else:
            minari.export_dataset(dataset, path, layout)
            with h5py.File(path) as file:
                assert file[f"infos/{name}"][:].tolist() == [0, 1, 2]
        minari.delete_dataset("one-v0")


def test_what_lies_beside_the_columns_is_told_in_both_layouts(tmp_path: Path) -> None:
    infos = {"half": np.ma.array(np.arange(4.0), mask=[False, False, False, True])}
    dataset = one_episode(
        infos=infos,
        metadata={"final_observation_known": False},
        observations=np.arange(3.0)[:, None],
    )
    with pytest.raises(DataError, match="ogbench has the final observation of each episode"):
        minari.export_dataset(dataset, tmp_path / "x.npz", "ogbench")
    path = tmp_path / "x.hdf5"
    losses = {loss.what: loss.reason for loss in minari.export_dataset(dataset, path, "d4rl")}
    assert losses["next_observations"] == "the final observation of some episode is unknown"
    assert losses["metadata"].startswith(
        "d4rl has no place for it; it lies in the file's group 'minari'"
    )
    assert has_sidecar(path)
    assert not has_sidecar(tmp_path / "none.hdf5")
    (tmp_path / "text.hdf5").write_text("x")
    assert not has_sidecar(tmp_path / "text.hdf5")
    assert look_into(tmp_path) == set()
    assert look_into(path) >= {"observations", "actions", "rewards", "terminals", "timeouts"}
    assert (is_d4rl(path), is_dsrl(path)) == (True, False)
    made = minari.import_dataset(path, "again-v0")
    assert not made[0].final_observation_known
    assert made[0].infos["half"].tolist() == [0, 1, 2, None]
    with pytest.raises(DataError, match="nothing in the infos is the cost of a step"):
        minari.export_dataset(dataset, tmp_path / "y.hdf5", "dsrl")


@pytest.mark.parametrize("layout", ["ogbench", "d4rl"])
def test_an_episode_that_goes_on_after_its_end_is_refused(layout: str) -> None:
    def lay_out(episode: EpisodeData) -> None:
        if layout == "ogbench":
            _take_column(episode, "terminals")
        else:
            _list_columns(episode, Survey({}, True), {}, [], "d4rl")

    for flags in ([True, False, True], [False, True, False]):
        for terminations, truncations in ((flags, [False] * 3), ([False] * 3, flags)):
            episode = EpisodeData(
                7,
                np.zeros((4, 1)),
                np.zeros((3, 1)),
                np.zeros(3),
                np.array(terminations),
                np.array(truncations),
            )
            with pytest.raises(DataError, match="episode 7 goes on after a step that ended it"):
                lay_out(episode)


@pytest.mark.parametrize(
    ("costs", "step_infos", "column", "is_told"),
    [
        ("price", ["price"], [0, 1, 2], True),
        ("price", [], [1, 2, 3], True),
        ("costs", ["costs"], [0, 1, 2], False),
        ("costs", [], [1, 2, 3], True),
    ],
)
def test_costs_are_the_column_that_is_named(
    costs: str, step_infos: list[str], column: list[float], is_told: bool, tmp_path: Path
) -> None:
    rows = np.arange(3.0 if costs in step_infos else 4.0)
    dataset = minari.create_dataset_from_buffers(
        "safe-v0",
        [
            minari.EpisodeBuffer(
                observations=np.arange(4.0)[:, None],
                actions=np.arange(3.0)[:, None],
                rewards=np.zeros(3),
                terminations=[False, False, True],
                truncations=[False] * 3,
                infos={costs: rows},
            )
        ],
        observation_space=spaces.Box(-9, 9, (1,), np.float64),
        action_space=spaces.Box(-9, 9, (1,), np.float64),
        step_infos=step_infos,
    )
    path = tmp_path / "x.hdf5"
    losses = minari.export_dataset(dataset, path, "dsrl", costs=costs)
    with h5py.File(path) as file:
        assert file["costs"][:].tolist() == column
        assert file["timeouts"][:].tolist() == [False] * 3
        assert json.loads(file["minari/description"][()])["minari_columns"] == ["costs"]
    assert (f"infos/{costs}" in {loss.what for loss in losses}) == is_told or not is_told
    assert (is_d4rl(path), is_dsrl(path)) == (True, True)
    made = minari.import_dataset(path, "again-v0")
    assert made.metadata.get("step_infos", []) == step_infos
    assert [value for value in made[0].infos[costs].tolist() if value is not None] == rows.tolist()
    with pytest.raises(DataError, match="'none' in the infos is the cost of a step, which dsrl"):
        minari.export_dataset(dataset, tmp_path / "y.hdf5", "dsrl", costs="none")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("facts", np.arange(5), "/minari/facts is no text"),
        ("facts", ["{}"] * 4, r"/minari/facts is of shape \(4,\), and the file has 5 episodes"),
        ("facts", ["{}"] * 4 + ["{"], "what it has of episode 4"),
        ("description", "{", "/minari/description"),
        ("description", "[]", None),
        ("description", ["{}"], None),
        ("description", None, None),
        ("facts", None, None),
    ],
)
def test_the_group_beside_flat_columns_is_believed_if_it_can_be(
    name: str, value: Any, sentence: str | None, tmp_path: Path
) -> None:
    dataset = make_dataset()
    path = tmp_path / "x.hdf5"
    minari.export_dataset(dataset, path, "d4rl")
    with h5py.File(path, "a") as file:
        del file[f"minari/{name}"]
        if value is not None:
            file[f"minari/{name}"] = value
    if sentence is None:
        made = minari.import_dataset(path, "again-v0")
        assert made.total_steps == dataset.total_steps
        assert (made[3].options is None) == (name == "facts")
        return
    with pytest.raises((DataError, DatasetDamagedError), match=sentence):
        minari.import_dataset(path, "again-v0")


def test_a_link_stands_for_no_group_beside_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    minari.export_dataset(make_dataset(), path, "d4rl")
    with h5py.File(path, "a") as file:
        file.move("minari", "mine")
        file["minari"] = h5py.SoftLink("/mine")
    made = minari.import_dataset(path, "a-v0")
    assert made[3].options is None
    with h5py.File(path, "a") as file:
        del file["minari"]
        file.move("mine", "minari")
        file.move("minari/facts", "minari/other")
        file["minari/facts"] = h5py.SoftLink("/minari/other")
    assert minari.import_dataset(path, "b-v0")[3].options is None
    with h5py.File(path, "a") as file:
        del file["minari"]
        file["minari"] = np.arange(3)
    assert minari.import_dataset(path, "c-v0")[3].options is None
