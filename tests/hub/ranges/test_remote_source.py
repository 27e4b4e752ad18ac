"""Any remote is a source of byte ranges, and its datasets are streamed by id or URL."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from minari_core.errors import DatasetNotFoundError
from minari_core.ranges.source import RangeSource
from minari_core.testing import RangeSourceConformance
from minari_hub import stream_dataset
from minari_hub.ranges.remote import RemoteSource
from minari_hub.remotes.folder import FolderRemote
from tests.core.helpers.streams import write_dataset


class TestRemoteSource(RangeSourceConformance):
    def new_source(self, tmp_path: Path, objects: Mapping[str, bytes]) -> RangeSource:
        (tmp_path / "x-v0/data").mkdir(parents=True, exist_ok=True)
        for name, content in objects.items():
            (tmp_path / "x-v0/data" / name).write_bytes(content)
        return RemoteSource(FolderRemote(tmp_path), "x-v0/data/")

    def replace(self, source: RangeSource, tmp_path: Path, name: str, content: bytes) -> None:
        (tmp_path / "new").write_bytes(content)
        os.replace(tmp_path / "new", tmp_path / "x-v0/data" / name)


def test_a_dataset_is_streamed_by_its_id_and_by_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    local = write_dataset(tmp_path / "remote/some/x-v0/data")
    remote = (tmp_path / "remote").as_uri()

    for stream in (
        stream_dataset("some/x-v0", remote_path=remote),
        pickle.loads(pickle.dumps(stream_dataset(f"{remote}/some/x-v0", cache_nbytes=0))),
    ):
        np.testing.assert_array_equal(stream[1].observations, local[1].observations)
    with pytest.raises(DatasetNotFoundError, match="did you mean some/x-v0"):
        stream_dataset("some/y-v0", remote_path=remote)
