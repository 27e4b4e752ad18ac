"""Test how episodes are appended to a storage: all or none, and by what rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from minari_core.episodes import Episode
from minari_core.errors import DataError, EpisodeIndexError, IncompatibleDatasetsError
from minari_core.testing.case import StorageCase
from minari_core.testing.examples import POSITION, simple_episode
from minari_core.testing.expectations import expect, expect_raises


class AppendingConformance(StorageCase):
    """The contract of `Storage.append_episodes` and `Storage.append_storage`."""

    def test_an_append_that_fails_adds_nothing(self) -> None:
        """Neither an error of the caller's iterator nor a bad episode leaves anything behind."""
        storage = self._fill(2, 1)
        bytes_before = storage.nbytes

        def fail_midway() -> Iterator[Episode]:
            yield simple_episode(8, 3)
            raise KeyError("the caller's own error")

        bad = simple_episode(9, 2)
        bad.rewards = np.zeros(1)
        expect_raises(KeyError, lambda: storage.append_episodes(fail_midway()))
        for episodes in ([simple_episode(8, 3), bad], [bad]):
            expect_raises(DataError, lambda: storage.append_episodes(episodes))  # noqa: B023
        other = simple_episode(9, 2)
        other.observations = np.zeros((3, 2), dtype=np.float32)
        expect_raises(DataError, lambda: storage.append_episodes([other]))
        expect(storage.nbytes == bytes_before, "something was left behind")
        self._expect_simple(storage, [0, 1], [2, 1])
        storage.append_episodes([simple_episode(2, 4)])
        self._expect_simple(storage, [0, 1, 2], [2, 1, 4])

    def test_rows_of_another_shape_than_their_space_are_refused(self) -> None:
        """Also by an empty storage, where no episode before has the right shape."""
        storage = self._fill()
        wide = simple_episode(0, 2)
        wide.observations = np.zeros((3, 5))
        expect_raises(DataError, lambda: storage.append_episodes([wide]))
        expect(storage.total_episodes == 0, "an episode was added")

    def test_episodes_of_another_storage_can_be_appended(self) -> None:
        """All of them, or some in any order, and the source stays as it is."""
        source, target = self._fill(2, 1, 3), self._fill(1)
        expect(target.append_storage(source) == range(1, 4), "other indices were promised")
        self._expect_simple(target, [0, 0, 1, 2], [1, 2, 1, 3])
        expect(target.append_storage(source, [2, 0, 2]) == range(4, 7), "other indices")
        self._expect_simple(target, [0, 0, 1, 2, 2, 0, 2], [1, 2, 1, 3, 3, 2, 3])
        expect(len(target.append_storage(source, [])) == 0, "nothing added something")
        self._expect_simple(source, [0, 1, 2], [2, 1, 3])

    def test_a_storage_can_be_appended_to_itself(self) -> None:
        """Its episodes are then there twice."""
        storage = self._fill(2, 1)
        storage.append_storage(storage)
        self._expect_simple(storage, [0, 1, 0, 1], [2, 1, 2, 1])
        storage.append_storage(storage, [3, 0])
        self._expect_simple(storage, [0, 1, 0, 1, 1, 0], [2, 1, 2, 1, 1, 2])
        storage.compact()
        self._expect_simple(storage, [0, 1, 0, 1, 1, 0], [2, 1, 2, 1, 1, 2])

    def test_an_append_of_episodes_that_are_not_there_adds_nothing(self) -> None:
        """An index outside the source is refused before anything is added."""
        source, target = self._fill(2, 1), self._fill(3)
        for indices in ([0, 2], [-1], [0, 1, 5]):
            expect_raises(EpisodeIndexError, lambda: target.append_storage(source, indices))  # noqa: B023
        self._expect_simple(target, [0], [3])

    def test_a_storage_with_other_spaces_cannot_be_appended(self) -> None:
        """The message says which space differs."""
        target = self._fill(2)
        other = self.new_storage(POSITION, spaces.Discrete(4))
        error = expect_raises(IncompatibleDatasetsError, lambda: target.append_storage(other))
        expect("action_space" in str(error), f"the message does not name the space: {error}")
