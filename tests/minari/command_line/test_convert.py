"""``minari convert`` and ``minari import``."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

import minari
from minari.command_line.app import app
from tests.helpers.command_line import CommandLine

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


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["action_log_probs"]),
        (["--step-info", "effort"], ["effort"]),
        (["--no-step-infos"], []),
    ],
)
def test_which_infos_belong_to_steps_is_said_or_known(
    options: list[str], expected: list[str], command: CommandLine, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "flat.hdf5", "w") as file:
        file["observations"] = np.arange(4, dtype=np.float32).reshape(4, 1)
        file["actions"] = np.zeros((4, 2), dtype=np.float32)
        file["rewards"] = np.ones(4, dtype=np.float32)
        file["terminals"] = np.array([False, False, False, True])
        for name in ("action_log_probs", "effort"):
            file[f"infos/{name}"] = np.arange(4, dtype=np.float32)
    assert command("import", str(tmp_path / "flat.hdf5"), "flat-v0", *options).code == 0
    dataset = minari.load_dataset("flat-v0")
    batch = dataset[:1].sample_transitions(
        3, columns=["observations", *(f"infos/{name}" for name in ("action_log_probs", "effort"))]
    )
    first = batch.observations[:, 0]
    of_steps = [
        column.removeprefix("infos/")
        for column, values in batch.columns.items()
        if np.array_equal(np.ma.filled(values, -1), first)
    ]
    assert of_steps == expected
    both = command(
        "import", str(tmp_path / "flat.hdf5"), "b-v0", "--step-info", "effort", "--no-step-infos"
    )
    assert both.code == 2


def test_dtypes_that_differ_are_widened_on_request(command: CommandLine) -> None:
    for name, dtype in (("one-v0", np.float32), ("two-v0", np.float64)):
        buffer = minari.EpisodeBuffer(
            observations=np.zeros((2, 1), dtype),
            actions=np.zeros(1, np.int64),
            rewards=[1.0],
            terminations=[True],
            truncations=[False],
        )
        minari.create_dataset_from_buffers(
            name,
            [buffer],
            observation_space=gymnasium.spaces.Box(-1, 1, (1,)),
            action_space=gymnasium.spaces.Discrete(2),
        )
    refused = command("combine", "one-v0", "two-v0", "--name", "both-v0")
    assert refused.code == 1
    assert "take --widen" in " ".join(refused.err.split())
    done = command("combine", "one-v0", "two-v0", "--name", "both-v0", "--widen")
    assert (done.code, done.out) == (0, "")
    both = minari.load_dataset("both-v0")
    assert [episode.observations.dtype for episode in both] == [np.float64] * 2
    assert command("convert", "both-v0", "again-v0", "--widen").code == 0


def test_what_cannot_be_imported_is_told_by_its_name(command: CommandLine, tmp_path: Path) -> None:
    folder = command("import", str(tmp_path), "a-v0")
    assert folder.code == 3
    assert "is a folder" in " ".join(folder.err.split())

    path = tmp_path / "flat.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.zeros((4, 2), np.float32)
        file["actions"] = np.zeros((4, 1), np.float32)
        file["rewards"] = np.zeros(4)
        file["terminals"] = [False, True, False, True]
    unknown = command("import", str(path), "a-v0", "--env", "Nope-v3")
    assert unknown.code == 1
    assert "environment 'Nope-v3' cannot be made here" in " ".join(unknown.err.split())


def test_an_unregistered_environment_beside_spaces_is_told_by_its_name() -> None:
    with pytest.raises(minari.MetadataError, match="'Nope-v3' is not registered here"):
        minari.create_dataset_from_buffers(
            "a-v0",
            [],
            "Nope-v3",
            observation_space=gymnasium.spaces.Discrete(2),
            action_space=gymnasium.spaces.Discrete(2),
        )
