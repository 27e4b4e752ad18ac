"""Test the contract of a storage, by tests that a storage's own test class inherits.

Example:
    >>> class TestMyStorage(StorageConformance):
    ...     def new_storage(self, observation_space, action_space):
    ...         return MemoryStorage(observation_space, action_space)
    >>> from minari_core.formats.columnar.memory import MemoryStorage
    >>> TestMyStorage().test_an_empty_storage_has_nothing()
"""

from __future__ import annotations

import multiprocessing
import pickle
from typing import Any

import numpy as np

from minari_core.columns import AXES
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import (
    EpisodeIndexError,
    MetadataError,
)
from minari_core.storage.base import Storage, slice_rows
from minari_core.testing.appending import AppendingConformance
from minari_core.testing.examples import MOVE, POSITION, simple_episode
from minari_core.testing.expectations import (
    expect,
    expect_raises,
    expect_same,
    expect_same_episode,
    find_arrays,
    split_space_rows,
)
from minari_core.testing.metadata import MetadataConformance

_FIXED_METADATA = ("dataset_id", "observation_space", "total_steps", "data_format")


class StorageConformance(AppendingConformance, MetadataConformance):
    """The contract of `minari_core.storage.base.Storage`, for pytest to collect in a subclass."""

    def test_an_empty_storage_has_nothing(self) -> None:
        """Nothing can be counted, read or compacted away in an empty storage."""
        storage = self.new_storage(POSITION, MOVE)
        storage.compact()
        expect(storage.append_episodes([]) == range(0), "an append of nothing added something")
        for seen in (storage, self.reopen(storage)):
            expect(seen.total_episodes == 0 and seen.total_steps == 0, "it is not empty")
            expect(len(seen.episode_lengths()) == 0, "it has lengths")
            expect(list(seen.read_episodes([])) == [], "it has episodes")
            expect(list(seen.read_episode_metadata([])) == [], "it has entries")
            expect_raises(EpisodeIndexError, lambda: list(seen.read_episodes([0])))  # noqa: B023

    def test_values_of_every_space_come_back_to_the_bit(self) -> None:
        """Observations and actions of every kind of space come back as they were."""
        for name, space in self.spaces_to_hold().items():
            space.seed(1)
            storage = self.new_storage(space, space)
            written: list[tuple[list[Any], list[Any]]] = []
            for steps in (1, 5, 2):
                observations = [space.sample() for _ in range(steps + 1)]
                actions = [space.sample() for _ in range(steps)]
                zeros = [0.0] * steps
                storage.append_episodes(
                    [EpisodeBuffer(None, None, None, observations, actions, zeros, zeros, zeros)]
                )
                written.append((observations, actions))
            for seen in (storage, self.reopen(storage)):
                for index, (observations, actions) in enumerate(written):
                    for copy in (True, False):
                        (episode,) = seen.read_episodes([index], copy=copy)
                        steps = len(actions)
                        rows = split_space_rows(space, episode.observations, steps + 1)
                        expect_same(rows, observations, f"{name}: observations")
                        expect_same(split_space_rows(space, episode.actions, steps), actions, name)

    def test_special_floats_come_back_to_the_bit(self) -> None:
        """NaN, infinities and -0.0 are data."""
        special = np.array([[np.nan, np.inf], [-np.inf, -0.0]])
        storage = self.new_storage(POSITION, MOVE)
        buffer = EpisodeBuffer(
            observations=special,
            actions=np.array([1]),
            rewards=np.array([np.nan]),
            terminations=[True],
            truncations=[True],
            infos={"x": special},
        )
        storage.append_episodes([buffer])
        (episode,) = self.reopen(storage).read_episodes([0])
        expect_same(episode.observations, special, "observations")
        expect_same(episode.rewards, np.array([np.nan]), "rewards")
        expect_same(episode.infos["x"], special, "infos")

    def test_infos_come_back_masked_where_they_are_missing(self) -> None:
        """A key that some rows, episodes or shards lack is masked there, or None."""
        storage = self.new_storage(POSITION, MOVE)
        infos: list[dict[str, object]] = [
            {
                "sometimes": [None, 1, None],
                "ragged": [np.arange(2), None, np.arange(5)],
                "nested": {"text": ["a", "\ud800", "é"], "deep": {"flag": [True, False, None]}},
                "mixed": [1, "one", [1, None]],
                "bytes": [b"", b"\0\xff", b"x"],
                "huge": [2**100, -(2**70), 0],
            },
            {"late": np.arange(3.0), "nested": {"deep": {"other": ["x", None, "y"]}}},
            {},
        ]
        for index, info in enumerate(infos):
            buffer = simple_episode(index, 2)
            buffer.infos = info
            storage.append_episodes([buffer])
        for seen in (storage, self.reopen(storage)):
            first, second, third = self._read_all(seen)
            expect(first.infos["sometimes"].tolist() == [None, 1, None], "a mask is wrong")
            expect_same(first.infos["ragged"], infos[0]["ragged"], "ragged")
            expect_same(first.infos["nested"]["text"], ["a", "\ud800", "é"], "text")
            expect(first.infos["nested"]["deep"]["flag"].tolist() == [True, False, None], "flag")
            for key in ("mixed", "bytes", "huge"):
                expect_same(first.infos[key], infos[0][key], key)
            expect_same(second.infos["late"], np.arange(3.0), "late")
            expect_same(second.infos["nested"]["deep"]["other"], ["x", None, "y"], "other")
            for episode, key in ((first, "late"), (second, "sometimes"), (third, "late")):
                shown = episode.infos[key]
                expect(np.ma.getmaskarray(shown).all() and len(shown) == 3, f"{key} has values")
            for key in ("ragged", "mixed", "bytes"):
                expect_same(third.infos[key], [None] * 3, key)

    def test_what_is_said_of_an_episode_comes_back(self) -> None:
        """Seeds, options, metadata and extra columns are kept for each episode by itself."""
        storage = self.new_storage(POSITION, MOVE)
        said: list[tuple[int | None, dict[str, object] | None, dict[str, object]]] = [
            (0, {"a": [1, None, {"b": (1.5,)}]}, {"score": 1.5, "tags": ["x"], "n": {"m": 1}}),
            (None, None, {}),
            (2**64 - 1, {}, {"score": "none", "blob": b"\0", "n": {}}),
        ]
        for number, (seed, options, metadata) in enumerate(said):
            buffer = simple_episode(number, 3)
            buffer.seed, buffer.options, buffer.metadata = seed, options, metadata
            buffer.extras = {"own": np.arange(4) * number}
            storage.append_episodes([buffer])
        seen = self.reopen(storage)
        entries = seen.read_episode_metadata(range(3))
        for number, (episode, entry) in enumerate(zip(self._read_all(seen), entries, strict=True)):
            for found in (episode, entry):
                expect_same((found.seed, found.options, found.metadata), said[number], "entry")
            expect_same(episode.extras["own"], np.arange(4) * number, "extras")

    def test_episodes_keep_the_order_in_which_they_were_added(self) -> None:
        """Indices count up over all appends."""
        storage = self._fill(3, 1, 2)
        added = storage.append_episodes([simple_episode(3, 4), simple_episode(4, 1)])
        expect(added == range(3, 5), f"the added episodes are {added}")
        self._expect_simple(storage, range(5), [3, 1, 2, 4, 1])

    def test_episodes_are_read_in_the_order_of_their_indices(self) -> None:
        """Indices may come in any order, repeated, and from an iterator."""
        storage = self._fill(3, 1, 2, 5)
        wanted = [2, 0, 0, 3, 1, 2]
        found = [episode.id for episode in storage.read_episodes(iter(wanted))]
        expect(found == wanted, f"episodes {found} were read, not {wanted}")
        entries = [entry.id for entry in storage.read_episode_metadata(np.array(wanted).tolist())]
        expect(entries == wanted, f"entries {entries} were read, not {wanted}")

    def test_some_rows_of_an_episode_are_those_of_the_whole(self) -> None:
        """Of every group, rows within an episode can be read, and none of its neighbours'."""
        for name, space in self.spaces_to_hold().items():
            space.seed(4)
            storage = self.new_storage(space, MOVE)
            buffers = []
            for number, is_known in enumerate((True, False, True)):
                buffer = simple_episode(number, 5)
                buffer.observations = [space.sample() for _ in range(5 + is_known)]
                buffer.metadata = {"final_observation_known": is_known}
                buffers.append(buffer)
            storage.append_episodes(buffers)
            for episode in self._read_all(storage):
                for rows in ((0, 2), (2, 5), (3, 9), (-2, 1), (4, 4), (7, 9)):
                    for group in AXES:
                        if AXES[group] != "episodes":
                            found = storage.read_rows(episode.id, group, *rows)
                            wanted = slice_rows(
                                getattr(episode, group), slice(*np.maximum(rows, 0).tolist())
                            )
                            expect_same(found, wanted, f"{name}: rows {rows} of {group}")
        for index in (-1, 3):
            expect_raises(
                EpisodeIndexError,
                lambda: storage.read_rows(index, "rewards", 0, 1),  # noqa: B023
            )

    def test_an_index_outside_is_refused(self) -> None:
        """Negative indices and those behind the last are no episodes, also among many that are."""
        storage = self._fill(1, 2)
        for before in ([0], [0, 1] * 9):
            for index in (-1, 2, 2**70):
                wanted = [*before, index]
                for read in (storage.read_episodes, storage.read_episode_metadata):
                    expect_raises(EpisodeIndexError, lambda: list(read(wanted)))  # noqa: B023

    def test_a_final_observation_that_nobody_knows_is_not_made_up(self) -> None:
        """Such an episode has as many observations as steps, and can be stored again."""
        for name, space in self.spaces_to_hold().items():
            space.seed(3)
            storage = self.new_storage(space, MOVE)
            written: list[tuple[list[Any], bool]] = []
            buffers: list[EpisodeBuffer] = []
            for steps, is_known in ((4, False), (1, False), (2, True)):
                buffer = simple_episode(1, steps)
                rows = [space.sample() for _ in range(steps + is_known)]
                buffer.observations = list(rows)
                buffer.metadata = {"final_observation_known": is_known}
                buffers.append(buffer)
                written.append((rows, is_known))
            storage.append_episodes(buffers)
            storage.append_episodes(self._read_all(storage))
            for seen in (storage, self.reopen(storage)):
                for episode, (rows, is_known) in zip(
                    self._read_all(seen), written * 2, strict=True
                ):
                    expect(episode.final_observation_known is is_known, f"{name}: other metadata")
                    found = split_space_rows(space, episode.observations, len(rows))
                    expect_same(found, rows, f"{name}: observations")

    def test_copies_can_be_written_to(self) -> None:
        """Return arrays of the caller's own when ``copy=True`` is passed."""
        for name, space in self.spaces_to_hold().items():
            space.seed(2)
            storage = self.new_storage(space, MOVE)
            buffer = simple_episode(1, 4)
            buffer.observations = [space.sample() for _ in range(5)]
            buffer.infos = {
                "ragged": [np.arange(n) for n in range(5)],
                "masked": [None, 1.0, 2.0, None, 3.0],
            }
            storage.append_episodes([buffer])
            (before,) = storage.read_episodes([0])
            (spoiled,) = storage.read_episodes([0], copy=True)
            for array in find_arrays(spoiled):
                expect(array.flags.writeable, f"{name}: an array is read-only")
                array[...] = 0
            (after,) = storage.read_episodes([0])
            expect_same_episode(after, before)

    def test_views_are_read_only(self) -> None:
        """With ``copy=False`` nothing that lies in the storage can be written to."""
        storage = self._fill(3, 2)
        (before,) = storage.read_episodes([1])
        (view,) = storage.read_episodes([1], copy=False)
        for array in find_arrays((view.observations, view.actions, view.rewards, view.infos)):
            expect(not array.flags.writeable, "a view can be written to")
        expect(not storage.episode_lengths().flags.writeable, "the lengths can be written to")
        expect_same_episode(view, before)

    def test_what_was_appended_can_be_changed_afterwards(self) -> None:
        """A storage keeps nothing that belongs to the caller."""
        storage = self.new_storage(POSITION, MOVE)
        buffer = simple_episode(1, 3)
        storage.append_episodes([buffer])
        for array in find_arrays(
            (buffer.observations, buffer.actions, buffer.rewards, buffer.infos)
        ):
            array[...] = 7
        self._expect_simple(storage, [1], [3])

    def test_compacting_changes_nothing_that_can_be_read(self) -> None:
        """Many appends become one layout, and every episode keeps its index."""
        storage = self._fill(2)
        for number in range(1, 25):
            buffer = simple_episode(number, 1 + number % 3)
            storage.append_episodes([buffer])
        numbers = range(25)
        lengths = [2, *(1 + number % 3 for number in range(1, 25))]
        storage.compact()
        self._expect_simple(storage, numbers, lengths)
        storage.compact()
        storage.append_episodes([simple_episode(25, 2)])
        self._expect_simple(storage, range(26), [*lengths, 2])

    def test_a_pickled_storage_reads_the_same(self) -> None:
        """Before and after anything was read."""
        storage = self._fill(2, 3)
        for _ in range(2):
            restored: Storage = pickle.loads(pickle.dumps(storage))
            for found, wanted in zip(
                self._read_all(restored), self._read_all(storage), strict=True
            ):
                expect_same_episode(found, wanted)
            expect(dict(restored.metadata) == dict(storage.metadata), "the metadata differs")

    def test_a_forked_process_reads_the_same(self) -> None:
        """Reading works on both sides of a fork, with what was read before it."""
        if "fork" not in multiprocessing.get_all_start_methods():
            return
        storage = self._fill(2, 3, 1)
        wanted = self._read_all(storage)[1]
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            found = pool.map(_Reading(storage), [1, 1, 1])
        for episode in found:
            expect_same_episode(episode, wanted)
        self._expect_simple(storage, [0, 1, 2], [2, 3, 1])

    def test_metadata_can_be_changed_except_what_the_data_depends_on(self) -> None:
        """Numbers of numpy become JSON; what is not JSON is refused."""
        storage = self._fill(1)
        storage.update_metadata({"author": "Ada", "score": np.float32(1.5), "list": (1, None)})
        for seen in (storage, self.reopen(storage)):
            found = [seen.metadata[key] for key in ("author", "score", "list")]
            expect_same(found, ["Ada", 1.5, [1, None]], "metadata")
        before = dict(storage.metadata)
        for key in _FIXED_METADATA:
            changes = {key: "x", "author": "Eve"}
            error = expect_raises(MetadataError, lambda: storage.update_metadata(changes))  # noqa: B023
            expect(key in str(error), f"the message does not name {key}: {error}")
        for value in (object(), float("nan"), {1: 2}):
            expect_raises(MetadataError, lambda: storage.update_metadata({"x": value}))  # noqa: B023
        expect(dict(storage.metadata) == before, "a refused change was kept in part")

    def test_metadata_says_what_the_storage_is(self) -> None:
        """The counts, the format and the spaces are among the metadata."""
        storage = self._fill(2, 3)
        metadata = storage.metadata
        expect(metadata["total_episodes"] == 2 and metadata["total_steps"] == 5, "other counts")
        expect(metadata["data_format"] == storage.data_format, "another format")
        expect(storage.observation_space == POSITION, "another observation space")
        expect(storage.action_space == MOVE, "another action space")
        expect(storage.nbytes > 0, "it has no size")

    def test_refreshing_what_nobody_changed_finds_nothing(self) -> None:
        """`refresh` says whether there was anything."""
        storage = self._fill(2)
        expect(storage.refresh() is False, "something was found")
        self._expect_simple(storage, [0], [2])


class _Reading:
    """Read an episode in another process."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self, index: int) -> EpisodeData:
        (episode,) = self._storage.read_episodes([index])
        return episode
