"""The validator and reader of Croissant, unmodified, on what is published beside a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest

from minari_hub.bundle.files import write_bundle
from tests.hub.bundle.examples import make_dataset, publish


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    published = tmp_path / "published"
    published.mkdir()
    return published


def restore(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "convert"):
        return np.asarray(value).tolist()
    if isinstance(value, list):
        return [restore(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def test_the_validator_has_no_error_and_no_warning_and_reads_our_records(folder: Path) -> None:
    dataset = make_dataset()
    write_bundle(dataset, publish(dataset), folder, {})

    read = mlcroissant.Dataset(jsonld=folder / "croissant.json")

    assert read.metadata.ctx.issues.errors == set()
    assert read.metadata.ctx.issues.warnings == set()
    steps = [
        {key.partition("/")[2]: restore(value) for key, value in record.items()}
        for record in read.records("steps")
    ]
    expected = [
        {
            "episode_id": episode.id,
            "step": step,
            "observation.camera": episode.observations["camera"][step].tolist(),
            "observation.frame": episode.observations["frame"][step].tolist(),
            "observation.position": episode.observations["position"][step].tolist(),
            "action": int(episode.actions[step]),
            "reward": float(episode.rewards[step]),
            "terminated": bool(episode.terminations[step]),
            "truncated": bool(episode.truncations[step]),
        }
        for episode in dataset
        for step in range(len(episode))
    ]
    assert steps == expected
    episodes = list(read.records("episodes"))
    assert [int(each["episodes/length"]) for each in episodes] == [4, 6, 2]
    assert [record["splits/name"] for record in read.records("splits")] == ["train", "test"]
