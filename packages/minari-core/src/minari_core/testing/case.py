"""The base of the tests of a storage: a storage to test, filled and compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.storage.base import Storage
from minari_core.testing.examples import MOVE, POSITION, SPACES, simple_episode
from minari_core.testing.expectations import expect, expect_same


class StorageCase(ABC):
    """A storage to test, and helpers to fill it and to compare what it holds."""

    @abstractmethod
    def new_storage(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> Storage:
        """Make an empty storage; several may exist at the same time."""

    def reopen(self, storage: Storage) -> Storage:
        """Open the storage again from its folder; return itself if it has none."""
        return storage

    def spaces_to_hold(self) -> Mapping[str, spaces.Space[Any]]:
        """Return the spaces to test with, by name; fewer if a format cannot hold every kind."""
        return SPACES

    def _fill(self, *lengths: int) -> Storage:
        storage = self.new_storage(POSITION, MOVE)
        storage.append_episodes(simple_episode(i, steps) for i, steps in enumerate(lengths))
        return storage

    def _read_all(self, storage: Storage, **options: bool) -> list[EpisodeData]:
        return list(storage.read_episodes(range(storage.total_episodes), **options))

    def _expect_simple(
        self, storage: Storage, numbers: Sequence[int], lengths: Sequence[int]
    ) -> None:
        """Fail unless the storage has exactly these simple episodes."""
        for seen in (storage, self.reopen(storage)):
            expect(seen.total_episodes == len(numbers), f"{seen.total_episodes} episodes")
            expect(seen.total_steps == sum(lengths), f"{seen.total_steps} steps")
            expect_same(list(seen.episode_lengths()), [np.int64(n) for n in lengths], "lengths")
            described = list(seen.read_episode_metadata(range(len(numbers))))
            for index, episode in enumerate(self._read_all(seen)):
                wanted = simple_episode(numbers[index], lengths[index])
                expect(episode.id == index, f"episode {index} has id {episode.id}")
                for name in list(EpisodeData.__dataclass_fields__)[1:-1]:
                    found = getattr(episode, name)
                    expect_same(found, getattr(wanted, name), f"episode {index}: {name}")
                for name in ("id", "seed", "options", "metadata"):
                    expect_same(getattr(described[index], name), getattr(episode, name), name)
                expect(described[index].total_steps == lengths[index], "another length")
