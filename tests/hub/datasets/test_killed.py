"""Processes killed while they download or upload: the next goes on, and nothing is half there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

pytest.importorskip("resource", reason="kills processes, and bounds what they take")

import minari
from minari_core.local import replacing
from minari_hub import download_dataset, upload_dataset
from tests.campaigns.helpers.file_system_calls import are_calls_known, run_until
from tests.hub.helpers.datasets import files_of, is_intact, leftovers, make_shards
from tests.hub.helpers.fault_proxy import Fault, FaultProxy, slow
from tests.hub.helpers.servers import Bucket

CONTENT = "GET .*h5.*alt=media"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")


def start(statement: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", f"import minari\n{statement}"])


def kill_when(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "it did not get that far"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def staged() -> int:
    """The bytes of files that are waiting to be installed."""
    total = 0
    for path in leftovers():
        # It may just be moving.
        with suppress(OSError):
            total += path.stat().st_size if path.suffix == ".h5" else 0
    return total


def test_a_download_that_is_killed_again_and_again_goes_on_where_it_was(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=10, steps=2000)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    total = sum(map(len, files.values()))
    minari.delete_dataset("x-v0")
    kept = 0
    for part in (0.1, 0.3, 0.5, 0.7):
        proxy.faults = [Fault(CONTENT, slow(0.01))]
        process = start(f"minari.download_dataset('x-v0', remote_path={bucket.url!r})")
        kill_when(process, lambda part=part: staged() > part * total)  # type: ignore[misc]
        assert is_intact()
        with pytest.raises(minari.DatasetNotFoundError):
            minari.load_dataset("x-v0")
        assert staged() > kept
        kept = staged()
    proxy.forget()

    download_dataset("x-v0", remote_path=bucket.url)

    assert is_intact({"x-v0": files})
    assert leftovers() == []
    # What was there is not fetched again; the list and the manifest are small.
    assert proxy.bytes_sent < total - kept + 20_000


def test_an_upload_that_is_killed_publishes_nothing_and_goes_on(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=24)
    files = files_of("x-v0")
    proxy.forget()
    for reached in (3, 9, 15):
        proxy.faults = [Fault("POST /upload", slow(0.05))]
        process = start(f"minari.upload_dataset('x-v0', remote_path={bucket.url!r})")
        kill_when(process, lambda reached=reached: len(bucket.names()) >= reached)  # type: ignore[misc]
        assert minari.list_remote_datasets(bucket.url) == {}
    there = len(bucket.names())
    proxy.forget()

    upload_dataset("x-v0", remote_path=bucket.url)

    # What was under way may still have arrived after its sender was killed.
    assert 0 < proxy.count("POST /upload") <= len(files) - there
    minari.delete_dataset("x-v0")
    download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact({"x-v0": files})


def test_a_killed_replacement_leaves_the_old_dataset(bucket: Bucket, proxy: FaultProxy) -> None:
    make_shards("x-v0", shards=6)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    minari.delete_dataset("x-v0")
    make_shards("x-v0", shards=1)
    before = files_of("x-v0")
    proxy.forget()
    proxy.faults = [Fault(CONTENT, slow(0.02))]
    process = start(f"minari.download_dataset('x-v0', True, remote_path={bucket.url!r})")
    kill_when(process, lambda: proxy.bytes_sent > 700_000)

    assert is_intact({"x-v0": before})
    proxy.forget()
    download_dataset("x-v0", force_download=True, remote_path=bucket.url)
    assert is_intact({"x-v0": files})


@pytest.mark.skipif(not are_calls_known(), reason="this system does not report calls")
@pytest.mark.parametrize("exchanges", [True, False], ids=["in one step", "in two steps"])
def test_a_replacement_killed_before_any_change_leaves_one_of_both_datasets(
    tmp_path: Path, datasets_root: Path, exchanges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In public layouts the files of both have the same names, and here the same sizes."""
    if not exchanges:
        monkeypatch.setattr(replacing, "exchange_paths", lambda one, other: False)
    remote = (tmp_path / "remote").as_uri()
    make_shards("first-v0", shards=1)
    minari.convert_dataset(minari.load_dataset("first-v0"), "x-v0", data_format="hdf5")
    upload_dataset("x-v0", remote_path=remote)
    minari.delete_dataset("first-v0")
    new = files_of("x-v0")
    main = datasets_root / "x-v0" / "data" / "main_data.hdf5"
    content = bytearray(main.read_bytes())
    content[-1] ^= 1
    main.write_bytes(content)
    old = files_of("x-v0")
    before = tmp_path / "before"
    shutil.copytree(datasets_root, before)

    def replace(tell: object) -> None:
        download_dataset("x-v0", force_download=True, remote_path=remote, progress=False)

    change, seen = 0, set()
    while True:
        shutil.rmtree(datasets_root)
        shutil.copytree(before, datasets_root)
        ending, calls = run_until(
            replace,
            lambda number, call, change=change: number == change,  # type: ignore[misc]  # bound early
            datasets_root,
        )
        where = f"killed before change {change}: {calls[-1]}"
        assert list(minari.list_local_datasets()) == ["x-v0"], where
        files = files_of("x-v0")
        assert files in (old, new), where
        seen.add(files == new)
        if ending.code == 0:
            break
        assert ending.code == -signal.SIGKILL, ending.errors
        download_dataset("x-v0", force_download=True, remote_path=remote)
        assert is_intact({"x-v0": new}), where
        change += 1
    assert seen == {True, False}
    assert leftovers() == []


def test_processes_that_want_one_dataset_download_it_once(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=6)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    total = sum(map(len, files.values()))
    minari.delete_dataset("x-v0")
    proxy.forget()
    proxy.faults = [Fault(CONTENT, slow(0.02))]
    os.environ["MINARI_REMOTE"] = bucket.url
    try:
        running = [
            start("assert len(minari.load_dataset('x-v0', download=True)) == 6") for _ in range(3)
        ]
        codes = [process.wait(100) for process in running]
    finally:
        del os.environ["MINARI_REMOTE"]

    assert codes == [0, 0, 0]
    assert is_intact({"x-v0": files})
    assert proxy.bytes_sent < 1.5 * total


def test_ctrl_c_ends_a_download_soon_and_the_next_goes_on(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    make_shards("x-v0", shards=10, steps=2000)
    upload_dataset("x-v0", remote_path=bucket.url)
    files = files_of("x-v0")
    minari.delete_dataset("x-v0")
    proxy.forget()
    # At this pace it would take minutes.
    proxy.faults = [Fault(CONTENT, slow(1.0))]
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import minari\nminari.download_dataset('x-v0', remote_path={bucket.url!r})",
        ],
        stderr=subprocess.PIPE,
    )
    while proxy.bytes_sent < 600_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=30)

    assert b"KeyboardInterrupt" in shown
    assert is_intact()
    proxy.forget()
    download_dataset("x-v0", remote_path=bucket.url)
    assert is_intact({"x-v0": files})
    assert proxy.bytes_sent < sum(map(len, files.values()))


def test_threads_that_want_different_datasets_do_not_disturb_each_other(bucket: Bucket) -> None:
    files = {}
    for number in range(3):
        make_shards(f"x-v{number}", shards=3)
        upload_dataset(f"x-v{number}", remote_path=bucket.url)
        files[f"x-v{number}"] = files_of(f"x-v{number}")
        minari.delete_dataset(f"x-v{number}")
    threads = [
        Thread(target=download_dataset, args=(name,), kwargs={"remote_path": bucket.url})
        for name in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert is_intact(files)
