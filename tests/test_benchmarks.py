"""The benchmarks run. What they measure is never asserted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(__file__).parents[1] / "benchmarks" / "run.py"


def test_the_command_measures_a_topic_and_writes_its_figures(tmp_path: Path) -> None:
    measured = _measured("reading", tmp_path)
    assert {figure["public"] for figure in measured} == {"—"}
    assert any("fresh arrays" in figure["work"] for figure in measured)
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_reading_the_public_layout_is_measured(tmp_path: Path) -> None:
    measured = _measured("public-formats", tmp_path)
    assert [figure["reached"] for figure in measured] == [None, None]
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_sampling_is_measured_also_from_large_datasets_and_of_images(tmp_path: Path) -> None:
    measured = _measured("sampling", tmp_path)
    assert {figure["others"] for figure in measured} == {"—"}
    works = "\n".join(figure["work"] for figure in measured)
    for what in ("sample_transitions", "sample_sequences", "owns", "episodes", "shards"):
        assert what in works
    # The games are an extra, which not every environment has.
    assert ("Atari frames" in works) == (importlib.util.find_spec("ale_py") is not None)


def test_results_are_written_by_whole_runs_only(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, str(COMMAND), "--quick", "--write-results"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert "needs the whole run" in finished.stderr


def _measured(topic: str, tmp_path: Path) -> list[dict[str, Any]]:
    """The figures of a quick run without the peers, which would have to be installed."""
    figures = tmp_path / "figures.json"
    # The children must find the packages, also where these are not installed.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    finished = subprocess.run(
        [
            sys.executable,
            str(COMMAND),
            *("--quick", "--without-peers", "--only", topic),
            *("--root", str(tmp_path), "--json", str(figures)),
        ],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "| what" in finished.stdout
    measured: list[dict[str, Any]] = json.loads(figures.read_text(encoding="utf-8"))["figures"]
    return measured
