"""`minari.load_dataset` streams a dataset instead of opening a local one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minari
from minari_core.errors import DatasetIdError
from tests.core.helpers.streams import write_dataset


def test_a_url_is_streamed_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    local = write_dataset(tmp_path / "remote/x-v0/data")

    stream = minari.load_dataset((tmp_path / "remote/x-v0").as_uri(), stream=True)

    np.testing.assert_array_equal(stream[3].rewards, local[3].rewards)
    assert stream.stream_statistics().requests > 0
    assert minari.list_local_datasets() == {}
    with pytest.raises(DatasetIdError, match="give file:///"):
        minari.load_dataset(tmp_path / "remote/x-v0", stream=True)
