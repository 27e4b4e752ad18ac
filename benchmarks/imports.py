"""How long importing takes, and what a command line does before any command, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from measure import LIMIT, PUBLIC, Work, in_fresh_process, in_turns, median, ratio, timed
from report import NOTHING, Figure, milliseconds
from setting import Setting

_LIBRARIES = "import numpy, h5py, gymnasium"
# A package loads what is behind a name when the name is used, so that this is measured, too.
_MOST = {
    "import minari_core": 1.03,
    "from minari_core import load_dataset": 1.03,
    "import minari": 1.1,
    "from minari import DataCollectorV0, load_dataset": 1.1,
}
# Words of which the last is completed, for a shell.
_COMPLETED = {"minari <Tab>": "minari ", "minari show <Tab>": "minari show "}
_VERSIONS = {"minari --version": "minari", "minari-hub --version": "minari_hub"}
_MOST_FOR_A_COMMAND_LINE = 1.3
_OBSTACLE = (
    "The standard library's pathlib takes some of these milliseconds, and the classes that read a "
    "dataset the others: most are dataclasses, whose methods Python compiles at the import."
)


def measure(setting: Setting) -> list[Figure]:
    """What is imported, and command lines that are asked for no dataset's data."""
    return [*_measure_imports(setting), *_measure_command_lines(setting)]


def _measure_imports(setting: Setting) -> list[Figure]:
    """Each package, and what most programs use of it, beside the libraries that it reads with."""
    works: dict[str, Work] = {
        LIMIT: lambda: seconds_to_import(_LIBRARIES),
        **{statement: _importer(statement) for statement in _MOST},
    }
    peer = setting.peer
    if peer is not None:
        program = ["-c", _program("import minari")]
        if setting.attempt(lambda: peer.in_fresh_process(*program)) is not None:
            works[PUBLIC] = lambda: float(peer.in_fresh_process(*program)["seconds"])
    times = in_turns(works, setting.rounds(21))
    figures = []
    for statement, most in _MOST.items():
        slower = ratio(times, statement)
        figures.append(
            Figure(
                work=statement,
                minari=milliseconds(median(times, statement)),
                limit=f"{milliseconds(median(times, LIMIT))} ({_LIBRARIES})",
                compared=f"{slower:.2f} ×",
                target=f"{most} ×",
                reached=slower <= most,
                public=milliseconds(median(times, PUBLIC)) if " minari" in statement else NOTHING,
                obstacle=_OBSTACLE,
                values={
                    "minari": median(times, statement),
                    LIMIT: median(times, LIMIT),
                    PUBLIC: median(times, PUBLIC),
                    "ratio": slower,
                },
            )
        )
    return figures


def _measure_command_lines(setting: Setting) -> list[Figure]:
    """Whole processes, beside one that imports nothing but the library of command lines."""
    with setting.datasets():
        works: dict[str, Work] = {LIMIT: lambda: _seconds_to_run(["-c", "import typer"], {})}
        for name, module in _VERSIONS.items():
            works[name] = _runner(["-m", module, "--version"], {})
        for name, words in _COMPLETED.items():
            completion = {
                "_MINARI_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(words.count(" ")),
            }
            works[name] = _runner(["-m", "minari"], completion)
        times = in_turns(works, setting.rounds(21))
    figures = []
    for name in works:
        if name != LIMIT:
            slower = ratio(times, name)
            figures.append(
                Figure(
                    work=name,
                    minari=milliseconds(median(times, name)),
                    limit=f'{milliseconds(median(times, LIMIT))} (python -c "import typer")',
                    compared=f"{slower:.2f} ×",
                    target=f"{_MOST_FOR_A_COMMAND_LINE} ×",
                    reached=slower <= _MOST_FOR_A_COMMAND_LINE,
                    values={"minari": median(times, name), LIMIT: median(times, LIMIT)},
                )
            )
    return figures


def _runner(arguments: Sequence[str], environment: Mapping[str, str]) -> Work:
    return lambda: _seconds_to_run(arguments, environment)


def _seconds_to_run(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """How long a whole process takes."""
    return timed(
        lambda: subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    )


def seconds_to_import(statement: str, *, python: str = sys.executable) -> float:
    """How long a fresh process takes for an import statement."""
    return float(in_fresh_process(["-c", _program(statement)], python=python)["seconds"])


def _importer(statement: str) -> Work:
    return lambda: seconds_to_import(statement)


def _program(statement: str) -> str:
    return (
        "import time; start = time.perf_counter(); "
        f"{statement}; "
        "seconds = time.perf_counter() - start; "
        "import json; print(json.dumps({'seconds': seconds}))"
    )
