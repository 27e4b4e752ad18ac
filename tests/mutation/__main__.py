"""Put small faults into a copy of the code, and say which the tests notice.

``python -m tests.mutation [--seed N] [--faults N] [--modules PATTERN …] [--jobs N]`` draws so many
faults at random. Of each, the tests of the room run that its module lies in, as `tests/` mirrors
the rooms; then those of its package, and with ``--tests all`` all others. The code that is checked
out is only read.

``python -m tests.mutation --map tests/core …`` runs these tests once, and keeps in
``.mutation.json`` which lines each of them runs, beside what it knows of other tests: rooms can be
mapped one after the other, those that use a module as well as its own. From then on the tests that
run a fault's line come before all others, those of its room and the fastest first, and with
``--tests line`` no others do. What a map knows of a module counts until the module changes.

Faults that look as if nobody could notice them, because only words or tuned bounds change, are
listed and not counted, and modules that need a library which is not installed are left out.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import os
import random
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tests.mutation.faults import Fault, faults_in
from tests.mutation.line_map import ROOT, LineMap

_ABOVE = {"core": ("collect", "hub", "minari"), "collect": ("minari",), "hub": ("minari",)}
_NO_TESTS = 5
# Most faults are noticed by the first of them, for which the others need not be collected.
_FIRST_TESTS = 30

_PYTEST = [sys.executable, "-m", "pytest", "-n", "0"]


@dataclass(frozen=True)
class Verdict:
    """What became of a fault."""

    fault: Fault
    outcome: str
    """``noticed``, ``not noticed``, or why nobody knows."""
    by: str
    """The test that noticed it, or all that did not."""


class Copy:
    """A copy of the repository for one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # The files that git knows or would add, as they are now.
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        self._modified = time.time()

    def write(self, path: Path, source: bytes) -> None:
        """Put a module's text into the copy."""
        (self._folder / path).write_bytes(source)
        # Python compares whole seconds and sizes to tell whether what it compiled is up to date.
        self._modified += 2
        os.utime(self._folder / path, (self._modified, self._modified))

    def run(self, tests: list[str], seconds: float) -> tuple[str, str]:
        """Run tests that take so many seconds until one fails; whether one did, and which."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        process = subprocess.Popen(
            [*_PYTEST, *options, *tests],
            cwd=self._folder,
            env=_environment(self._folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=partial(_bound_processor_time, int(3 * seconds + 60)),
        )
        try:
            # Others may keep the machine busy; only what waits for ever takes as long as this.
            output, _ = process.communicate(timeout=20 * seconds + 600)
        except subprocess.TimeoutExpired:
            # With what the tests have started, which is in the group that begins with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "failed", "tests that hang"
        if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
            return "failed", "tests that do not end"
        if process.returncode in (0, _NO_TESTS):
            return "passed", ""
        failed = re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", output, re.MULTILINE)
        return "failed", failed[0] if failed else " ".join(output.split())[-200:]


class Judge:
    """Runs what tests there are for a fault; what they do without one is known or tried first."""

    def __init__(self, scope: str, line_map: LineMap, most_seconds: float) -> None:
        self._scope = scope
        self._most_seconds = most_seconds
        self._line_map = line_map
        self._seconds: dict[tuple[str, ...], float | None] = {}
        self._lock = Lock()

    def judge(self, copy: Copy, fault: Fault) -> Verdict:
        """Whether the tests notice a fault."""
        ran: list[str] = []
        room = stages(fault.path, "room")[0][0]
        of_line = self._line_map.tests_of(fault.path, fault.line, self._most_seconds, room)
        first = [of_line[:_FIRST_TESTS], of_line[_FIRST_TESTS:]]
        others = [] if of_line and self._scope == "line" else stages(fault.path, self._scope)
        for tests in filter(None, [*first, *others]):
            seconds = self._time_of(copy, tests)
            if seconds is None:
                return Verdict(fault, "tests fail without it", " ".join(tests))
            source = (ROOT / fault.path).read_bytes()
            copy.write(fault.path, fault.apply(source))
            try:
                outcome, by = copy.run(tests, seconds)
            finally:
                copy.write(fault.path, source)
            if outcome == "failed":
                return Verdict(fault, "noticed", by)
            ran += tests
        by = " ".join([f"{len(of_line)} tests that run it", *ran[len(of_line) :]])
        return Verdict(fault, "not noticed", by)

    def _time_of(self, copy: Copy, tests: list[str]) -> float | None:
        """How long tests take; None if they fail by themselves."""
        known = self._line_map.sum_seconds(tests)
        if known is not None:
            return known
        with self._lock:
            key = tuple(tests)
            if key not in self._seconds:
                began = time.monotonic()
                outcome, by = copy.run(tests, 3600)
                taken = time.monotonic() - began
                self._seconds[key] = taken if outcome == "passed" else None
                if outcome != "passed":
                    say(f"these fail without a fault: {by}")
            return self._seconds[key]


def _bound_processor_time(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))


def _environment(folder: Path) -> dict[str, str]:
    """The environment in which the packages of a folder are imported."""
    sources = sorted(str(path) for path in folder.glob("packages/*/src"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}


def make_map(tests: list[str]) -> int:
    """Run tests once to see which lines each of them runs."""
    command = [*_PYTEST, "-q", "-p", "tests.mutation.line_map", *tests]
    return subprocess.run(command, cwd=ROOT, env=_environment(ROOT), check=False).returncode


def stages(module: Path, scope: str) -> list[list[str]]:
    """The tests of a module's room, then those of its package, then all others."""
    package = module.parts[1].removeprefix("minari-")
    room = Path("tests", package, *module.parts[4:-1])
    while not list((ROOT / room).glob("**/test_*.py")):
        room = room.parent
    # The examples in its docstrings are tests, too.
    found = [[room.as_posix(), module.as_posix()]]
    if scope in ("package", "all") and room.as_posix() != f"tests/{package}":
        found.append([f"tests/{package}", f"--ignore={room.as_posix()}"])
    if scope == "all":
        others = [f"tests/{name}" for name in _ABOVE.get(package, ())]
        tests = sorted(path.name for path in (ROOT / "tests").glob("test_*.py"))
        found.append([*others, *(f"tests/{name}" for name in tests)])
    return found


def modules_that_match(patterns: list[str]) -> list[Path]:
    """The modules of the packages; their names are matched as ``minari_core/files.py``."""
    found = []
    for path in sorted(ROOT.glob("packages/*/src/**/*.py")):
        relative = path.relative_to(ROOT)
        name = Path(*relative.parts[3:]).as_posix()
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns) and has_libraries(path):
            found.append(relative)
    return found


def has_libraries(module: Path) -> bool:
    """Whether a module's own imports are installed here; without them, its tests are skipped."""
    body = ast.parse(module.read_bytes()).body
    # Those that name an extra if it is missing try to import it.
    tried = [statement for node in body if isinstance(node, ast.Try) for statement in node.body]
    names: list[str] = []
    for node in [*body, *tried]:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return all(find_spec(name.partition(".")[0]) for name in names)


def say(text: str) -> None:
    """Write a line to who runs the command."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the arguments say; 1 if too few faults are noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, help="what the choice of faults follows from")
    parser.add_argument("--faults", type=int, default=100, help="how many to put in; 100")
    parser.add_argument("--modules", nargs="*", default=["*"], help="as minari_core/columns/*")
    parser.add_argument("--tests", choices=["line", "room", "package", "all"], default="package")
    parser.add_argument(
        "--most-seconds",
        type=float,
        default=120.0,
        help="leave out the slowest tests of a line that take longer together; 120",
    )
    parser.add_argument("--map", nargs="+", help="make the map of lines with these tests instead")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time; 1")
    parser.add_argument("--at-least", type=float, default=95.0, help="percent to be noticed; 95")
    given = parser.parse_args()
    if given.map:
        return make_map(given.map)
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    modules = modules_that_match(given.modules)
    possible = [fault for path in modules for fault in faults_in(path, (ROOT / path).read_bytes())]
    chosen, skipped = choose(possible, given.faults, seed)
    say(f"{len(chosen)} of {len(possible)} faults in {len(modules)} modules, --seed {seed}")
    verdicts = judge_all(chosen, given.tests, given.jobs, given.most_seconds)
    return conclude(verdicts, skipped, seed, given.at_least)


def choose(
    possible: list[Fault], count: int, seed: int, root: Path = ROOT
) -> tuple[list[Fault], list[Fault]]:
    """Faults at random, and those that were drawn and look equivalent."""
    shuffled = random.Random(seed).sample(possible, len(possible))
    chosen: list[Fault] = []
    skipped: list[Fault] = []
    for fault in shuffled:
        if len(chosen) == count:
            break
        # Each that is drawn is compiled, not all that could be.
        if fault.is_one((root / fault.path).read_bytes()):
            (skipped if fault.looks_equivalent else chosen).append(fault)
    return chosen, skipped


def judge_all(faults: list[Fault], scope: str, jobs: int, most_seconds: float) -> list[Verdict]:
    """Judge each in one of so many copies, and say so as it goes on."""
    judge = Judge(scope, LineMap(), most_seconds)
    with tempfile.TemporaryDirectory(prefix="minari-mutation-") as folder:
        copies: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            copies.put(Copy(Path(folder, str(number))))

        def work(fault: Fault) -> Verdict:
            copy = copies.get()
            try:
                verdict = judge.judge(copy, fault)
            finally:
                copies.put(copy)
            say(show(verdict))
            return verdict

        with ThreadPoolExecutor(jobs) as threads:
            return list(threads.map(work, faults))


def show(verdict: Verdict) -> str:
    """A fault, and what became of it."""
    fault = verdict.fault
    source = (ROOT / fault.path).read_bytes()
    where = f"{fault.path}:{fault.line}"
    return f"{verdict.outcome}: {where}: {fault.describe(source)}\n    by {verdict.by}"


def conclude(verdicts: list[Verdict], skipped: list[Fault], seed: int, at_least: float) -> int:
    """Say how many were noticed, and list the others."""
    for fault in skipped:
        why = fault.looks_equivalent
        say(f"not counted: {fault.path}:{fault.line}: {fault.kind}: {why}")
    missed = [verdict for verdict in verdicts if verdict.outcome != "noticed"]
    if missed:
        say("\nNot noticed; each is to be tested, or changes nothing that can be seen:")
    for verdict in missed:
        say(show(verdict))
    noticed = len(verdicts) - len(missed)
    percent = 100 * noticed / max(1, len(verdicts))
    say(f"{noticed} of {len(verdicts)} faults were noticed ({percent:.0f} %), --seed {seed}")
    return 0 if percent >= at_least else 1


if __name__ == "__main__":
    sys.exit(main())
