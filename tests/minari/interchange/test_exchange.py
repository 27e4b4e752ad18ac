"""What is there while an export replaces it, and after one was killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import minari
from minari.interchange.replacing import replace_when_whole
from minari_core.errors import DatasetBusyError, DatasetExistsError
from tests.minari.interchange.flat.examples import make_dataset

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


@pytest.mark.skipif(sys.platform == "win32", reason="no system call exchanges two folders there")
def test_a_folder_is_there_at_every_moment_while_it_is_replaced(tmp_path: Path) -> None:
    dataset, target = make_dataset(), tmp_path / "out"
    minari.export_dataset(dataset, target, "parquet")
    misses: list[bool] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            misses.append(not os.path.lexists(target))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        minari.export_dataset(dataset, target, "parquet", overwrite=True)
    is_over.set()
    watcher.join()

    assert misses
    assert not any(misses)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "root"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_a_killed_export_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(
    tmp_path: Path,
) -> None:
    dataset, target = make_dataset(), tmp_path / "out"
    process = fork_half_an_export(target)
    there = {path.name for path in tmp_path.iterdir()}
    try:
        with pytest.raises(DatasetBusyError, match=f"another process .*{process}.* writes .*out"):
            minari.export_dataset(dataset, target, "parquet")
        assert {path.name for path in tmp_path.iterdir()} == there
        minari.export_dataset(dataset, tmp_path / "other", "parquet")
        assert {path.name for path in tmp_path.iterdir()} == {*there, "other"}
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert {path.name for path in tmp_path.iterdir()} == {*there, "other"}

    minari.export_dataset(dataset, target, "parquet")

    assert {path.name for path in tmp_path.iterdir()} == {"other", "out", "root"}


def test_what_a_killed_export_had_moved_aside_is_put_back_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".0123456789ab.replaced-out"
    left.mkdir()

    with pytest.raises(DatasetExistsError, match="out is there already"):
        minari.export_dataset(make_dataset(), tmp_path / "out", "parquet")

    assert {path.name for path in tmp_path.iterdir()} == {"out", "root"}


def test_an_export_that_fails_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    with pytest.raises(minari.DataError, match="the cost of a step"):
        minari.export_dataset(make_dataset(), tmp_path / "new" / "deep" / "out.hdf5", "dsrl")

    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_part_that_is_exported_has_no_doi_and_this_is_told(tmp_path: Path) -> None:
    dataset = make_dataset()
    dataset.storage.update_metadata({"doi": "10.5281/zenodo.1", "license": "MIT"})
    told = []

    for name, view in (("whole", dataset), ("part", dataset[1:])):
        losses = minari.export_dataset(view, tmp_path / name, "ogbench")
        told.append("doi" in {loss.what for loss in losses})
        made = minari.import_dataset(tmp_path / name, f"{name}-v0")
        assert ("doi" in made.metadata) == (name == "whole")
        assert made.metadata["license"] == "MIT"

    assert told == [False, True]


def fork_half_an_export(target: Path) -> int:
    """Return the number of a process that has written half of an export, and stays there."""
    readable, writable = os.pipe()
    process = os.fork()
    if process == 0:
        with replace_when_whole(target, overwrite=False) as staged:
            staged.mkdir()
            (staged / "steps.parquet").write_bytes(b"half")
            os.write(writable, b"half")
            time.sleep(60)
        os._exit(1)
    os.close(writable)
    with os.fdopen(readable, "rb") as file:
        assert file.read(4) == b"half"
    return process
