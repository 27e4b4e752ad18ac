"""PyTorch's DataLoader reads a stream with workers, which fetch each block once between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_core import open_stream
from minari_core.ranges import claims
from tests.core.helpers.streams import LoggingSource, count_blocks, read_log, write_numbered

torch: Any = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from minari_core.torch import BatchDataset  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.skipif(
        not hasattr(getattr(claims, "fcntl", None), "F_OFD_SETLK"),
        reason="needs locks of open files",
    ),
]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_four_workers_of_a_loader_fetch_each_block_of_a_stream_once(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))
    wanted = write_numbered(tmp_path / "data", 120_000)
    source = LoggingSource(tmp_path / "data", tmp_path / "log", 0.01)
    stream = open_stream(source)
    data = BatchDataset(stream, 256, seed=3)
    loader = DataLoader(
        data, batch_size=None, num_workers=4, multiprocessing_context=method, prefetch_factor=2
    )
    by_itself = DataLoader(BatchDataset(open_stream(source), 256, seed=3), batch_size=None)
    alone = [batch["observations"].numpy() for batch in by_itself]
    for path in (tmp_path / "cache/streams").glob("*/contents/*"):
        if path.suffix in (".blocks", ".data"):
            path.unlink()
    read_log(tmp_path / "log")

    seen = [batch["observations"].numpy() for batch in loader]

    for found, other in zip(seen, alone, strict=True):
        np.testing.assert_array_equal(found, other)
        np.testing.assert_array_equal(found, wanted[found[:, 0].astype(int)])
    assert set(count_blocks(read_log(tmp_path / "log")).values()) == {1}
