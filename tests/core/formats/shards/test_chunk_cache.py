"""How many threads decode chunks."""

from __future__ import annotations

import os

import pytest

from minari_core.formats.shards.chunk_cache import _count_processors


def test_the_processors_of_this_process_are_counted_or_all_or_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert _count_processors() == 3
    # Elsewhere than on Linux.
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert _count_processors() == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _count_processors() == 1
