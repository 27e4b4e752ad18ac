"""Which tests run a line of the packages, and how long each takes; a map that is made once.

As a plugin of pytest, ``-p tests.mutation.line_map``, it makes the map while the tests run. What
runs in another process is not seen, and neither is what a module does while it is imported. The
variable ``MINARI_MUTATION_MAP`` names another file for it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Generator, Iterable
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import TypedDict

import pytest

ROOT = Path(__file__).parents[2]
MAP = Path(os.environ.get("MINARI_MUTATION_MAP", ROOT / ".mutation.json"))
_SOURCES = ROOT / "packages"


class _Module(TypedDict):
    digest: str
    lines: dict[str, list[int]]


class _Map(TypedDict):
    tests: list[str]
    seconds: list[float]
    modules: dict[str, _Module]


class LineMap:
    """The map that was made last; an empty one where none was made."""

    def __init__(self, file: Path = MAP) -> None:
        empty: _Map = {"tests": [], "seconds": [], "modules": {}}
        self._map: _Map = json.loads(file.read_text()) if file.exists() else empty
        self._seconds = dict(zip(self._map["tests"], self._map["seconds"], strict=True))

    @property
    def tests(self) -> list[str]:
        """All tests in the map."""
        return self._map["tests"]

    @cached_property
    def modules(self) -> list[Path]:
        """The modules in the map that have not changed since."""
        return [
            Path(name)
            for name, known in self._map["modules"].items()
            if (ROOT / name).exists() and known["digest"] == _digest(ROOT / name)
        ]

    def lines_of(self, module: Path) -> dict[int, list[str]]:
        """The tests that run each line of a module; none if it has changed since."""
        if module not in self.modules:
            return {}
        lines = self._map["modules"][module.as_posix()]["lines"]
        return {int(line): [self.tests[number] for number in ran] for line, ran in lines.items()}

    def tests_of(
        self, module: Path, line: int, most_seconds: float = float("inf"), room: str = ""
    ) -> list[str]:
        """The tests that run a line, the fastest first; none if the module has changed since.

        Of a line that none runs, or that runs while the module is imported, those of the module.

        Args:
            module: The module, from the root of the repository.
            line: The line.
            most_seconds: Leave out the slowest, which take more than that together.
            room: The folder of tests that come before all others.
        """
        known = self._map["modules"].get(module.as_posix())
        if known is None or known["digest"] != _digest(ROOT / module):
            return []
        # Of a statement on several lines, Python counts only some.
        first = _find_first_line((ROOT / module).read_bytes(), line)
        counted = [ran for ran in map(int, known["lines"]) if first and first <= ran <= line]
        if counted:
            numbers = known["lines"][str(max(counted))]
        else:
            numbers = sorted(set(chain.from_iterable(known["lines"].values())))
        tests = [self._map["tests"][number] for number in numbers]
        tests.sort(key=lambda test: (not test.startswith(room), self._seconds[test]))
        ends = accumulate(self._seconds[test] for test in tests)
        return [test for test, end in zip(tests, ends, strict=True) if end <= most_seconds]

    def sum_seconds(self, tests: Iterable[str]) -> float | None:
        """How long tests took together; None if one is not in the map."""
        seconds = [self._seconds.get(test) for test in tests]
        return None if None in seconds else sum(filter(None, seconds))


def _find_first_line(source: bytes, line: int) -> int | None:
    """Where the innermost statement of a function begins that a line is of; None without one."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = [
        node
        for function in ast.walk(ast.parse(source))
        if isinstance(function, functions)
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max((node.lineno for node in inside), default=None)


def _digest(module: Path) -> str:
    return hashlib.sha256(module.read_bytes()).hexdigest()


class _Tracer:
    """Traces each test by itself."""

    def __init__(self) -> None:
        from coverage import Coverage

        # Only this core tells tests apart.
        os.environ["COVERAGE_CORE"] = "ctrace"
        self._coverage = Coverage(data_file=None, config_file=False, include=[f"{_SOURCES}/*"])
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0) + report.duration
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        tests = [test for test in self._seconds if test not in self._failed]
        before = LineMap(MAP)
        # What is known of other tests stays known of modules that have not changed.
        kept = [test for test in before.tests if test not in self._seconds]
        tests += kept
        numbers = {test: number for number, test in enumerate(tests)}
        data = self._coverage.get_data()
        modules: dict[str, _Module] = {}
        measured = {Path(name).relative_to(ROOT): name for name in data.measured_files()}
        for module in sorted({*measured, *before.modules}):
            found = {line: list(ran) for line, ran in before.lines_of(module).items()}
            if module in measured:
                for line, contexts in data.contexts_by_lineno(measured[module]).items():
                    found.setdefault(line, []).extend(contexts)
            lines = {
                str(line): sorted({numbers[test] for test in ran if test in numbers})
                for line, ran in sorted(found.items())
            }
            lines = {line: ran for line, ran in lines.items() if ran}
            if lines:
                modules[module.as_posix()] = {"digest": _digest(ROOT / module), "lines": lines}
        seconds = [self._seconds.get(test) or before.sum_seconds([test]) or 0.0 for test in tests]
        whole: _Map = {"tests": tests, "seconds": seconds, "modules": modules}
        MAP.write_text(json.dumps(whole))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Tracer())
