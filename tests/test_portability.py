"""No collected module needs POSIX to be imported, so that all are collected on Windows too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import POSIX_ONLY, collect_ignore

REPOSITORY = Path(__file__).parents[1]
# Run as programs, and never imported.
PROGRAMS = "tests/interop/scripts"

# Takes names of modules, and prints why each that cannot be imported cannot. The modules of these
# packages get no module that Windows lacks, and `os`, `signal` and `socket` without what it lacks.
# Others may have them: they are installed in builds for Windows there.
IMPORTED_AS_ON_WINDOWS = """
import builtins, importlib, json, sys, types

import pytest

OURS = ("tests", "conftest", "minari", "posix_only")
MODULES = {"curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    "os": '''
        O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK WNOHANG chown fchown fork forkpty getegid
        geteuid getgid getgroups getloadavg getpgid getuid initgroups killpg mkfifo mknod nice
        openpty pathconf posix_spawn register_at_fork sched_getaffinity setegid seteuid setgid
        setsid setuid statvfs sysconf uname wait wait3 wait4
    ''',
    "signal": '''
        SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 SIGXCPU
        SIGXFSZ alarm pause pthread_kill pthread_sigmask setitimer sigwait
    ''',
    "socket": "AF_UNIX",
}

def lacking(name):
    whole = importlib.import_module(name)
    lacks = set(NAMES[name].split())
    module = types.ModuleType(name)
    vars(module).update({key: value for key, value in vars(whole).items() if key not in lacks})
    return module

stand_ins = {name: lacking(name) for name in NAMES}
real_import = builtins.__import__

def import_as_on_windows(name, globals=None, locals=None, fromlist=(), level=0):
    if (globals or {}).get("__name__", "").startswith(OURS):
        if name in MODULES:
            raise ModuleNotFoundError(f"Windows has no {name}", name=name)
        if name in stand_ins:
            return stand_ins[name]
    return real_import(name, globals, locals, fromlist, level)

builtins.__import__ = import_as_on_windows
real_importorskip = pytest.importorskip

def importorskip_as_on_windows(name, *args, **kwargs):
    if name in MODULES:
        pytest.skip(f"Windows has no {name}", allow_module_level=True)
    return real_importorskip(name, *args, **kwargs)

pytest.importorskip = importorskip_as_on_windows
problems = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in MODULES:  # else an extra that this environment lacks
            problems[name] = str(error)
    except BaseException as error:
        if type(error).__name__ != "Skipped":
            problems[name] = f"{type(error).__name__}: {error}"
print(json.dumps(problems))
"""


def problems_of(modules: Sequence[str], *folders: Path) -> dict[str, str]:
    """Why modules cannot be imported without what only POSIX has."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTED_AS_ON_WINDOWS],
        input=json.dumps(modules),
        stdout=subprocess.PIPE,
        text=True,
        timeout=240,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [REPOSITORY, *folders]))},
    )
    problems: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return problems


def modules_below(folder: Path, root: Path, *left_out: str) -> list[str]:
    """The names of modules, without those at or below some paths of the repository."""
    return [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in sorted(folder.rglob("*.py"))
        if not any(path.is_relative_to(REPOSITORY / each) for each in left_out)
        if path.name != "__main__.py"  # which no doctest is looked for in
    ]


def test_every_collected_module_can_be_imported_without_what_only_posix_has() -> None:
    tests = modules_below(REPOSITORY / "tests", REPOSITORY, PROGRAMS, *POSIX_ONLY)
    packages = [
        name
        for source in (REPOSITORY / "packages").glob("*/src")
        for name in modules_below(source, source, *collect_ignore)
    ]
    assert __name__ in tests
    assert "minari_core.files" in packages
    assert not problems_of(["conftest", *tests, *packages])


def test_what_is_left_out_of_collecting_needs_posix() -> None:
    needing = problems_of(modules_below(REPOSITORY / "tests", REPOSITORY, PROGRAMS))
    for path in POSIX_ONLY:
        name = path.removesuffix(".py").replace("/", ".")
        assert any(each == name or each.startswith(f"{name}.") for each in needing), path


@pytest.mark.parametrize(
    "line",
    [
        "import resource",
        "from fcntl import flock",
        "import signal; KILLED = -signal.SIGKILL",
        "from signal import SIGXFSZ",
        "import os; fork = os.fork",
    ],
)
def test_a_module_that_needs_posix_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "posix_only.py").write_text(f"{line}\n")
    assert list(problems_of(["posix_only"], tmp_path)) == ["posix_only"]
