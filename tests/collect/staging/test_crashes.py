"""Real failures: killed processes, full disks, disks that refuse to flush."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_collect import (
    DataCollectorV0,
    create_dataset_from_collector_env,
    discard,
    list_recoverable,
    recover,
)
from minari_core.datasets.combining import combine_datasets
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.local import delete_dataset, list_local_datasets, load_dataset
from minari_core.errors import DatasetNotFoundError, DatasetWriteError
from tests.collect.helpers.environments import Counter, Moment, Scripted, run_episode

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is (set to )?None"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked")

Report = Callable[[object], None]
_KILLED = -9  # SIGKILL, of which Windows has no name
_OPERATIONS_THAT_MAY_BE_THE_LAST = ("replace", "rename", "link", "fsync", "unlink", "mkdir")


class Child:
    """A forked process that does some work; what it reports can be read while it works."""

    def __init__(self, work: Callable[[Report], None]) -> None:
        readable, writable = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(readable)
            code = 1
            try:
                warnings.simplefilter("ignore")
                work(lambda text: _write_line(writable, str(text)))
                code = 0
            except BaseException:
                _write_line(writable, traceback.format_exc())
            finally:
                os._exit(code)
        os.close(writable)
        self._reports = os.fdopen(readable)
        self._read: list[str] = []

    def next_report(self) -> None:
        """Wait for its next report."""
        self._read.append(self._reports.readline().rstrip())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[int, list[str]]:
        """Its exit code (negative: the signal that ended it), and what it has reported."""
        with self._reports:
            reports = [*self._read, *self._reports.read().splitlines()]
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), reports


def _write_line(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode() + b"\n")


def succeed(work: Callable[[Report], None]) -> None:
    code, reports = Child(work).wait()
    assert code == 0, "\n".join(reports)


def die_at(call: int, *, before: bool) -> None:
    """Make this process kill itself at one of its calls that change a folder."""
    left = [call]

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call_or_die(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] >= 0:
                return function(*args, **kwargs)
            if not before:
                function(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        return call_or_die

    for name in _OPERATIONS_THAT_MAY_BE_THE_LAST:
        setattr(os, name, dying(getattr(os, name)))


def files_below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def assert_episodes(dataset: MinariDataset, seeds: list[int], *, cut: bool = False) -> None:
    """Compare with what a `Counter` gives.

    Args:
        dataset: What was recorded.
        seeds: The seed of each episode.
        cut: Whether the last episode may be shorter, and is truncated then.
    """
    assert [episode.seed for episode in dataset] == seeds
    for place, episode in enumerate(dataset):
        steps = len(episode)
        is_cut = steps < 5
        assert not is_cut or (cut and place == len(seeds) - 1)
        assert episode.observations.tolist() == [[episode.seed, step] for step in range(steps + 1)]
        assert episode.actions.tolist() == list(range(steps))
        assert episode.rewards.tolist() == list(range(1, steps + 1))
        assert episode.terminations.tolist() == [step == 4 for step in range(steps)]
        assert episode.truncations.tolist() == [
            is_cut and step == steps - 1 for step in range(steps)
        ]


def collected(seeds: range, **options: Any) -> DataCollectorV0:
    collector = DataCollectorV0(Counter(), **options)
    for seed in seeds:
        run_episode(collector, seed)
    return collector


def created(dataset_id: str, seeds: range, **options: Any) -> MinariDataset:
    collector = collected(seeds, **options)
    dataset = create_dataset_from_collector_env(dataset_id, collector)
    collector.close()
    return dataset


def recover_all() -> dict[str, MinariDataset]:
    recordings = list_recoverable()
    recovered = {
        recording.id: recover(recording.id, f"recovered/number{number}-v0")
        for number, recording in enumerate(recordings)
    }
    for recording in recordings:
        dataset = recovered[recording.id]
        assert recording.total_episodes == len(dataset)
        assert recording.total_steps == dataset.total_steps
    assert list_recoverable() == []
    return recovered


@posix
def test_what_was_committed_is_there_whenever_a_collecting_process_is_killed() -> None:
    moments = random.Random(5)
    first = 0
    # What is imported at the first write is imported before the forks.
    created("tests/warm-v0", range(1))
    delete_dataset("tests/warm-v0")
    expected: list[int] = []

    def collect(report: Report) -> None:
        collector = DataCollectorV0(Counter(), max_buffer_steps=4)
        for seed in range(first, first + 1000):
            run_episode(collector, seed)
            if seed % 2:
                if expected or seed > first + 1:
                    load_dataset("tests/killed-v0").update_dataset_from_collector_env(collector)
                else:
                    create_dataset_from_collector_env("tests/killed-v0", collector)
                report(seed)

    for _ in range(12):
        child = Child(collect)
        for _ in range(moments.choice([0, 1, 1, 2, 3])):
            child.next_report()
        time.sleep(moments.uniform(0.0, 0.03))
        child.kill()
        code, reports = child.wait()
        assert code == _KILLED, "\n".join(reports)
        committed = int(reports[-1]) if reports else first - 1
        expected += range(first, committed + 1)
        try:
            dataset = load_dataset("tests/killed-v0")
        except DatasetNotFoundError:
            assert expected == []
            continue
        # What was committed without being reported any more is there as a whole, too.
        unreported = [episode.seed for episode in dataset][len(expected) :]
        assert unreported in ([], [committed + 1, committed + 2])
        expected += [committed + 1, committed + 2] if unreported else []
        assert_episodes(dataset, expected)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert list(list_local_datasets()) == ["tests/killed-v0"]
        for recording in list_recoverable():
            if recording.total_steps == 0:
                discard(recording.id)
                continue
            recovered = recover(recording.id, "tests/recovered-v0")
            seeds = [int(episode.seed or 0) for episode in recovered]
            assert set(seeds) <= set(range(first, committed + 5))
            assert_episodes(recovered, list(range(seeds[0], seeds[0] + len(seeds))), cut=True)
            delete_dataset("tests/recovered-v0")
        first += 1000
    assert len(expected) > 10


@posix
@pytest.mark.parametrize("before", [True, False])
def test_a_creation_that_is_killed_at_any_stage_leaves_all_of_it_or_a_recording(
    before: bool, datasets_root: Path
) -> None:
    stage, code = 0, _KILLED
    while code == _KILLED:

        def create(report: Report, stage: int = stage) -> None:
            collector = collected(range(3), max_buffer_steps=4)
            die_at(stage, before=before)
            create_dataset_from_collector_env("tests/killed-v0", collector)

        code, reports = Child(create).wait()
        assert code in (0, _KILLED), "\n".join(reports)
        exists = "tests/killed-v0" in list_local_datasets()
        if exists:
            assert_episodes(load_dataset("tests/killed-v0"), [0, 1, 2])
        else:
            (recovered,) = recover_all().values()
            seeds = [int(episode.seed or 0) for episode in recovered]
            assert seeds in ([0, 1], [0, 1, 2])
            assert_episodes(recovered, seeds, cut=True)
            # The id is still free.
            assert_episodes(created("tests/killed-v0", range(3)), [0, 1, 2])
        stage += 1
        shutil.rmtree(datasets_root)
    assert stage > 5


def _checkpoint(report: Report) -> None:
    collector = collected(range(4, 6), max_buffer_steps=4)
    report("recorded")
    load_dataset("tests/a-v0").update_dataset_from_collector_env(collector)


def _update_metadata(report: Report) -> None:
    load_dataset("tests/a-v0").storage.update_metadata({"description": "new"})


def _compact(report: Report) -> None:
    load_dataset("tests/a-v0").compact()


def _combine(report: Report) -> None:
    combine_datasets([load_dataset("tests/a-v0"), load_dataset("tests/b-v0")[1:]], "tests/c-v0")


CHANGES: dict[str, Callable[[Report], None]] = {
    "checkpoint": _checkpoint,
    "update of metadata": _update_metadata,
    "compact": _compact,
    "combine": _combine,
}


def prepare_two() -> None:
    """``tests/a-v0`` of small shards with episodes 0 to 3, and ``tests/b-v0`` with 10 to 12."""
    dataset = created("tests/a-v0", range(1))
    for seed in range(1, 4):
        with collected(range(seed, seed + 1)) as collector:
            dataset.update_dataset_from_collector_env(collector)
    created("tests/b-v0", range(10, 13))


def assert_old_or_new(change: str) -> bool:
    """Whether the change has happened; raises if a part of it has."""
    first, second = load_dataset("tests/a-v0"), load_dataset("tests/b-v0")
    assert_episodes(second, [10, 11, 12])
    listed = list_local_datasets()
    if change == "combine":
        assert_episodes(first, [0, 1, 2, 3])
        if "tests/c-v0" in listed:
            assert_episodes(load_dataset("tests/c-v0"), [0, 1, 2, 3, 11, 12])
            return True
        return False
    assert set(listed) == {"tests/a-v0", "tests/b-v0"}
    if change == "checkpoint" and len(first) > 4:
        assert_episodes(first, [0, 1, 2, 3, 4, 5])
        return True
    assert_episodes(first, [0, 1, 2, 3])
    if change == "update of metadata":
        return first.metadata.get("description") == "new"
    shards = list(Path(str(first.spec.data_path)).glob("*.h5"))
    return change == "compact" and len(shards) == 1


@posix
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_killed_at_any_stage_has_happened_or_has_not(
    change: str, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "prepared"))
    prepare_two()
    stage, code = 0, _KILLED
    while code == _KILLED:
        root = tmp_path / f"stage{stage}"
        shutil.copytree(tmp_path / "prepared", root)
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))

        def work(report: Report, stage: int = stage) -> None:
            die_at(stage, before=before)
            CHANGES[change](report)

        code, reports = Child(work).wait()
        assert code in (0, _KILLED), "\n".join(reports)
        happened = assert_old_or_new(change)
        if change == "checkpoint" and not happened and "recorded" in reports:
            for recovered in recover_all().values():
                seeds = [int(episode.seed or 0) for episode in recovered]
                assert_episodes(recovered, seeds, cut=True)
                assert seeds in ([4], [4, 5])
                delete_dataset(recovered.id)
        if not happened:
            succeed(CHANGES[change])
        assert assert_old_or_new(change)
        stage += 1
        shutil.rmtree(root)
    assert stage > 2


def published_below(root: Path) -> set[str]:
    """All files and folders but those of living collectors, and locks."""
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.name != ".lock"}
    return {name for name in names if "collect-" not in name and name != ".staging"}


@pytest.mark.parametrize("change", ["create", *CHANGES])
def test_a_disk_that_refuses_to_flush_leaves_the_old_state_and_no_stray_file(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "prepared"))
    prepare_two()
    flush = os.fsync
    call, has_failed, refused = 0, True, 0
    while has_failed:
        root = tmp_path / f"call{call}"
        shutil.copytree(tmp_path / "prepared", root)
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
        collector = collected(range(4, 6), max_buffer_steps=4)
        left = [call]

        def failing(descriptor: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.EIO, "the disk is on fire")
            flush(descriptor)

        def attempt(collector: DataCollectorV0 = collector) -> None:
            if change == "create":
                create_dataset_from_collector_env("tests/new/d-v0", collector)
            elif change == "checkpoint":
                load_dataset("tests/a-v0").update_dataset_from_collector_env(collector)
            else:
                CHANGES[change](lambda text: None)

        before = published_below(root)
        problem = ""
        monkeypatch.setattr(os, "fsync", failing)
        try:
            attempt()
        except DatasetWriteError as error:
            problem = str(error)
        finally:
            monkeypatch.setattr(os, "fsync", flush)
        # Small shards stay as they are, and episodes are added, where joining them fails.
        has_failed = left[0] < 0
        if problem:
            refused += 1
            assert "on fire" in problem
            assert published_below(root) == before, f"call {call}"
            assert not assert_old_or_new(change), f"call {call}"
            assert collector.unsaved_episodes == 2
            attempt()
        if change == "create":
            assert_episodes(load_dataset("tests/new/d-v0"), [4, 5])
        else:
            assert assert_old_or_new(change)
        collector.discard()
        call += 1
    assert refused >= 2


def full_disk_trial(fill: Callable[[], None], free: Callable[[], None], root: Path) -> None:
    """Do everything that writes on a full disk, and again when there is room."""
    prepare_two()
    large = spaces.Box(-np.inf, np.inf, (300,), np.float64)
    rows = [np.full(300, float(row)) for row in range(40)]
    before = files_below(root)

    def attempt_everything(attempts: dict[str, Callable[[], object]]) -> None:
        for name, attempt in attempts.items():
            staged = {path for path in files_below(root) if "collect-" in path}
            fill()
            for _ in range(2):
                with pytest.raises(DatasetWriteError, match=r"shard|dataset|metadata\.json"):
                    attempt()
            free()
            after = files_below(root)
            assert {path: after.get(path) for path in before} == before, name
            strays = after.keys() - before.keys() - staged
            assert {path for path in strays if "journal" not in path} == set(), name

    # While an episode is spilled.
    env = Scripted(large, moments=[Moment(row) for row in rows[:30]])
    spilling = DataCollectorV0(env, max_buffer_steps=10)
    spilling.reset(seed=8)
    fill()
    recorded = 0
    with pytest.raises(DatasetWriteError, match=r"shard|staged"):  # noqa: PT012
        for _ in range(29):
            spilling.step(0)
            recorded += 1
    assert 0 < recorded < 29
    free()
    env.tell(*[Moment(row) for row in rows[:30]])
    env.moments = [Moment(row) for row in rows[:30]]
    spilling.reset(seed=9)
    for _ in range(29):
        spilling.step(0)

    waiting = DataCollectorV0(Scripted(large, moments=[Moment(row) for row in rows]))
    waiting.reset(seed=7)
    for _ in range(39):
        waiting.step(1)
    more = collected(range(4, 6))
    datasets = [load_dataset("tests/a-v0"), load_dataset("tests/b-v0")]
    attempts: dict[str, Callable[[], object]] = {
        "create": lambda: create_dataset_from_collector_env("tests/full-v0", waiting),
        "checkpoint": lambda: datasets[0].update_dataset_from_collector_env(more),
        "compact": lambda: datasets[0].compact(),
        "combine": lambda: combine_datasets([datasets[0], datasets[1][1:]], "tests/c-v0"),
    }
    attempt_everything(attempts)

    for attempt in attempts.values():
        attempt()
    assert_episodes(load_dataset("tests/a-v0"), [0, 1, 2, 3, 4, 5])
    assert_episodes(load_dataset("tests/c-v0"), [0, 1, 2, 3, 4, 5, 11, 12])
    (episode,) = load_dataset("tests/full-v0")
    assert (episode.seed, episode.observations[:, 7].tolist()) == (7, [*range(40)])
    saved = create_dataset_from_collector_env("tests/spilled-v0", spilling)
    assert [(episode.seed, len(episode)) for episode in saved] == [(8, recorded), (9, 29)]
    for episode in saved:
        assert episode.observations[:, 3].tolist() == [*range(len(episode) + 1)]
        assert episode.truncations[-1]


@posix
def test_a_file_that_may_not_grow_is_a_clear_error_and_loses_nothing(datasets_root: Path) -> None:
    import resource

    def trial(report: Report) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

        def limit(nbytes: int) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))

        full_disk_trial(lambda: limit(2000), lambda: limit(hard), datasets_root)

    succeed(trial)


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A datasets root on a disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a disk here")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(disk / "datasets"))
    try:
        yield disk
    finally:
        # Mapped files keep it busy; it is gone when they are.
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"

    def fill() -> None:
        with open(ballast, "wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    full_disk_trial(fill, ballast.unlink, small_disk / "datasets")


@posix
def test_a_journal_that_was_cut_anywhere_is_recovered_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(report: Report) -> None:
        collector = collected(range(3), max_buffer_steps=4)
        collector.reset(seed=3, options={"deep": [1]})
        for step in range(4):
            collector.step(step)
        collector.step(4)
        die_at(0, before=True)
        os.fsync(0)

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "prepared"))
    assert Child(collect).wait()[0] == _KILLED
    (recording,) = list_recoverable()
    assert (recording.env_id, recording.total_episodes > 2) == (None, True)
    journal = tmp_path / "prepared" / ".staging" / recording.id / "journal.jsonl"
    text = journal.read_bytes()
    whole_lines = text.count(b"\n")
    steps: list[int] = []
    cuts = sorted({0, 1, len(text) - 1, len(text), *range(0, len(text), 101)})
    for cut in cuts:
        root = tmp_path / f"cut{cut}"
        shutil.copytree(tmp_path / "prepared", root)
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(root))
        (root / ".staging" / recording.id / "journal.jsonl").write_bytes(text[:cut])
        listed = list_recoverable()
        if listed and listed[0].total_steps:
            dataset = recover(recording.id, "tests/recovered-v0")
            assert_episodes(dataset, list(range(len(dataset))), cut=True)
            assert dataset.total_steps == listed[0].total_steps
            steps.append(dataset.total_steps)
            if len(dataset) == 4:
                assert dataset[3].options == {"deep": [1]}
        else:
            if listed:
                with pytest.raises(DatasetNotFoundError, match="has no step to recover"):
                    recover(recording.id, "tests/recovered-v0")
            discard(recording.id)
            steps.append(0)
        assert list_recoverable() == []
        assert not (root / ".staging" / recording.id).exists()
        shutil.rmtree(root)
    assert steps == sorted(steps)
    assert len(set(steps)) >= whole_lines // 2 - 1


@posix
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_recording_that_lost_a_shard_is_recovered_up_to_it(
    damage: str, datasets_root: Path
) -> None:
    def collect(report: Report) -> None:
        collector = collected(range(6), max_buffer_steps=8)
        report(collector.unsaved_episodes)
        os.kill(os.getpid(), signal.SIGKILL)

    assert Child(collect).wait() == (_KILLED, ["6"])
    (recording,) = list_recoverable()
    folder = datasets_root / ".staging" / recording.id
    shards = sorted(folder.glob("shard-*.h5"), key=lambda path: path.stat().st_mtime_ns)
    if damage == "missing":
        shards[2].unlink()
    else:
        os.truncate(shards[2], 100)
    (left,) = list_recoverable()
    assert 0 < left.total_steps < recording.total_steps
    dataset = recover(recording.id, "tests/recovered-v0")

    assert_episodes(dataset, list(range(len(dataset))), cut=True)
    assert dataset.total_steps == left.total_steps
