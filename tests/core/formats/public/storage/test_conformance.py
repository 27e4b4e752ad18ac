"""The public layouts keep the promises of `Storage`, for the spaces that they hold."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from gymnasium import spaces

from minari_core.environments.space_json import space_to_json
from minari_core.errors import SpaceError
from minari_core.formats.registry import new_storage, open_storage
from minari_core.storage.base import Storage
from minari_core.testing import SPACES, StorageConformance, simple_episode
from minari_core.testing.expectations import expect_raises

Spaces: TypeAlias = Mapping[str, spaces.Space[Any]]

HOLDABLE: dict[str, spaces.Space[Any]] = {
    **{
        name: space
        for name, space in SPACES.items()
        if not any(word in name for word in ("sequence", "graph", "one of", "text", "dict"))
    },
    "text": spaces.Text(5, min_length=0, charset="aé😀"),
    "dict": spaces.Dict(
        {
            "a b": spaces.Discrete(3),
            "%": spaces.Dict({"..": spaces.Text(3), "é": spaces.Dict()}),
            "x": spaces.Box(0, 1, (2,)),
        }
    ),
}

FULL = {
    name: space
    for name, space in HOLDABLE.items()
    if name not in ("box without elements", "tuple", "dict")
} | {
    "dict": spaces.Dict({"a b": spaces.Discrete(3), "x": spaces.Dict(y=spaces.Text(3))}),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Tuple([spaces.Box(0, 1, (1,))])]),
}
"""Arrow has no column for what has no element."""


def described(
    observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
) -> dict[str, Any]:
    return {
        "dataset_id": "tests/conformance-v0",
        "observation_space": space_to_json(observation_space),
        "action_space": space_to_json(action_space),
    }


class _OnDisk(StorageConformance):
    data_format = ""

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path: Path) -> None:
        self._folders = (tmp_path / f"storage-{number}" for number in itertools.count())

    def spaces_to_hold(self) -> Spaces:
        return HOLDABLE if self.data_format == "hdf5" else FULL

    def created(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        folder = next(self._folders)
        folder.mkdir()
        return new_storage(folder, described(observation_space, action_space), self.data_format)


class _Created(_OnDisk):
    """A dataset while it is being created, and as others see it once it is saved."""

    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        return self.created(observation_space, action_space)

    def reopen(self, storage: Storage) -> Storage:
        storage.save()
        assert storage.data_path is not None
        return open_storage(storage.data_path)


class _Opened(_OnDisk):
    """A dataset that others may add to."""

    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        storage = self.created(observation_space, action_space)
        storage.save()
        assert storage.data_path is not None
        return open_storage(storage.data_path)

    def reopen(self, storage: Storage) -> Storage:
        assert storage.data_path is not None
        return open_storage(storage.data_path)

    def test_what_another_object_adds_is_taken_in_by_a_refresh(self) -> None:
        storage = self._fill(2, 1)
        other = self.reopen(storage)
        other.append_episodes([simple_episode(2, 4)])
        assert storage.total_episodes == 2
        assert storage.newer_episodes() == 1
        assert [episode.id for episode in storage.read_episodes([0, 1])] == [0, 1]
        assert storage.refresh()
        self._expect_simple(storage, [0, 1, 2], [2, 1, 4])

    def test_appends_of_two_objects_that_do_not_refresh_both_stay(self) -> None:
        storage = self._fill(2)
        other = self.reopen(storage)
        assert other.append_episodes([simple_episode(1, 3)]) == range(1, 2)
        assert storage.append_episodes([simple_episode(2, 1)]) == range(2, 3)
        other.refresh()
        self._expect_simple(other, [0, 1, 2], [2, 3, 1])

    def test_a_failed_append_leaves_no_file(self) -> None:
        storage = self._fill(2)
        assert storage.data_path is not None
        before = sorted(path.name for path in storage.data_path.iterdir())
        bad = simple_episode(1, 2)
        bad.actions = "none"
        expect_raises(Exception, lambda: storage.append_episodes([simple_episode(1, 2), bad]))
        assert sorted(path.name for path in storage.data_path.iterdir()) == before


class TestCreatedHdf5(_Created):
    data_format = "hdf5"


class TestOpenedHdf5(_Opened):
    data_format = "hdf5"


class TestCreatedArrow(_Created):
    data_format = "arrow"


class TestOpenedArrow(_Opened):
    data_format = "arrow"


class TestOpenedParquet(_Opened):
    data_format = "parquet"


_REFUSED = [
    *(("hdf5", name) for name in SPACES if name not in HOLDABLE),
    *((name, space) for name in ("arrow", "parquet") for space in SPACES if space not in FULL),
    ("arrow", "dict"),
    ("parquet", "tuple"),
]


@pytest.mark.parametrize(("data_format", "name"), _REFUSED)
def test_a_space_that_the_layout_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, data_format: str, name: str
) -> None:
    space = spaces.Dict(inner=SPACES[name])
    with pytest.raises(SpaceError, match=f"observation_space.*inner.*{data_format}"):
        new_storage(tmp_path, described(space, spaces.Discrete(2)), data_format)
    assert not list(tmp_path.iterdir())
