"""The public Minari, in an environment and a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PUBLIC_VERSION = "0.5.4"
_SCRIPT = Path(__file__).with_name("public_minari.py")
_COMPLETE = "complete.json"


class PeerError(Exception):
    """The public Minari cannot be installed or run."""


def installed_peer() -> Path:
    """The Python of an environment with the public Minari; it is made at the first call.

    Its HDF5 storage needs h5py and pillow, its collector JAX. The libraries that both
    sides use are asked for in the versions that this environment has.

    Raises:
        PeerError: It cannot be installed.
    """
    requirements = [f"minari[create]=={PUBLIC_VERSION}", "pillow"]
    for name in ("gymnasium[mujoco]", "numpy", "mujoco", "h5py"):
        try:
            version = importlib.metadata.version(name.partition("[")[0])
            requirements.append(f"{name}=={version}")
        except importlib.metadata.PackageNotFoundError:
            requirements.append(name)
    version = ".".join(map(str, sys.version_info[:2]))
    folder = _cache() / "minari-benchmarks" / f"minari-{PUBLIC_VERSION}-python-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / _COMPLETE
    if complete.exists() and json.loads(complete.read_text()) == requirements:
        return python
    print(f"installing {', '.join(requirements)} into {folder} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = os.environ.get("HATCH_UV") or shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *requirements])
    complete.write_text(json.dumps(requirements))
    return python


class Peer:
    """A process that does with the public Minari what it is asked for, one work at a time."""

    def __init__(self, python: Path, root: Path, *, quick: bool) -> None:
        """Start it.

        Args:
            python: The Python of its environment.
            root: Where its datasets lie.
            quick: Whether the workloads are the small ones.
        """
        self.python = python
        self._environment = peer_environment(root)
        self._errors = root / "errors.txt"
        with open(self._errors, "w") as errors:
            self._process = subprocess.Popen(
                [str(python), str(_SCRIPT), "serve", str(int(quick))],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, work: str, **arguments: object) -> dict[str, Any]:
        """Have a work done and return its figures.

        Raises:
            PeerError: It failed.
        """
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise PeerError("the public Minari has no pipes")
        try:
            process.stdin.write(json.dumps({"work": work, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"the public Minari stopped: {self._errors.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(
                f"the public Minari cannot do {work!r} with {arguments}: {answer['error']}"
            )
        return answer

    def seconds(self, work: str, **arguments: object) -> float:
        """Have a work done and return how long it took."""
        return float(self.ask(work, **arguments)["seconds"])

    def in_fresh_process(self, *arguments: str) -> dict[str, Any]:
        """Run the script in a process of its own and return its figures."""
        finished = subprocess.run(
            [str(self.python), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            raise PeerError(f"{arguments} failed: {finished.stderr[-2000:]}")
        answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
        return answer

    def alone(self, work: str, *arguments: str) -> dict[str, Any]:
        """Do a work in a process that does nothing else."""
        return self.in_fresh_process(str(_SCRIPT), work, *arguments)

    def close(self) -> None:
        """Stop the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)


def peer_environment(root: Path) -> Mapping[str, str]:
    """Variables for a process that must find the public packages, and not ours."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "MINARI_DATASETS_PATH": str(root), "PYTHONWARNINGS": "ignore"}


def _cache() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _run(command: list[str]) -> None:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PeerError(f"{command[0]} cannot be run: {error}") from error
    if finished.returncode:
        raise PeerError(f"{' '.join(command)} failed: {finished.stderr.strip()[-2000:]}")
