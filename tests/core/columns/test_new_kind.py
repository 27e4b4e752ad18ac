"""A kind of column that the package does not have needs a class and a line of registration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import minari_core
from minari_core.columns.base import (
    Array,
    ArraySpec,
    Column,
    ColumnProblem,
    ColumnReader,
    NamedArray,
    Reader,
    StoredArray,
    as_plain_array,
)
from minari_core.columns.for_space import choose_column
from minari_core.columns.problems import find_count_problems, name_rows, take_plain
from minari_core.columns.schema import KINDS
from minari_core.episodes import blocks
from minari_core.errors import FormatError
from minari_core.json_values import JsonObject

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari_core.MinariWarning")

ORDINAL = np.dtype("<i4")
DAYS = [f"2024-02-{day:02}" for day in range(1, 30)]


@dataclass(frozen=True)
class DayColumn(Column):
    """Days as ISO text, stored as one number each."""

    kind: ClassVar[str] = "day"

    def to_json(self) -> JsonObject:
        return {"kind": self.kind}

    @classmethod
    def from_json(cls, fields: Mapping[str, object], where: str, read: ColumnReader) -> DayColumn:
        return cls()

    def arrays(self, path: str) -> Iterator[ArraySpec]:
        yield ArraySpec(f"{path}/ordinals", ORDINAL, ())

    def encode(self, values: Sequence[Any], where: str) -> list[Array]:
        return [np.array([date.fromisoformat(day).toordinal() for day in values], ORDINAL)]

    def bind(self, arrays: Iterator[StoredArray], rows: int, *, copy: bool) -> Reader:
        ordinals: Any = as_plain_array(next(arrays), rows)
        return lambda start, stop: [
            date.fromordinal(ordinal).isoformat() for ordinal in ordinals[start:stop].tolist()
        ]

    def problems(
        self, arrays: Iterator[NamedArray], rows: int | None, *, located: bool
    ) -> Iterator[ColumnProblem]:
        spec, ordinals = take_plain(arrays)
        if ordinals is None:
            return
        yield from find_count_problems(spec, len(ordinals), rows)
        wrong = np.flatnonzero(np.less(ordinals, 1)).tolist()
        total = "{} rows are no days in all"
        yield from name_rows(spec.path, wrong, lambda row: "it is no day", total, located=located)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the kind, and lets it store the texts of observations."""

    def choose(space: spaces.Space[Any], values: Sequence[object]) -> Column:
        return DayColumn() if isinstance(space, spaces.Text) else choose_column(space, values)

    monkeypatch.setitem(dict_of_kinds(), DayColumn.kind, DayColumn)
    monkeypatch.setattr(blocks, "choose_column", choose)


def dict_of_kinds() -> dict[str, type[Column]]:
    assert isinstance(KINDS, dict)
    return KINDS


def episode_of(first: int, steps: int) -> minari_core.EpisodeBuffer:
    return minari_core.EpisodeBuffer(
        observations=DAYS[first : first + steps + 1],
        actions=[0] * steps,
        rewards=[0.0] * steps,
        terminations=[False] * steps,
        truncations=[False] * (steps - 1) + [True],
    )


def make_dataset() -> minari_core.MinariDataset:
    return minari_core.create_dataset_from_buffers(
        "tests/days-v0",
        [episode_of(0, 3), episode_of(5, 2)],
        observation_space=spaces.Text(10, charset="0123456789-"),
        action_space=spaces.Discrete(2),
    )


@pytest.mark.usefixtures("registered")
def test_values_of_a_registered_kind_are_stored_read_sampled_and_joined() -> None:
    make_dataset().storage.append_episodes([episode_of(10, 4)])
    dataset = minari_core.load_dataset("tests/days-v0")

    for _ in range(2):
        assert [list(episode.observations) for episode in dataset] == [
            DAYS[0:4],
            DAYS[5:8],
            DAYS[10:15],
        ]
        batch = dataset.sample_transitions(9)
        successors = dict(pairwise(DAYS))
        pairs = zip(batch.observations, batch.next_observations, strict=True)
        assert all(successors[now] == after for now, after in pairs)
        assert minari_core.verify_dataset("tests/days-v0").ok
        dataset.storage.compact()
        dataset = minari_core.load_dataset("tests/days-v0")


@pytest.mark.usefixtures("registered")
def test_damage_to_a_registered_kind_is_found_with_its_episode() -> None:
    folder = make_dataset().storage.data_path
    assert folder is not None
    (shard,) = folder.glob("*.h5")
    with h5py.File(shard) as file:
        ordinals = file["observations/ordinals"]
        offset, dtype = ordinals.id.get_offset(), ordinals.dtype
    with shard.open("r+b") as damaged:
        damaged.seek(offset + 5 * dtype.itemsize)
        damaged.write(np.array(-1, dtype=dtype).tobytes())

    problems = minari_core.verify_dataset("tests/days-v0").problems

    found = [(problem.message, problem.episode) for problem in problems if problem.column]
    assert found == [("it is no day", 1)]


def test_a_kind_that_is_not_registered_is_refused_by_its_name(
    registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset()
    monkeypatch.delitem(dict_of_kinds(), DayColumn.kind)

    with pytest.raises(FormatError, match="kind 'day'"):
        minari_core.load_dataset("tests/days-v0")
