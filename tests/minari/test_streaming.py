"""`minari.load_dataset` streams a dataset instead of opening a local one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari_core.cache.entries import list_entries, remove_entry
from minari_core.errors import DataError, DatasetIdError
from tests.core.helpers.streams import wait_until_unused, write_dataset
from tests.helpers.object_server import ObjectServer


def test_a_url_is_streamed_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    local = write_dataset(tmp_path / "remote/x-v0/data")

    stream = minari.load_dataset((tmp_path / "remote/x-v0").as_uri(), stream=True)

    np.testing.assert_array_equal(stream[3].rewards, local[3].rewards)
    assert stream.stream_statistics().requests > 0
    assert minari.list_local_datasets() == {}
    with pytest.raises(DatasetIdError, match="give file:///"):
        minari.load_dataset(tmp_path / "remote/x-v0", stream=True)


def test_arguments_that_exclude_one_another_are_refused() -> None:
    with pytest.raises(DataError, match="give one of the two"):
        minari.load_dataset("file:///r/x-v0", download=True, stream=True)
    with pytest.raises(DataError, match=r"cache_nbytes=1000 .* stream=True"):
        minari.load_dataset("file:///r/x-v0", cache_nbytes=1000)


def test_what_a_stream_has_read_is_installed_without_fetching_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    written = list(write_dataset(tmp_path / "remote/x-v0/data"))
    remote = (tmp_path / "remote").as_uri()
    whole = list(minari.load_dataset(f"{remote}/x-v0", stream=True))
    names = sorted(path.name for path in (tmp_path / "remote/x-v0/data").glob("*.h5"))
    blocks = {path.name: path for path in (tmp_path / "cache").rglob("*.data")}
    damaged = next(path for name, path in blocks.items() if name.startswith(names[0]))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    # What is copied is not what the remote sends from now on, of which only the size is right.
    sent = tmp_path / "remote/x-v0/data" / names[1]
    sent.write_bytes(bytes(sent.stat().st_size))

    minari.download_dataset("x-v0", remote_path=remote, progress=False)

    installed = minari.load_dataset("x-v0")
    assert minari.verify_dataset("x-v0").ok
    for found, wanted, streamed in zip(installed, written, whole, strict=True):
        np.testing.assert_array_equal(found.observations, streamed.observations)
        np.testing.assert_array_equal(found.rewards, wanted.rewards)
    del found, streamed, whole
    wait_until_unused("/x-v0/data")
    entries = list_entries()
    assert {entry.kind for entry in entries} == {"streams"}
    assert any(entry.what == f"blocks of {remote}/x-v0/data" for entry in entries)
    for entry in entries:
        remove_entry(entry)
    assert not list((tmp_path / "cache/streams").rglob("*.data"))


@pytest.mark.parametrize("address", ["{}", "gs://bucket"])
def test_a_whole_cache_is_installed_with_no_byte_of_a_shard(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    data = tmp_path / "remote/x-v0/data"
    write_dataset(data)
    manifest = (data / "metadata.json").stat().st_size
    with ObjectServer(tmp_path / "remote") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        remote = address.format(server.url)
        for _ in minari.load_dataset(f"{remote}/x-v0", stream=True):
            pass
        before = server.read_statistics()

        minari.download_dataset("x-v0", remote_path=remote, progress=False)

        after = server.read_statistics()
    asked = {name: count - before["objects"][name] for name, count in after["objects"].items()}
    assert {name for name, count in asked.items() if count} == {"x-v0/data/metadata.json"}
    assert after["requests"] - before["requests"] <= 2
    assert after["nbytes"] - before["nbytes"] <= 2 * manifest
    assert minari.verify_dataset("x-v0").ok


_EPOCH = """
import sys
import threading
import minari

dataset = minari.load_dataset(sys.argv[1], stream=True, cache_nbytes=0)
try:
    for number, batch in enumerate(dataset.batches(64, seed=0)):
        print("batch", number, flush=True)
except KeyboardInterrupt:
    print("interrupted", all(thread.daemon for thread in threading.enumerate()[1:]), flush=True)
    raise
"""


@pytest.mark.skipif(os.name != "posix", reason="interrupts as POSIX does")
@pytest.mark.parametrize("has_begun", [False, True])
def test_an_interrupt_ends_an_epoch_at_once_though_the_server_never_answers(
    has_begun: bool, tmp_path: Path
) -> None:
    write_dataset(tmp_path / "remote/x-v0/data", spaces.Box(-1, 1, (500,), np.float32), (4000,))
    with ObjectServer(tmp_path / "remote") as server:
        hanging = {"kind": "hanging", "name": ".h5"}
        if not has_begun:
            server.inject(hanging)
        command = [sys.executable, "-c", _EPOCH, f"{server.url}/x-v0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if has_begun:
                assert process.stdout.readline() == "batch 0\n"
                server.inject(hanging)
            while not server.read_statistics()["requests"]:
                time.sleep(0.01)
            time.sleep(0.5)  # until it waits
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=20)
    assert shown.splitlines()[-1] == "interrupted True"
    assert process.returncode == -signal.SIGINT
