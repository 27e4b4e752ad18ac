"""What killed processes of every kind leave: listed, and removed; what a living one has is not."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import minari
import minari.leftovers
import minari_core
import minari_hub
from minari_core.errors import DatasetBusyError, DatasetNotFoundError, MinariError
from minari_core.local.leftovers.beside_data import find_beside_data
from minari_core.local.leftovers.staged import find_staged
from minari_core.local.locations import datasets_root as find_root
from minari_core.local.locations import staging_root

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked"),
    pytest.mark.filterwarnings("ignore::minari.MinariWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
LONG_AGO = 90 * 24 * 3600.0


class Paused:
    """A forked process that stops in the middle of some work, and does not go on."""

    def __init__(self, work: Callable[[Callable[..., None]], object]) -> None:
        readable, writable = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                work(partial(_stop, writable))
                os.write(writable, b"it was never stopped")
            except BaseException:
                os.write(writable, traceback.format_exc().encode())
            finally:
                os._exit(1)
        os.close(writable)
        with os.fdopen(readable, "rb") as file:
            said = file.readline().decode() + ("" if self.is_stopped() else file.read().decode())
        assert said == "stopped\n", said

    def is_stopped(self) -> bool:
        return os.waitpid(self.process, os.WUNTRACED | os.WNOHANG) == (0, 0)

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def _stop(writable: int, *args: object, **kwargs: object) -> None:
    os.write(writable, b"stopped\n")
    os.close(writable)
    while True:
        signal.pause()


@contextmanager
def replaced(name: str, function: Callable[..., object]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name, function)
        yield


def buffer(seed: int = 0) -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        seed=seed,
        observations=np.zeros((4, 1), np.float32),
        actions=np.zeros(3, np.int64),
        rewards=np.ones(3),
        terminations=np.arange(3) == 2,
        truncations=np.zeros(3, bool),
    )


def create(dataset_id: str, **options: Any) -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer()],
        observation_space=gymnasium.spaces.Box(-1, 1, (1,)),
        action_space=gymnasium.spaces.Discrete(2),
        **options,
    )


def record(stop: Callable[..., None]) -> None:
    collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), max_buffer_steps=4)
    for seed in range(3):
        collector.reset(seed=seed)
        while not collector.step(seed % 2)[2]:
            pass
    stop()


def begin_to_record(stop: Callable[..., None]) -> None:
    with replaced("minari_collect.staging.collector_staging.JournalWriter", stop):
        record(stop)


def run(stop: Callable[..., None]) -> None:
    def look(progress: minari.CollectProgress) -> None:
        if progress.episodes:
            stop()

    minari.collect_dataset(
        "toy/run-v0",
        "CartPole-v1",
        total_episodes=8,
        episodes_per_task=4,
        workers=1,
        seed=1,
        progress=look,
    )


def begin_to_run(stop: Callable[..., None]) -> None:
    with replaced("minari_collect.runs.collect_dataset.CollectRun.drive", stop):
        run(stop)


class Waiting(gymnasium.Env[Any, Any]):
    """Says that it is in a step, and never comes back."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, stop: Callable[..., None], pid: Path) -> None:
        self.stop, self.pid = stop, pid

    def reset(self, **_: Any) -> tuple[int, dict[str, Any]]:
        return 0, {}

    def step(self, action: int) -> Any:
        self.pid.write_text(str(os.getpid()))
        self.stop()


def run_with_a_worker(stop: Callable[..., None], *, pid: Path, **options: Any) -> None:
    """A run whose worker goes on when its coordinator is killed, as those of Dask and Ray do."""
    context = multiprocessing.get_context("fork")
    minari.collect_dataset(
        "toy/run-v0",
        partial(Waiting, stop, pid),
        total_episodes=2,
        executor=ProcessPoolExecutor(1, mp_context=context),
        progress=False,
        **options,
    )


def download(stop: Callable[..., None]) -> None:
    with replaced("minari_hub.datasets.download.install", stop):
        minari.download_dataset("toy/b-v0", remote_path=os.environ["REMOTE"], progress=False)


def upload(stop: Callable[..., None]) -> None:
    with replaced("minari_hub.remotes.folder.FolderRemote.upload", stop):
        minari.upload_dataset(
            "toy/a-v0", remote_path=os.environ["REMOTE"], data_format="arrow", progress=False
        )


def begin_to_create(stop: Callable[..., None]) -> None:
    with replaced("minari_core.local.publishing._rename_into_place", stop):
        create("toy/new-v0")


def begin_to_delete(stop: Callable[..., None]) -> None:
    with replaced("minari_core.datasets.local.remove_folder", stop):
        minari.delete_dataset("toy/a-v0")


def verify_remote(stop: Callable[..., None]) -> None:
    with replaced("minari_hub.datasets.verifying.fetch", stop):
        minari.verify_remote_dataset("toy/b-v0", remote_path=os.environ["REMOTE"])


def add(stop: Callable[..., None]) -> None:
    with replaced("minari_core.formats.columnar.dataset_folder.write_manifest", stop):
        minari.load_dataset("toy/a-v0").update_dataset_from_buffer([buffer(1)])


def replace_manifest(stop: Callable[..., None]) -> None:
    with replaced("os.replace", stop):
        minari.load_dataset("toy/a-v0").storage.update_metadata({"description": "new"})


def replace_dataset(stop: Callable[..., None]) -> None:
    """Where two folders are not exchanged in one step, and after the new one is there."""
    with (
        replaced("minari_core.local.replacing.exchange_paths", lambda one, other: False),
        replaced("minari_core.local.replacing._remove_empty_parents", stop),
    ):
        minari.download_dataset("toy/b-v0", remote_path=os.environ["REMOTE"], progress=False)
        minari.download_dataset("toy/b-v0", True, remote_path=os.environ["REMOTE"], progress=False)


# What a process that has a lock was doing, what is left of it, and what has a value.
HELD: dict[str, tuple[Callable[[Callable[..., None]], object], set[tuple[str, bool]]]] = {
    "recording": (record, {("recording", True)}),
    "begin to record": (begin_to_record, {("recording", False)}),
    "run": (run, {("run", True)}),
    "begin to run": (begin_to_run, {("run", False)}),
    "download": (download, {("download", True)}),
    "upload": (upload, {("upload", True)}),
    "create": (begin_to_create, {("creation", False)}),
    "delete": (begin_to_delete, {("deletion", False)}),
    "verify a remote dataset": (verify_remote, {("creation", False)}),
    "add": (add, {("shard", False)}),
    "replace a manifest": (replace_manifest, {("temporary file", False)}),
}


@pytest.fixture(autouse=True)
def _datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, datasets_root: Path) -> None:
    monkeypatch.setenv("REMOTE", (tmp_path / "remote").as_uri())
    create("toy/b-v0")
    minari.upload_dataset("toy/b-v0", remote_path=os.environ["REMOTE"], progress=False)
    minari.delete_dataset("toy/b-v0")
    create("toy/a-v0")


KEPT = ("toy", "toy/namespace_metadata.json", ".staging")


def names_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def make_old(root: Path) -> None:
    then = time.time() - LONG_AGO
    for path in [root, *root.rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)


@pytest.mark.parametrize("name", HELD)
def test_what_a_process_works_on_is_left_as_soon_as_it_is_killed_and_not_before(
    name: str, datasets_root: Path
) -> None:
    work, expected = HELD[name]
    process = Paused(work)
    try:
        make_old(datasets_root)
        before = names_below(datasets_root)
        assert minari.list_leftovers() == []
        assert minari.remove_leftovers(valuable=True) == []
        assert names_below(datasets_root) == before
    finally:
        process.kill()
    found = minari.list_leftovers()
    assert {(each.kind, each.is_valuable) for each in found} == expected
    for each in found:
        assert Path(each.path).exists()
        files = [path for path in Path(each.path).rglob("*") if path.is_file()]
        files = [path for path in files if path.name != ".lock"] or [Path(each.path)]
        assert each.nbytes in (sum(path.lstat().st_size for path in files), 0)
        assert each.nbytes or not each.is_valuable
        assert each.age_seconds > LONG_AGO - 100
    worthless = [each for each in found if not each.is_valuable]
    assert minari.remove_leftovers() == worthless
    assert minari.list_leftovers() == [each for each in found if each.is_valuable]
    removed = minari.remove_leftovers([each.id for each in found if each.is_valuable])
    assert [each.id for each in removed] == [each.id for each in found if each.is_valuable]
    assert minari.list_leftovers() == []
    assert_nothing_is_left(datasets_root)


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_run_is_not_left_as_long_as_one_of_its_workers_lives(
    is_shared: bool, tmp_path: Path, datasets_root: Path
) -> None:
    pid = tmp_path / "pid"
    work: dict[str, Any] = (
        {} if is_shared else {"work_dir": staging_root() / "run-own", "work_dir_is_shared": False}
    )
    Paused(partial(run_with_a_worker, pid=pid, **work)).kill()
    worker = int(pid.read_text())
    try:
        make_old(datasets_root)
        before = names_below(datasets_root)
        assert minari.list_leftovers() == []
        assert minari.remove_leftovers(valuable=True) == []
        assert names_below(datasets_root) == before
    finally:
        os.kill(worker, signal.SIGKILL)
    while not minari.list_leftovers():
        time.sleep(0.01)
    assert [each.kind for each in minari.remove_leftovers(valuable=True)] == ["run"]
    assert_nothing_is_left(datasets_root)


def test_what_a_worker_elsewhere_leaves_goes_with_the_next_task_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    (temporary / "minari-collect-of-nobody-knows-whom").mkdir(parents=True)
    known = [path.name for path in temporary.iterdir()]
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    pid = tmp_path / "pid"
    Paused(partial(run_with_a_worker, pid=pid, work_dir_is_shared=False)).kill()
    worker = int(pid.read_text())
    (held,) = (path for path in temporary.iterdir() if path.name not in known)

    def collect(name: str) -> None:
        minari.collect_dataset(
            name, "CartPole-v1", total_episodes=1, executor=ThreadPoolExecutor(1),
            work_dir_is_shared=False, progress=False,
        )  # fmt: skip

    try:
        collect("toy/while-it-lives-v0")
        assert held.is_dir()
    finally:
        os.kill(worker, signal.SIGKILL)
    for attempt in range(50):
        if held.exists():
            collect(f"toy/try-v{attempt}")
    assert [path.name for path in temporary.iterdir()] == known


def assert_nothing_is_left(root: Path) -> None:
    for dataset_id in minari.list_local_datasets():
        assert minari.verify_dataset(dataset_id).remarks == ()
        minari.delete_dataset(dataset_id)
    left = {name for name in names_below(root) if name not in KEPT}
    assert left == set()


def test_what_has_no_lock_is_left_when_it_has_not_changed_for_a_day(datasets_root: Path) -> None:
    Paused(replace_dataset).kill()
    assert {each.kind for each in minari.remove_leftovers()} == {"download", "lock"}
    assert minari.list_leftovers() == []
    make_old(datasets_root)
    (found,) = minari.remove_leftovers()
    assert found.kind == "deletion"
    assert_nothing_is_left(datasets_root)


def test_what_can_be_gone_on_with_says_how_and_is(datasets_root: Path) -> None:
    for work in (record, run, download):
        Paused(work).kill()
    remedies = {each.kind: each.remedy for each in minari.list_leftovers()}
    (recording,) = minari.list_recoverable()
    url = f"{os.environ['REMOTE']}/toy/b-v0"
    assert remedies == {
        "recording": f"recover_recording({recording.id!r}, dataset_name) makes a dataset of it",
        "run": "collect_dataset with resume=True goes on with it",
        "download": f"download_dataset({url!r}) goes on with it",
    }
    assert {each.dataset_id for each in minari.list_leftovers()} == {"", "toy/run-v0", "toy/b-v0"}
    minari.recover_recording(recording.id, "toy/recovered-v0")
    minari.collect_dataset(
        "toy/run-v0",
        "CartPole-v1",
        total_episodes=8,
        workers=1,
        seed=1,
        resume=True,
        progress=False,
    )
    minari.download_dataset(url, progress=False)
    assert minari.list_leftovers() == []
    assert_nothing_is_left(datasets_root)


def test_a_recording_that_was_committed_has_no_value() -> None:
    def commit(stop: Callable[..., None]) -> None:
        collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"))
        collector.reset(seed=1)
        while not collector.step(0)[2]:
            pass
        with replaced("minari_collect.staging.collector_staging.CollectorStaging.clear", stop):
            minari.create_dataset_from_collector_env("toy/new-v0", collector)

    Paused(commit).kill()
    (found,) = minari.list_leftovers()
    assert (found.kind, found.dataset_id, found.is_valuable) == ("recording", "toy/new-v0", False)


@pytest.mark.parametrize("name", ["recording", "run", "download", "create", "add"])
def test_what_another_machine_left_is_left_when_it_has_not_changed_for_a_day(
    name: str, datasets_root: Path
) -> None:
    work, expected = HELD[name]
    Paused(work).kill()
    locks = [path for path in datasets_root.rglob("*.lock") if path.stat().st_size]
    for path in locks:
        holder = {**json.loads(path.read_bytes()), "host": "node7", "machine": "another"}
        path.write_text(json.dumps(holder))
    assert locks
    assert minari.list_leftovers() == []
    assert minari.list_recoverable() == []
    if name == "recording":
        (folder,) = staging_root().glob("collect-*")
        with pytest.raises(
            DatasetBusyError, match=r"on node7, which may be alive .* delete .*lock"
        ):
            minari.discard(folder.name)
    make_old(datasets_root)
    assert {(each.kind, each.is_valuable) for each in minari.list_leftovers()} == expected


OF_ANOTHER = {"host": "node7", "machine": "another", "process": 12, "started": "1"}


def state_of(root: Path) -> dict[str, tuple[bytes, int]]:
    """The contents and times of all files below a folder."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", HELD)
def test_looking_changes_nothing_so_that_what_another_machine_goes_on_with_stays_its_own(
    name: str, datasets_root: Path
) -> None:
    work, expected = HELD[name]
    Paused(work).kill()
    for path in datasets_root.rglob("*.lock"):
        if path.stat().st_size:
            path.write_text(json.dumps(OF_ANOTHER))
    make_old(datasets_root)
    before = state_of(datasets_root)
    found = minari.list_leftovers()
    assert {(each.kind, each.is_valuable) for each in found} == expected
    minari.list_recoverable()
    assert state_of(datasets_root) == before
    for each in found:
        os.utime(each.path)
    assert minari.list_leftovers() == []
    assert minari.list_recoverable() == []


@pytest.mark.parametrize("without_locks", [False, True])
def test_a_file_that_stands_for_a_lock_is_offered_when_its_process_is_gone_or_may_long_be(
    without_locks: bool, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EINVAL, "no locks here")

    if without_locks:
        monkeypatch.setattr("fcntl.flock", refuse)
    held = datasets_root / "toy" / "a-v0" / "data" / ".lock.held"
    held.write_text(json.dumps(OF_ANOTHER))
    os.utime(held, (1.0, 1.0))
    assert minari.list_leftovers() == []
    make_old(datasets_root)
    os.utime(held)
    assert minari.list_leftovers() == []
    make_old(datasets_root)
    (found,) = minari.list_leftovers()
    assert (found.id, found.kind, found.dataset_id) == (
        "toy/a-v0/data/.lock.held",
        "lock",
        "toy/a-v0",
    )
    assert found.nbytes == held.stat().st_size
    assert found.age_seconds > LONG_AGO - 100
    assert found.remedy.startswith("if process 12 on node7 is alive, it holds the lock; ")
    assert minari.remove_leftovers() == []
    monkeypatch.setattr("minari_core.files._TIMEOUT_SECONDS", 0.0)
    with pytest.raises(DatasetBusyError, match="process 12 on node7"):
        minari.load_dataset("toy/a-v0").update_dataset_from_buffer([buffer(1)])
    assert minari.remove_leftovers(found) == [found]
    assert not held.exists()
    minari.load_dataset("toy/a-v0").update_dataset_from_buffer([buffer(1)])
    held.touch()
    os.utime(held, (1.0, 1.0))
    (found,) = minari.remove_leftovers()
    assert (found.kind, found.remedy) == ("lock", "")
    assert minari.list_leftovers() == []
    assert not held.exists()


@pytest.mark.parametrize("name", ["recording", "run", "download", "create", "replaced", "alone"])
def test_what_stands_for_the_lock_of_another_container_blocks_nothing_for_ever(
    name: str, datasets_root: Path
) -> None:
    if name in HELD:
        Paused(HELD[name][0]).kill()
    elif name == "alone":
        (datasets_root / "toy" / "gone-v0" / "data").mkdir(parents=True)
        (datasets_root / "toy" / "gone-v0" / "data" / ".lock").touch()
        (staging_root() / "download-0123.lock").touch()
    else:
        aside = staging_root() / "replaced" / "toy" / "a-v0"
        shutil.copytree(datasets_root / "toy" / "a-v0", aside)
        (staging_root() / "replaced" / ".lock").touch()
    kinds = {each.kind for each in minari.list_leftovers()} or {"lock", "replaced dataset"}
    for path in datasets_root.rglob("*.lock"):
        path.rename(f"{path}.held")
        Path(f"{path}.held").write_text(json.dumps(OF_ANOTHER))
    assert minari.list_leftovers() == []
    make_old(datasets_root)
    found = minari.list_leftovers()
    assert {each.kind for each in found} <= kinds
    assert found
    if name == "recording":
        (recording,) = minari.list_recoverable()
        minari.recover_recording(recording.id, "toy/recovered-v0")
    minari.remove_leftovers([each.id for each in minari.list_leftovers()])
    assert minari.list_leftovers() == []
    assert_nothing_is_left(datasets_root)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "no space")])
@pytest.mark.parametrize("work", [download, upload])
def test_a_transfer_that_is_stopped_is_left_at_once_until_it_goes_on(
    work: Callable[[Callable[..., None]], object], error: BaseException, datasets_root: Path
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise error

    with pytest.raises((KeyboardInterrupt, OSError)) as caught:
        work(stop)
    if isinstance(error, KeyboardInterrupt):
        assert "what was transferred is kept: the same call goes on" in str(caught.value)
    (found,) = minari.list_leftovers()
    assert (found.kind, found.is_valuable) == (work.__name__, True)
    assert found.age_seconds < 60
    if work is download:
        minari.download_dataset("toy/b-v0", remote_path=os.environ["REMOTE"], progress=False)
    else:
        minari.upload_dataset(
            "toy/a-v0", remote_path=os.environ["REMOTE"], data_format="arrow", progress=False
        )
    assert minari.list_leftovers() == []
    assert_nothing_is_left(datasets_root)


def test_loading_a_url_that_is_stopped_says_that_the_next_call_goes_on() -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    url = f"{os.environ['REMOTE']}/toy/b-v0"
    with (
        replaced("minari_hub.datasets.download.install", stop),
        pytest.raises(KeyboardInterrupt, match="what was transferred is kept: the same call goes"),
    ):
        minari.load_dataset(url, download=True)
    assert len(minari.load_dataset(url, download=True)) == 1


@pytest.mark.skipif(not os.path.exists("/proc/sys/kernel/random/boot_id"), reason="asks Linux")
@pytest.mark.parametrize("name", ["recording", "run", "download", "create", "add"])
def test_what_this_machine_was_working_on_when_it_went_down_is_left_at_once(
    name: str, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "node7")
    work, expected = HELD[name]
    Paused(work).kill()
    for path in datasets_root.rglob("*.lock"):
        if path.stat().st_size:
            holder = json.loads(path.read_bytes())
            boot, *namespaces = holder["machine"].split()
            holder.update(host="node7", machine=" ".join([boot[::-1], *namespaces]))
            path.write_text(json.dumps(holder))
    assert {(each.kind, each.is_valuable) for each in minari.list_leftovers()} == expected


def test_files_that_nobody_finished_are_left_after_an_hour(datasets_root: Path) -> None:
    ending = "0123456789abcdef" * 2
    names = {
        f"toy/.namespace_metadata.json.{ending}",
        f"toy/a-v0/..origins.json.{ending}",
        f"toy/a-v0/data/..statistics.json.{ending}",
    }
    for name in names:
        (datasets_root / name).write_bytes(b"half")
    assert minari.list_leftovers() == []
    make_old(datasets_root)
    found = minari.list_leftovers()
    assert {each.id for each in found} == names
    assert {each.kind for each in found} == {"temporary file"}
    assert {each.nbytes for each in found} == {4}
    minari.remove_leftovers()
    assert not names & names_below(datasets_root)
    assert minari.verify_dataset("toy/a-v0").ok


def test_what_another_removes_at_the_same_time_is_gone_without_an_error(
    datasets_root: Path,
) -> None:
    (staging_root() / "download-0123.lock").touch()
    data = datasets_root / "toy" / "a-v0" / "data"
    for path in (
        data / f"..statistics.json.{'0123456789abcdef' * 2}",
        data / "shard-0123456789ab.h5",
        datasets_root / "toy" / f".namespace_metadata.json.{'0123456789abcdef' * 2}",
    ):
        path.write_bytes(b"half")
    (datasets_root / "toy" / "gone-v0" / "data").mkdir(parents=True)
    (datasets_root / "toy" / "gone-v0" / "data" / ".lock").touch()
    for work in (begin_to_create, add):
        Paused(work).kill()
    make_old(datasets_root)
    removals = [remove for _, remove in find_beside_data()]
    removals += [remove for _, remove in find_staged(minari.leftovers.KINDS)]
    kinds = [each.kind for each in minari.list_leftovers()]
    assert sorted(kinds) == ["creation", *["lock"] * 2, "shard", *["temporary file"] * 2]
    assert len(removals) == len(kinds)

    minari.remove_leftovers()
    assert minari.list_leftovers() == []
    before = names_below(datasets_root)
    for remove in removals:
        # A lock that has no folder any more cannot be taken.
        with suppress(MinariError):
            remove()

    assert names_below(datasets_root) == before
    assert minari.verify_dataset("toy/a-v0").ok


def test_what_is_alone_in_the_staging_area_is_left(datasets_root: Path) -> None:
    (staging_root() / "download-0123.lock").touch()
    (staging_root() / "newer-kind").mkdir()
    (datasets_root / "toy" / "gone-v0" / "data").mkdir(parents=True)
    (datasets_root / "toy" / "gone-v0" / "data" / ".lock").touch()
    make_old(datasets_root)
    found = {each.id: each for each in minari.list_leftovers()}
    assert {name: each.kind for name, each in found.items()} == {
        "download-0123.lock": "lock",
        "newer-kind": "unknown",
        "toy/gone-v0/data/.lock": "lock",
    }
    assert found["newer-kind"].is_valuable
    minari.remove_leftovers()
    assert [each.id for each in minari.list_leftovers()] == ["newer-kind"]
    assert not (datasets_root / "toy" / "gone-v0").exists()


def test_an_id_that_is_not_left_removes_nothing(datasets_root: Path) -> None:
    Paused(record).kill()
    (recording,) = minari.list_leftovers()
    for wrong in ("toy/a-v0", "../a", "nothing"):
        with pytest.raises(DatasetNotFoundError, match=r"list_leftovers\(\)"):
            minari.remove_leftovers([recording.id, wrong])
    assert minari.list_leftovers() == [recording]


def test_the_hub_alone_knows_what_is_in_downloads_and_keeps_what_others_made() -> None:
    for work in (record, download, begin_to_create):
        Paused(work).kill()
    found = {each.kind: each.is_valuable for each in minari_hub.list_leftovers()}
    assert found == {"recording": True, "download": True, "creation": False}
    assert [each.kind for each in minari_hub.remove_leftovers()] == ["creation"]
    assert len(minari.list_recoverable()) == 1


def test_core_alone_calls_what_all_packages_leave_by_its_name(datasets_root: Path) -> None:
    for kind in minari.leftovers.KINDS:
        (staging_root() / f"{kind.prefix}0123").mkdir(parents=True)
    make_old(datasets_root)
    found = {each.id: each.kind for each in minari_core.list_leftovers()}
    assert found == {f"{kind.prefix}0123": kind.name for kind in minari.leftovers.KINDS}
    assert minari_core.remove_leftovers() == []


def test_what_is_listed_is_taken_to_be_removed_alone_or_with_others() -> None:
    for work in (record, record, download, begin_to_create):
        Paused(work).kill()
    first, second, *others = minari.list_leftovers()
    assert minari.remove_leftovers(first.id) == [first]
    assert minari_hub.remove_leftovers(second)[0].id == second.id
    with pytest.raises(DatasetNotFoundError, match=f"has the id '{first.id}'"):
        minari.remove_leftovers(first.id)
    assert minari.remove_leftovers([others[0].id, *others]) == others
    assert minari.list_leftovers() == []


@pytest.mark.parametrize("has_lock", [True, False])
def test_listing_leaves_a_dataset_whose_replacement_was_killed_to_who_opens_it(
    has_lock: bool, datasets_root: Path
) -> None:
    aside = staging_root() / "replaced" / "toy" / "a-v0"
    aside.parent.mkdir(parents=True)
    os.rename(datasets_root / "toy" / "a-v0", aside)
    if has_lock:
        (aside.parents[1] / ".lock").touch()
    make_old(datasets_root)
    before = names_below(datasets_root)
    assert minari.list_leftovers() == []
    assert names_below(datasets_root) == before
    assert minari.remove_leftovers(valuable=True) == []
    assert len(minari.load_dataset("toy/a-v0")) == 1


def test_a_dataset_that_was_replaced_is_left_and_what_replaced_it_is_not(
    datasets_root: Path,
) -> None:
    aside = staging_root() / "replaced" / "toy" / "a-v0"
    aside.parent.mkdir(parents=True)
    os.rename(datasets_root / "toy" / "a-v0", aside)
    shutil.copytree(aside, datasets_root / "toy" / "a-v0")
    make_old(datasets_root)
    before = names_below(datasets_root)
    (found,) = minari.list_leftovers()
    assert (found.kind, found.dataset_id) == ("replaced dataset", "toy/a-v0")
    assert names_below(datasets_root) == before
    assert minari.remove_leftovers() == [found]
    assert not aside.exists()
    assert len(minari.load_dataset("toy/a-v0")) == 1
    assert_nothing_is_left(datasets_root)


def test_a_dataset_of_the_public_formats_keeps_its_files(datasets_root: Path) -> None:
    for data_format in ("hdf5", "arrow"):
        create(f"toy/{data_format}-v0", data_format=data_format)
    make_old(datasets_root)
    before = names_below(find_root())
    assert minari.remove_leftovers(valuable=True) == []
    assert names_below(find_root()) == before
