"""The progress bar: bytes, rate and time left on a terminal, and nothing elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import minari
from minari_hub import download_dataset, upload_dataset
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
    import pty
    import subprocess

    make_shards("x-v0")
    upload_dataset("x-v0", remote_path=tmp_path.as_uri())
    minari.delete_dataset("x-v0")
    ours, theirs = pty.openpty()
    program = (
        "import minari\n"
        f"minari.download_dataset('x-v0', remote_path={tmp_path.as_uri()!r}, progress={progress})"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        stderr=theirs,
        check=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = ""
    try:
        while block := os.read(ours, 1 << 16):
            shown += block.decode()
    except OSError:
        # The other end is closed.
        pass
    os.close(ours)

    if progress:
        assert "x-v0" in shown
        assert "MiB" in shown
        assert "/s" in shown
        assert "0:00:00" in shown
    else:
        assert shown == ""
