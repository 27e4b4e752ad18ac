"""The command line ``minari``: what it prints, what it changes, and what it tells a script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minari
from tests.helpers.command_line import CommandLine, Terminal, collect, in_process

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")


on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no pseudo-terminals")


def returns_of(dataset_id: str) -> list[float]:
    return [float(episode.rewards.sum()) for episode in minari.load_dataset(dataset_id)]


def test_the_versions_of_all_packages_are_shown() -> None:
    done = in_process("minari", "--version")

    assert done.code == 0
    assert in_process("minari", "-v").out == done.out
    assert done.out.startswith(f"Minari version: {minari.__version__}\n")
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "Minari",
        "minari-collect",
        "minari-hub",
        "minari-core",
    ]


def test_importing_minari_loads_no_command_line() -> None:
    program = "import sys, minari; print({'typer', 'rich', 'click'} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.strip() == "set()"


def test_the_shared_commands_are_those_of_minari_hub(cli: CommandLine) -> None:
    collect("cart/one-v0")

    assert "cart/one-v0" in cli("list").out
    assert list(cli("list", "local", "--json").json) == ["cart/one-v0"]
    assert "cart/one-v0: ok" in cli("verify", "cart/one-v0").out
    overview = cli("--help").out
    commands = ("list", "show", "download", "upload", "verify", "delete", "combine", "split")
    for command in (*commands, "recover"):
        assert f"\n  {command} " in overview
    assert "..." not in overview.partition("Commands:")[2]


@on_posix
def test_colours_are_for_terminals_that_want_them(datasets_root: Path) -> None:
    collect("cart/one-v0")

    coloured = Terminal("-m", "minari", "verify", "cart/one-v0")
    plain = Terminal("-m", "minari", "verify", "cart/one-v0", environment={"NO_COLOR": "1"})
    assert (coloured.code(), plain.code()) == (0, 0)
    piped = in_process("minari", "verify", "cart/one-v0")

    assert "\x1b[32mcart/one-v0: ok" in coloured.text
    assert "\x1b[32m" not in plain.text
    assert "\x1b" not in piped.out + piped.err


def test_a_long_work_shows_its_progress_on_terminals_only(datasets_root: Path) -> None:
    collect("cart/one-v0")

    done = in_process("minari", "verify", "cart/one-v0", "--json")

    assert done.code == 0
    assert done.json[0]["ok"] is True
    assert done.err == ""


def test_a_list_of_given_remotes_needs_no_other_word(cli: CommandLine, remote: str) -> None:
    collect("cart/one-v0", episodes=1)

    assert "cart/one-v0" in cli("list").out
    assert cli("list", "--remote", remote).err == f"no dataset in {remote}\n"
    assert cli("list", "local", "--remote", remote).code == 2
