"""What the check finds that reads every episode, of a format of which nothing else is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core.episodes.episode import EpisodeData
from minari_core.formats.columnar.manifest import Manifest, Snapshot
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.verification.reading import EpisodeCheck
from minari_core.formats.verification.report import Findings
from minari_core.testing import simple_episode

SPACE = spaces.Dict({"where": spaces.Box(-np.inf, np.inf, (2,), np.float64)})
STEPS = (4, 4, 2)


class Changed(MemoryStorage):
    """Reads its second episode otherwise than it was stored."""

    change: Callable[[EpisodeData], EpisodeData]

    def read_episodes(self, indices: Iterable[int], *, copy: bool = True) -> Iterator[EpisodeData]:
        for episode in super().read_episodes(indices, copy=copy):
            yield self.change(episode) if episode.id == 1 else episode


def check(change: Callable[[EpisodeData], Any], total_steps: int = 10) -> Findings:
    storage = Changed(SPACE, spaces.Discrete(3))
    buffers = [simple_episode(number, steps) for number, steps in enumerate(STEPS)]
    for buffer in buffers:
        buffer.observations = {"where": np.asarray(buffer.observations)}
    storage.append_episodes(buffers)
    storage.change = change
    findings, told = Findings(), list[tuple[int, int]]()
    manifest = Manifest({"total_steps": total_steps}, Snapshot(uid="1"))
    EpisodeCheck(storage, findings).check_all(manifest, lambda *done: told.append(done))
    assert told == [(storage.nbytes * done // 3, storage.nbytes) for done in (1, 2, 3)]
    return findings


def fail(episode: EpisodeData) -> EpisodeData:
    raise ValueError("broken")


def test_nothing_is_found_in_what_is_sound() -> None:
    findings = check(lambda episode: episode)
    assert (findings.problems, findings.remarks) == ([], [])


@pytest.mark.parametrize(
    ("change", "column", "message"),
    [
        (fail, None, "it cannot be read: ValueError: broken"),
        (
            lambda e: replace(e, actions=e.actions.astype(np.float64)),
            "actions",
            "it is float64, but the space is Discrete(3)",
        ),
        (
            lambda e: replace(e, actions=e.actions.astype(np.int8)),
            "actions",
            "it is int8, but int64 in the episodes before",
        ),
        (
            lambda e: replace(e, observations={"where": e.observations["where"][:, :1]}),
            "observations['where']",
            "its rows have shape (1,), but the space is Box(-inf, inf, (2,), float64)",
        ),
        (
            lambda e: replace(e, infos={"a": {"b": [1, 2, 3, 4]}}),
            "infos['a']['b']",
            "it has 4 rows, not 5",
        ),
        (
            lambda e: replace(e, extras={"own": np.array(4)}),
            "extras['own']",
            "it is one value, and no column of rows",
        ),
    ],
)
def test_an_episode_that_cannot_be_is_told_by_its_column(
    change: Callable[[EpisodeData], EpisodeData], column: str | None, message: str
) -> None:
    (problem,) = check(change).problems
    assert (problem.file, problem.column, problem.episode) == (".", column, 1)
    assert problem.message == message


def test_an_episode_of_another_length_is_told_and_so_is_the_sum() -> None:
    def cut(episode: EpisodeData) -> EpisodeData:
        return next(iter(storage.read_episodes([0])))

    storage = MemoryStorage(SPACE, spaces.Discrete(3))
    buffer = simple_episode(0, 3)
    buffer.observations = {"where": np.asarray(buffer.observations)}
    storage.append_episodes([buffer])

    first, second = check(cut).problems

    assert (first.episode, first.message) == (1, "it has 3 steps, not 4")
    assert (second.file, second.episode) == ("metadata.json", None)
    assert second.message == "its total_steps is 10, but the data has 9"
    (third,) = check(lambda episode: episode, total_steps=11).problems
    assert third.message == "its total_steps is 11, but the data has 10"


def test_an_end_in_the_middle_is_remarked_on() -> None:
    findings = check(lambda e: replace(e, terminations=np.array([False, True, False, True])))
    assert findings.problems == []
    (remark,) = findings.remarks
    assert remark.episode == 1
