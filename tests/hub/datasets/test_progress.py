"""The progress bar: bytes, rate and time left on a terminal, and nothing elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import minari
from minari_hub import download_dataset, upload_dataset
from tests.helpers.command_line import Terminal
from tests.hub.helpers.datasets import make_shards


def test_without_a_terminal_nothing_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_shards("x-v0")
    upload_dataset("x-v0", remote_path=tmp_path.as_uri())
    minari.delete_dataset("x-v0")
    download_dataset("x-v0", remote_path=tmp_path.as_uri())

    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("progress", [True, False])
def test_a_terminal_shows_bytes_rate_and_time_left(tmp_path: Path, progress: bool) -> None:
    make_shards("x-v0")
    upload_dataset("x-v0", remote_path=tmp_path.as_uri())
    minari.delete_dataset("x-v0")
    program = (
        "import minari\n"
        f"minari.download_dataset('x-v0', remote_path={tmp_path.as_uri()!r}, progress={progress})"
    )
    terminal = Terminal("-c", program, environment={"COLUMNS": "100"})
    assert terminal.code() == 0, terminal.text
    shown = terminal.text

    if progress:
        assert "x-v0" in shown
        assert "MiB" in shown
        assert "/s" in shown
        assert "0:00:00" in shown
    else:
        assert shown == ""
