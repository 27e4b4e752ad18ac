"""Random recorded episodes, stored with shard borders anywhere, and what is true of them.

`Recorded` holds the rows as plain Python lists. Every sampler is compared with what can be read
off these lists by hand.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import strategies as st

from minari_core import MinariDataset
from minari_core.columns import Column, Schema, StructColumn, choose_column, make_fixed_column
from minari_core.columns.untyped import encode_dynamic
from minari_core.environments.space_json import space_to_json
from minari_core.episodes import encode_entries
from minari_core.episodes.final_observation import FINAL_OBSERVATION
from minari_core.episodes.shard_data import ShardData
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.formats.columnar.reading import ShardedStorage
from minari_core.sampling.gathering import binding
from minari_core.testing.expectations import expect_same
from tests.core.helpers.info_strategies import canonical
from tests.core.helpers.space_strategies import value_of

DESCRIBED = {
    "author": "somebody",
    "author_email": "somebody@example.org",
    "algorithm_name": "none",
    "code_permalink": "none",
}

IMAGE = spaces.Box(0, 255, (64, 64), np.uint8)
VECTOR = spaces.Box(-5, 5, (3,), np.float64)
NESTED = spaces.Dict(
    {
        "achieved/goal": spaces.Box(-1, 1, (2,), np.float32),
        "parts": spaces.Tuple((spaces.MultiBinary(3), spaces.Text(4), spaces.Discrete(5))),
    }
)
WITH_IMAGE = spaces.Dict({"camera": IMAGE, "speed": spaces.Box(-1, 1, (), np.float64)})

SPACES: list[spaces.Space[Any]] = [
    VECTOR,
    spaces.Discrete(4, start=-2),
    spaces.MultiBinary((2, 2)),
    spaces.MultiDiscrete([3, 200]),
    spaces.Text(5),
    NESTED,
    spaces.Tuple((spaces.Discrete(2), VECTOR)),
    IMAGE,
    WITH_IMAGE,
    spaces.Sequence(spaces.Box(0, 1, (2,), np.float32)),
]
"""Every kind of column: fixed, compressed, text, nested, and of no fixed shape."""


@dataclass(repr=False)
class RecordedEpisode:
    """One episode as it was recorded, one value a row."""

    observations: list[Any]
    actions: list[Any]
    rewards: list[Any]
    terminations: list[bool]
    truncations: list[bool]
    infos: list[dict[str, Any]]
    extras: list[dict[str, Any]]
    knows_final: bool = True
    """Whether the last observation was seen; if not, it is noise that nobody must be given."""

    @property
    def known_steps(self) -> int:
        """How many steps have an observation behind them."""
        return len(self) - (not self.knows_final)

    def __len__(self) -> int:
        return len(self.rewards)

    def part_of(self, step: int, *, everything: bool = False) -> tuple[int, int]:
        """The first step, and the one after the last, of what nothing reaches out of.

        Earlier releases stored episodes that go on after an end; such an end is one all the same.
        """
        ended = [
            one or other for one, other in zip(self.terminations, self.truncations, strict=True)
        ]
        first = max((i + 1 for i in range(step) if ended[i]), default=0)
        stop = next((i + 1 for i in range(step, len(self)) if ended[i]), len(self))
        return first, min(stop, len(self) if everything else self.known_steps)


@dataclass(repr=False)
class Recorded:
    """Episodes, and how they are cut into shards."""

    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    episodes: list[RecordedEpisode]
    cuts: list[tuple[int, int]] = field(default_factory=list)
    """Rows and steps before each border between shards."""
    step_infos: list[str] = field(default_factory=list)
    """The infos whose row t is of step t, and not of the observation that it led to."""
    changed: list[int] = field(default_factory=list)
    """The episodes whose entries are written anew in shards on disk."""

    def __repr__(self) -> str:
        lengths = [len(episode) for episode in self.episodes]
        return f"{self.observation_space} {self.action_space} {lengths} {self.cuts}"

    def info(self, index: int, step: int) -> dict[str, Any]:
        """The infos of a step: those that it returned, and those that belong to it."""
        before, after = self.episodes[index].infos[step : step + 2]
        chosen = {key: after.get(key) for key in after if key not in self.step_infos}
        return chosen | {key: before[key] for key in self.step_infos if key in before}

    def view(self, indices: Sequence[int], *, everything: bool = False) -> list[tuple[int, int]]:
        """The episode and the step at each position of a view."""
        counts = [
            (index, len(self.episodes[index]) if everything else self.episodes[index].known_steps)
            for index in indices
        ]
        return [(index, step) for index, count in counts for step in range(count)]


def _info(
    rng: np.random.Generator, episode: int, images: bool, lists: tuple[str, ...]
) -> dict[str, Any]:
    """One row of infos: always there, sometimes there, only from the second episode on."""
    info: dict[str, Any] = {"always": float(rng.standard_normal())}
    if rng.random() < 0.6:
        info["word"] = str(rng.choice(["", "up", "öl"]))
    if rng.random() < 0.6:
        info["sometimes"] = rng.standard_normal(2).astype(np.float32)
    if rng.random() < 0.6:
        info["nested"] = {"a/b": int(rng.integers(5)), "flag": bool(rng.random() < 0.5)}
    if episode:
        info["late"] = np.int64(rng.integers(100))
        # A whole number in one shard, and not in another.
        info["mixed"] = int(rng.integers(9)) if episode == 1 else float(rng.random())
    if images and rng.random() < 0.7:
        info["image"] = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    if rng.random() < 0.6:
        info["changing"] = rng.standard_normal(int(rng.integers(0, 3)))
    return {key: value for key, value in info.items() if key not in lists}


def _early(rng: np.random.Generator, share: float, steps: int) -> list[bool]:
    return (rng.random(steps - 1) < share / 2).tolist() if share else [False] * (steps - 1)


def record(
    observation_space: spaces.Space[Any],
    action_space: spaces.Space[Any],
    lengths: Sequence[int],
    seed: int,
    *,
    reward_shape: tuple[int, ...] = (),
    cuts: int = 0,
    unknown: float = 0.0,
    early: float = 0.0,
) -> Recorded:
    """Random episodes of some lengths.

    Args:
        observation_space: The space of the observations.
        action_space: The space of the actions.
        lengths: The steps of each episode.
        seed: What everything depends on.
        reward_shape: The shape of a reward.
        cuts: The number of borders between shards.
        unknown: The share of episodes whose final observation is not known.
        early: The share of steps that end an episode although it goes on.
    """
    rng = np.random.default_rng(seed)
    without = tuple(rng.choice(["word", "nested", "changing", "mixed", "late"], 2).tolist())
    episodes = []
    for number, steps in enumerate(lengths):
        ends = int(rng.integers(3))
        episodes.append(
            RecordedEpisode(
                observations=[value_of(observation_space, rng) for _ in range(steps + 1)],
                actions=[value_of(action_space, rng) for _ in range(steps)],
                rewards=[np.float64(rng.standard_normal(reward_shape)) for _ in range(steps)],
                terminations=[*_early(rng, early, steps), ends == 0],
                truncations=[*_early(rng, early, steps), ends == 1],
                infos=[_info(rng, number, seed % 3 == 0, without) for _ in range(steps + 1)],
                extras=[{"mean": rng.standard_normal(2)} for _ in range(steps + 1)],
                knows_final=not unknown or bool(rng.random() >= unknown),
            )
        )
    # A border lies before a step, before or behind the observation that the step begins with.
    starts = np.cumsum([0, *lengths])
    borders: list[tuple[int, int]] = []
    for cut in sorted(set(rng.integers(1, starts[-1] + 1, size=cuts).tolist())):
        episode = int(np.searchsorted(starts, cut, side="right")) - 1
        rows = cut + episode
        if cut not in starts.tolist():
            rows += int(rng.integers(2))
        elif rng.random() < 0.5:
            # The last observation of an episode comes with the next shard.
            rows -= 1
        borders.append((rows, int(cut)))
    return Recorded(observation_space, action_space, episodes, borders)


def shards_of(recorded: Recorded) -> list[ShardData]:
    """The episodes as shards with the borders that are wanted, none of them empty."""
    episodes = recorded.episodes
    rows: dict[str, list[Any]] = {
        name: [row for episode in episodes for row in getattr(episode, name)]
        for name in RecordedEpisode.__dataclass_fields__
        if name != "knows_final"
    }
    ends = np.cumsum([len(episode) for episode in episodes])
    reward = make_fixed_column(np.dtype("f8"), np.shape(rows["rewards"][0]))
    flag = make_fixed_column(np.dtype("?"), ())
    columns: dict[str, Column] = {
        "observations": choose_column(recorded.observation_space, rows["observations"]),
        "actions": choose_column(recorded.action_space, rows["actions"]),
        "rewards": reward,
        "terminations": flag,
        "truncations": flag,
    }
    borders = [(0, 0), *recorded.cuts, (len(rows["observations"]), len(rows["actions"]))]
    shards = []
    done = 0
    for (row, step), (row_stop, step_stop) in pairwise(borders):
        if (row, step) == (row_stop, step_stop):
            continue
        parts: dict[str, Column] = {}
        arrays: list[Any] = []
        for name, column in columns.items():
            of_rows = name == "observations"
            start, stop = (row, row_stop) if of_rows else (step, step_stop)
            parts[name] = column
            arrays += column.encode(rows[name][start:stop], name)
        for name in ("infos", "extras"):
            encoded = encode_dynamic(rows[name][row:row_stop], name, {})
            parts[name], some = encoded if encoded is not None else (StructColumn({}), [])
            arrays += some
        # The entry of an episode is in the shard of its last row.
        last_rows = ends + np.arange(len(ends))
        stop = int(np.count_nonzero((last_rows < row_stop) & (ends <= step_stop)))
        lengths = [len(episode) for episode in episodes[done:stop]]
        nothing = [None] * len(lengths)
        # What is known is said of some episodes, and goes without saying for others.
        metadata = [
            {FINAL_OBSERVATION: episode.knows_final}
            if len(episode) % 2 or not episode.knows_final
            else None
            for episode in episodes[done:stop]
        ]
        entries, pieces = encode_entries(lengths, nothing, nothing, metadata, {})
        parts["episodes"] = entries
        arrays += [piece for (piece,) in pieces]
        schema = Schema(parts)
        shards.append(
            ShardData(
                schema, [[array] for array in arrays], row_stop - row, step_stop - step, stop - done
            )
        )
        done = stop
    assert done == len(episodes)
    return shards


@contextlib.contextmanager
def stored(recorded: Recorded, *, on_disk: bool, assembled: bool = True) -> Iterator[MinariDataset]:
    """A dataset of the episodes.

    Args:
        recorded: The episodes.
        on_disk: Whether the shards are files; images are compressed there.
        assembled: Whether columns of many shards may be put together in memory, as small ones are.
    """
    with contextlib.ExitStack() as stack:
        if not assembled:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(binding, "ASSEMBLED_NBYTES", 0)
        observation_space, action_space = recorded.observation_space, recorded.action_space
        storage: ShardedStorage
        if on_disk:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            described: dict[str, Any] = {
                "dataset_id": "tests/recorded-v0",
                "observation_space": space_to_json(observation_space),
                "action_space": space_to_json(action_space),
                "step_infos": recorded.step_infos,
            }
            new = ColumnarStorage.create(folder, described)
            new.add(shards_of(recorded))
            new.save()
            storage = ColumnarStorage.open(folder)
            storage.update_episode_metadata([{}] * len(recorded.changed), recorded.changed)
        else:
            marked = {"step_infos": recorded.step_infos}
            memory = MemoryStorage(observation_space, action_space, marked)
            memory.add(shards_of(recorded))
            storage = memory
        yield MinariDataset(storage)


def expect_absent(batch: object, *names: str) -> None:
    """Fail unless fields of a batch, which nobody asked for, are None."""
    for name in names:
        assert getattr(batch, name) is None, name


def row_at(value: Any, *place: int) -> Any:
    """One row of what a sampler gave, at a place in the axes before those of the value."""
    if isinstance(value, dict):
        return {key: row_at(part, *place) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(row_at(part, *place) for part in value)
    for index in place:
        value = value[index]
    if isinstance(value, np.ma.MaskedArray):
        return None if value.mask.all() and value.size else np.asarray(value.data)
    return value


def expect_unknown(value: Any, place: tuple[int, ...], where: str) -> None:
    """Fail unless a row has no value: masked in arrays, None in lists."""
    row = row_at(value, *place)
    while isinstance(row, dict | tuple) and row:
        row = list(row.values() if isinstance(row, dict) else row)
        assert all(part is None or isinstance(part, dict | tuple) for part in row), where
        row = next((part for part in row if part is not None), None)
    assert row is None, f"{where} at {place} is {row}"


def expect_row(value: Any, place: tuple[int, ...], wanted: Any, where: str) -> None:
    """Fail unless a row of what a sampler gave is what was recorded, to the bit."""
    expect_same(row_at(value, *place), wanted, f"{where} at {place}")


PREVIOUS = [f"previous_{name}" for name in ("actions", "rewards", "terminations", "truncations")]
"""The columns of the step that led to an observation."""


def expect_previous(
    columns: dict[str, Any],
    place: tuple[int, ...],
    episode: RecordedEpisode,
    row: int,
    begin: int,
    scale: float = 1.0,
) -> None:
    """Fail unless a batch has what led to the observation of a row; nothing did to the first."""
    if row == begin:
        expect_unknown(columns["previous_actions"], place, "previous_actions")
        for name in PREVIOUS[1:]:
            assert not np.any(columns[name][place])
        return
    expect_row(columns["previous_actions"], place, episode.actions[row - 1], "previous_actions")
    reward = episode.rewards[row - 1] * scale
    expect_row(columns["previous_rewards"], place, reward, "previous_rewards")
    for name in PREVIOUS[2:]:
        flag = np.bool_(getattr(episode, name.removeprefix("previous_"))[row - 1])
        expect_row(columns[name], place, flag, name)


def expect_info(value: Any, place: tuple[int, ...], wanted: Any, where: str) -> None:
    """Fail unless a row of infos is what was recorded, as the rules for infos allow."""
    row = row_at(value, *place)
    with contextlib.suppress(AssertionError):
        # What is the same to the bit is the same by any rule, and found so in less time.
        expect_same(row, wanted)
        return
    found = canonical(row)
    assert found == canonical(wanted), f"{where} at {place}: {found} is not {canonical(wanted)}"


lengths = st.lists(st.sampled_from([1, 1, 2, 3, 5, 12]), min_size=1, max_size=5)
seeds = st.integers(0, 2**32 - 1)
some_space = st.sampled_from(SPACES)


@st.composite
def recordings(draw: st.DrawFn, vector_rewards: bool = True) -> Recorded:
    """Random episodes with shard borders anywhere."""
    shape = draw(st.sampled_from([(), (), (2,)])) if vector_rewards else ()
    recorded = record(
        draw(some_space),
        draw(some_space),
        draw(lengths),
        draw(seeds),
        reward_shape=shape,
        cuts=draw(st.integers(0, 5)),
        unknown=draw(st.sampled_from([0.0, 0.5])),
        early=draw(st.sampled_from([0.0, 0.0, 0.3])),
    )
    some = st.lists(st.sampled_from(["always", "word", "nested", "late", "absent"]), unique=True)
    recorded.step_infos = draw(st.one_of(st.just([]), some))
    numbers = st.integers(0, len(recorded.episodes) - 1)
    recorded.changed = draw(st.one_of(st.just([]), st.lists(numbers)))
    return recorded


@st.composite
def views(draw: st.DrawFn, total: int) -> tuple[Any, list[int]]:
    """What selects some episodes of a dataset, and their indices; some are chosen twice."""
    kind = draw(st.sampled_from(["all", "slice", "backwards", "list"]))
    everything = list(range(total))
    if kind == "all":
        return slice(None), everything
    if kind == "backwards":
        return slice(None, None, -1), everything[::-1]
    if kind == "slice":
        start = draw(st.integers(0, total - 1))
        chosen = slice(start, draw(st.integers(start + 1, total)), draw(st.integers(1, 2)))
        return chosen, everything[chosen]
    places = draw(st.lists(st.integers(0, total - 1), min_size=1, max_size=6))
    return places, places
