"""Files that are of another layout than the one that was named."""

from __future__ import annotations

from pathlib import Path

import pytest

import minari
from minari.command_line.app import app
from tests.helpers.command_line import CommandLine
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.mark.parametrize(
    ("layout", "name", "named"),
    [
        ("bundle", "out", "parquet"),
        ("bundle", "out", "lerobot"),
        ("parquet", "out", "rlds"),
        ("rlds", "out", "bundle"),
        ("robomimic", "out.hdf5", "isaaclab"),
        ("isaaclab", "out.hdf5", "d4rl"),
        ("d4rl", "out.hdf5", "robomimic"),
        ("ogbench", "out.npz", "parquet"),
    ],
)
def test_a_file_of_another_layout_is_recognized_by_name(
    layout: str, name: str, named: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    minari.export_dataset(make_dataset(), path, layout)
    before = list(minari.list_local_datasets())

    with pytest.raises(minari.MinariError, match=f"which is layout '{layout}'"):
        minari.import_dataset(path, "made-v0", named)

    assert list(minari.list_local_datasets()) == before


def test_a_file_that_is_no_hdf5_is_told_as_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.hdf5").write_text("no columns")
    minari_program = CommandLine(app, "minari", capsys, monkeypatch)

    done = minari_program("import", str(tmp_path / "notes.hdf5"), "made-v0", "--as", "d4rl")

    assert done.code == 1
    assert "notes.hdf5" in done.err
    assert "OSError:" not in done.err.split("notes.hdf5")[0]


@pytest.mark.parametrize("layout", ["d4rl", "isaaclab", "ogbench", "rlds", "robomimic"])
def test_what_has_no_step_is_refused_where_its_arrays_could_not_be_told(
    layout: str, tmp_path: Path
) -> None:
    with pytest.raises(minari.DataError, match=f"no step, and so no shape that {layout} could"):
        minari.export_dataset(make_dataset()[[]], tmp_path / "out", layout)
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize("layout", ["bundle", "parquet"])
def test_what_has_no_step_comes_back_so_where_its_spaces_are_told(
    layout: str, tmp_path: Path
) -> None:
    dataset = make_dataset()
    minari.export_dataset(dataset[[]], tmp_path / "out", layout)

    back = minari.import_dataset(tmp_path / "out", "empty-v0")

    assert len(back) == 0
    assert back.observation_space == dataset.observation_space
