"""A twin is built once for all who sample, is said, and never stands for other files."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    DatasetChangedError,
    DatasetNotFoundError,
    EpisodeBuffer,
    MinariDataset,
    create_dataset_from_buffers,
    delete_dataset,
    load_dataset,
)
from minari_core.cache.entries import list_entries
from minari_core.cache.settings import cache_root
from minari_core.errors import CacheError
from minari_core.messages import MinariWarning
from minari_core.sampling.gathering import binding
from minari_core.testing.expectations import expect_same
from minari_core.twins import building, finding

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

SPACE = spaces.Box(-1e9, 1e9, (2,), np.float64)


def episode(steps: int, first: float = 0.0) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=first + np.arange(2.0 * steps + 2).reshape(-1, 2),
        actions=np.arange(2.0 * steps).reshape(-1, 2),
        rewards=first + np.arange(steps),
        terminations=[False] * steps,
        truncations=[False] * steps,
        infos={"speed": np.arange(steps + 1)},
    )


def create(data_format: str = "hdf5", dataset_id: str = "a-v0", first: float = 0.0) -> None:
    create_dataset_from_buffers(
        dataset_id,
        [episode(steps, first) for steps in (3, 4, 5)],
        observation_space=SPACE,
        action_space=SPACE,
        data_format=data_format,
    )


def rewards(dataset: MinariDataset) -> list[float]:
    batches = dataset.batches(5, shuffle=False)
    return [float(reward) for batch in batches for reward in batch.rewards]


@pytest.fixture
def _on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put twins into the cache, however small they are."""
    monkeypatch.setattr(finding, "MEMORY_NBYTES", -1)


every_format = pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])


def said(call: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    for warning in caught:
        if issubclass(warning.category, MinariWarning):
            assert warning.filename == __file__
    return [str(warning.message) for warning in caught if "episode at a time" in str(warning)]


def test_a_small_twin_is_in_memory_and_nothing_of_it_on_the_disk() -> None:
    create()
    dataset = load_dataset("a-v0")
    (message,) = said(lambda: dataset.sample_transitions(4))
    assert "copied into memory" in message
    assert not cache_root().exists()


@pytest.mark.usefixtures("_on_disk")
def test_it_is_said_once_where_the_columns_are_and_how_long_that_took() -> None:
    create("arrow")
    dataset = load_dataset("a-v0")
    (message,) = said(lambda: dataset.sample_transitions(4))
    (entry,) = list_entries()
    assert message.startswith("a-v0 is stored as 'arrow'")
    assert entry.path in message
    assert " s. A columnar dataset, as convert_dataset makes it" in message
    assert said(lambda: dataset[1:].statistics()) == []
    assert said(lambda: load_dataset("a-v0").sample_sequences(2, 2)) == []
    assert (entry.kind, entry.what) == ("columns", "a-v0")


@every_format
@pytest.mark.usefixtures("_on_disk")
def test_all_objects_and_views_of_a_dataset_share_one_twin(data_format: str) -> None:
    create(data_format)
    dataset = load_dataset("a-v0")
    twin = dataset._find_columns()
    assert dataset[1:]._find_columns() is twin
    assert dataset.shards(2)[1]._find_columns() is twin
    assert load_dataset("a-v0")._find_columns() is twin
    assert pickle.loads(pickle.dumps(dataset))._find_columns() is twin
    assert len(list_entries()) == 1
    parts = [reward for view in dataset.shards(2) for reward in rewards(view)]
    assert parts == rewards(dataset) == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("on_disk", [False, True])
@every_format
def test_what_was_added_is_sampled_and_other_objects_keep_to_what_they_loaded(
    data_format: str, on_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        monkeypatch.setattr(finding, "MEMORY_NBYTES", -1)
    create(data_format)
    dataset, other = load_dataset("a-v0"), load_dataset("a-v0")
    unread = load_dataset("a-v0")
    view = dataset[1:]
    before = rewards(dataset)
    assert rewards(other) == before
    view.sample_transitions(2)
    dataset.update_dataset_from_buffer([episode(2, 100)])
    assert rewards(dataset) == [*before, 100, 101]
    assert rewards(other) == rewards(unread) == before
    assert other.newer_episodes() == 1
    assert rewards(load_dataset("a-v0")) == [*before, 100, 101]
    # Its steps were laid out before, and other columns are found now.
    batch = view.sample_transitions(50, columns=["rewards"], n_step=2)
    assert batch.rewards.max() < 100


@every_format
@pytest.mark.usefixtures("_on_disk")
def test_a_view_that_was_sampled_finds_its_steps_anew_among_other_shards(
    data_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "TARGET_SHARD_NBYTES", 1)
    monkeypatch.setattr(building, "_PART_NBYTES", 1)
    monkeypatch.setattr(binding, "ASSEMBLED_NBYTES", 0)
    create(data_format)
    dataset = load_dataset("a-v0")
    view = dataset[1:]
    view.sample_transitions(2)
    # Without the info of the others it takes a column of another kind, and so several shards.
    dataset.update_dataset_from_buffer([replace(episode(2, 100), infos={})])
    assert len(dataset._find_columns().shard_counts()) == 4
    found = view.transition_sampler(n_step=1, columns=["observations", "rewards"]).read(range(9))
    assert found.rewards.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert found.observations[:, 0].tolist() == [0, 2, 4, 6, 0, 2, 4, 6, 8]


@every_format
def test_another_dataset_of_the_same_id_has_a_twin_of_its_own(
    data_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MEMORY_NBYTES", -1)
    create(data_format)
    first = load_dataset("a-v0")
    unread = load_dataset("a-v0")
    assert max(rewards(first)) == 4
    delete_dataset("a-v0")
    with pytest.raises(DatasetNotFoundError):
        rewards(unread)
    create(data_format, first=1000.0)
    assert min(rewards(load_dataset("a-v0"))) == 1000
    assert max(rewards(first)) == 4
    with pytest.raises(DatasetChangedError):
        rewards(unread)


@every_format
@pytest.mark.usefixtures("_on_disk")
def test_files_that_another_program_changed_are_read_again(
    data_format: str, datasets_root: Path
) -> None:
    create(data_format)
    create(data_format, "b-v0", first=1000.0)
    assert max(rewards(load_dataset("a-v0"))) == 4
    # Of the same names, sizes and metadata.
    source, target = datasets_root / "b-v0" / "data", datasets_root / "a-v0" / "data"
    for path in source.rglob("*"):
        if path.is_file() and path != source / "metadata.json":
            shutil.copy(path, target / path.relative_to(source))
    assert min(rewards(load_dataset("a-v0"))) == 1000


@pytest.mark.usefixtures("_on_disk")
def test_what_only_describes_a_dataset_may_change_and_what_marks_infos_may_not() -> None:
    create()
    rewards(load_dataset("a-v0"))
    load_dataset("a-v0").storage.update_metadata({"description": "new", "author": "Ada"})
    assert said(lambda: rewards(load_dataset("a-v0"))) == []
    assert len(list_entries()) == 1
    load_dataset("a-v0").storage.update_metadata({"step_infos": ["speed"]})
    rewards(load_dataset("a-v0"))
    assert len(list_entries()) == 2


@pytest.mark.usefixtures("_on_disk")
def test_files_that_change_while_they_are_read_are_read_again(
    datasets_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    built = []
    build = building.build_in_folder

    def interfere(*args: Any, **options: Any) -> None:
        build(*args, **options)
        built.append(1)
        if len(built) == 1:
            os.utime(datasets_root / "a-v0" / "data" / "main_data.hdf5", (1, 1))

    monkeypatch.setattr(finding, "build_in_folder", interfere)
    assert len(rewards(load_dataset("a-v0"))) == 12
    assert len(built) == 2
    assert len(list_entries()) == 1


@every_format
@pytest.mark.usefixtures("_on_disk")
def test_a_twin_is_one_shard_however_many_parts_it_is_written_in(
    data_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_PART_NBYTES", 1)
    create(data_format)
    dataset = load_dataset("a-v0")
    assert rewards(dataset) == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4]
    assert len(dataset._find_columns().shard_counts()) == 1


@pytest.mark.usefixtures("_on_disk")
def test_metadata_that_counts_other_steps_than_there_are_changes_nothing(
    datasets_root: Path,
) -> None:
    create("arrow")
    wanted = rewards(load_dataset("a-v0"))
    path = datasets_root / "a-v0" / "data" / "metadata.json"
    for total in (11, 13, 10**18, 2**63 - 1):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "total_steps": total}))
        assert rewards(load_dataset("a-v0")) == wanted


@pytest.mark.usefixtures("_on_disk")
def test_a_damaged_twin_is_built_again() -> None:
    create()
    wanted = rewards(load_dataset("a-v0"))
    (shard,) = cache_root().rglob("shard-*.h5")
    os.truncate(shard, 100)
    finding._by_key.clear()
    assert rewards(load_dataset("a-v0")) == wanted


@pytest.mark.usefixtures("_on_disk")
def test_where_the_cache_cannot_be_written_a_twin_is_in_memory_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create()
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "file"))
    (message,) = said(lambda: load_dataset("a-v0").sample_transitions(4))
    assert "copied into memory" in message
    assert f"{tmp_path / 'file'}" in message
    monkeypatch.setattr(finding, "MOST_NBYTES", 10)
    finding._by_key.clear()
    with pytest.raises(CacheError, match=r"too large for memory.*cannot be written.*convert_data"):
        load_dataset("a-v0").sample_transitions(4)


@pytest.mark.usefixtures("_on_disk")
def test_a_cache_that_is_too_small_is_no_reason_to_fail_where_memory_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create()
    monkeypatch.setenv("MINARI_CACHE_SIZE", "100")
    (message,) = said(lambda: load_dataset("a-v0").sample_transitions(4))
    assert "MINARI_CACHE_SIZE" in message
    assert list_entries() == []


IN_ANOTHER_PROCESS = """
import sys
import warnings
from minari_core import load_dataset
from minari_core.twins import building, finding
finding.MEMORY_NBYTES = -1
warnings.simplefilter("ignore")
{before}
print(load_dataset("a-v0").sample_transitions(9, columns=["rewards"]).rewards.max())
"""


def run(before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", IN_ANOTHER_PROCESS.format(before=before)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_processes_build_one_twin() -> None:
    create("arrow")
    processes = [run() for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert 0 <= float(out) <= 4
    assert len(list_entries()) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows limits no sizes of files")
def test_a_full_disk_is_no_reason_to_fail_where_memory_does() -> None:
    create("arrow")
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import minari_core.formats.shards.writer
resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))
"""
    process = run(limit)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert 0 <= float(out) <= 4
    assert list_entries() == []
    assert list((cache_root() / ".building").iterdir()) == []
    _, err = run(f"{limit}\nfinding.MOST_NBYTES = 10").communicate(timeout=120)
    assert f"{CacheError.__name__}: a-v0 is sampled from a copy of its columns" in err
    assert "could not write" in err


def _sample(dataset: MinariDataset, queue: Any) -> None:
    finding.MEMORY_NBYTES = -1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = rewards(dataset)
    queue.put((found, [str(warning.message) for warning in caught]))


@pytest.mark.parametrize(
    "method",
    [each for each in ("fork", "spawn") if each in multiprocessing.get_all_start_methods()],
)
@pytest.mark.usefixtures("_on_disk")
def test_workers_take_the_twin_that_is_there_and_say_nothing(method: str) -> None:
    create("parquet")
    dataset = load_dataset("a-v0")
    dataset.sample_transitions(3)
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    workers = [context.Process(target=_sample, args=(dataset[1:], queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    answers = [queue.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert answers == [(rewards(dataset[1:]), [])] * 2
    assert len(list_entries()) == 1


@every_format
@pytest.mark.usefixtures("_on_disk")
def test_statistics_of_a_public_format_are_kept_beside_its_twin(
    data_format: str, datasets_root: Path
) -> None:
    create(data_format)
    found = load_dataset("a-v0").statistics()
    assert list(cache_root().rglob(".statistics.json"))
    assert not list(datasets_root.rglob(".statistics.json"))
    expect_same(load_dataset("a-v0").statistics()["rewards"].mean, found["rewards"].mean)
    assert json.loads(next(cache_root().rglob(".statistics.json")).read_text())["columns"]
