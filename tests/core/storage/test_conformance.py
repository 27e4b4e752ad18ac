"""Every storage of this package keeps the promises of `Storage`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from gymnasium import spaces

from minari_core.environments.space_json import space_to_json
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.shard_folder import ShardFolder
from minari_core.storage.base import Storage
from minari_core.testing import StorageConformance, simple_episode
from minari_core.testing.expectations import expect_raises


def described(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> dict[str, Any]:
    return {
        "dataset_id": "tests/conformance-v0",
        "data_format": "columnar",
        "observation_space": space_to_json(observation_space),
        "action_space": space_to_json(action_space),
    }


class TestMemoryStorage(StorageConformance):
    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        return MemoryStorage(observation_space, action_space)


class _OnDisk(StorageConformance):
    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self._folders = (tmp_path / f"storage-{number}" for number in itertools.count())

    def folder(self) -> Path:
        folder = next(self._folders)
        folder.mkdir()
        return folder


class TestStagedShardFolder(_OnDisk):
    """Shards that only one process knows of, as a collector stages them."""

    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        metadata = described(observation_space, action_space)
        return ShardFolder(self.folder(), Manifest(metadata, Snapshot(uid="staged")))


class TestCreatedColumnarStorage(_OnDisk):
    """A dataset while it is being created, and as others see it once it is saved."""

    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        metadata = described(observation_space, action_space)
        return ColumnarStorage.create(self.folder(), metadata)

    def reopen(self, storage: Storage) -> Storage:
        storage.save()
        assert storage.data_path is not None
        return ColumnarStorage.open(storage.data_path)


class TestOpenedColumnarStorage(_OnDisk):
    """A dataset that others may add to, and as somebody sees it who opens it afterwards."""

    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        folder = self.folder()
        ColumnarStorage.create(folder, described(observation_space, action_space)).save()
        return ColumnarStorage.open(folder)

    def reopen(self, storage: Storage) -> Storage:
        assert storage.data_path is not None
        return ColumnarStorage.open(storage.data_path)

    def test_what_another_object_adds_is_taken_in_by_a_refresh(self) -> None:
        storage = self._fill(2, 1)
        other = self.reopen(storage)
        other.append_episodes([simple_episode(2, 4)])
        assert storage.total_episodes == 2
        assert [episode.id for episode in storage.read_episodes([0, 1])] == [0, 1]
        assert storage.refresh()
        self._expect_simple(storage, [0, 1, 2], [2, 1, 4])
        assert not storage.refresh()

    def test_appends_of_two_objects_that_do_not_refresh_both_stay(self) -> None:
        storage = self._fill(2)
        other = self.reopen(storage)
        assert other.append_episodes([simple_episode(1, 3)]) == range(1, 2)
        assert storage.append_episodes([simple_episode(2, 1)]) == range(2, 3)
        assert other.append_storage(other, [0]) == range(3, 4)
        self._expect_simple(other, [0, 1, 2, 0], [2, 3, 1, 2])

    def test_a_failed_append_leaves_no_file(self) -> None:
        storage = self._fill(2)
        assert storage.data_path is not None
        before = sorted(path.name for path in storage.data_path.iterdir())
        bad = simple_episode(1, 2)
        bad.actions = "none"
        expect_raises(Exception, lambda: storage.append_episodes([simple_episode(1, 2), bad]))
        source = self._fill(1, 1)
        expect_raises(Exception, lambda: storage.append_storage(source, [0, 1, 7]))
        assert sorted(path.name for path in storage.data_path.iterdir()) == before
