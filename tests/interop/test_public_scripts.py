"""Scripts that were written for the public Minari 0.5.4 say the same here as there.

Each script in ``scripts/`` is a program of its own, in the style of whoever writes one. It is run
as it is under both packages, in an empty folder, and what it prints last is compared as JSON,
floats bit by bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = sorted(Path(__file__).with_name("scripts").glob("*.py"))

pytestmark = pytest.mark.slow


def run(python: Path, script: Path, folder: Path) -> Any:
    """Run a script where nothing was before, and return what it prints last."""
    folder.mkdir()
    surroundings = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        "HOME": str(folder),
        "MINARI_DATASETS_PATH": str(folder / "datasets"),
    }
    done = subprocess.run(
        [python, script],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_for_the_public_minari_says_the_same_here(script: Path, tmp_path: Path) -> None:
    environment = Path(os.environ["MINARI_PUBLIC_ENVIRONMENT"])
    public = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    there = run(public, script, tmp_path / "there")
    here = run(Path(sys.executable), script, tmp_path / "here")

    assert here == there
    assert here


def test_there_are_scripts_of_twenty_kinds() -> None:
    assert len(SCRIPTS) >= 20
    assert [each.name for each in SCRIPTS if "minari_core" in each.read_text("utf-8")] == []
