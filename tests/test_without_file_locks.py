"""File systems that have no locks: what records, adds, collects and downloads goes on there."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest

import minari
from minari_core.errors import DatasetBusyError
from minari_core.local.locations import staging_root

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows locks every file"),
    pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(
    params=sorted({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}),
    ids=lambda number: errno.errorcode[number],
    autouse=True,
)
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", refuse)


def record(seeds: range) -> minari.DataCollectorV0:
    collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), max_buffer_steps=4)
    for seed in seeds:
        collector.reset(seed=seed)
        while not collector.step(seed % 2)[2]:
            pass
    return collector


def seeds_of(dataset: minari.MinariDataset) -> list[int | None]:
    return [episode.seed for episode in dataset]


def locks_below(root: Path) -> list[str]:
    """What is left of locks, beside the lock files in the datasets' own folders."""
    paths = [*root.rglob("*.held"), *(root / ".staging").rglob("*.lock")]
    return [path.relative_to(root).as_posix() for path in paths]


def test_recording_adding_downloading_and_uploading_go_on(
    tmp_path: Path, datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = record(range(3))
    assert minari.list_recoverable() == []
    dataset = minari.create_dataset_from_collector_env("toy/a-v0", collector)
    more = record(range(3, 5))
    dataset.update_dataset_from_collector_env(more)
    dataset.compact()
    remote = (tmp_path / "remote").as_uri()
    minari.upload_dataset("toy/a-v0", remote_path=remote, data_format="arrow", progress=False)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "downloaded"))
    minari.download_dataset("toy/a-v0", remote_path=remote, progress=False)
    minari.download_dataset("toy/a-v0", True, remote_path=remote, progress=False)
    assert seeds_of(minari.load_dataset("toy/a-v0")) == list(range(5))
    assert minari.verify_dataset("toy/a-v0").ok
    assert locks_below(datasets_root) == []
    assert locks_below(tmp_path / "downloaded") == []


def test_a_run_is_collected(datasets_root: Path) -> None:
    dataset = minari.collect_dataset(
        "toy/run-v0", "CartPole-v1", total_episodes=2, seed=1, workers=1, progress=False
    )
    assert len(dataset) == 2
    assert locks_below(datasets_root) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux takes over what was killed")
def test_what_a_killed_process_was_recording_is_offered_and_what_a_living_one_records_is_not(
    datasets_root: Path,
) -> None:
    child, wait_for = fork_recorder()
    wait_for()
    assert minari.list_recoverable() == []
    (folder,) = staging_root().glob("collect-*")
    with pytest.raises(DatasetBusyError, match=f"process {child} on "):
        minari.discard(folder.name)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (recording,) = minari.list_recoverable()
    assert seeds_of(minari.recover(recording.id, "toy/recovered-v0"))[:2] == [0, 1]
    assert locks_below(datasets_root) == []


def fork_recorder() -> tuple[int, Callable[[], object]]:
    """A process that has recorded and waits, and a function that waits until it has recorded."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            collector = record(range(3))
            os.write(writable, b"recorded")
            signal.pause()
            collector.close()
        finally:
            os._exit(1)
    os.close(writable)

    def wait_for() -> None:
        assert os.read(readable, 10)
        os.close(readable)

    return child, wait_for
