"""The conformance suite of storages notices those that break a promise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from minari_core.episodes.episode import EpisodeData
from minari_core.errors import EpisodeIndexError
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.storage.base import Storage
from minari_core.testing import StorageConformance


class Sorting(MemoryStorage):
    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        return super().read_episodes(sorted(indices), copy=copy)


class Sharing(MemoryStorage):
    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        return super().read_episodes(indices, copy=False)


class Forgetting(MemoryStorage):
    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        return (replace(each, seed=None) for each in super().read_episodes(indices, copy=copy))


class Wrapping(MemoryStorage):
    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        for index in indices:
            try:
                yield from super().read_episodes([index], copy=copy)
            except EpisodeIndexError:
                yield from super().read_episodes([0], copy=copy)


class Miscounting(MemoryStorage):
    @property
    def total_steps(self) -> int:
        return super().total_steps + 1


class TakingPart(MemoryStorage):
    def append_episodes(self, episodes: Iterable[Any]) -> range:
        first = self.total_episodes
        for episode in episodes:
            super().append_episodes([episode])
        return range(first, self.total_episodes)


class Keeping(MemoryStorage):
    def update_episode_metadata(self, metadatas: Any, episode_indices: Any = None) -> None:
        kept = [{k: v for k, v in each.items() if v is not None} for each in metadatas]
        super().update_episode_metadata(kept, episode_indices)


class Mixing(MemoryStorage):
    def compact(self) -> None:
        super().compact()
        self.update_episode_metadata([{"grade": 5}], [0])


PROMISES: dict[type[MemoryStorage], str] = {
    Sorting: "test_episodes_are_read_in_the_order_of_their_indices",
    Sharing: "test_copies_can_be_written_to",
    Forgetting: "test_what_is_said_of_an_episode_comes_back",
    Wrapping: "test_an_index_outside_is_refused",
    Miscounting: "test_an_empty_storage_has_nothing",
    Keeping: "test_none_takes_a_value_away",
    Mixing: "test_episodes_are_added_and_compacted_after_a_change",
    TakingPart: "test_an_append_that_fails_adds_nothing",
}


@pytest.mark.parametrize("broken", PROMISES)
def test_a_broken_promise_is_noticed_and_a_kept_one_is_not(broken: type[MemoryStorage]) -> None:
    def suite_of(kind: type[MemoryStorage]) -> StorageConformance:
        class Conformance(StorageConformance):
            def new_storage(self, observation_space: Any, action_space: Any) -> Storage:
                return kind(observation_space, action_space)

        return Conformance()

    getattr(suite_of(MemoryStorage), PROMISES[broken])()
    with pytest.raises(AssertionError):
        getattr(suite_of(broken), PROMISES[broken])()
