"""Running the command lines in this process and in others, and datasets for them."""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import pytest
import typer

import minari
from minari_hub.command_line.exit_codes import run


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """A command line that runs in this process."""

    def __init__(
        self,
        app: typer.Typer,
        program: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self._app = app
        self._program = program
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(sys, "stdin", io.StringIO())

    def __call__(self, *arguments: str, width: int | None = None) -> Done:
        if width is not None:
            self._monkeypatch.setenv("COLUMNS", str(width))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run(self._app, self._program, list(arguments))
        captured = self._capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Done(int(stopped.value.code), captured.out, captured.err)


def in_process(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
    """Run ``python -m module`` for real, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Terminal:
    """Python on a terminal of its own; not for Windows. What it waits for has an end."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = os.openpty()
        surroundings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
        surroundings.pop("NO_COLOR", None)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**surroundings, **(environment or {})},
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def wait_for(self, text: str) -> None:
        """Read until a text has been shown."""
        while text not in self.text:
            if not self._read():
                self._process.kill()
                pytest.fail(f"{text!r} is not in {self.text!r}")

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def send(self, signal: int) -> None:
        self._process.send_signal(signal)

    def code(self) -> int:
        """Wait for the end, and give the exit code."""
        while self._read():
            pass
        os.close(self._ours)
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], 60)
        if not ready:
            return False
        try:
            content = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.text += content.decode("utf-8", "replace")
        return bool(content)


def collect(dataset_id: str, episodes: int = 5, **described: Any) -> minari.MinariDataset:
    """Record CartPole under a random policy."""
    env = minari.DataCollectorV0(gym.make("CartPole-v1"))
    env.action_space.seed(7)
    for seed in range(episodes):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    dataset = minari.create_dataset_from_collector_env(dataset_id, env, **described)
    env.close()
    return dataset
