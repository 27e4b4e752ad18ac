"""What is downloaded is put to its place, whatever somebody else does at that moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import minari
from minari_core.local.locations import dataset_folder, datasets_root
from minari_core.local.publishing import check_id_is_free
from minari_hub import download_dataset, upload_dataset
from tests.hub.helpers.datasets import collect, files_of, is_intact, leftovers, make_shards


def test_a_dataset_that_somebody_creates_while_it_is_downloaded_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (tmp_path / "shared").as_uri()
    make_shards("n/x-v0", shards=2, steps=20)
    files = files_of("n/x-v0")
    upload_dataset("n/x-v0", remote_path=url)
    minari.delete_dataset("n/x-v0")

    def check_and_let_another_be_first(dataset_id: str) -> None:
        check_id_is_free(dataset_id)
        collect(dataset_id)

    with monkeypatch.context() as patch:
        patch.setattr(
            "minari_hub.datasets.installing.check_id_is_free", check_and_let_another_be_first
        )
        with pytest.raises(minari.DatasetExistsError, match=r"somebody else meanwhile.*force_down"):
            download_dataset("n/x-v0", remote_path=url)

    others = files_of("n/x-v0")
    assert is_intact({"n/x-v0": others})
    assert others != files
    download_dataset("n/x-v0", force_download=True, remote_path=url)
    assert is_intact({"n/x-v0": files})
    assert leftovers() == []


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow"])
def test_what_arrived_damaged_is_not_used_again(tmp_path: Path, data_format: str) -> None:
    url = (tmp_path / "shared").as_uri()
    first = collect("first-v0")
    minari.convert_dataset(first, "x-v0", data_format=data_format)
    files = files_of("x-v0")
    upload_dataset("x-v0", remote_path=url)
    for name in ("first-v0", "x-v0"):
        minari.delete_dataset(name)
    folder = tmp_path / "shared/x-v0/data"
    path = max((path for path in folder.rglob("*") if path.is_file()), key=_size)
    whole, status = path.read_bytes(), path.stat()
    # The remote has it right soon after, and tells nobody: a folder keeps no checksums.
    path.write_bytes(bytes(byte ^ 1 for byte in whole))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(minari.DatasetDamagedError):
        download_dataset("x-v0", remote_path=url)
    assert not dataset_folder("x-v0").exists()
    path.write_bytes(whole)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    download_dataset("x-v0", remote_path=url)

    assert is_intact({"x-v0": files})
    assert leftovers() == []
    assert datasets_root().exists()


def _size(path: Path) -> int:
    return path.stat().st_size
