"""Files of OGBench."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari import MinariDataset
from tests.minari.interchange.conformance import LayoutConformance
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


class TestOGBench(LayoutConformance):
    layout: ClassVar[str] = "ogbench"
    file_name: ClassVar[str] = "walk.npz"
    kept_apart: ClassVar[frozenset[str]] = frozenset(
        {"rewards", "terminations", "truncated", "seed", "options", "metadata"}
        | {"infos/words", "infos/rare"}
    )

    def make_dataset(self) -> MinariDataset:
        return make_dataset()


class TestOGBenchImages(TestOGBench):
    """Visual datasets have images for observations."""

    writing: ClassVar[dict[str, Any]] = {"compressed": False}

    def make_dataset(self) -> MinariDataset:
        return make_dataset("visual-v0", spaces.Box(0, 255, (8, 8, 3), np.uint8))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "maze-v0.npz"


def make_columns() -> dict[str, Any]:
    """Two trajectories of four and two steps."""
    return {
        "observations": np.arange(8, dtype=np.float32)[:, None],
        "actions": -np.arange(8, dtype=np.float32)[:, None],
        "terminals": np.array([0, 0, 0, 0, 1, 0, 0, 1], np.float32),
        "qpos": np.arange(16.0).reshape(8, 2),
    }


def test_the_last_row_of_an_episode_is_its_final_observation(path: Path) -> None:
    np.savez_compressed(path, **make_columns())
    losses: list[Any] = []

    first, second = minari.import_dataset(path, "maze-v0", losses=losses)

    assert first.observations[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert first.actions[:, 0].tolist() == [0, -1, -2, -3]
    assert second.observations[:, 0].tolist() == [5, 6, 7]
    assert first.truncations.tolist() == [False, False, False, True]
    assert not first.terminations.any()
    assert second.infos["qpos"].shape == (3, 2)
    assert [loss.what for loss in losses] == ["rewards", "actions"]


def test_what_is_written_is_what_the_library_expects(path: Path) -> None:
    dataset = make_dataset()

    minari.export_dataset(dataset, path, "ogbench")

    with np.load(path) as file:
        assert np.flatnonzero(file["terminals"]).tolist() == [1, 4, 8, 13, 19]
        observations = np.concatenate([episode.observations for episode in dataset])
        np.testing.assert_array_equal(file["observations"], observations)
        assert not file["actions"][file["terminals"].astype(bool)].any()
        assert file["qpos"].shape == (20, 4)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("terminals", np.zeros(8), "the last row is no terminal"),
        ("terminals", np.full(8, 0.5), "not one flag a row"),
        ("terminals", np.ones(8), "episode 0 has one row"),
        ("actions", np.zeros((7, 1)), "actions has 7 rows, but terminals 8"),
        ("qpos", np.array([None] * 8), "not rows of numbers"),
    ],
)
def test_columns_that_do_not_fit_are_named(
    path: Path, column: str, value: Any, message: str
) -> None:
    np.savez(path, **(make_columns() | {column: value}))

    with pytest.raises(minari.DataError, match=message) as raised:
        minari.import_dataset(path, "maze-v0")
    assert str(path) in str(raised.value)
    assert minari.list_local_datasets() == {}


def test_a_column_that_is_missing_is_named(path: Path) -> None:
    columns = make_columns()
    del columns["actions"]
    np.savez(path, **columns)

    with pytest.raises(minari.DataError, match="has no array 'actions'; it has observations, qpos"):
        minari.import_dataset(path, "maze-v0", "ogbench")


@pytest.mark.parametrize("rows", [3, 50])
def test_rewards_that_are_not_one_a_step_are_refused(path: Path, rows: int) -> None:
    minari.export_dataset(make_dataset(), path, "ogbench")
    columns = dict(np.load(path))
    np.savez(path, **(columns | {"minari_rewards": np.zeros(rows)}))

    with pytest.raises(minari.DataError, match=f"minari_rewards has {rows} rows, not 15"):
        minari.import_dataset(path, "maze-v0")


def test_a_column_that_claims_more_than_the_file_has_is_damage(path: Path) -> None:
    np.savez(path, **make_columns())
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}
    with zipfile.ZipFile(path, "a") as file, file.open("qvel.npy", "w") as stream:
        np.lib.format.write_array_header_2_0(stream, header)

    with pytest.raises(minari.DatasetDamagedError, match="claims 9007199254740992 bytes"):
        minari.import_dataset(path, "maze-v0")


def test_a_flipped_byte_is_damage(path: Path) -> None:
    np.savez(path, **make_columns())
    data = bytearray(path.read_bytes())
    data[data.index(b"observations.npy") + 16 + 128 + 5] ^= 1
    path.write_bytes(data)

    with pytest.raises(minari.DatasetDamagedError, match="observations"):
        minari.import_dataset(path, "maze-v0")
