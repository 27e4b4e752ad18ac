"""The command line in this process, and a remote for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minari.command_line.app import app
from tests.helpers.command_line import CommandLine


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("COLUMNS", raising=False)
    return CommandLine(app, "minari", capsys, monkeypatch)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "remote"
    folder.mkdir()
    monkeypatch.setenv("MINARI_REMOTE", folder.as_uri())
    return folder.as_uri()
