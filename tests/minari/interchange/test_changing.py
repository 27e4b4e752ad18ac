"""Infos whose values change their kind from shard to shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari_core.datasets.dataset import get_raw_storage
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.rows import expect_same_rows

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

WRITING: dict[str, dict[str, Any]] = {
    "bundle": {"tables": False},
    "lerobot": {"fps": 10, "task": "any"},
    "rlds": {},
    "robomimic": {},
    "ogbench": {},
}
SUFFIXES = {"robomimic": ".hdf5", "ogbench": ".npz"}


def make_episode(**infos: Any) -> minari.EpisodeBuffer:
    return minari.EpisodeBuffer(
        observations=np.zeros((3, 2)),
        actions=np.zeros((2, 1), np.float32),
        rewards=np.ones(2),
        terminations=[False, True],
        truncations=[False, False],
        infos=infos,
    )


@pytest.mark.parametrize("layout", WRITING)
def test_what_is_imported_is_what_it_was_or_of_a_kind_that_was_told(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    dataset = minari.create_dataset_from_buffers(
        "changing-v0",
        [make_episode(whole=np.arange(3), gap=np.arange(3), note=["a", "b", "c"])],
        observation_space=spaces.Box(-1, 1, (2,), np.float64),
        action_space=spaces.Box(-1, 1, (1,), np.float32),
    )
    get_raw_storage(dataset).append_episodes(
        [make_episode(whole=np.full(3, 0.5), gap=[None, 4, 5], note=["d", None, "f"])]
    )
    path = tmp_path / f"out{SUFFIXES.get(layout, '')}"

    losses = minari.export_dataset(dataset, path, layout, **WRITING[layout])
    made = minari.import_dataset(path, "again-v0")

    told = {loss.what for loss in losses if "differs between shards" in loss.reason}
    assert told == (set() if layout == "bundle" else {"infos/whole"})
    for episode, again in zip(dataset, made, strict=True):
        if told:
            assert again.infos["whole"].tolist() == episode.infos["whole"].tolist()
            for name in ("gap", "note"):
                expect_same_rows(again.infos[name], episode.infos[name])
        else:
            expect_same_episode(episode, again)
