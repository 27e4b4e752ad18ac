"""Whom this project is compared with, each in an environment and a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMPLETE = "complete.json"


class PeerError(Exception):
    """A peer cannot be installed or run."""


@dataclass(frozen=True)
class Contender:
    """Whom this project is compared with."""

    name: str
    """What people call it."""
    requirement: str
    """What is installed, with its extras."""
    version: str
    """In which version."""
    script: str
    """The program beside this module that does the works with it."""
    beside: tuple[str, ...] = ()
    """What it needs and does not ask for."""
    as_here: tuple[str, ...] = ()
    """What both sides use, and is therefore asked for in the version that is installed here."""
    with_pip: bool = False
    """Whether pip alone finds its builds."""

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}"


PUBLIC_MINARI = Contender(
    "the public Minari",
    # Its HDF5 storage needs h5py and pillow, its collector JAX.
    "minari[create]",
    "0.5.4",
    "public_minari.py",
    beside=("pillow",),
    as_here=("gymnasium[mujoco]", "numpy", "mujoco", "h5py"),
)
TORCHRL = Contender(
    "TorchRL",
    "torchrl",
    "0.14.1",
    "torchrl_buffer.py",
    # That which its extension in C++ was built for; with others its priorities cannot be used.
    beside=("torch==2.14.1",),
    with_pip=True,
)
PYTORCH = Contender(
    "PyTorch",
    "torch",
    "2.13.0",
    "torch_resident.py",
    as_here=("numpy", "gymnasium", "h5py", "zstandard", "filelock", "packaging"),
    with_pip=True,
)
D3RLPY = Contender(
    "d3rlpy", "d3rlpy", "2.8.1", "d3rlpy_buffer.py", beside=("torch==2.13.0",), with_pip=True
)
LANCE = Contender("Lance", "pylance", "14.0.2", "lance_dataset.py", as_here=("numpy",))
DATASETS = Contender(
    "Hugging Face datasets",
    "datasets",
    "5.2.0",
    "hugging_face_datasets.py",
    beside=("aiohttp",),
    as_here=("numpy",),
)
PYAV = Contender("PyAV", "av", "18.1.0", "video.py", as_here=("numpy",))


def installed(contender: Contender) -> Path:
    """The Python of an environment with a peer; it is made at the first call.

    Raises:
        PeerError: It cannot be installed.
    """
    requirements = [f"{contender.requirement}=={contender.version}", *contender.beside]
    for name in contender.as_here:
        try:
            version = importlib.metadata.version(name.partition("[")[0])
            requirements.append(f"{name}=={version}")
        except importlib.metadata.PackageNotFoundError:
            requirements.append(name)
    version = ".".join(map(str, sys.version_info[:2]))
    package = contender.requirement.partition("[")[0]
    folder = _cache() / "minari-benchmarks" / f"{package}-{contender.version}-python-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / _COMPLETE
    if complete.exists() and json.loads(complete.read_text()) == requirements:
        return python
    print(f"installing {', '.join(requirements)} into {folder} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = os.environ.get("HATCH_UV") or shutil.which("uv")
    if uv and not contender.with_pip:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements])
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *requirements])
    complete.write_text(json.dumps(requirements))
    return python


class Peer:
    """A process that does with a peer what it is asked for, one work at a time."""

    def __init__(self, contender: Contender, root: Path, *, quick: bool) -> None:
        """Start it.

        Args:
            contender: Whom; it is installed if need be.
            root: Where its datasets lie.
            quick: Whether the workloads are the small ones.

        Raises:
            PeerError: It cannot be installed.
        """
        self.contender = contender
        self._python = installed(contender)
        self._script = str(Path(__file__).with_name(contender.script))
        self.root = root
        """Where its datasets lie."""
        root.mkdir()
        self._environment = peer_environment(root)
        self._errors = root / "errors.txt"
        with open(self._errors, "w") as errors:
            self._process = subprocess.Popen(
                [str(self._python), self._script, "serve", str(int(quick))],
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
            raise PeerError(f"{self.contender.name} has no pipes")
        try:
            process.stdin.write(json.dumps({"work": work, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            told = self._errors.read_text()[-2000:]
            raise PeerError(f"{self.contender.name} stopped: {told}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(
                f"{self.contender.name} cannot do {work!r} with {arguments}: {answer['error']}"
            )
        return answer

    def seconds(self, work: str, **arguments: object) -> float:
        """Have a work done and return how long it took."""
        return float(self.ask(work, **arguments)["seconds"])

    def in_fresh_process(self, *arguments: str) -> dict[str, Any]:
        """Run the script in a process of its own and return its figures."""
        finished = subprocess.run(
            [str(self._python), *arguments],
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
        return self.in_fresh_process(self._script, work, *arguments)

    def close(self) -> None:
        """Stop the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)


def peer_environment(root: Path) -> Mapping[str, str]:
    """Variables for a process that must find the peer's packages, and not ours."""
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
