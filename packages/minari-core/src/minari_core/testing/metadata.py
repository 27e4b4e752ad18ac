"""Test how the metadata of stored episodes is changed: all or none, and never the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from minari_core.errors import EpisodeIndexError, MetadataError
from minari_core.storage.base import Storage
from minari_core.testing.case import StorageCase
from minari_core.testing.examples import MOVE, POSITION, simple_episode
from minari_core.testing.expectations import expect, expect_raises, expect_same, expect_same_episode

_VALUES: Mapping[str, Any] = {
    "number": 3,
    "score": -0.0,
    "flag": False,
    "text": "é\ud800",
    "empty": "",
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "list": [1, "a", None, (2.5,)],
    "nested": {"deep": {"x": 1}, "none": {}},
    "bytes": b"\0\xff",
    "huge": 2**100,
    "a/b": 1,
}
"""A value of every kind that metadata holds."""


class MetadataConformance(StorageCase):
    """The contract of `Storage.update_episode_metadata`."""

    def test_new_values_are_merged_into_the_metadata_of_episodes(self) -> None:
        """Of every kind, beside what was there; a later change of a key replaces it."""
        storage = self._fill(2, 1, 3)
        before = self._read_all(storage)
        storage.update_episode_metadata([_VALUES], [1])
        wanted = [dict(episode.metadata) for episode in before]
        wanted[1] |= _VALUES
        self._expect_metadata(storage, before, wanted)
        changes: list[dict[str, object]] = [{"name": "x", "number": n, "nested": {}} for n in "abc"]
        storage.update_episode_metadata(iter(changes))
        for metadata, change in zip(wanted, changes, strict=True):
            metadata.update(change)
        self._expect_metadata(storage, before, wanted)

    def test_steps_of_every_space_stay_as_they_are(self) -> None:
        """Whatever is changed beside them."""
        for name, space in self.spaces_to_hold().items():
            space.seed(4)
            storage = self.new_storage(space, space)
            for steps in (3, 1):
                buffer = simple_episode(steps, steps)
                buffer.observations = [space.sample() for _ in range(steps + 1)]
                buffer.actions = [space.sample() for _ in range(steps)]
                storage.append_episodes([buffer])
            before = self._read_all(storage)
            storage.update_episode_metadata([{"x": name}], [1])
            metadata = [dict(episode.metadata) for episode in before]
            self._expect_metadata(storage, before, [metadata[0], {**metadata[1], "x": name}])
            storage.compact()
            self._expect_metadata(storage, before, [metadata[0], {**metadata[1], "x": name}])

    def test_none_takes_a_value_away(self) -> None:
        """Reject the removal of a value, whether it was there or not."""
        storage = self._fill(2, 1)
        before = self._read_all(storage)
        storage.update_episode_metadata([{"grade": 1, "n": {"a": 1}}, {"blob": b"\0"}])
        storage.update_episode_metadata([{"grade": None, "n": None, "name": None, "no": None}], [0])
        wanted = [{}, {"name": "episode 1", "blob": b"\0"}]
        self._expect_metadata(storage, before, wanted)

    def test_a_seed_and_options_are_changed_by_their_names(self) -> None:
        """And what is read can be given back as it is."""
        storage = self._fill(2, 1)
        before = self._read_all(storage)
        said: list[tuple[int | None, dict[str, Any] | None]] = [
            (2**64 - 1, {"low": 0.5, "n": {"m": [1]}}),
            (None, None),
        ]
        storage.update_episode_metadata([{"seed": s, "options": o} for s, o in said])
        wanted = [
            replace(episode, seed=seed, options=options)
            for episode, (seed, options) in zip(before, said, strict=True)
        ]
        self._expect_metadata(storage, wanted, [dict(episode.metadata) for episode in before])
        as_read = [
            {"id": e.id, "total_steps": e.total_steps, "seed": e.seed, **e.metadata}
            for e in storage.read_episode_metadata(range(2))
        ]
        storage.update_episode_metadata(as_read)
        self._expect_metadata(storage, wanted, [dict(episode.metadata) for episode in before])

    def test_indices_come_in_any_order_and_later_values_count(self) -> None:
        """Also where an episode comes twice."""
        storage = self._fill(2, 1, 3)
        before = self._read_all(storage)
        changes = ({"x": n, f"y{n}": n} for n in range(3))
        storage.update_episode_metadata(changes, iter(np.array([2, 0, 2])))
        wanted = [dict(episode.metadata) for episode in before]
        wanted[2] |= {"x": 2, "y0": 0, "y2": 2}
        wanted[0] |= {"x": 1, "y1": 1}
        self._expect_metadata(storage, before, wanted)

    def test_a_refused_change_of_metadata_changes_nothing(self) -> None:
        """Values that cannot be kept, what steps depend on, other lengths, unknown episodes."""
        storage = self._fill(2, 1)
        before = self._read_all(storage)
        refused: list[tuple[Any, Any]] = [
            ([{"x": 1}, {"x": object()}], [0, 1]),
            ([{"x": 1}, {"n": {"x": [{1, 2}]}}], [0, 1]),
            ([{"x": 1}, {"seed": -1}], [0, 1]),
            ([{"x": 1}, {"options": [1]}], [0, 1]),
            ([{"x": 1}, {"id": 0}], [0, 1]),
            ([{"x": 1}, {"total_steps": 2}], [0, 1]),
            ([{"x": 1}, {"final_observation_known": False}], [0, 1]),
            ([{"x": 1}, 3], [0, 1]),
            ({"x": 1}, [0]),
            ([{"x": 1}], None),
            ([{"x": 1}] * 3, None),
            ([{"x": 1}], []),
        ]
        for metadatas, indices in refused:
            expect_raises(
                MetadataError,
                lambda: storage.update_episode_metadata(metadatas, indices),  # noqa: B023
            )
        for index in (2, -1, "0", 0.0):
            unknown: Any = [0, index]
            expect_raises(
                EpisodeIndexError,
                lambda: storage.update_episode_metadata([{"x": 1}] * 2, unknown),  # noqa: B023
            )
        storage.update_episode_metadata([], [])
        self._expect_metadata(storage, before, [dict(episode.metadata) for episode in before])

    def test_metadata_says_still_that_a_final_observation_is_not_known(self) -> None:
        """Whatever is changed beside it."""
        storage = self.new_storage(POSITION, MOVE)
        buffer = simple_episode(0, 3)
        buffer.observations = np.ones((3, 2))
        buffer.metadata = {"final_observation_known": False}
        storage.append_episodes([simple_episode(1, 2), buffer])
        before = self._read_all(storage)
        change = {"x": 1, "final_observation_known": False}
        storage.update_episode_metadata([change], [1])
        self._expect_metadata(storage, before, [dict(before[0].metadata), change])
        expect_raises(
            MetadataError,
            lambda: storage.update_episode_metadata([{"final_observation_known": True}], [1]),
        )

    def test_episodes_are_added_and_compacted_after_a_change(self) -> None:
        """Keep changed metadata with its episode, also in another storage."""
        storage = self._fill(2, 1)
        storage.append_episodes([simple_episode(2, 3)])
        storage.update_episode_metadata([{"grade": 1}], [1])
        storage.append_episodes([simple_episode(3, 2)])
        storage.update_episode_metadata([{"grade": "a"}, {"word": "b"}], [2, 3])
        wanted = [{"name": f"episode {n}"} for n in range(4)]
        changes: list[dict[str, Any]] = [{}, {"grade": 1}, {"grade": "a"}, {"word": "b"}]
        merged = [{**one, **other} for one, other in zip(wanted, changes, strict=True)]
        before = self._read_all(storage)
        storage.compact()
        self._expect_metadata(storage, before, merged)
        other = self._fill(1)
        other.append_storage(storage, [3, 1])
        other.append_storage(storage)
        found = [episode.metadata for episode in self._read_all(other)[1:]]
        expect_same(found, [merged[3], merged[1], *merged], "metadata")

    def test_fingerprints_are_of_steps_alone(self) -> None:
        """Keep fingerprints as they are, so that what is cached under them stays right."""
        storage = self._fill(2, 1)
        before = storage.fingerprint()
        storage.update_episode_metadata([{"x": 1}], [0])
        if storage.data_path is not None:
            expect(storage.fingerprint() == before, "another fingerprint of the same steps")
            expect(self.reopen(storage).fingerprint() == before, "another fingerprint")

    def _expect_metadata(
        self, storage: Storage, episodes: list[Any], wanted: list[dict[str, Any]]
    ) -> None:
        """Fail unless all episodes are as they were, but for what is wanted as metadata."""
        for seen in (storage, self.reopen(storage)):
            entries = seen.read_episode_metadata(range(seen.total_episodes))
            read = zip(self._read_all(seen), entries, episodes, wanted, strict=True)
            for found, entry, episode, metadata in read:
                expect_same(found.metadata, metadata, "metadata")
                expect_same(entry.metadata, metadata, "metadata")
                expect_same_episode(replace(found, metadata=episode.metadata), episode)
                expect_same((entry.seed, entry.options), (episode.seed, episode.options), "entry")
