"""The command that puts faults into the code: which it knows, and where it leaves the code."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import choose, has_libraries, stages
from tests.mutation.faults import faults_in
from tests.mutation.line_map import ROOT, LineMap

SOURCE = b'''
from typing import Protocol, TYPE_CHECKING

if TYPE_CHECKING:
    x = 1 < 2

MOST_ROWS = 10
__all__ = ["a"]


class Seam(Protocol):
    def answer(self) -> int:
        return 4


def fetch(rows: "list[1]", last: bool = False) -> int:
    """Add 1."""
    total = 0
    for row in rows:
        if row < 3 and not last:
            total += row
            continue
        logger.info("at %d", 5)
        rows.append("\xc3\xa9" * 2)
    return total
'''


def test_faults_are_in_what_runs_and_each_changes_one_place() -> None:
    faults = [fault for fault in faults_in(Path("module.py"), SOURCE) if fault.is_one(SOURCE)]
    changed = {(fault.kind, fault.replacement) for fault in faults if not fault.looks_equivalent}

    assert changed == {
        ("a constant moved", "True"),
        ("a constant moved", "1"),
        ("a constant moved", "-1"),
        ("a constant moved", "2"),
        ("a constant moved", "3"),
        ("a constant moved", "4"),
        ("a comparison turned", "(row <= 3)"),
        ("a comparison turned", "(row >= 3)"),
        ("a condition turned", "(not (row < 3 and (not last)))"),
        ("the other of and, or", "(row < 3 or not last)"),
        ("a not dropped", "(last)"),
        ("another operator", "('é' + 2)"),
        ("a statement dropped", "pass"),
    }
    assert sum(fault.kind == "a statement dropped" for fault in faults) == 4
    for fault in faults:
        text = fault.apply(SOURCE)
        assert text != SOURCE
        assert fault.line == SOURCE[: fault.start].count(b"\n") + 1


def test_faults_that_look_equivalent_are_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_bytes(SOURCE)
    faults = faults_in(Path("module.py"), SOURCE)
    chosen, skipped = choose(faults, 100, 1, tmp_path)

    assert {*chosen, *skipped} == {fault for fault in faults if fault.is_one(SOURCE)}
    reasons = {SOURCE[: fault.start].count(b"\n") + 1: fault.looks_equivalent for fault in skipped}
    assert reasons.keys() == {7, 13, 23}
    assert "tuned" in reasons[7]
    assert "protocol" in reasons[13]
    assert "log" in reasons[23]
    assert choose(faults, 3, 1, tmp_path) == choose(faults, 3, 1, tmp_path)
    assert len({tuple(choose(faults, 3, seed, tmp_path)[0]) for seed in range(9)}) > 1


def test_the_tests_of_a_module_are_those_of_its_room_and_then_its_package() -> None:
    module = Path("packages/minari-core/src/minari_core/formats/columnar/manifest.py")
    assert stages(module, "package") == [
        ["tests/core/formats/columnar", module.as_posix()],
        ["tests/core", "--ignore=tests/core/formats/columnar"],
    ]
    ground = Path("packages/minari-hub/src/minari_hub/testing.py")
    assert stages(ground, "package") == [["tests/hub", ground.as_posix()]]
    assert stages(ground, "all")[1][:2] == ["tests/minari", "tests/test_api_page.py"]


def test_the_tests_of_a_line_are_those_that_ran_it_the_fastest_first(tmp_path: Path) -> None:
    module = Path("packages/minari-core/src/minari_core/local/dataset_id.py")
    source = (ROOT / module).read_bytes()
    known = {"digest": hashlib.sha256(source).hexdigest(), "lines": {}}
    statement = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and node.end_lineno != node.lineno
    )
    known["lines"] = {str(statement.lineno - 1): [2], str(statement.lineno): [0, 1]}
    written = {"tests": ["slow", "fast", "before"], "seconds": [3, 1, 0]}
    file = tmp_path / "map.json"
    file.write_text(json.dumps({**written, "modules": {module.as_posix(): known}}))
    line_map = LineMap(file)

    # Also of the lines of a statement that Python does not count.
    for line in (statement.lineno, statement.lineno + 1):
        assert line_map.tests_of(module, line) == ["fast", "slow"]
    assert line_map.tests_of(module, statement.lineno - 1) == ["before"]
    # What runs at import is seen by all tests of the module.
    assert line_map.tests_of(module, 1) == ["before", "fast", "slow"]
    assert line_map.tests_of(module, statement.lineno, most_seconds=3.5) == ["fast"]
    assert line_map.sum_seconds(["fast", "slow"]) == 4
    assert line_map.sum_seconds(["fast", "unknown"]) is None
    known["digest"] = "of a module that has changed since"
    file.write_text(json.dumps({**written, "modules": {module.as_posix(): known}}))
    assert LineMap(file).tests_of(module, statement.lineno) == []
    assert LineMap(tmp_path / "none.json").tests_of(module, statement.lineno) == []


def test_modules_of_extras_that_are_not_installed_are_left_out(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    for text, is_here in (
        ("import json.decoder\nfrom numpy import array", True),
        ("import no_such_library.inside", False),
        ("from no_such_library import it", False),
        ("try:\n    import no_such_library\nexcept ImportError:\n    raise", False),
        ("if TYPE_CHECKING:\n    import no_such_library", True),
        ("def load():\n    import no_such_library", True),
    ):
        module.write_text(text)
        assert has_libraries(module) is is_here, text


@pytest.mark.slow
def test_a_map_of_lines_is_made_by_running_tests(tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    test = "tests/core/local/test_dataset_id.py::test_a_broken_namespace_is_told_likewise"

    def make_map(of: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "tests.mutation", "--map", of],
            cwd=ROOT,
            env={**os.environ, "MINARI_MUTATION_MAP": str(file)},
            capture_output=True,
            check=True,
        )

    make_map(test)
    # What is mapped later stands beside it.
    make_map("tests/core/test_json_values.py")
    module = Path("packages/minari-core/src/minari_core/local/dataset_id.py")
    line_map = LineMap(file)
    found = [line_map.tests_of(module, line) for line in range(1, 200)]

    assert test in {each.partition("[")[0] for tests in found for each in tests}
    assert any(each.startswith("tests/core/test_json_values.py") for each in line_map.tests)


@pytest.mark.slow
def test_a_fault_is_put_into_a_copy_and_noticed() -> None:
    module = ROOT / "packages/minari-core/src/minari_core/sampling/orders/rank_index.py"
    before = module.read_bytes(), module.stat().st_mtime_ns
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "tests.mutation", "--seed", "2", "--faults", "1"),
            *("--modules", "minari_core/local/dataset_id.py", "--tests", "room"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    assert "1 of 1 faults were noticed" in finished.stdout
    assert (module.read_bytes(), module.stat().st_mtime_ns) == before
