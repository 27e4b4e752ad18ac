"""``minari leftovers``, and ``minari-hub leftovers``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import minari
import minari_hub.command_line.app
from minari_core.local.locations import staging_root
from tests.helpers.command_line import CommandLine
from tests.minari.command_line.test_recover import leave_a_recording

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


def leave_a_lock() -> None:
    path = staging_root() / "create-0123.lock"
    path.touch()
    os.utime(path, (1.0, 1.0))


def test_it_lists_what_is_left_and_says_how_to_go_on_with_it(
    cli: CommandLine, tmp_path: Path
) -> None:
    done = cli("leftovers")
    assert (done.code, done.out, done.err) == (0, "", "nothing is left behind\n")
    assert cli("leftovers", "--json").json == []
    leave_a_recording(tmp_path)
    leave_a_lock()
    lock, recording = cli("leftovers", "--json").json
    assert (lock["id"], lock["kind"], lock["is_valuable"]) == ("create-0123.lock", "lock", False)
    assert lock["age_seconds"] > 1e9
    assert (recording["kind"], recording["is_valuable"]) == ("recording", True)
    assert recording["nbytes"] > 100
    done = cli("leftovers")
    assert "recording" in done.out
    assert f"`minari recover {recording['id']} --name ID` makes a dataset of it" in done.err


def test_it_removes_what_has_no_value_and_the_rest_only_if_asked_to(
    cli: CommandLine, tmp_path: Path
) -> None:
    leave_a_recording(tmp_path)
    leave_a_recording(tmp_path)
    leave_a_lock()
    done = cli("leftovers", "--remove")
    assert done.code == 2
    assert "--yes" in done.err
    assert len(minari.list_leftovers()) == 3
    (removed,) = cli("leftovers", "--remove", "--yes", "--json").json
    assert removed["kind"] == "lock"
    first, second = (each.id for each in minari.list_recoverable())
    assert cli("leftovers", "--remove", "--yes", first).err == "1 leftover removed\n"
    assert [each.id for each in minari.list_recoverable()] == [second]
    done = cli("leftovers", "--remove", "--yes", first)
    assert done.code == 2
    assert "is not left" in done.err
    assert cli("leftovers", "--remove", "--valuable", "--yes").code == 0
    assert minari.list_leftovers() == []
    assert list(staging_root().iterdir()) == []
    assert cli("leftovers", "--remove", "--yes").err == "0 leftovers removed\n"


def test_the_hub_alone_keeps_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = CommandLine(minari_hub.command_line.app.app, "minari-hub", capsys, monkeypatch)
    leave_a_recording(tmp_path)
    (found,) = hub("leftovers", "--json").json
    assert (found["kind"], found["is_valuable"]) == ("recording", True)
    assert hub("leftovers", "--remove", "--yes").code == 0
    assert len(minari.list_recoverable()) == 1
