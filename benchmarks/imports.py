"""How long importing takes, in fresh processes."""

from __future__ import annotations

import sys

from measure import LIMIT, PUBLIC, Work, in_fresh_process, in_turns, median, ratio
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


def measure(setting: Setting) -> list[Figure]:
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
                obstacle="numpy, Gymnasium and this project's own modules take that long.",
                values={
                    "minari": median(times, statement),
                    LIMIT: median(times, LIMIT),
                    PUBLIC: median(times, PUBLIC),
                    "ratio": slower,
                },
            )
        )
    return figures


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
