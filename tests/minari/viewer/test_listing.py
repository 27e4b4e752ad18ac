"""The list of episodes, against sorting and filtering them by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import minari
from minari import EpisodeBuffer
from minari.viewer.listing import EpisodeList, Query, QueryError

pytestmark = pytest.mark.filterwarnings("ignore:.*is set to None:minari.MinariWarning")
LENGTHS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
FORMATS = ["columnar", "hdf5", "arrow", "parquet"]


def buffer(number: int, steps: int) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=np.zeros((steps + 1, 1)),
        actions=np.zeros(steps, dtype=np.int64),
        rewards=np.full(steps, float(number % 4)),
        terminations=[False] * (steps - 1) + [number % 2 == 0],
        truncations=[False] * (steps - 1) + [number % 3 == 0],
        seed=None if number == 7 else 100 - number,
        metadata={"quality": "good" if number % 2 else "bad", "score": number / 2},
    )


def create(data_format: str = "columnar", dataset_id: str = "tests/list-v0") -> Any:
    return minari.create_dataset_from_buffers(
        dataset_id,
        [buffer(number, steps) for number, steps in enumerate(LENGTHS)],
        observation_space=spaces.Box(-1, 1, (1,), np.float64),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )


def known(dataset: minari.MinariDataset) -> EpisodeList:
    listing = EpisodeList(dataset)
    listing.start()
    listing.wait()
    return listing


def positions(answer: Any) -> list[int]:
    return [row["position"] for row in answer["rows"]]


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_row_says_what_is_known_of_its_episode(data_format: str, datasets_root: Path) -> None:
    answer: Any = known(create(data_format)[2:4]).answer(Query())

    assert answer["total"] == 2
    assert answer["failure"] is None
    assert answer["progress"] == 1
    first, second = answer["rows"]
    assert first == {
        "position": 0,
        "id": 2,
        "length": 4,
        "return": 8.0,
        "seed": "98",
        "end": "terminated",
        "metadata": {"quality": "bad", "score": "1.0"},
    }
    assert (second["id"], second["end"], second["return"]) == (3, "truncated", 3.0)


def test_what_is_not_read_yet_is_unknown_and_lengths_are_known_at_once(datasets_root: Path) -> None:
    listing = EpisodeList(create())
    answer: Any = listing.answer(Query(sort="length", descending=True, conditions="length>3"))

    assert [row["length"] for row in answer["rows"]] == [9, 6, 5, 5, 4]
    assert {row["return"] for row in answer["rows"]} == {None}
    assert {row["end"] for row in answer["rows"]} == {None}
    with pytest.raises(QueryError, match="episodes have no 'return'"):
        listing.answer(Query(sort="return"))


KEYS: dict[str, Callable[[int], float]] = {
    "id": lambda number: number,
    "length": lambda number: LENGTHS[number],
    "return": lambda number: LENGTHS[number] * (number % 4),
    "seed": lambda number: float("nan") if number == 7 else 100 - number,
    "score": lambda number: number / 2,
    "end": lambda number: (number % 2 == 0) + 2 * (number % 3 == 0),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> minari.MinariDataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("datasets")))
        dataset: minari.MinariDataset = create()
    return dataset


@given(
    st.sampled_from(sorted(KEYS)),
    st.booleans(),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.sampled_from(sorted(KEYS)),
    st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
    st.sampled_from([-1.0, 0.0, 2.0, 3.0, 97.0]),
    st.integers(0, 12),
    st.integers(0, 5),
)
@settings(max_examples=60)
def test_views_are_sorted_and_filtered_as_by_hand(
    whole: minari.MinariDataset,
    sort: str,
    descending: bool,
    indices: list[int],
    key: str,
    sign: str,
    limit: float,
    start: int,
    count: int,
) -> None:
    listing = known(whole[indices])
    query = Query(
        sort=sort,
        descending=descending,
        conditions=f" {key} {sign} {limit:g} ",
        start=start,
        count=count,
    )

    answer: Any = listing.answer(query)

    signs: dict[str, Callable[[float], bool]] = {
        "<": lambda value: value < limit,
        "<=": lambda value: value <= limit,
        ">": lambda value: value > limit,
        ">=": lambda value: value >= limit,
        "=": lambda value: value == limit,
        "!=": lambda value: value != limit,
    }
    holds = signs[sign]

    def rank(position: int) -> tuple[bool, float]:
        value = float(KEYS[sort](indices[position]))
        return np.isnan(value), -value if descending else value

    wanted = [place for place in range(len(indices)) if holds(KEYS[key](indices[place]))]
    # Of NaN no order is asked.
    wanted.sort(key=lambda place: (rank(place)[0], 0.0 if rank(place)[0] else rank(place)[1]))
    assert answer["total"] == len(wanted)
    assert positions(answer) == wanted[start : start + count]
    for row, place in enumerate(wanted):
        assert listing.find_row(query, place) == row


def test_texts_and_ends_are_filtered_by_their_words(datasets_root: Path) -> None:
    listing = known(create())

    def found(conditions: str, **how: Any) -> list[int]:
        return positions(listing.answer(Query(conditions=conditions, **how)))

    assert found("quality=good end=truncated") == [3, 9]
    assert found("quality!=good length>=5") == [4, 8]
    assert found("end=both") == [0, 6]
    assert found("end=neither") == [1, 5, 7]
    assert found("", sort="quality")[:5] == [0, 2, 4, 6, 8]
    assert found("", sort="quality", descending=True)[:5] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("data_format", FORMATS)
def test_seeds_are_told_apart_exactly_however_large_they_are(
    data_format: str, datasets_root: Path
) -> None:
    seeds = [2**53, 2**53 + 1, None, 2**63 + 1, 2**63, 7]
    buffers = [replace(buffer(number, 1), seed=seed) for number, seed in enumerate(seeds)]
    dataset = minari.create_dataset_from_buffers(
        "tests/seeds-v0",
        buffers,
        observation_space=spaces.Box(-1, 1, (1,), np.float64),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    listing = known(dataset)

    def found(conditions: str, **how: Any) -> list[int]:
        return positions(listing.answer(Query(conditions=conditions, **how)))

    assert found(f"seed={2**53 + 1}") == [1]
    assert found(f"seed>{2**53}") == [1, 3, 4]
    assert found(f"seed<={2**63} seed>=7.5") == [0, 1, 4]
    assert found("seed!=7") == [0, 1, 2, 3, 4]
    assert found("seed<inf seed>-inf") == [0, 1, 3, 4, 5]
    assert found("", sort="seed") == [5, 0, 1, 4, 3, 2]
    assert found("", sort="seed", descending=True) == [3, 4, 1, 0, 5, 2]


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ("length", "no condition"),
        ("length>=", "'length>=' is no condition"),
        ("length>=x", "'x' is none"),
        ("colour=red", "have no 'colour'"),
        ("quality<b", "use = or !="),
        ("length>2 and", "'and' is no condition"),
    ],
)
def test_a_condition_without_meaning_is_told(
    conditions: str, sentence: str, datasets_root: Path
) -> None:
    with pytest.raises(QueryError, match=sentence):
        known(create()).answer(Query(conditions=conditions))


def test_vector_rewards_have_one_return_for_each_component(datasets_root: Path) -> None:
    plain = buffer(0, 2)
    plain.rewards = np.array([[1.0, np.inf], [2.0, 1.0]])
    dataset = minari.create_dataset_from_buffers(
        "tests/vector-v0",
        [plain],
        observation_space=spaces.Box(-1, 1, (1,), np.float64),
        action_space=spaces.Discrete(2),
    )

    answer: Any = known(dataset).answer(Query())

    assert answer["rows"][0]["return"] == [3.0, "inf"]


def test_an_empty_view_has_no_rows(datasets_root: Path) -> None:
    answer: Any = known(create()[:0]).answer(Query())
    assert (answer["total"], answer["rows"]) == (0, [])
