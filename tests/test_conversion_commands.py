"""``minari convert`` and ``minari import``."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

import minari
from minari.command_line.app import app
from tests.command_line import CommandLine

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return CommandLine(app, "minari", capsys, monkeypatch)


def test_a_dataset_is_converted(command: CommandLine) -> None:
    env = minari.DataCollector(gymnasium.make("CartPole-v1"))
    env.reset(seed=1)
    env.step(0)
    original = env.create_dataset("cart-v0")
    done = command("convert", "cart-v0", "new-v0", "--data-format", "hdf5")
    assert (done.code, done.out, done.err) == (0, "", "new-v0 is made: 1 episode, hdf5\n")
    found = minari.load_dataset("new-v0")[0]
    assert np.array_equal(found.observations, original[0].observations)
    again = command("convert", "cart-v0", "new-v0")
    assert again.code != 0
    assert "new-v0" in again.err
    unknown = command("convert", "cart-v0", "other-v0", "--data-format", "csv")
    assert unknown.code != 0
    assert "columnar, hdf5, arrow, parquet" in unknown.err


def test_a_flat_file_is_imported(command: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "flat.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.zeros((4, 3), dtype=np.float32)
        file["actions"] = np.zeros((4, 2), dtype=np.float32)
        file["rewards"] = np.ones(4, dtype=np.float32)
        file["terminals"] = np.array([False, True, False, True])
    done = command("import", str(path), "flat-v0", "--author", "Ada", "--max-episode-steps", "9")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[-1] == "flat-v0 is made: 2 episodes, columnar"
    assert minari.load_dataset("flat-v0").metadata["author"] == ["Ada"]
    missing = command("import", str(tmp_path / "none.hdf5"), "none-v0")
    assert missing.code != 0
    assert "none.hdf5" in missing.err
