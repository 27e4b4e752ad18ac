"""The hub in an environment of its own, where neither the collector nor ``minari`` is installed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import minari
from tests.hub.helpers.datasets import collect, files_of, is_intact
from tests.hub.helpers.servers import free_port

PACKAGES = Path(__file__).parents[2] / "packages"


@pytest.mark.slow
def test_the_command_line_of_the_hub_needs_the_core_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect("cart/one-v0")
    files = files_of("cart/one-v0")
    folder = tmp_path / "alone" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "alone")], check=True, timeout=120)
    # Nothing of the environment that runs the test may be seen from the new one.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("MINARI_REMOTE", (tmp_path / "shared").as_uri())
    subprocess.run(
        [
            *(str(folder / "python"), "-m", "pip", "install", "--quiet", "--no-input"),
            *(str(PACKAGES / name) for name in ("minari-core", "minari-hub")),
        ],
        check=True,
        timeout=600,
    )

    def hub(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(folder / "minari-hub"), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
        )

    installed = subprocess.run(
        [str(folder / "python"), "-m", "pip", "list", "--format=json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    names = {each["name"] for each in json.loads(installed.stdout)}
    assert {name for name in names if name.startswith("minari")} == {"minari-core", "minari-hub"}
    assert hub("upload", "cart/one-v0").returncode == 0
    minari.delete_dataset("cart/one-v0")
    assert list(json.loads(hub("list", "--json").stdout)) == ["cart/one-v0"]
    assert hub("download", "cart/one-v0").returncode == 0
    assert is_intact({"cart/one-v0": files})
    verified = hub("verify", "cart/one-v0", "none-v0")
    assert (verified.returncode, "cart/one-v0: ok" in verified.stdout) == (3, True)
    # Without its extra the first remote is passed over; what the message says to type installs it.
    remotes = ("--remote", "hf://farama", "--remote", os.environ["MINARI_REMOTE"])
    listed = hub("list", "--json", *remotes)
    assert list(json.loads(listed.stdout)) == ["cart/one-v0"]
    hint = listed.stderr.rpartition("install it with ")[2]
    assert hint == "pip install 'minari-hub[hf]'\n"
    subprocess.run(
        [str(folder / "python"), "-m", *shlex.split(hint), "--quiet", "--no-input"],
        check=True,
        timeout=600,
    )
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    assert "hf://farama is passed over: could not list" in hub("list", *remotes).stderr
