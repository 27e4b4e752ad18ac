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
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.environments.gymnasium_compat import ONE_OF
from minari_core.episodes import Episode
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.errors import (
    DataError,
    EpisodeIndexError,
    IncompatibleDatasetsError,
    MetadataError,
)
from minari_core.storage.base import Storage
from minari_core.testing.expectations import (
    expect,
    expect_raises,
    expect_same,
    expect_same_episode,
    find_arrays,
    split_space_rows,
)

# Gymnasium says of some lists of spaces that they hold something else.
_PARTS: list[Any] = [spaces.Discrete(3), spaces.Text(3), spaces.Box(0, 1, (2,))]

SPACES: Mapping[str, spaces.Space[Any]] = {
    "box of float32": spaces.Box(-1, 1, (3,), np.float32),
    "box of float64": spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    "box without axes": spaces.Box(0, 1, (), np.float16),
    "box without elements": spaces.Box(0, 1, (2, 0), np.float64),
    "box of booleans": spaces.Box(0, 1, (2,), np.bool_),
    "images": spaces.Box(0, 255, (64, 64, 3), np.uint8),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([2, 5, 3]),
    "multi-binary": spaces.MultiBinary([2, 3]),
    "text": spaces.Text(5, min_length=0, charset="aé😀\ud800\x00"),
    "dict": spaces.Dict(
        {
            "a/b": spaces.Discrete(3),
            "": spaces.Box(0, 1, (2,)),
            ".": spaces.Text(3),
            "%": spaces.Dict(),
        }
    ),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Tuple([]), spaces.Box(0, 1, (1,))]),
    "sequence": spaces.Sequence(spaces.Box(0, 1, (2,))),
    "sequence of text": spaces.Sequence(spaces.Text(3)),
    "sequence of dicts": spaces.Sequence(
        spaces.Dict(x=spaces.Discrete(3), y=spaces.Sequence(spaces.Discrete(2)))
    ),
    "stacked sequence": spaces.Sequence(spaces.Box(0, 1, (2,)), stack=True),
    "stacked sequence of dicts": spaces.Sequence(
        spaces.Dict(x=spaces.Discrete(3), y=spaces.Text(3)), stack=True
    ),
    "graph": spaces.Graph(spaces.Box(0, 1, (2,)), spaces.Discrete(3)),
    "graph without edge space": spaces.Graph(spaces.Box(0, 1, (2,)), None),
    **({} if ONE_OF is None else {"one of": ONE_OF(_PARTS)}),
}
"""One space of every kind, and those whose values lie in a special way."""

_POSITION = spaces.Box(-np.inf, np.inf, (2,), np.float64)
_MOVE = spaces.Discrete(3)
_FIXED_METADATA = ("dataset_id", "observation_space", "total_steps", "data_format")


def simple_episode(number: int, steps: int) -> EpisodeBuffer:
    """An episode whose values tell it and its steps from all others.

    Args:
        number: What tells it from other episodes.
        steps: How many steps it has.
    """
    rows = np.arange(steps + 1, dtype=np.float64)
    return EpisodeBuffer(
        observations=np.stack([rows, np.full(steps + 1, float(number))], axis=1),
        actions=np.arange(steps, dtype=np.int64) % 3,
        rewards=np.linspace(-1, 1, steps) * number,
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, dtype=bool),
        infos={"time": rows * 10},
        seed=number,
        options={"number": number},
        metadata={"name": f"episode {number}"},
    )


class StorageConformance(ABC):
    """The contract of `minari_core.storage.base.Storage`, for pytest to collect in a subclass."""

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
        storage = self.new_storage(_POSITION, _MOVE)
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

    def test_an_empty_storage_has_nothing(self) -> None:
        """Nothing can be counted, read or compacted away in an empty storage."""
        storage = self.new_storage(_POSITION, _MOVE)
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
        storage = self.new_storage(_POSITION, _MOVE)
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
        storage = self.new_storage(_POSITION, _MOVE)
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
        storage = self.new_storage(_POSITION, _MOVE)
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

    def test_an_index_outside_is_refused(self) -> None:
        """Negative indices and those behind the last are no episodes."""
        storage = self._fill(1, 2)
        for index in (-1, 2, 2**70):
            expect_raises(EpisodeIndexError, lambda: list(storage.read_episodes([0, index])))  # noqa: B023
            expect_raises(
                EpisodeIndexError,
                lambda: list(storage.read_episode_metadata([0, index])),  # noqa: B023
            )

    def test_a_final_observation_that_nobody_knows_is_not_made_up(self) -> None:
        """Such an episode has as many observations as steps, and can be stored again."""
        for name, space in self.spaces_to_hold().items():
            space.seed(3)
            storage = self.new_storage(space, _MOVE)
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
        """What is read with ``copy=True`` is the caller's own."""
        for name, space in self.spaces_to_hold().items():
            space.seed(2)
            storage = self.new_storage(space, _MOVE)
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
        storage = self.new_storage(_POSITION, _MOVE)
        buffer = simple_episode(1, 3)
        storage.append_episodes([buffer])
        for array in find_arrays(
            (buffer.observations, buffer.actions, buffer.rewards, buffer.infos)
        ):
            array[...] = 7
        self._expect_simple(storage, [1], [3])

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
        other = self.new_storage(_POSITION, spaces.Discrete(4))
        error = expect_raises(IncompatibleDatasetsError, lambda: target.append_storage(other))
        expect("action_space" in str(error), f"the message does not name the space: {error}")

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
        expect(storage.observation_space == _POSITION, "another observation space")
        expect(storage.action_space == _MOVE, "another action space")
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
