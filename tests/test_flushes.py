"""What is published outlives a power cut: its files and folders are flushed as they are then."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import gymnasium
import numpy as np
import pytest

import minari

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="Windows flushes no folders"),
    pytest.mark.filterwarnings("ignore::minari.MinariWarning"),
]
FORMATS = ["columnar", "hdf5", "arrow", "parquet"]
# Of a file the size and the last change, of a folder the names in it.
State: TypeAlias = tuple[int, int] | frozenset[str]


@pytest.fixture(autouse=True)
def flushed(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, int], State]:
    """How each file and folder was when it was flushed last."""
    states: dict[tuple[int, int], State] = {}
    flush = os.fsync

    def note(descriptor: int) -> None:
        flush(descriptor)
        states[identify(os.fstat(descriptor))] = state_of(os.fstat(descriptor), descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return states


def identify(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def state_of(found: os.stat_result, place: int | Path) -> State:
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size, found.st_mtime_ns
    return frozenset(name for name in os.listdir(place) if name not in (".staging", ".lock"))


def find_unflushed(root: Path, flushed: dict[tuple[int, int], State]) -> list[str]:
    """The datasets' files and folders that a power cut would lose, or a part of."""
    unflushed = []
    for path in [root, *root.rglob("*")]:
        if ".staging" in path.parts or path.name == ".lock":
            continue
        state, known = state_of(path.stat(), path), flushed.get(identify(path.stat()))
        # A name that is flushed and gone is gone, or there again.
        is_flushed = state == known or (
            isinstance(state, frozenset) and isinstance(known, frozenset) and state <= known
        )
        if not is_flushed:
            unflushed.append(path.relative_to(root).as_posix())
    return unflushed


def record(
    seeds: range, data_format: str = "columnar", max_buffer_steps: int | None = 4
) -> minari.DataCollectorV0:
    collector = minari.DataCollectorV0(
        gymnasium.make("CartPole-v1"), data_format=data_format, max_buffer_steps=max_buffer_steps
    )
    for seed in seeds:
        collector.reset(seed=seed)
        while not collector.step(seed % 2)[2]:
            pass
    return collector


def buffer(seed: int) -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        seed=seed,
        observations=np.zeros((4, 4), np.float32),
        actions=np.zeros(3, np.int64),
        rewards=np.ones(3),
        terminations=np.arange(3) == 2,
        truncations=np.zeros(3, bool),
    )


def create(dataset_id: str, data_format: str) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer(0), buffer(1)],
        env=gymnasium.make("CartPole-v1"),
        data_format=data_format,
    )


def load() -> minari.MinariDataset:
    return minari.load_dataset("deep/er/a-v0")


def collect() -> object:
    with ThreadPoolExecutor(1) as executor:
        return minari.collect_dataset(
            "new/run-v0",
            "CartPole-v1",
            total_episodes=6,
            episodes_per_task=2,
            executor=executor,
            workers=1,
            seed=1,
            progress=False,
        )


def download(root: Path) -> None:
    remote = (root.parent / "remote").as_uri()
    minari.upload_dataset("deep/er/a-v0", remote_path=remote, progress=False)
    minari.delete_dataset("deep/er/a-v0")
    minari.download_dataset("deep/er/a-v0", remote_path=remote, progress=False)
    minari.download_dataset("deep/er/a-v0", True, remote_path=remote, progress=False)


def compact() -> None:
    load().update_dataset_from_buffer([buffer(2)])
    load().compact()


def record_new(data_format: str, max_buffer_steps: int | None = 4) -> None:
    with record(range(3), data_format, max_buffer_steps) as collector:
        minari.create_dataset_from_collector_env("new/n-v0", collector)


CHANGES: dict[str, Callable[[Path, str], object]] = {
    "create": lambda root, each: None,
    "record": lambda root, each: record_new(each),
    "record in few shards": lambda root, each: record_new(each, 40),
    "record at once": lambda root, each: record_new(each, None),
    "add buffers": lambda root, each: load().update_dataset_from_buffer([buffer(2)]),
    "checkpoint": lambda root, each: load().update_dataset_from_collector_env(record(range(2, 4))),
    "checkpoint of few shards": lambda root, each: load().update_dataset_from_collector_env(
        record(range(2, 4), max_buffer_steps=40)
    ),
    "combine": lambda root, each: minari.combine_datasets(
        [load(), load()[1:]], "new/c-v0", data_format=each
    ),
    "convert": lambda root, each: minari.convert_dataset(
        load(), "new/c-v0", data_format="hdf5" if each == "columnar" else "columnar"
    ),
    "update metadata": lambda root, each: load().storage.update_metadata({"description": "new"}),
    "download": lambda root, each: download(root),
    "create a namespace": lambda root, each: minari.create_namespace("a/b/c", "Deep."),
}
COLUMNAR: dict[str, Callable[[], object]] = {
    "collect": collect,
    "compact": compact,
    "keep statistics": lambda: load().statistics(),
}


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("change", CHANGES)
def test_every_published_file_and_folder_was_flushed(
    change: str, data_format: str, datasets_root: Path, flushed: dict[tuple[int, int], State]
) -> None:
    create("deep/er/a-v0", data_format)
    CHANGES[change](datasets_root, data_format)
    assert find_unflushed(datasets_root, flushed) == []


@pytest.mark.parametrize("change", COLUMNAR)
def test_every_published_file_and_folder_of_a_columnar_dataset_was_flushed(
    change: str, datasets_root: Path, flushed: dict[tuple[int, int], State]
) -> None:
    create("deep/er/a-v0", "columnar")
    COLUMNAR[change]()
    assert find_unflushed(datasets_root, flushed) == []


@pytest.mark.parametrize("change", ["record in few shards", "checkpoint of few shards", "combine"])
def test_copies_where_a_file_system_has_no_links_were_flushed(
    change: str,
    datasets_root: Path,
    flushed: dict[tuple[int, int], State],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    create("deep/er/a-v0", "columnar")
    CHANGES[change](datasets_root, "columnar")
    assert find_unflushed(datasets_root, flushed) == []


def test_what_is_not_flushed_is_found(
    datasets_root: Path, flushed: dict[tuple[int, int], State]
) -> None:
    create("deep/er/a-v0", "columnar")
    path = next(datasets_root.rglob("*.h5"))
    path.write_bytes(path.read_bytes())
    (path.parent / "new").touch()
    names = {f"deep/er/a-v0/data/{name}" for name in ("new", path.name)}
    assert set(find_unflushed(datasets_root, flushed)) == {"deep/er/a-v0/data", *names}
