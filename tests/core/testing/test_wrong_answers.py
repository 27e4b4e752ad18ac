"""The conformance suite of storages notices every wrong answer that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData, EpisodeMetadata
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage
from minari_core.testing import SPACES, StorageConformance

Answer = TypeVar("Answer")
NOTHING: Any = None


class Answering(MemoryStorage):
    """Counts the questions that others ask; the answer to one of them is wrong."""

    asked = 0
    wrong = -1
    last: object = None
    is_busy = False

    def _answer(
        self, name: str, ask: Callable[[], Answer], spoil: Callable[[Answer], Answer] | None
    ) -> Answer:
        if Answering.is_busy:
            return ask()
        Answering.is_busy = True
        try:
            found = ask()
        finally:
            Answering.is_busy = False
        if spoil is None:
            return found
        # What is asked twice is asked again for a message, or episode by episode.
        if Answering.last != (id(self), name):
            Answering.asked, Answering.last = Answering.asked + 1, (id(self), name)
        return spoil(found) if Answering.asked - 1 == Answering.wrong else found

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        return self._answer("metadata", lambda: super(Answering, self).metadata, lambda right: {})

    @property
    def total_episodes(self) -> int:
        return self._answer(
            "total_episodes", lambda: super(Answering, self).total_episodes, lambda right: right + 1
        )

    @property
    def total_steps(self) -> int:
        return self._answer(
            "total_steps", lambda: super(Answering, self).total_steps, lambda right: right + 1
        )

    def episode_lengths(self) -> npt.NDArray[np.int64]:
        return self._answer(
            "episode_lengths", super().episode_lengths, lambda right: np.append(right, 1)
        )

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        read = super().read_episodes
        for each in self._answer("read_episodes", lambda: list(read(indices, copy=copy)), None):
            yield self._answer(
                "read_episodes",
                lambda each=each: each,  # type: ignore[misc]  # its default
                lambda right: replace(
                    right, **dict.fromkeys(EpisodeData.__dataclass_fields__, NOTHING)
                ),
            )

    def read_rows(
        self, index: int, group: str, start: int, stop: int, *, copy: bool = True
    ) -> object:
        read = super().read_rows
        return self._answer(
            "read_rows",
            lambda: read(index, group, start, stop, copy=copy),
            lambda right: "another",
        )

    def read_episode_metadata(self, indices: Iterable[int]) -> Iterator[EpisodeMetadata]:
        read = super().read_episode_metadata
        for each in self._answer("read_episode_metadata", lambda: list(read(indices)), None):
            yield self._answer(
                "read_episode_metadata",
                lambda each=each: each,  # type: ignore[misc]  # its default
                lambda right: replace(
                    right, **dict.fromkeys(EpisodeMetadata.__dataclass_fields__, NOTHING)
                ),
            )

    def append_episodes(self, episodes: Iterable[Any]) -> range:
        append = super().append_episodes
        return self._answer("append_episodes", lambda: append(episodes), None)

    def append_storage(self, source: Storage, indices: Sequence[int] | None = None) -> range:
        append = super().append_storage
        return self._answer("append_storage", lambda: append(source, indices), None)

    def update_episode_metadata(self, metadatas: Any, episode_indices: Any = None) -> None:
        update = super().update_episode_metadata
        self._answer("update_episode_metadata", lambda: update(metadatas, episode_indices), None)

    def compact(self) -> None:
        self._answer("compact", super().compact, None)

    def fingerprint(self) -> str:
        return self._answer("fingerprint", super().fingerprint, lambda right: f"{right}!")

    def refresh(self) -> bool:
        return self._answer("refresh", super().refresh, lambda right: not right)


class Suite(StorageConformance):
    def spaces_to_hold(self) -> Mapping[str, spaces.Space[Any]]:
        return dict(list(SPACES.items())[::9])

    def new_storage(self, observation_space: Any, action_space: Any) -> Storage:
        return Answering(observation_space, action_space)


def ask(name: str, wrong: int) -> int:
    """Run a test of the suite; returns how many questions it asks."""
    Answering.asked, Answering.wrong, Answering.last = 0, wrong, None
    getattr(Suite(), name)()
    return Answering.asked


# They look at arrays that are not there, or compare answers with one another.
OTHERS = {
    "test_copies_can_be_written_to",
    "test_views_are_read_only",
    "test_fingerprints_are_of_steps_alone",
}
TESTS = {name for name in dir(Suite) if name.startswith("test_")} - OTHERS


@pytest.mark.parametrize("name", sorted(TESTS))
def test_each_wrong_answer_is_noticed(name: str) -> None:
    questions = ask(name, wrong=-1)
    unnoticed = []
    # Of many that are asked in a loop, some.
    for wrong in range(0, questions, 1 + questions // 12):
        try:
            ask(name, wrong)
        except Exception:  # of the suite, or of numpy, which is given nothing to compare
            continue
        unnoticed.append(wrong)
    assert unnoticed == []
