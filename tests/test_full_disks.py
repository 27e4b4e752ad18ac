"""Full disks: whatever is written, the error says to free some space, and the command line too."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import minari
from minari.command_line.app import app
from minari_core.errors import DatasetWriteError, advise_on_refusal
from tests.helpers.command_line import CommandLine, collect

ADVICE = {
    errno.ENOSPC: "; that disk is full: free some space on it, and try again",
    errno.EDQUOT: "; your quota on that disk is used up: free some space, and try again",
}

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


def buffer() -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        observations=np.zeros((4, 1), np.float32),
        actions=np.zeros(3, np.int64),
        rewards=np.ones(3),
        terminations=np.arange(3) == 2,
        truncations=np.zeros(3, bool),
    )


def create(dataset_id: str, data_format: str = "columnar") -> minari.MinariDataset:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer()],
        observation_space=gymnasium.spaces.Box(-1, 1, (1,)),
        action_space=gymnasium.spaces.Discrete(2),
        data_format=data_format,
    )


def record() -> None:
    collector = minari.DataCollectorV0(gymnasium.make("CartPole-v1"), max_buffer_steps=4)
    collector.reset(seed=1)
    while not collector.step(0)[2]:
        pass
    minari.create_dataset_from_collector_env("toy/recorded-v0", collector)


WRITES: dict[str, Callable[[], object]] = {
    **{
        f"create {each}": lambda each=each: create("toy/new-v0", each)  # type: ignore[misc]
        for each in ("columnar", "hdf5", "arrow", "parquet")
    },
    **{
        f"add to {each}": lambda each=each: minari.load_dataset(  # type: ignore[misc]
            f"toy/{each}-v0"
        ).update_dataset_from_buffer([buffer()])
        for each in ("columnar", "hdf5", "arrow", "parquet")
    },
    "compact": lambda: minari.load_dataset("toy/columnar-v0").compact(),
    "record": record,
    "describe": lambda: minari.load_dataset("toy/hdf5-v0").storage.update_metadata({"a": "b"}),
    "create a namespace": lambda: minari.create_namespace("other"),
    "verify a remote dataset": lambda: minari.verify_remote_dataset(
        "toy/there-v0", remote_path=os.environ["REMOTE"]
    ),
    "download": lambda: minari.download_dataset(
        "toy/there-v0", remote_path=os.environ["REMOTE"], progress=False
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="Windows flushes by other means")
@pytest.mark.parametrize(
    ("name", "number"), [*((name, errno.ENOSPC) for name in WRITES), ("describe", errno.EDQUOT)]
)
def test_whatever_a_full_disk_refuses_says_to_free_some_space(
    name: str,
    number: int,
    tmp_path: Path,
    datasets_root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REMOTE", (tmp_path / "remote").as_uri())
    create("toy/there-v0")
    minari.upload_dataset("toy/there-v0", remote_path=os.environ["REMOTE"], progress=False)
    minari.delete_dataset("toy/there-v0")
    for data_format in ("columnar", "hdf5", "arrow", "parquet"):
        create(f"toy/{data_format}-v0", data_format)
    minari.load_dataset("toy/columnar-v0").update_dataset_from_buffer([buffer()])

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(DatasetWriteError) as caught:
            WRITES[name]()
    assert os.strerror(number) in str(caught.value)
    assert str(caught.value).endswith(ADVICE[number])
    if name == "download":
        assert "what was received is kept, and the next call goes on from there" in str(
            caught.value
        )
    WRITES[name]()


def test_what_hdf5_says_of_a_full_disk_is_understood() -> None:
    said = f"Can't write data (file write failed: time = now, errno = {errno.ENOSPC}, error = 'x')"
    with pytest.raises(DatasetWriteError) as caught:
        fail(RuntimeError(said))
    assert str(caught.value) == f"a file cannot be written{ADVICE[errno.ENOSPC]}"


def fail(cause: Exception | None) -> None:
    raise DatasetWriteError("a file cannot be written") from cause


def test_the_advice_goes_from_one_process_to_another_and_is_given_once() -> None:
    expected = f"a file cannot be written{ADVICE[errno.ENOSPC]}"
    with (
        multiprocessing.get_context("spawn").Pool(1) as pool,
        pytest.raises(DatasetWriteError) as caught,
    ):
        pool.apply(fail, [OSError(errno.ENOSPC, "full")])
    assert str(caught.value) == expected
    assert str(pickle.loads(pickle.dumps(caught.value))) == expected


def test_other_errors_get_no_such_advice() -> None:
    for cause in (OSError(errno.EIO, "broken"), ValueError("errno = 280,"), None):
        with pytest.raises(DatasetWriteError) as caught:
            fail(cause)
        assert str(caught.value) == "a file cannot be written"
        assert advise_on_refusal(caught.value) == ""


def test_the_command_line_advises_it_of_any_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    collect("cart/one-v0")
    monkeypatch.setattr("minari_hub.datasets.uploading.upload.upload_dataset", refuse)
    cli = CommandLine(app, "minari", capsys, monkeypatch)
    done = cli("upload", "cart/one-v0", "--remote", (tmp_path / "remote").as_uri())
    assert done.code == 1
    assert "that disk is full: free some space on it" in " ".join(done.err.split())
