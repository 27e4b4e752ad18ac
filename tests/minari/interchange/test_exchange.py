"""What is there while an export replaces it, and after one was killed."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

import minari
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


def test_what_a_killed_export_left_a_day_ago_is_removed_by_the_next(tmp_path: Path) -> None:
    names = (".0123456789ab.part-out", ".ba9876543210.part-out", ".0123456789ab.part-other")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "steps.parquet").write_bytes(b"half")
    for path in [tmp_path / names[0], *(tmp_path / names[0]).iterdir()]:
        os.utime(path, (1, 1))
    os.utime(tmp_path / names[1], (1, 1))

    minari.export_dataset(make_dataset(), tmp_path / "out", "parquet")

    assert {path.name for path in tmp_path.iterdir()} == {"out", "root", *names[1:]}
