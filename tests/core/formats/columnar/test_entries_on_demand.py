"""Of a manifest of many shards, an entry is read and checked when it is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minari_core import DatasetDamagedError, load_dataset
from minari_core.formats.columnar import manifest as manifests
from minari_core.formats.columnar.manifest import compute_snapshot_checksum, read_manifest
from minari_core.formats.shards.entry import ShardEntries
from tests.core.helpers.many_shards import create_of_single_episodes

SHARDS = 6


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(manifests, "_READ_AT_ONCE", SHARDS - 1)
    return Path(str(create_of_single_episodes("tests/many-v0", SHARDS).spec.data_path))


def change(folder: Path, number: int, **values: Any) -> None:
    """Change the entry of a shard, as a program would that writes wrong manifests."""
    path = folder / "metadata.json"
    content = json.loads(path.read_text())
    listing = content["columnar"]
    listing["shards"][number].update(values)
    listing["crc32"] = compute_snapshot_checksum(listing)
    path.write_text(json.dumps(content))


def test_entries_are_those_that_are_read_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = read_manifest(folder).snapshot
    monkeypatch.setattr(manifests, "_READ_AT_ONCE", SHARDS)
    at_once = read_manifest(folder).snapshot
    assert isinstance(later.shards, ShardEntries)
    assert isinstance(at_once.shards, tuple)
    assert later.shards == at_once.shards
    assert later == read_manifest(folder).snapshot
    assert [*later.shards] == [later.shards[number] for number in range(SHARDS)]
    assert later.shards[1:3] == at_once.shards[1:3]
    assert later.list_counts() == at_once.list_counts()


def test_a_dataset_with_such_a_manifest_is_read_and_added_to(folder: Path) -> None:
    dataset = load_dataset("tests/many-v0")
    assert [episode.observations[0, 1] for episode in dataset] == list(range(SHARDS))
    other = load_dataset("tests/many-v0")
    other.update_dataset_from_buffer([dataset[0]])
    assert len(other) == SHARDS + 1
    assert dataset.newer_episodes() == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"file": "../shard.h5"}, "leaves the dataset's folder"),
        ({"schema": 7}, "has no schema 7"),
        ({"bytes": -1}, "-1 is not a count"),
        ({"arrays": []}, "has 0 arrays"),
    ],
)
def test_a_wrong_entry_is_damage_when_it_is_asked_for(
    folder: Path, values: dict[str, Any], message: str
) -> None:
    change(folder, 4, **values)
    shards = read_manifest(folder).snapshot.shards
    assert shards[3].steps == 3
    with pytest.raises(DatasetDamagedError, match=message) as raised:
        shards[4]
    assert str(folder / "metadata.json") in str(raised.value)


@pytest.mark.parametrize("count", [-1, True, 1.0, "1", 2**63, None])
def test_a_wrong_count_is_damage_at_once(folder: Path, count: object) -> None:
    change(folder, 4, steps=count)
    with pytest.raises(DatasetDamagedError, match="is not a count"):
        read_manifest(folder)


def test_a_count_that_its_arrays_contradict_is_damage(folder: Path) -> None:
    steps = read_manifest(folder).snapshot.shards[4].steps
    change(folder, 4, steps=steps + 1)
    change(folder, 5, steps=steps - 1)
    with pytest.raises(DatasetDamagedError, match="is said to have 4 steps, but its array"):
        read_manifest(folder).snapshot.shards[4]


def test_a_text_that_is_not_as_it_was_written_is_damage(folder: Path) -> None:
    path = folder / "metadata.json"
    text = path.read_text()
    crc32 = json.loads(text)["columnar"]["shards"][2]["crc32"]
    path.write_text(text.replace(str(crc32), str(crc32 ^ 1)))
    with pytest.raises(DatasetDamagedError, match="checksum"):
        read_manifest(folder)
