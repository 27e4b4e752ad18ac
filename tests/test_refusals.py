"""Whatever the system refuses for want of a right, or of more files, says what to do about it."""

from __future__ import annotations

import errno
import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import minari
import minari.leftovers
from minari.dataset.minari_storage import MinariStorage
from minari.rendering.writing import Video, choose_writer, write_video
from minari_collect.runs.folder import RunFolder
from minari_core.cache.entries import list_entries, pin_entry, remove_entry
from minari_core.cache.opening import open_entry
from minari_core.cache.settings import cache_root
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import CacheError, DatasetWriteError, MinariError
from minari_core.local.locations import staging_root
from minari_core.tables.parquet import write_parquet
from minari_core.tables.source import open_table
from tests.core.helpers.refusing import without_descriptors, without_privileges

RIGHT = "ask whoever owns it for the right to"
FILES = "as many files are open as may be: close some, or let the process have more of them"
SIZE = "no file may be as large there: let the process write larger ones (ulimit -f)"
ADVICE = {
    errno.EACCES: RIGHT + " change it",
    errno.EPERM: RIGHT + " change it",
    errno.EROFS: "that file system can only be read: choose a folder on another",
    errno.ENOLCK: "that file system gives no more locks: try again, or choose a folder on another",
    errno.EMFILE: FILES,
    errno.ENFILE: FILES,
    errno.EFBIG: f"{SIZE}, or choose another disk",
}

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="rights and limits are those of POSIX"),
    pytest.mark.filterwarnings("ignore::minari.MinariWarning"),
]


class Opened(str):
    """What is read from an entry; unlike a path, it can be referred to weakly."""


@dataclass(frozen=True)
class Place:
    """A call that the system refuses, and which folder it changes."""

    call: Callable[[Path], object]
    """Given a folder of its own that is there."""
    changed: Callable[[Path], Path] = field(default=lambda folder: folder)
    prepare: Callable[[Path], object] = lambda folder: None


def buffer(steps: int = 3) -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        observations=np.zeros((steps + 1, 1), np.float32),
        actions=np.zeros(steps, np.int64),
        rewards=np.ones(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
    )


def create(dataset_id: str = "toy/one-v0", steps: int = 3) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer(steps)],
        observation_space=gymnasium.spaces.Box(-1, 1, (1,)),
        action_space=gymnasium.spaces.Discrete(2),
    )


def find_data(folder: Path) -> Path:
    return Path(str(minari.load_dataset("toy/one-v0").spec.data_path))


def write_table(folder: Path) -> None:
    storage = get_raw_storage(minari.load_dataset("toy/one-v0"))
    write_parquet(storage, [0], folder / "steps.parquet")


def write_frames(folder: Path) -> None:
    path = folder / "episode.gif"
    frames = Video(lambda number: np.full((8, 8, 3), number, np.uint8), 2, 10)
    write_video(path, frames, choose_writer(path), overwrite=False)


def make_entry(folder: Path) -> None:
    open_entry("texts", "one", "a text", lambda new: (new / "a").write_text("b"), Opened)


def record(folder: Path) -> None:
    collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), max_buffer_steps=4)
    try:
        collector.reset(seed=1)
        while not collector.step(0)[2]:
            pass
    finally:
        collector.close()


def leave(folder: Path) -> None:
    left = staging_root() / "create-left"
    left.mkdir(parents=True)
    (left / "a").write_text("b")
    long_ago = time.time() - 90 * 24 * 3600
    os.utime(left / "a", (long_ago, long_ago))
    os.utime(left, (long_ago, long_ago))


def store(folder: Path) -> None:
    space = gymnasium.spaces.Discrete(2)
    MinariStorage.new(folder / "new", space, space)


def download(folder: Path) -> None:
    minari.download_dataset(
        "toy/there-v0", remote_path=(folder / "remote").as_uri(), progress=False
    )


def upload(folder: Path) -> None:
    create("toy/there-v0")
    minari.upload_dataset("toy/there-v0", remote_path=(folder / "remote").as_uri(), progress=False)
    minari.delete_dataset("toy/there-v0")


def find_root(folder: Path) -> Path:
    return Path(os.environ["MINARI_DATASETS_PATH"])


PLACES = {
    "write a table": Place(write_table, prepare=lambda folder: create()),
    "write a video": Place(write_frames),
    "make an entry of the cache": Place(make_entry, lambda folder: cache_root() / "texts"),
    "pin an entry of the cache": Place(
        lambda folder: pin_entry(list_entries()[0]),
        lambda folder: cache_root() / "texts" / "one",
        make_entry,
    ),
    "remove an entry of the cache": Place(
        lambda folder: remove_entry(list_entries()[0]),
        lambda folder: cache_root() / "texts",
        make_entry,
    ),
    "make a folder for a storage": Place(store),
    "delete a namespace": Place(
        lambda folder: minari.delete_namespace("empty"),
        lambda folder: find_root(folder) / "empty",
        lambda folder: minari.create_namespace("empty"),
    ),
    "lock a dataset": Place(
        lambda folder: minari.load_dataset("toy/one-v0").update_dataset_from_buffer([buffer()]),
        find_data,
        lambda folder: create(),
    ),
    "remove what was left": Place(
        lambda folder: minari.leftovers.remove_leftovers(["create-left"]),
        lambda folder: staging_root(),
        leave,
    ),
    "record": Place(record, lambda folder: staging_root(), leave),
    "download": Place(download, lambda folder: staging_root(), upload),
    "work in a folder of a run": Place(lambda folder: hold_run(folder / "run")),
}


def hold_run(folder: Path) -> None:
    with RunFolder(folder).hold({}, resume=False):
        pass


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("name", PLACES)
def test_what_may_not_be_written_says_whom_to_ask(
    name: str, tmp_path: Path, datasets_root: Path
) -> None:
    place = PLACES[name]
    place.prepare(tmp_path)
    with (
        unwritable(place.changed(tmp_path)),
        pytest.raises(MinariError) as caught,
    ):
        without_privileges(lambda: place.call(tmp_path))
    assert isinstance(caught.value, DatasetWriteError | CacheError)
    assert str(caught.value).endswith(f"; {ADVICE[errno.EACCES]}")


@pytest.mark.parametrize("name", PLACES)
def test_where_no_more_files_can_be_opened_it_says_to_close_some(
    name: str, tmp_path: Path, datasets_root: Path
) -> None:
    place = PLACES[name]
    place.prepare(tmp_path)
    if name == "delete a namespace":
        place.call(tmp_path)  # it opens no file
        return
    told = []
    for free in range(12):
        with without_descriptors(free):
            try:
                place.call(tmp_path)
                break
            except MinariError as error:
                told.append(str(error))
    assert told
    assert all(FILES in each for each in told), told


@contextmanager
def no_file_above(nbytes: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "write",
    [
        write_table,
        write_frames,
        make_entry,
        store,
        lambda folder: create("toy/two-v0"),
        lambda folder: minari.load_dataset("toy/one-v0").update_dataset_from_buffer([buffer()]),
    ],
)
def test_where_no_file_may_be_larger_it_says_how_to_let_them(
    write: Callable[[Path], object], tmp_path: Path, datasets_root: Path
) -> None:
    create()
    with no_file_above(0), pytest.raises(DatasetWriteError) as caught:
        write(tmp_path)
    assert str(caught.value).endswith(f"; {ADVICE[errno.EFBIG]}")


@pytest.mark.parametrize("number", ADVICE)
@pytest.mark.parametrize("kind", [DatasetWriteError, CacheError])
def test_every_refusal_is_advised_once_also_in_another_process(
    number: int, kind: type[MinariError]
) -> None:
    with pytest.raises(kind) as caught:
        raise kind("it failed") from OSError(number, os.strerror(number))
    assert str(caught.value) == f"it failed; {ADVICE[number]}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (
            lambda folder: minari.create_namespace("n"),
            lambda folder: minari.get_namespace_metadata("n"),
        ),
        (
            lambda folder: write_parquet(get_raw_storage(create()), [0], folder / "t"),
            lambda folder: open_table(folder / "t"),
        ),
        (
            lambda folder: write_parquet(get_raw_storage(create()), [0], folder / "t"),
            lambda folder: open_table(folder / "t").read_columns("reward"),
        ),
    ],
)
def test_what_cannot_be_read_now_is_not_called_damaged(
    make: Callable[[Path], object],
    read: Callable[[Path], object],
    tmp_path: Path,
    datasets_root: Path,
) -> None:
    make(tmp_path)
    read(tmp_path)  # loads what it needs
    with without_descriptors(0), pytest.raises(minari.DatasetBusyError, match=FILES[:30]):
        read(tmp_path)
