"""The benchmarks run. What they measure is never asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).parents[1] / "benchmarks" / "run.py"


def test_the_command_measures_a_topic_and_writes_its_figures(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    # The children must find the packages, also where these are not installed.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    finished = subprocess.run(
        [
            sys.executable,
            str(COMMAND),
            *("--quick", "--without-public", "--only", "reading"),
            *("--root", str(tmp_path), "--json", str(figures)),
        ],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "| what" in finished.stdout

    measured = json.loads(figures.read_text(encoding="utf-8"))["figures"]
    assert {figure["public"] for figure in measured} == {"—"}
    assert any("fresh arrays" in figure["work"] for figure in measured)
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_results_are_written_by_whole_runs_only(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(COMMAND), "--quick", "--write-results"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "needs the whole run" in finished.stderr
