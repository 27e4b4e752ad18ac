"""``minari import`` and ``export``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import minari
from minari.command_line.app import app
from minari_core.testing.expectations import expect_same_episode
from tests.helpers.command_line import CommandLine, collect

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    return CommandLine(app, "minari", capsys, monkeypatch)


def test_what_is_exported_is_recognized_and_imported_again(
    command: CommandLine, tmp_path: Path
) -> None:
    dataset = collect("cart/random-v0")
    path = tmp_path / "tables"

    written = command("export", "cart/random-v0", str(path), "--as", "parquet", "--json")
    read = command("import", str(path), "cart/again-v0", "--json", "--author", "Ada")

    assert json.loads(written.out) == {"path": str(path), "losses": []}
    assert json.loads(read.out) == {
        "id": "cart/again-v0",
        "total_episodes": 5,
        "total_steps": dataset.total_steps,
        "losses": [],
    }
    again = minari.load_dataset("cart/again-v0")
    assert again.metadata["author"] == ["Ada"]
    for episode, copy in zip(dataset, again, strict=True):
        expect_same_episode(episode, copy)


def test_a_flat_file_of_this_project_brings_back_what_lies_beside_its_columns(
    command: CommandLine, tmp_path: Path
) -> None:
    dataset = collect("cart/random-v0")
    path = str(tmp_path / "cart.hdf5")

    assert command("export", "cart/random-v0", path, "--as", "d4rl").code == 0
    refused = command("import", path, "cart/again-v0", "--max-episode-steps", "3")
    assert command("import", path, "cart/again-v0").code == 0

    assert refused.code == 2
    for episode, copy in zip(dataset, minari.load_dataset("cart/again-v0"), strict=True):
        expect_same_episode(episode, copy)


def test_what_is_there_is_replaced_only_on_the_users_word(
    command: CommandLine, tmp_path: Path
) -> None:
    collect("cart/random-v0")
    path = tmp_path / "tables"
    path.write_text("mine")

    asked = command("export", "cart/random-v0", str(path), "--as", "parquet")
    assert asked.code != 0
    assert path.read_text() == "mine"
    assert command("export", "cart/random-v0", str(path), "--as", "parquet", "--yes").code == 0
    assert path.is_dir()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--as", "nope"], "there is no layout 'nope'; there is"),
        (["--as", "parquet", "--option", "colour=red"], "unexpected option 'colour'"),
        (["--as", "parquet", "--option", "colour"], "'colour' is not NAME=VALUE"),
        (["--as", "parquet", "-o", "as_json=maybe"], "'as_json' of parquet is 'maybe', not bool"),
    ],
)
def test_layouts_and_options_that_there_are_not_are_named(
    command: CommandLine, tmp_path: Path, options: list[str], message: str
) -> None:
    collect("cart/random-v0")

    done = command("export", "cart/random-v0", str(tmp_path / "out"), *options)

    assert done.code != 0
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()


def test_what_a_layout_asks_for_is_called_as_the_command_takes_it(
    command: CommandLine, tmp_path: Path
) -> None:
    collect("cart/random-v0")

    refused = command("export", "cart/random-v0", str(tmp_path / "out"), "--as", "lerobot")

    assert refused.code == 1
    assert "give --option fps=30, for instance" in refused.err


def test_what_is_said_of_a_bundle_is_given_by_options(command: CommandLine, tmp_path: Path) -> None:
    collect("cart/random-v0")
    path = tmp_path / "bundle"
    said = ("date_published=2026-01-02", "rai.dataBiases=night", "rai.dataBiases=rain, fog")

    done = command(
        *("export", "cart/random-v0", str(path), "--as", "bundle", "--json"),
        *(text for each in (*said, "tables=no") for text in ("--option", each)),
    )

    losses = {loss["what"]: loss["reason"] for loss in json.loads(done.out)["losses"]}
    assert "license" in losses
    assert "date_published" not in losses
    assert "dataBiases" not in losses["rai"]
    croissant = json.loads((path / "croissant.json").read_bytes())
    assert croissant["rai:dataBiases"] == ["night", "rain, fog"]
    assert croissant["datePublished"] == "2026-01-02"
    assert not (path / "steps.parquet").exists()
    assert command("import", str(path), "cart/again-v0").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["date_published=soon"], "'date_published' of bundle is 'soon', not date"),
        (["rai=x"], "'rai' of bundle has keys; give rai.KEY=VALUE"),
        (["url.x=y"], "'url.x' of bundle has no keys"),
        (["url=x", "url=y"], "'url' of bundle is given twice"),
    ],
)
def test_options_that_are_none_of_their_kind_are_refused(
    command: CommandLine, tmp_path: Path, options: list[str], message: str
) -> None:
    collect("cart/random-v0")

    done = command(
        *("export", "cart/random-v0", str(tmp_path / "out"), "--as", "bundle"),
        *(text for each in options for text in ("-o", each)),
    )

    assert done.code == 1
    assert message in " ".join(done.err.split())
