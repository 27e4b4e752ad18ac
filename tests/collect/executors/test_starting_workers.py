"""What cannot be sent to workers, and scripts that workers cannot import, are said once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minari_collect import StepDataCallback, collect_dataset
from minari_core.errors import DataError, MissingDependencyError
from tests.collect.helpers.collect_work import Counting, by_sign

UNGUARDED = """
import sys
from minari_collect import collect_dataset
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tests.collect.helpers.collect_work import Counting

executor = None
if "executor" in sys.argv:
    executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
collect_dataset("tests/unguarded-v0", Counting, total_episodes=60, workers=2, executor=executor)
"""
GUARD = '`if __name__ == "__main__":`'


def run_python(*arguments: str, stdin: str = "") -> str:
    """What a run of Python that fails has to say."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    return done.stdout


@pytest.mark.slow
def test_a_script_without_its_guard_gives_one_short_error_that_names_it(
    tmp_path: Path, datasets_root: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)

    said = run_python(str(script))

    assert said.count("Traceback") == 1
    assert GUARD in said.splitlines()[-1]
    assert len(said.splitlines()) < 25, said
    assert not (datasets_root / "tests").exists()


@pytest.mark.slow
def test_a_script_without_its_guard_is_told_so_in_the_processes_of_an_executor_of_its_own(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)

    assert GUARD in run_python(str(script), "executor")


@pytest.mark.slow
def test_a_script_that_workers_cannot_import_stops_the_run_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nassert __name__ == '__main__', 'not here'\n" + UNGUARDED)

    said = run_python(str(script))

    assert said.count("AssertionError: not here") <= 2
    assert "ended it before it began (exit code 1)" in said.splitlines()[-1]
    assert GUARD in said.splitlines()[-1]


class Locked:
    """A policy that holds what nothing can pickle."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, observation: Any) -> int:
        return 0


def make_unpicklable(kind: str) -> dict[str, Any]:
    lock = threading.Lock()

    class OwnCallback(StepDataCallback):
        held = lock

    arguments: dict[str, dict[str, Any]] = {
        "env": {"env": lambda: (lock, Counting())[1]},
        "policy": {"policy": Locked()},
        "env_kwargs": {"env": by_sign, "env_kwargs": {"fine": 1, "lock": lock}},
        "step_data_callback": {"step_data_callback": OwnCallback},
        "remote": {"remote": lambda: lock},
    }
    return arguments[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("env", "env (make_unpicklable.<locals>.<lambda>)"),
        ("policy", "policy.lock"),
        ("env_kwargs", "env_kwargs['lock'] (lock)"),
        ("step_data_callback", "step_data_callback (make_unpicklable.<locals>.OwnCallback)"),
        ("remote", "remote (make_unpicklable.<locals>.<lambda>)"),
    ],
)
@pytest.mark.parametrize("has_cloudpickle", [True, False])
def test_what_cannot_be_sent_to_workers_is_named_with_the_remedy(
    kind: str,
    name: str,
    has_cloudpickle: bool,
    monkeypatch: pytest.MonkeyPatch,
    datasets_root: Path,
) -> None:
    if has_cloudpickle:
        pytest.importorskip("cloudpickle")
    else:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
    wanted = DataError if has_cloudpickle else MissingDependencyError
    arguments = {"env": Counting, "total_episodes": 1, **make_unpicklable(kind)}

    with pytest.raises(wanted) as raised:
        collect_dataset("tests/a-v0", **arguments, executor=ThreadPoolExecutor(1))

    said = str(raised.value)
    assert said.startswith(f"{name} cannot be sent to workers: ")
    assert ("in the worker, when it is first used" if has_cloudpickle else "cloudpickle") in said
    assert not list(datasets_root.rglob("run-*"))


def test_what_raises_an_error_of_its_own_when_it_is_pickled_is_named() -> None:
    class StubbornError(Exception):
        pass

    class Stubborn:
        def __reduce__(self) -> Any:
            raise StubbornError("never")

        def __call__(self, observation: Any) -> int:
            return 0

    with pytest.raises((DataError, MissingDependencyError), match=r"policy .*Stubborn.*never"):
        collect_dataset("tests/a-v0", Counting, Stubborn(), total_episodes=1)
