"""Recorded episodes, stepped again in this process and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import GraphInstance

from minari.replay.stepping import compare, replay_rows
from minari_core import EpisodeData
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from tests.minari.replay.toys import FAULTY_STEP, STEPS, Toy, record, register

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")


@pytest.fixture
def episode(datasets_root: Path) -> Iterator[EpisodeData]:
    with register():
        yield record()[0]


def test_an_episode_is_exactly_what_was_recorded(episode: EpisodeData) -> None:
    rows = list(replay_rows(episode, Toy()))

    assert rows == [(row, None) for row in range(STEPS + 1)]


def test_another_observation_ends_the_replay_with_its_row_and_how_much_it_differs(
    episode: EpisodeData,
) -> None:
    *before, (row, difference) = replay_rows(episode, Toy("rgb_array", fault="random"))

    assert before == [(each, None) for each in range(FAULTY_STEP + 1)]
    assert row == FAULTY_STEP + 1
    assert difference is not None
    assert (difference.row, difference.is_rounding) == (row, False)
    assert difference.amount == pytest.approx(1.0)
    assert difference.sentence == "observations differs by 1"


def test_rounding_is_told_and_ends_nothing(episode: EpisodeData) -> None:
    rows = list(replay_rows(episode, Toy("rgb_array", fault="rounding")))

    assert len(rows) == STEPS + 1
    assert [row for row, difference in rows if difference] == list(range(FAULTY_STEP + 1, 13))
    assert all(difference.is_rounding for _, difference in rows if difference)


def test_an_early_end_is_a_difference(episode: EpisodeData) -> None:
    *_, (row, difference) = replay_rows(episode, Toy("rgb_array", fault="end"))

    assert row == FAULTY_STEP + 1
    assert difference is not None
    assert difference.sentence == "the episode ends, and the recorded one goes on"


def test_a_final_observation_that_nobody_knows_is_not_compared(episode: EpisodeData) -> None:
    unknown = replace(
        episode,
        observations=episode.observations[:-1],
        metadata={FINAL_OBSERVATION: False},
    )

    assert not unknown.final_observation_known
    assert list(replay_rows(unknown, Toy())) == [(row, None) for row in range(STEPS)]


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [
        ({"a": 1, "b": np.zeros(3)}, {"b": np.zeros(3), "a": 1, "c": 5}),
        (("text", (np.int64(3),)), ("text", [3])),
        (np.array([np.nan, np.inf], np.float32), np.array([np.nan, np.inf])),
        (np.ones(3, bool), [True, True, True]),
        (None, None),
        (
            GraphInstance(np.ones((2, 1)), None, None),
            GraphInstance(np.ones((2, 1)), None, None),
        ),
    ],
)
def test_equal_observations_are_equal_in_whatever_structure(recorded: Any, replayed: Any) -> None:
    assert compare(recorded, replayed, 0) is None


@pytest.mark.parametrize(
    ("recorded", "replayed", "sentence", "is_rounding"),
    [
        ({"a": 1}, {"b": 1}, "observations/a is not in the replay", False),
        ((1, 2), (1,), "observations has the length 1, not 2", False),
        (np.zeros(3), np.zeros(4), "observations has the shape (4,), not (3,)", False),
        ("one", "two", "observations differs", False),
        (1_000_000, 1_000_001, "observations differs by 1", False),
        (np.float32(0.1), 0.1, "observations differs by 1.49e-09", True),
        (np.array([np.nan, 0.0]), np.array([0.0, 0.0]), "observations differs by inf", False),
        ({"a": 1.0, "b": (1e-9, 0.5)}, {"a": 1.0, "b": (0, 1)}, "observations/b/1 differs", False),
    ],
)
def test_a_difference_says_where_and_how_much(
    recorded: Any, replayed: Any, sentence: str, is_rounding: bool
) -> None:
    difference = compare(recorded, replayed, 7)

    assert difference is not None
    assert (difference.row, difference.is_rounding) == (7, is_rounding)
    assert difference.sentence.startswith(sentence)
