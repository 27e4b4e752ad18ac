"""What is said of episodes in a public layout changes all or none, and its guards with it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import minari
from minari_core import (
    DatasetDamagedError,
    DatasetWriteError,
    MinariDataset,
    load_dataset,
    verify_dataset,
)
from minari_core.formats.public.storage.base import PublicStorage
from minari_core.testing.expectations import expect_same, expect_same_episode
from tests.core.formats.public.test_checksums import (
    FORMATS,
    MARK,
    change_attributes,
    data_file,
    flip,
    found,
    some_episode,
    stored,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::minari_core.MinariWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, and kills what it has forked")
every_format = pytest.mark.parametrize("data_format", FORMATS)

PLAIN: dict[str, Any] = {"grade": 2, "word": "é", "array": np.arange(3), "n": {"m": True}}
RICH: dict[str, Any] = {"list": [1, ("a", None)], "blob": b"\0", "grade": 2}


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def change(*changes: dict[str, Any], indices: list[int] | None = None) -> None:
    load_dataset("guarded-v0").storage.update_episode_metadata(changes, indices)


def raw_attributes(data: Path, number: int) -> dict[str, Any]:
    """The attributes as other programs see them."""
    if (data / "main_data.hdf5").exists():
        with h5py.File(data / "main_data.hdf5") as file:
            return dict(file[f"episode_{number}"].attrs)
    return dict(json.loads((data / str(number) / "metadata.json").read_text(encoding="utf-8")))


@every_format
@pytest.mark.parametrize("values", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_change_leaves_no_remark_and_nothing_behind(
    tmp_path: Path, data_format: str, values: dict[str, Any]
) -> None:
    data = stored(tmp_path, data_format)
    before = {path.name for path in data.iterdir()} | {".lock"}
    change(values, {**values, "seed": 5}, indices=[2, 0])
    assert found() == ([], [])
    assert {path.name for path in data.iterdir()} == before
    for number in (2, 0):
        wanted = {"word": f"remarkable-{number}", **values}
        expect_same(load_dataset("guarded-v0")[number].metadata, wanted)
    assert load_dataset("guarded-v0")[0].seed == 5
    seen = raw_attributes(data, 0)
    assert (seen["seed"], seen["grade"]) == (5, 2)


@every_format
def test_a_flipped_bit_in_changed_attributes_is_told(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    for grade in (1, 2):
        change({"word": f"unheard-of-{grade}"}, indices=[1])
    path = data / "main_data.hdf5" if data_format == "hdf5" else data / "1" / "metadata.json"
    flip(path, b"unheard-of-2")
    problems, remarks = found()
    assert [episode for _, episode in problems] == [1]
    assert remarks == []


@every_format
@pytest.mark.parametrize("values", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("others", [{"grade": 7}, {"word": "theirs"}], ids=["added", "replaced"])
def test_what_another_program_has_changed_is_told_from_what_is_changed_here(
    tmp_path: Path, data_format: str, values: dict[str, Any], others: dict[str, Any]
) -> None:
    data = stored(tmp_path, data_format)
    change_attributes(data, 1, others)
    change(values, indices=[0])
    assert found()[0] == []
    assert [remark.endswith("another program (episode 1)") for remark in found()[1]] == [True]
    change(values, indices=[1])
    problems, (remark,) = found()
    assert problems == []
    assert remark.endswith("its metadata was changed by another program (episode 1)")
    merged = {"word": "remarkable-1", **others, **values}
    expect_same(load_dataset("guarded-v0")[1].metadata, merged)
    # And what is changed after that, too.
    change_attributes(data, 0, {"goal": 1})
    assert [len(each) for each in found()] == [0, 2]


@every_format
def test_damaged_attributes_are_not_written_anew(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    path = data / "main_data.hdf5" if data_format == "hdf5" else data / "1" / "metadata.json"
    flip(path, b"remarkable-1")
    before = path.read_bytes()
    with pytest.raises(DatasetDamagedError, match="episode 1 is not what was written"):
        change({"grade": 1}, {"grade": 2}, indices=[0, 1])
    assert path.read_bytes() == before
    assert [episode for _, episode in found()[0]] == [1]
    change({"grade": 1}, indices=[0])


@every_format
def test_a_new_sidecar_does_not_hide_damage(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    flip(data_file(data, 1), np.float64(MARK + 1).tobytes())
    with pytest.raises(DatasetDamagedError, match="episode 1 is not what was written"):
        change(RICH, indices=[1])
    change({"grade": 1}, indices=[1])
    assert [episode for _, episode in found()[0]] == [1]


@pytest.mark.parametrize("data_format", ["arrow", "parquet"])
def test_tables_are_not_written_again(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    before = [data_file(data, number).stat() for number in range(3)]
    change(RICH, indices=[1])
    assert [data_file(data, number).stat() for number in range(3)] == before


def without_checksums(data: Path) -> None:
    path = data / "metadata.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["minari_core"]
    path.write_text(json.dumps(content), encoding="utf-8")


@every_format
def test_episodes_of_another_program_can_be_changed(tmp_path: Path, data_format: str) -> None:
    data = stored(tmp_path, data_format)
    without_checksums(data)
    change_attributes(data, 0, {"theirs": 1.5})
    before = raw_attributes(data, 0)
    change({"grade": 2}, indices=[0])
    after = raw_attributes(data, 0)
    assert {key: after[key] for key in before} == before
    assert after["grade"] == 2
    assert load_dataset("guarded-v0")[0].metadata["theirs"] == 1.5
    assert found()[0] == []


@every_format
def test_a_final_observation_that_is_missing_stays_missing(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    without_checksums(data)
    if data_format == "hdf5":
        with h5py.File(data / "main_data.hdf5", "a") as file:
            rows = file["episode_1/observations"][:4]
            del file["episode_1/observations"]
            file["episode_1/observations"] = rows
        change({"grade": 1, "final_observation_known": False}, indices=[1])
        episode = load_dataset("guarded-v0")[1]
        assert not episode.final_observation_known
        assert len(episode.observations) == 4
        assert "final_observation_known" not in raw_attributes(data, 1)
        with pytest.raises(minari.MetadataError, match="final_observation_known"):
            change({"final_observation_known": True}, indices=[1])
    else:
        change({"final_observation_known": True}, indices=[1])
        assert load_dataset("guarded-v0")[1].final_observation_known


def killed(work: Callable[[], object], name: str) -> None:
    """Do some work in a process that is killed where it calls a function."""
    child = os.fork()
    if child == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                work()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def begun(tmp_path: Path, data_format: str, values: dict[str, Any] = RICH) -> Path:
    """A dataset whose process was killed after a change had happened, and one file was moved."""
    data = stored(tmp_path, data_format)
    killed(
        lambda: change(values, values, indices=[0, 2]),
        "minari_core.formats.public.storage.folder.sync_folder",
    )
    assert len(list(data.glob(".update-*"))) == 1
    return data


def expect_changed(dataset: MinariDataset, values: dict[str, Any] = RICH) -> None:
    for number in (0, 2):
        expect_same(dataset[number].metadata, {"word": f"remarkable-{number}", **values})
    assert dataset[1].metadata == {"word": "remarkable-1"}
    assert [m["word"] for m in dataset.iterate_episode_metadata()][1] == "remarkable-1"


@forks
@every_format
@pytest.mark.parametrize("values", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_change_that_was_killed_in_the_middle_has_happened(
    tmp_path: Path, data_format: str, values: dict[str, Any]
) -> None:
    values = {**values, "word": "new"}
    data = begun(tmp_path, data_format, values)
    loaded = load_dataset("guarded-v0")
    expect_changed(loaded, values)
    assert found() == ([], [])
    # The next change moves the files, and adds its own.
    change({"next": 1}, indices=[1])
    assert not list(data.glob(".update-*"))
    assert found() == ([], [])
    for dataset in (loaded, load_dataset("guarded-v0")):
        expect_same(dataset[0].metadata, values)
        assert dataset[1].metadata == {"word": "remarkable-1", "next": 1}


@forks
@every_format
def test_an_object_that_was_open_sees_a_killed_change_as_a_whole(
    tmp_path: Path, data_format: str
) -> None:
    stored(tmp_path, data_format)
    opened = load_dataset("guarded-v0")
    wanted = list(opened)
    killed(
        lambda: change(RICH, RICH, indices=[0, 2]),
        "minari_core.formats.public.storage.folder.sync_folder",
    )
    expect_changed(opened)
    for episode, before in zip(opened, wanted, strict=True):
        assert np.array_equal(episode.observations, before.observations)


@forks
@every_format
def test_a_change_that_was_killed_before_it_happened_has_not(
    tmp_path: Path, data_format: str
) -> None:
    data = stored(tmp_path, data_format)
    before = list(load_dataset("guarded-v0"))
    killed(
        lambda: change(RICH, RICH, indices=[0, 2]),
        "minari_core.formats.public.storage.folder.replace_manifest",
    )
    for episode, wanted in zip(load_dataset("guarded-v0"), before, strict=True):
        expect_same_episode(episode, wanted)
    assert found() == ([], [])
    change({"next": 1}, indices=[1])
    assert not list(data.glob(".update-*"))


@forks
@every_format
def test_what_a_killed_change_has_left_is_listed_and_finished(
    tmp_path: Path, data_format: str
) -> None:
    data = begun(tmp_path, data_format)
    (leftover,) = minari.list_leftovers()
    assert (leftover.kind, leftover.dataset_id) == ("change", "guarded-v0")
    minari.remove_leftovers()
    assert not minari.list_leftovers()
    assert not list(data.glob(".update-*"))
    expect_changed(load_dataset("guarded-v0"))
    assert found() == ([], [])


@forks
@every_format
def test_listing_a_killed_change_leaves_its_lock_as_it_is(tmp_path: Path, data_format: str) -> None:
    lock = begun(tmp_path, data_format) / ".lock"
    os.utime(lock, (1.0, 1.0))
    before = lock.read_bytes()
    assert len(minari.list_leftovers()) == 1
    assert (lock.read_bytes(), lock.stat().st_mtime) == (before, 1.0)


@every_format
@pytest.mark.parametrize("values", [PLAIN, RICH], ids=["plain", "rich"])
def test_what_changes_while_it_is_verified_is_no_damage(
    tmp_path: Path, data_format: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path, data_format)
    read = PublicStorage.read_episodes

    def change_then_read(
        storage: PublicStorage, indices: list[int], *, copy: bool = True
    ) -> Iterator[Any]:
        monkeypatch.setattr(PublicStorage, "read_episodes", read)
        yield from list(read(storage, indices, copy=copy))
        change(values, values, indices=[0, 2])

    monkeypatch.setattr(PublicStorage, "read_episodes", change_then_read)
    assert found() == ([], [])
    assert load_dataset("guarded-v0")[0].metadata["grade"] == 2


@forks
@every_format
def test_a_change_that_was_killed_in_the_middle_is_uploaded(
    tmp_path: Path, data_format: str
) -> None:
    begun(tmp_path, data_format)
    remote = tmp_path / "remote"
    remote.mkdir()
    minari.upload_dataset("guarded-v0", remote_path=remote.as_uri(), progress=False)
    minari.delete_dataset("guarded-v0")
    minari.download_dataset("guarded-v0", remote_path=remote.as_uri(), progress=False)
    expect_changed(load_dataset("guarded-v0"))
    assert verify_dataset("guarded-v0").ok


@contextmanager
def files_of_at_most(nbytes: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@every_format
@pytest.mark.parametrize(
    "work",
    [
        lambda dataset: dataset.storage.update_episode_metadata([PLAIN] * 3),
        lambda dataset: dataset.update_dataset_from_buffer([some_episode(3)]),
    ],
    ids=["metadata", "append"],
)
@pytest.mark.parametrize("refused", ["the first file", "metadata.json"])
def test_what_the_disk_refuses_is_told_and_changes_nothing(
    tmp_path: Path, data_format: str, work: Callable[[MinariDataset], object], refused: str
) -> None:
    data = stored(tmp_path, data_format)
    dataset = load_dataset("guarded-v0")
    dataset.storage.update_metadata({"description": "long " * 20_000})
    before = list(dataset)
    with files_of_at_most(10 if refused == "the first file" else 90_000):
        with pytest.raises(DatasetWriteError) as raised:
            work(dataset)
        assert str(tmp_path) in str(raised.value)
    for seen in (dataset, load_dataset("guarded-v0")):
        for episode, wanted in zip(seen, before, strict=True):
            expect_same_episode(episode, wanted)
    assert found() == ([], [])
    assert not list(data.glob(".update-*"))
    work(dataset)


@forks
@every_format
def test_what_several_processes_change_is_all_there(tmp_path: Path, data_format: str) -> None:
    stored(tmp_path, data_format)
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            try:
                for each in range(3):
                    change({f"key{number}": each}, {f"all{number}": each}, indices=[number, 0])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 3
    dataset = load_dataset("guarded-v0")
    assert [dataset[number].metadata[f"key{number}"] for number in range(3)] == [2] * 3
    assert [dataset[0].metadata[f"all{number}"] for number in range(3)] == [2] * 3
    assert found() == ([], [])


def test_a_staging_folder_outside_is_refused(tmp_path: Path) -> None:
    data = stored(tmp_path, "arrow")
    path = data / "metadata.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for staged in ("../other", ".update-x", 3, f".update-{'0' * 32}/.."):
        content["minari_core"]["staged"] = staged
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(DatasetDamagedError, match="staged"):
            load_dataset("guarded-v0")


def test_an_episode_in_another_file_is_not_changed(tmp_path: Path) -> None:
    """As combinations of before 0.5 have them."""
    data = stored(tmp_path, "hdf5")
    without_checksums(data)
    with h5py.File(data / "main_data.hdf5", "a") as file:
        with h5py.File(data / "other.hdf5", "w") as other:
            file.copy("episode_1", other, "episode_1")
        del file["episode_1"]
        file["episode_1"] = h5py.ExternalLink("other.hdf5", "/episode_1")
    assert load_dataset("guarded-v0")[1].metadata == {"word": "remarkable-1"}
    with pytest.raises(minari.DataError, match="convert the dataset"):
        change({"grade": 1}, indices=[1])
    change({"grade": 1}, indices=[0])
    assert load_dataset("guarded-v0")[1].metadata == {"word": "remarkable-1"}
    assert isinstance(load_dataset("guarded-v0").storage._inner, PublicStorage)
