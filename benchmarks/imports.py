"""How long importing takes, in fresh processes."""

from __future__ import annotations

import sys

from measure import LIMIT, PUBLIC, Work, in_fresh_process, in_turns, median, ratio
from report import NOTHING, Figure, milliseconds
from setting import Setting

_LIBRARIES = "numpy, h5py, gymnasium"
_MOST = {"minari_core": 1.0, "minari": 1.15}


def measure(setting: Setting) -> list[Figure]:
    """Each package beside the libraries that it cannot do without."""
    works: dict[str, Work] = {
        LIMIT: lambda: seconds_to_import(_LIBRARIES),
        **{package: _importer(package) for package in _MOST},
    }
    peer = setting.peer
    if peer is not None:
        program = ["-c", _program("minari")]
        if setting.attempt(lambda: peer.in_fresh_process(*program)) is not None:
            works[PUBLIC] = lambda: float(peer.in_fresh_process(*program)["seconds"])
    times = in_turns(works, setting.rounds(21))
    figures = []
    for package, most in _MOST.items():
        slower = ratio(times, package)
        figures.append(
            Figure(
                work=f"import {package}",
                minari=milliseconds(median(times, package)),
                limit=f"{milliseconds(median(times, LIMIT))} (import {_LIBRARIES})",
                compared=f"{slower:.2f} ×",
                target=f"{most} ×",
                reached=slower <= most,
                public=milliseconds(median(times, PUBLIC)) if package == "minari" else NOTHING,
                obstacle="numpy, Gymnasium and this project's own modules take that long.",
                values={
                    "minari": median(times, package),
                    LIMIT: median(times, LIMIT),
                    PUBLIC: median(times, PUBLIC),
                    "ratio": slower,
                },
            )
        )
    return figures


def seconds_to_import(names: str, *, python: str = sys.executable) -> float:
    """How long a fresh process takes to import some modules, ``a, b``."""
    return float(in_fresh_process(["-c", _program(names)], python=python)["seconds"])


def _importer(names: str) -> Work:
    return lambda: seconds_to_import(names)


def _program(names: str) -> str:
    return (
        "import time; start = time.perf_counter(); "
        f"import {names}; "
        "seconds = time.perf_counter() - start; "
        "import json; print(json.dumps({'seconds': seconds}))"
    )
