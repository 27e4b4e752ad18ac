"""A dataset is replaced as a whole: whoever looks finds the old one or the new one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import gymnasium
import numpy as np
import pytest

import minari
from minari_core.local import replacing
from minari_core.local.folders import has_data_folder
from minari_core.local.locations import dataset_folder, staging_root
from minari_core.local.replacing import (
    discard_folder,
    holds_local_dataset,
    put_back,
    replace_dataset,
)

ID = "n/x-v0"

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


def make(dataset_id: str, episodes: int) -> None:
    buffers = [
        minari.EpisodeBuffer(
            observations=np.zeros((3, 1), np.float32),
            actions=np.zeros(2, np.int64),
            rewards=[1.0, 1.0],
            terminations=[False, True],
            truncations=[False, False],
        )
        for _ in range(episodes)
    ]
    minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=gymnasium.spaces.Box(-1, 1, (1,)),
        action_space=gymnasium.spaces.Discrete(2),
    )


def stage(episodes: int) -> Path:
    """A complete dataset in the staging area."""
    staged, current = staging_root() / f"staged-{episodes}", staging_root() / "current"
    os.rename(dataset_folder(ID), current)
    make(ID, episodes)
    os.rename(dataset_folder(ID), staged)
    os.rename(current, dataset_folder(ID))
    return staged


@pytest.fixture(params=["in one step", "in two steps"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As this system does it, and as one does that cannot exchange folders."""
    if request.param == "in two steps":
        monkeypatch.setattr(replacing, "exchange_paths", lambda one, other: False)


def move_aside() -> None:
    """Leave what a process leaves that is killed between the two steps."""
    aside = staging_root() / "replaced" / ID
    aside.parent.mkdir(parents=True)
    os.rename(dataset_folder(ID), aside)


@pytest.mark.usefixtures("_way")
def test_a_replacement_leaves_the_new_dataset_alone() -> None:
    make(ID, 1)
    discard_folder(replace_dataset(ID, stage(2)))

    assert len(minari.load_dataset(ID)) == 2
    assert [path for path in staging_root().rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("_way")
def test_readers_never_miss_a_dataset_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(ID, 1)
    staged, again = stage(2), staging_root() / "again"
    stop = Event()
    missed: list[Exception | str] = []
    looks = 0

    def read(look: Callable[[], object]) -> None:
        nonlocal looks
        while not stop.is_set():
            try:
                if not look():
                    missed.append("nothing")
            except Exception as error:
                missed.append(error)
            looks += 1

    readers = [
        Thread(target=read, args=(look,))
        for look in (
            lambda: len(minari.load_dataset(ID)) in (1, 2),
            lambda: holds_local_dataset(ID),
            lambda: ID in minari.list_local_datasets(prefix="n/"),
        )
    ]
    for reader in readers:
        reader.start()
    try:
        for _ in range(60):
            os.rename(replace_dataset(ID, staged), again)
            os.rename(again, staged)
    finally:
        stop.set()
        for reader in readers:
            reader.join()

    assert looks > 60
    assert missed == []


@pytest.mark.parametrize(
    "look",
    [
        lambda: len(minari.load_dataset(ID)) == 1,
        lambda: list(minari.list_local_datasets()) == [ID],
        lambda: minari.verify_dataset(ID).ok,
        lambda: holds_local_dataset(ID),
    ],
    ids=["load", "list", "verify", "hold"],
)
def test_whoever_looks_puts_back_what_a_kill_left(look: Callable[[], bool]) -> None:
    make(ID, 1)
    move_aside()

    assert look()
    assert dataset_folder(ID).is_dir()


@pytest.mark.parametrize(
    ("room", "call"),
    [
        ("local.verifying", lambda: minari.verify_dataset(ID)),
        ("datasets.local", lambda: minari.delete_dataset(ID)),
    ],
    ids=["verify", "delete"],
)
def test_a_replacement_that_begins_just_before_a_look_is_waited_for(
    room: str, call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    moves = [move_aside]

    def look(folder: Path) -> bool:
        while moves:
            moves.pop()()
        return has_data_folder(folder)

    make(ID, 1)
    monkeypatch.setattr(f"minari_core.{room}.has_data_folder", look)
    call()


def test_what_a_kill_left_is_no_free_id_and_can_be_deleted() -> None:
    make(ID, 1)
    move_aside()
    with pytest.raises(minari.DatasetExistsError):
        make(ID, 2)
    assert len(minari.load_dataset(ID)) == 1
    move_aside()

    minari.delete_dataset(ID)

    assert minari.list_local_datasets() == {}


def test_a_deleted_dataset_is_not_followed_by_the_one_that_it_had_replaced() -> None:
    make(ID, 1)
    staged = stage(2)
    move_aside()
    os.rename(staged, dataset_folder(ID))
    put_back()
    assert len(minari.load_dataset(ID)) == 2

    minari.delete_dataset(ID)

    with pytest.raises(minari.DatasetNotFoundError):
        minari.load_dataset(ID)
    assert minari.list_local_datasets() == {}


def test_what_a_finished_replacement_left_is_discarded_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replacing, "exchange_paths", lambda one, other: False)
    make(ID, 1)
    staged, third = stage(2), stage(3)
    move_aside()
    os.rename(staged, dataset_folder(ID))

    discard_folder(replace_dataset(ID, third))

    assert len(minari.load_dataset(ID)) == 3
    assert [path for path in staging_root().rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("_way")
def test_a_file_system_that_refuses_leaves_the_old_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(ID, 1)
    staged = staging_root() / "not there"

    with pytest.raises(OSError, match=r"not there|No such file"):
        replace_dataset(ID, staged)

    assert len(minari.load_dataset(ID)) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows moves no folder with an open file")
def test_a_replacement_waits_for_who_is_adding() -> None:
    from minari_core.files import lock_dataset

    make(ID, 1)
    staged = stage(2)
    replaced = Thread(target=lambda: replace_dataset(ID, staged))
    with lock_dataset(dataset_folder(ID) / "data"):
        replaced.start()
        replaced.join(0.3)
        assert len(minari.load_dataset(ID)) == 1
    replaced.join()
    assert len(minari.load_dataset(ID)) == 2


def test_a_system_without_the_call_is_known_by_its_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Library:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        @staticmethod
        def renameat2(*arguments: object) -> int:
            return -1

    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("ctypes.CDLL", Library)
    for number in (errno.ENOSYS, errno.EINVAL):
        monkeypatch.setattr("ctypes.get_errno", lambda number=number: number)
        assert not replacing.exchange_paths(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EXDEV)
    with pytest.raises(OSError, match="b"):
        replacing.exchange_paths(tmp_path / "a", tmp_path / "b")
