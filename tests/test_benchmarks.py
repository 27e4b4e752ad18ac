"""The benchmarks run. What they measure is never asserted."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
COMMAND = BENCHMARKS / "run.py"


def test_the_command_measures_a_topic_and_writes_its_figures(tmp_path: Path) -> None:
    measured = _measured("reading", tmp_path)
    assert {figure["public"] for figure in measured} == {"—"}
    assert any("fresh arrays" in figure["work"] for figure in measured)
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_checkpoints_are_measured(tmp_path: Path) -> None:
    measured = _measured("checkpoints", tmp_path)
    works = "\n".join(figure["work"] for figure in measured)
    for what in ("around the 50th", "around the 10th", "shards", "written again", "pause", "joins"):
        assert what in works


def test_tables_and_other_layouts_are_measured(tmp_path: Path) -> None:
    measured = _measured("tables", tmp_path)
    works = "\n".join(figure["work"] for figure in measured)
    for what in ("to_pandas", "parquet", "robomimic", "memory"):
        assert what in works


@pytest.mark.slow
def test_streams_are_measured_beside_local_files(tmp_path: Path) -> None:
    measured = _measured("streaming", tmp_path)
    works = "\n".join(figure["work"] for figure in measured)
    named = ("first batch", "samples a second", "waits", "images", "plots", "cache", "workers")
    for what in (*named, "peers"):
        assert what in works


def test_reading_the_public_layout_is_measured(tmp_path: Path) -> None:
    measured = _measured("public-formats", tmp_path)
    assert [figure["reached"] for figure in measured] == [None, None]
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_sampling_from_the_public_layouts_is_measured(tmp_path: Path) -> None:
    measured = _measured("public-sampling", tmp_path)
    assert len(measured) == 15
    assert all(figure["values"]["minari"] > 0 for figure in measured)


def test_sampling_is_measured_also_from_large_datasets_and_of_images(tmp_path: Path) -> None:
    measured = _measured("sampling", tmp_path)
    assert {figure["others"] for figure in measured} == {"—"}
    works = "\n".join(figure["work"] for figure in measured)
    for what in ("sample_transitions", "sample_sequences", "owns", "episodes"):
        assert what in works
    # The games are an extra, which not every environment has.
    assert ("Atari frames" in works) == (importlib.util.find_spec("ale_py") is not None)


def test_sampling_is_measured_from_many_shards_and_from_more_than_memory_holds(
    tmp_path: Path,
) -> None:
    measured = [*_measured("shards", tmp_path), *_measured("terabytes", tmp_path)]
    assert all(figure["values"]["minari"] > 0 for figure in measured)
    works = "\n".join(figure["work"] for figure in measured)
    for what in ("sample_sequences", "100 shards", "first batch", "owns", "of a view", "of all"):
        assert what in works


def test_tasks_of_a_number_of_steps_are_counted(tmp_path: Path) -> None:
    measured = _measured("tasks", tmp_path)
    assert len(measured) == 6
    assert {figure["reached"] for figure in measured} <= {True, False}


def test_the_page_on_scaling_has_the_costs_that_the_command_measures(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    unit_costs = _load_unit_costs()
    page = tmp_path / "scaling.md"
    text = unit_costs.PAGE.read_text(encoding="utf-8")
    page.write_text(text, encoding="utf-8")

    figures = _figures(_measured("costs", tmp_path))
    unit_costs.write_page(figures, page)

    written = page.read_text(encoding="utf-8")
    for mark in (unit_costs.UNITS, unit_costs.DERIVED):
        rows = unit_costs.read_table(written, mark)
        assert list(rows) == list(unit_costs.read_table(text, mark))
        assert all(rows.values())
    units = unit_costs.read_table(written, unit_costs.UNITS)
    assert units == {figure.work: figure.minari for figure in figures}


def test_the_page_on_scaling_and_the_results_do_not_contradict_each_other() -> None:
    unit_costs = _load_unit_costs()
    page = unit_costs.read_table(unit_costs.PAGE.read_text(encoding="utf-8"), unit_costs.UNITS)
    lines = (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if "|" in line]
    results = {work: figure for work, figure in cells if work in page}

    assert results == {work: page[work] for work in results}


def test_a_run_is_saved_topic_by_topic(tmp_path: Path) -> None:
    saved = tmp_path / "figures.json"
    for topic in ("imports", "reading"):
        _measured(topic, tmp_path)

    finished = _run(COMMAND, "--load", saved)

    assert finished.returncode == 0, finished.stderr
    for what in ("import minari_core", "fresh arrays", "imports took"):
        assert what in finished.stdout
    refused = _run(COMMAND, "--load", saved, "--write-results")
    assert refused.returncode == 2
    assert "needs the whole run" in refused.stderr


def test_results_are_written_by_whole_runs_only(tmp_path: Path) -> None:
    finished = _run(COMMAND, "--quick", "--write-results")
    assert finished.returncode == 2
    assert "needs the whole run" in finished.stderr


def test_rooms_are_counted_on_each_trip() -> None:
    finished = _run(BENCHMARKS / "rooms.py")
    assert finished.returncode == 0, finished.stderr
    rows = [line.strip("| ").split("|") for line in finished.stdout.splitlines()[2:]]
    assert len(rows) == 6
    for trip, modules, _, rooms, *_ in rows:
        counted = [
            int(number.replace(",", "")) for number in re.findall(r"[\d,]+", modules + rooms)
        ]
        assert len(counted) == 4, trip
        modules_entered, returns_to_modules, rooms_entered, returns_to_rooms = counted
        assert 1 < rooms_entered <= modules_entered
        # Whoever comes back into a room comes back into one of its modules, or enters a fresh one.
        entries_of_modules = modules_entered + returns_to_modules
        assert 0 < returns_to_rooms + rooms_entered <= entries_of_modules


@pytest.mark.slow
def test_two_versions_are_measured_in_turns(tmp_path: Path) -> None:
    finished = _run(
        BENCHMARKS / "before_after.py",
        *(sys.executable, sys.executable, "--quick", "--rounds", "1", "--root", str(tmp_path)),
    )
    assert finished.returncode == 0, finished.stderr
    works = ("import minari_hub", "step", "sample_transitions", "sample_sequences", "an epoch")
    for what in (*works, "load_dataset", "checkpoint"):
        assert what in finished.stdout
    assert len(re.findall(r"^\| .* [µm]s ", finished.stdout, re.MULTILINE)) == 10
    assert list(tmp_path.iterdir()) == []


def _load_unit_costs() -> Any:
    """The module, which the benchmarks import by its name alone."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("unit_costs")
    finally:
        sys.path.remove(str(BENCHMARKS))


def _figures(measured: list[dict[str, Any]]) -> list[Any]:
    report = sys.modules["report"]
    return [report.Figure(**figure) for figure in measured]


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # The children must find the packages, also where these are not installed.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def _measured(topic: str, tmp_path: Path) -> list[dict[str, Any]]:
    """The figures of a quick run without the peers, which would have to be installed."""
    figures = tmp_path / "figures.json"
    finished = _run(
        COMMAND,
        *(topic, "--quick", "--without-peers"),
        *("--root", str(tmp_path), "--json", str(figures)),
    )
    assert finished.returncode == 0, finished.stderr
    assert "| what" in finished.stdout
    measured: list[dict[str, Any]] = json.loads(figures.read_text(encoding="utf-8"))["topics"][
        topic
    ]["figures"]
    return measured
