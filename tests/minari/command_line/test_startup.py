"""What the command lines import before a command runs: a shell waits for it at each Tab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

import minari_hub.command_line.app
from minari.command_line.app import app

SLOW = {"gymnasium", "h5py", "numpy", "pydantic", "rich"}
PROGRAMS = {"minari": app, "minari-hub": minari_hub.command_line.app.app}
every_program = pytest.mark.parametrize("program", PROGRAMS)


def run(program: str, *arguments: str, complete: str = "", shell: str = "bash") -> tuple[str, str]:
    """Run a program; return what it prints, and which of the slow libraries it has loaded."""
    module = program.replace("-", "_")
    script = (
        "import json, sys\n"
        f"sys.argv[0] = {program!r}\n"
        f"from {module}.command_line.app import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print(json.dumps(sorted({SLOW!r} & set(sys.modules))), file=sys.stderr)"
    )
    words = f"{program} {complete}"
    completion = {
        f"_{module.upper()}_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **({} if arguments else completion)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    return done.stdout, ", ".join(json.loads(done.stderr))


@every_program
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_a_program_says_of_itself_needs_no_slow_library(program: str, option: str) -> None:
    out, loaded = run(program, option)

    assert program in out.lower()
    assert loaded == ""


@every_program
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completing_a_command_needs_no_slow_library(program: str, shell: str) -> None:
    out, loaded = run(program, complete="ver", shell=shell)

    assert "verify" in out
    assert ("are" in out) == (shell != "bash"), "these shells show a word of help"
    assert loaded == ""


def test_completing_options_and_ids_needs_no_slow_library(datasets_root: Path) -> None:
    for dataset_id in ("cart/one-v10", "cart/one-v9", "door/one-v0"):
        (datasets_root / dataset_id / "data").mkdir(parents=True)
        (datasets_root / dataset_id / "data" / "metadata.json").touch()

    assert run("minari", complete="show --js") == ("--json\n", "")
    assert run("minari", complete="cache clear --y") == ("--yes\n", "")
    assert run("minari", complete="cache p") == ("pin\n", "")
    assert run("minari", complete="show cart/") == ("cart/one-v9\ncart/one-v10\n", "")
    assert run("minari", complete="upload --quiet door/one-v0 cart/one-v1") == (
        "cart/one-v10\n",
        "",
    )


def test_the_options_of_every_command_are_listed_without_slow_libraries() -> None:
    script = (
        "import sys\n"
        "from typer.main import get_group\n"
        "from minari.command_line.app import app\n"
        "group = get_group(app)\n"
        "top = group.make_context('minari', [], resilient_parsing=True)\n"
        "for name, command in group.commands.items():\n"
        "    command.make_context(name, [], parent=top, resilient_parsing=True)\n"
        f"    assert not {SLOW!r} & set(sys.modules), name\n"
        "print(len(group.commands))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )

    assert (done.stdout, done.stderr) == (f"{len(get_group(app).commands)}\n", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_command_is_listed_with_the_summary_of_its_own_help(program: str) -> None:
    group = get_group(PROGRAMS[program])
    top = group.make_context(program, [], resilient_parsing=True)

    for name, command in group.commands.items():
        built = command.make_context(name, [], parent=top, resilient_parsing=True).command
        assert built is not command
        assert command.get_short_help_str(200) == built.get_short_help_str(200)
        assert command.get_short_help_str(200).endswith(".")


def test_nothing_is_completed_where_there_is_no_dataset(datasets_root: Path) -> None:
    assert run("minari", complete="show ") == ("\n", "")


def test_values_are_converted_when_a_command_runs() -> None:
    seen: list[object] = []

    def count(number: int, is_it: bool = False) -> None:
        """Count."""
        seen.append((number, is_it))

    app = minari_hub.command_line.app.build_app("Count.", commands={"count": count}, versions={})
    with pytest.raises(SystemExit):
        app(["count", "3", "--is-it"])
    assert seen == [(3, True)]
