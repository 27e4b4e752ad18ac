"""``minari edit``."""

from __future__ import annotations

from pathlib import Path

import pytest

import minari
from minari.command_line.app import app
from tests.helpers.command_line import CommandLine, collect

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return CommandLine(app, "minari", capsys, monkeypatch)


def test_what_is_said_is_changed_shown_and_removed(command: CommandLine) -> None:
    collect("cart-v0")

    options = ("--license", "MIT", "--tag", "pole", "--tag", "cart", "--split", "train=0:3,4")
    assert command("edit", "cart-v0", *options).code == 0
    assert command("edit", "cart-v0", "--split", "test=3").code == 0

    dataset = minari.load_dataset("cart-v0")
    assert dataset.metadata["license"] == "MIT"
    assert dataset.metadata["tags"] == ["pole", "cart"]
    assert dataset.metadata["splits"] == {"train": [[0, 3], [4, 5]], "test": [[3, 4]]}
    shown = command("show", "cart-v0").out
    assert "MIT" in shown
    assert "train (4), test (1)" in shown
    assert command("edit", "cart-v0", "--remove", "license").code == 0
    assert minari.load_dataset("cart-v0").metadata.get("license") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to change"),
        (["--split", "train"], "'train' is not like"),
        (["--split", "train=0:99"], "split 'train' has episode 98"),
        (["--doi", "x"], "doi is 'x'"),
        (["--remove", "observation_space"], "observation_space cannot be removed"),
    ],
)
def test_what_cannot_be_said_is_refused(
    command: CommandLine, options: list[str], message: str
) -> None:
    collect("cart-v0")

    done = command("edit", "cart-v0", *options)

    assert done.code != 0
    assert message in " ".join(done.err.split())
