"""Metadata that counts, or names, what no episode has is told before memory is taken for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, create_dataset_from_buffers, load_dataset, verify_dataset
from minari_core.errors import DatasetDamagedError

resource = pytest.importorskip("resource", reason="bounds the memory of this process")

PAGES = Path("/proc/self/statm")
pytestmark = [
    pytest.mark.filterwarnings("ignore::minari_core.MinariWarning"),
    pytest.mark.skipif(not PAGES.exists(), reason="only Linux says how much a process has"),
]

FORMATS = ("hdf5", "arrow", "parquet")


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    pages = int(PAGES.read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def some_episode() -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=np.ones((5, 2), np.float32),
        actions=np.zeros(4, np.int64),
        rewards=np.ones(4),
        terminations=np.arange(4) == 3,
        truncations=np.zeros(4, bool),
        infos={"late": [None, *range(4)]},
    )


def stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str, **claims: Any
) -> None:
    """A dataset of two episodes, whose metadata claims something else and has no checksums."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    create_dataset_from_buffers(
        "counted-v0",
        [some_episode()] * 2,
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    path = tmp_path / "counted-v0" / "data" / "metadata.json"
    manifest = json.loads(path.read_text())
    for key in ("crc32", "described", "checksums"):
        del manifest["minari_core"][key]
    manifest["minari_core"]["infos"]["fields"].update(claims.pop("infos", {}))
    path.write_text(json.dumps({**manifest, **claims}))


@pytest.mark.parametrize("data_format", FORMATS)
def test_nothing_is_added_after_episodes_that_are_counted_and_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str
) -> None:
    stored(tmp_path, monkeypatch, data_format, total_episodes=10**9)
    dataset = load_dataset("counted-v0")
    with pytest.raises(DatasetDamagedError, match=r"counts 1000000000 episodes.* has 2 of them"):
        dataset.update_dataset_from_buffer([some_episode()])
    assert load_dataset("counted-v0").total_episodes == 10**9
    assert not verify_dataset("counted-v0").ok


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_another_program_has_counted_is_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str
) -> None:
    stored(tmp_path, monkeypatch, data_format)
    dataset = load_dataset("counted-v0")
    dataset.update_dataset_from_buffer([some_episode()])
    assert len(list(load_dataset("counted-v0"))) == 3


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("nested", [False, True])
def test_a_column_that_no_episode_has_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_format: str, nested: bool
) -> None:
    column: Any = {"kind": "fixed", "dtype": "<f8", "shape": [10**8]}
    if nested:
        column = {"kind": "struct", "fields": {"deep": {"kind": "masked", "value": column}}}
    stored(tmp_path, monkeypatch, data_format, infos={"invented": column})
    dataset = load_dataset("counted-v0")
    with pytest.raises(DatasetDamagedError, match=r"episode 0 .*keys that it lacks.*claim"):
        dataset[0]
    with pytest.raises(DatasetDamagedError, match="episode 0 "):
        dataset.update_dataset_from_buffer([some_episode()])
    problem = verify_dataset("counted-v0").problems[0]
    assert problem.episode == 0
    assert "claim" in problem.message
