"""``minari recover``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minari
from minari.command_line.recover import _print_recordings
from minari_collect import RecoverableRecording
from tests.helpers.command_line import CommandLine

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


def leave_a_recording(tmp_path: Path) -> None:
    """Kill a process that records."""
    program = """
import os, warnings
import gymnasium as gym, minari
env = minari.DataCollectorV0(gym.make("CartPole-v1"), max_buffer_steps=5)
env.action_space.seed(0)
for seed in range(4):
    env.reset(seed=seed)
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        over = terminated or truncated
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 9


def test_recover_lists_recovers_and_discards(cli: CommandLine, tmp_path: Path) -> None:
    assert cli("recover").err == "there is nothing to recover\n"
    leave_a_recording(tmp_path)
    leave_a_recording(tmp_path)

    first, second = cli("recover", "--json").json
    table = cli("recover", width=80)

    assert first["env_id"] == "CartPole-v1"
    assert first["total_steps"] > 0
    names = "".join(line.split("  ")[0] for line in table.out.splitlines())
    assert first["id"] in names
    assert second["id"] in names
    assert cli("recover", first["id"]).code == 2
    assert cli("recover", "--name", "x-v0").code == 2
    assert cli("recover", "no-such-recording", "--name", "x-v0").code == 3
    done = cli("recover", first["id"], "--name", "cart/found-v0", "--author", "Ada", "--json")
    found = minari.load_dataset("cart/found-v0")
    assert done.json == {
        "dataset_id": "cart/found-v0",
        "total_episodes": found.total_episodes,
        "total_steps": found.total_steps,
    }
    assert done.code == 0
    assert minari.load_dataset("cart/found-v0").metadata["author"] == ["Ada"]
    assert minari.load_dataset("cart/found-v0").total_steps == first["total_steps"]
    assert cli("recover", second["id"], "--discard").code == 2
    assert len(cli("recover", "--json").json) == 1
    dropped = cli("recover", second["id"], "--discard", "--yes", "--json")
    assert (dropped.code, dropped.json) == (0, {"dropped": second["id"]})
    assert cli("recover", "--json").json == []


@pytest.mark.parametrize("width", [40, 80])
def test_recordings_fit_the_terminal(cli: CommandLine, tmp_path: Path, width: int) -> None:
    leave_a_recording(tmp_path)

    out = cli("recover", width=width).out

    assert max(map(len, out.splitlines())) <= width
    assert "Episodes" in out


def test_recordings_stand_below_one_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    recordings = [
        RecoverableRecording("collect-1", "2024-05-06", "CartPole-v1", 4, 12_345, 10_419),
        RecoverableRecording("collect-22", "2024-05-07", None, 1_000, 7, 1_000_000),
    ]

    _print_recordings(recordings, as_json=False)

    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "Recording   Episodes   Steps  Environment  Started        Size",
        "──────────────────────────────────────────────────────────────",
        "collect-1          4  12,345  CartPole-v1  2024-05-06  10.4 kB",
        "collect-22     1,000       7               2024-05-07   1.0 MB",
    ]
