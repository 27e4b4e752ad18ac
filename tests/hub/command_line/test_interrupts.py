"""Ctrl-C in a transfer on the command line: it ends soon, says so, and the next call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import minari
from minari_hub import upload_dataset
from tests.hub.helpers.datasets import files_of, is_intact, make_shards
from tests.hub.helpers.fault_proxy import Fault, FaultProxy, slow, status
from tests.hub.helpers.servers import Bucket

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="Windows sends no SIGINT to one process"),
]

CONTENT = "GET .*h5.*alt=media"
DATA_SENT = r"^(POST|PUT) /upload"
SAID = "stopped; what was transferred is kept: the same command goes on from there"


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "minari_hub", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt_when(process: subprocess.Popen[str], reached: Callable[[], bool]) -> tuple[int, str]:
    """Press Ctrl-C, and return the exit code and what was said."""
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not get that far"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=40)
    assert out == ""
    return process.returncode, said


def test_a_download_goes_on_from_where_it_was_stopped(bucket: Bucket, proxy: FaultProxy) -> None:
    make_shards("x-v0", shards=10, steps=2000)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    minari.delete_dataset("x-v0")
    proxy.forget()
    # At this pace it would take minutes.
    proxy.faults = [Fault(CONTENT, slow(0.5))]

    process = run("download", "x-v0", "--remote", bucket.url)
    code, said = interrupt_when(process, lambda: proxy.bytes_sent > 300_000)

    assert (code, said.splitlines()) == (130, [SAID])
    assert is_intact()
    proxy.forget()
    _, said = (process := run("download", "x-v0", "--remote", bucket.url)).communicate(timeout=60)
    assert process.returncode == 0, said
    assert is_intact({"x-v0": files})
    assert proxy.bytes_sent < sum(map(len, files.values()))


def test_an_upload_goes_on_from_where_it_was_stopped(bucket: Bucket, proxy: FaultProxy) -> None:
    make_shards("x-v0", shards=40, steps=20)
    files = files_of("x-v0")
    proxy.forget()
    # Of eight at a time, all would take ten seconds more.
    proxy.faults = [Fault(DATA_SENT, slow(2.0))]

    process = run("upload", "x-v0", "--remote", bucket.url)
    code, said = interrupt_when(process, lambda: len(bucket.names()) >= 4)

    assert (code, said.splitlines()) == (130, [SAID])
    there = bucket.names()
    assert 4 <= len(there) <= 24
    assert "x-v0/data/metadata.json" not in there
    proxy.forget()
    _, said = (process := run("upload", "x-v0", "--remote", bucket.url)).communicate(timeout=60)
    assert process.returncode == 0, said
    assert proxy.count(DATA_SENT) == len(files) - len(there)
    assert len(bucket.names()) == len(files)


@pytest.mark.parametrize("command", ["download", "upload"])
def test_a_transfer_that_waits_for_a_remote_is_stopped(
    bucket: Bucket, proxy: FaultProxy, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_shards("x-v0", shards=3, steps=20)
    if command == "download":
        upload_dataset("x-v0", remote_path=bucket.url)
        minari.delete_dataset("x-v0")
    monkeypatch.setenv("MINARI_REMOTE_GIVE_UP_AFTER", "300")
    proxy.forget()
    faulty = CONTENT if command == "download" else DATA_SENT
    proxy.faults = [Fault(faulty, status(503), before_server=True)]

    process = run(command, "x-v0", "--remote", bucket.url)
    code, said = interrupt_when(process, lambda: proxy.count(faulty) >= 7)

    *retries, last = said.splitlines()
    assert (code, last) == (130, SAID)
    assert all("trying again" in line for line in retries)
