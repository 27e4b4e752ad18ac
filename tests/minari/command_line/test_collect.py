"""``minari collect``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def test_a_dataset_is_collected_at_random_and_by_a_policy(command: CommandLine) -> None:
    done = command(
        "collect", "CartPole-v1", "cart/random-v0", "--episodes", "4", "--seed", "1",
        "--workers", "1",
    )  # fmt: skip
    assert done.code == 0
    assert "cart/random-v0 is made: 4 episodes" in done.out + done.err
    by_policy = command(
        "collect", "CartPole-v1", "cart/signs-v0", "--steps", "30", "--workers", "1",
        "--policy", "tests.collect.helpers.collect_work:by_sign",
    )  # fmt: skip
    assert by_policy.code == 0
    dataset = minari.load_dataset("cart/signs-v0")
    assert dataset.total_steps >= 30
    for episode in dataset:
        assert (episode.actions == (episode.observations[:-1, 0] > 0)).all()


def test_bad_use_is_told(command: CommandLine) -> None:
    assert command("collect", "CartPole-v1", "a-v0").code == 2
    unknown = command("collect", "CartPole-v1", "a-v0", "--steps", "3", "--policy", "nothing:here")
    assert unknown.code == 1
    assert "nothing:here" in unknown.err


def test_a_misspelt_environment_is_told_and_does_not_block_the_name(command: CommandLine) -> None:
    wrong = command("collect", "Nope-v1", "cart/a-v0", "--episodes", "2", "--workers", "1")
    assert wrong.code == 1
    assert "'Nope-v1'" in wrong.err
    right = command("collect", "CartPole-v1", "cart/a-v0", "--episodes", "2", "--workers", "1")
    assert right.code == 0, right


def test_a_space_of_another_class_is_told_once_in_words_for_a_terminal(
    command: CommandLine, tmp_path: Path
) -> None:
    module = "tests.collect.helpers.own_spaces"
    refused = command("collect", f"{module}:OwnSpace-v0", "own/a-v0", "--episodes", "2")
    assert refused.code == 1
    assert "only a program that registers functions which write and read it" in refused.err
    assert "Traceback" not in refused.err
    assert "--resume" not in refused.err
    assert not list(tmp_path.glob("root/.staging/*"))
    lossy = command("collect", f"{module}:OwnBox-v0", "own/a-v0", "--episodes", "2")
    assert lossy.code == 0
    assert lossy.err.count("unless a program registers functions that write") == 1
    assert "register says" not in lossy.err


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no groups of processes")
def test_ctrl_c_says_what_is_kept_and_the_command_goes_on_with_resume(
    command: CommandLine, tmp_path: Path
) -> None:
    arguments = (
        "collect", "CartPole-v1", "cart/a-v0", "--episodes", "2000", "--workers", "1",
        "--seed", "1",
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "minari", *arguments],
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        start_new_session=True,
    )
    root = tmp_path / "root"
    while process.poll() is None and not any(root.glob("*/*/episodes-*/metadata.json")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "are kept" in told
    assert "--resume" in told
    again = command(*arguments)
    assert again.code == 1
    assert "pass --resume" in again.err
    assert command(*arguments, "--resume").code == 0


def test_a_run_goes_on_with_an_edited_policy_that_is_said_to_be_the_same(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def write(condition: str) -> None:
        reset = f"def reset(seed):\n    assert {condition}\n"
        act = "def act(observation):\n    return 1\nact.reset = reset\n"
        (tmp_path / "edited.py").write_text(reset + act)
        monkeypatch.delitem(sys.modules, "edited", raising=False)

    arguments = (
        "collect", "CartPole-v1", "cart/a-v0", "--episodes", "4", "--workers", "1", "--seed", "1",
        "--policy", "edited:act",
    )  # fmt: skip
    write("seed % 2")
    assert command(*arguments).code == 1
    write("seed >= 0")
    refused = command(*arguments, "--resume")
    assert (refused.code, "add --same policy" in refused.err) == (1, True)
    assert command(*arguments, "--resume", "--same", "policy").code == 0
