"""A disk that fills while HDF5 writes gives an error, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from minari_core.errors import DatasetWriteError
from minari_core.formats.public.hdf5.placeholder import write_placeholder
from minari_core.formats.public.hdf5.writable_file import WritableFile

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no limit on the size of files"
)

PREPARE = """
import os, resource, sys
import numpy as np
from pathlib import Path
from gymnasium import spaces
import minari_core
from minari_core import EpisodeBuffer, create_dataset_from_buffers, load_dataset

os.environ["MINARI_DATASETS_PATH"] = sys.argv[1]

def buffers(count):
    return [
        EpisodeBuffer(
            observations=np.full((41, 64), number, np.float32), actions=np.zeros(40, np.int64),
            rewards=np.ones(40), terminations=np.arange(40) == 39, truncations=np.zeros(40, bool),
            infos={"text": ["x" * 9] * 41, "pair": {"a": np.ones((41, 2)), "b": np.ones(41)}},
        )
        for number in range(count)
    ]

def create(count):
    return create_dataset_from_buffers(
        "full-v0", buffers(count), observation_space=spaces.Box(-9, 99, (64,), np.float32),
        action_space=spaces.Discrete(2), data_format="hdf5",
    )

def limit(nbytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, resource.RLIM_INFINITY))

def files():
    data = Path(sys.argv[1]) / "full-v0" / "data"
    return sorted(path.name for path in data.iterdir() if path.name != ".lock")
"""


def _run(folder: Path, code: str) -> None:
    script = PREPARE + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"


def test_an_append_to_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    _run(
        tmp_path,
        """
        dataset = create(2)
        before = files()
        full = 0
        size = (Path(sys.argv[1]) / "full-v0" / "data" / "main_data.hdf5").stat().st_size
        for nbytes in range(100, 30 * size // 2, size // 4 + 1):
            limit(nbytes)
            try:
                dataset.storage.append_episodes([dataset[0], *[dataset[1]] * 9])
            except minari_core.DatasetWriteError:
                full += 1
                assert dataset.storage.total_episodes == 2
            else:
                break
            finally:
                limit(resource.RLIM_INFINITY)
            assert files() == before, files()
            assert load_dataset("full-v0").total_episodes == 2
            assert np.array_equal(load_dataset("full-v0")[1].observations, dataset[1].observations)
        assert full > 10, full
        assert load_dataset("full-v0").total_episodes == 12
        """,
    )


def test_a_dataset_that_finds_a_full_disk_is_not_created(tmp_path: Path) -> None:
    _run(
        tmp_path,
        """
        for nbytes in (0, 90, 800, 2048, 5000, 20_000, 70_000, 100_001):
            limit(nbytes)
            try:
                create(20)
            except minari_core.DatasetWriteError:
                pass
            else:
                raise SystemExit(f"{nbytes} were enough")
            finally:
                limit(resource.RLIM_INFINITY)
            assert not minari_core.list_local_datasets()
            left = [path for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
            assert not [path for path in left if not path.name.endswith(".lock")], left
        """,
    )


def test_what_the_disk_refused_stays_readable_until_the_file_is_closed(tmp_path: Path) -> None:
    file = WritableFile(tmp_path / "file.h5", is_new=True)
    values = np.arange(5000.0)
    file.run(lambda h5: h5.create_dataset("before", data=values))
    file._disk._file.close()  # every write fails from here on
    file._disk._file = open(tmp_path / "file.h5", "rb", buffering=0)  # noqa: SIM115

    def write_and_read(h5: h5py.File) -> None:
        for number in range(50):
            h5.create_dataset(f"after/{number}", data=values + number)
        h5.flush()
        for number in range(50):
            assert np.array_equal(h5[f"after/{number}"][()], values + number)
        assert np.array_equal(h5["before"][()], values)

    with pytest.raises(DatasetWriteError, match=r"file\.h5 cannot be written"):
        file.run(write_and_read)
    with pytest.raises(DatasetWriteError):
        file.close()
    file.close()


def test_an_error_of_hdf5_is_one_of_writing(tmp_path: Path) -> None:
    file = WritableFile(tmp_path / "file.h5", is_new=True)
    file.run(lambda h5: h5.create_group("a"))
    with pytest.raises(DatasetWriteError, match="name already exists"):
        file.run(lambda h5: h5.create_group("a"))
    file.close()
    with pytest.raises(DatasetWriteError):
        WritableFile(tmp_path / "file.h5", is_new=True)
    (tmp_path / "other.h5").write_bytes(b"nothing")
    with pytest.raises(DatasetWriteError, match=r"other\.h5"):
        WritableFile(tmp_path / "other.h5", is_new=False)


def test_an_interrupt_between_two_writes_lets_hdf5_finish(tmp_path: Path) -> None:
    file = WritableFile(tmp_path / "file.h5", is_new=True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt_and_write(h5: h5py.File) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for number in range(200):
            h5[str(number)] = np.ones(100)

    try:
        with pytest.raises(KeyboardInterrupt):
            file.run(interrupt_and_write)
    finally:
        signal.signal(signal.SIGINT, before)
    file.close()
    with h5py.File(tmp_path / "file.h5") as h5:
        assert len(h5) == 200


def test_a_placeholder_is_an_hdf5_file_with_one_key(tmp_path: Path) -> None:
    write_placeholder(tmp_path)
    with h5py.File(tmp_path / "main_data.hdf5") as file:
        assert len(file) == 1
