"""Windows whose columns have ranges of their own, beside a slow and obvious way to read them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import MinariDataset, SamplingError
from minari_core.formats.shards import compression
from minari_core.sampling import OffsetBatch
from minari_core.sampling.options.offsets import OffsetOptions
from minari_core.sampling.options.shared import BATCH_FIELDS
from tests.core.helpers.recorded import (
    IMAGE,
    VECTOR,
    Recorded,
    expect_absent,
    expect_info,
    expect_row,
    record,
    recordings,
    stored,
    views,
)

COLUMNS = [
    "observations",
    "actions",
    "rewards",
    "next_observations",
    "terminations",
    "truncations",
    "infos",
    "next_actions",
    "current_infos/always",
]
some_offsets = st.one_of(
    st.builds(range, st.integers(-4, 1), st.integers(2, 7)),
    st.lists(st.integers(-15, 15), min_size=1, max_size=4),
)


def find_rows(recorded: Recorded, name: str, index: int, step: int, unknown: bool) -> list[Any]:
    """The rows of a column that its offsets count through, from the first step of the part on."""
    episode = recorded.episodes[index]
    begin, stop = episode.part_of(step, everything=unknown)
    _, known = episode.part_of(step)
    _, end = episode.part_of(step, everything=True)
    if name == "infos":
        return [recorded.info(index, row) for row in range(begin, stop)]
    if name == "current_infos/always":
        return [episode.infos[row]["always"] for row in range(begin, known + 1)]
    source, first, last = {
        "observations": (episode.observations, begin, known + 1),
        "next_observations": (episode.observations, begin + 1, known + 1),
        "next_actions": (episode.actions, begin + 1, end),
    }.get(name, (getattr(episode, name, None), begin, stop))
    return [] if source is None else source[first:last]


def expect_windows(
    batch: OffsetBatch,
    recorded: Recorded,
    wanted: list[tuple[int, int]],
    options: dict[str, Any],
) -> None:
    """Fail unless a batch has the rows around these steps."""
    offsets, unknown = options["offsets"], options["include_unknown_final"]
    assert [name for name in BATCH_FIELDS if getattr(batch, name) is not None] == [
        name for name in BATCH_FIELDS if name in offsets
    ]
    assert {*batch.columns} == {*offsets} - {*BATCH_FIELDS}
    assert batch.episode_ids.tolist() == [index for index, _ in wanted]
    assert batch.time_steps.tolist() == [step for _, step in wanted]
    for place, (index, step) in enumerate(wanted):
        episode = recorded.episodes[index]
        begin, _ = episode.part_of(step)
        for name, numbers in offsets.items():
            rows = find_rows(recorded, name, index, step, unknown)
            value = getattr(batch, name, None)
            value = batch.columns[name] if value is None else value
            for column, offset in enumerate(numbers):
                row, at = step - begin + offset, (place, column)
                inside = 0 <= row < len(rows)
                assert bool(batch.masks[name][at]) is inside, (name, at)
                if not inside and name in ("rewards", "terminations", "truncations"):
                    assert not np.any(value[at])
                elif rows:
                    nearest = rows[min(max(row, 0), len(rows) - 1)]
                    if name == "rewards":
                        nearest = nearest * options["reward_scale"]
                    if "infos" in name:
                        expect_info(value, at, nearest, name)
                    else:
                        is_flag = name in ("terminations", "truncations")
                        nearest = np.bool_(nearest) if is_flag else nearest
                        expect_row(value, at, nearest, name)
        _, end = episode.part_of(step, everything=True)
        to_go: Any = 0.0
        for ahead in range(step, end):
            to_go = to_go + 0.5 ** (ahead - step) * episode.rewards[ahead]
        if not options["returns_to_go"]:
            expect_absent(batch, "returns_to_go")
            continue
        to_go *= options["reward_scale"]
        np.testing.assert_allclose(batch.returns_to_go[place], to_go, rtol=1e-9, atol=1e-12)


@given(recordings(), st.data(), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=80)
def test_each_column_has_the_rows_around_the_step(
    recorded: Recorded, data: st.DataObject, on_disk: bool, assembled: bool, unknown: bool
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    names = data.draw(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
    offsets = {name: data.draw(some_offsets) for name in names}
    options: dict[str, Any] = {
        "offsets": offsets,
        "include_unknown_final": unknown,
        "returns_to_go": data.draw(st.booleans()),
        "discount": 0.5,
        "reward_scale": data.draw(st.sampled_from([1.0, 0.25])),
    }
    everything = recorded.view(indices, everything=unknown)
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        view = dataset[chosen]
        if not everything:
            with pytest.raises(SamplingError, match="there is no step to sample"):
                view.sample_sequences(3, **options)
            return
        (batch,) = view.batches(len(everything), shuffle=False, **options)
        expect_windows(batch, recorded, everything, options)
        batch = view.sample_sequences(6, **options)
        drawn = list(zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True))
        assert set(drawn) <= set(everything)
        expect_windows(batch, recorded, drawn, options)


def test_the_last_observation_lies_one_step_beyond_the_last_action() -> None:
    with stored(record(VECTOR, VECTOR, [3], 0), on_disk=False) as dataset:
        horizon = {"observations": range(3), "actions": range(2), "rewards": range(2)}
        (batch,) = dataset.batches(3, offsets=horizon, shuffle=False)
        assert batch.masks["observations"].tolist() == [[True] * 3, [True] * 3, [True, True, False]]
        assert batch.masks["actions"].tolist() == [[True] * 2, [True] * 2, [True, False]]
        assert np.array_equal(batch.observations[2, 1], dataset[0].observations[3])
        assert np.array_equal(batch.observations[2, 2], dataset[0].observations[3])


def test_only_the_frames_that_are_asked_for_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = compression.decode_rows

    def count(groups: Any, out: Any) -> None:
        decoded.append(sum(len(rows) for _, rows, _ in groups))
        decode(groups, out)

    monkeypatch.setattr("minari_core.sampling.gathering.gatherers.decode_rows", count)
    with stored(record(IMAGE, VECTOR, [60], 1), on_disk=True) as dataset:
        offsets = {"observations": range(-1, 1), "actions": range(16)}
        batch = dataset.sample_sequences(5, offsets=offsets)
        assert batch.observations.shape == (5, 2, 64, 64)
        assert batch.actions.shape == (5, 16, 3)
    assert decoded == [10]


def test_windows_around_steps_are_scaled_and_weighted() -> None:
    with stored(record(VECTOR, VECTOR, [1, 4, 12, 2], 0), on_disk=False) as dataset:
        offsets = {"rewards": [0]}
        batch = dataset.sample_sequences(
            50, offsets=offsets, reward_scale=0.5, returns_to_go=True, weights=[0, 0, 0, 1]
        )
        assert set(batch.episode_ids.tolist()) == {3}
        rewards = np.asarray(dataset[3].rewards) / 2
        assert np.array_equal(batch.rewards[:, 0], rewards[batch.time_steps])
        to_go = np.array([rewards.sum(), rewards[1]])
        np.testing.assert_allclose(batch.returns_to_go, to_go[batch.time_steps])


def test_a_resumed_run_goes_on_with_the_next_windows() -> None:
    def visit(dataset: MinariDataset) -> Any:
        return dataset.batches(3, seed=1, offsets={"actions": range(-1, 2)})

    with stored(record(VECTOR, VECTOR, [5, 6], 0), on_disk=False) as dataset:
        batches = visit(dataset)
        next(batches)
        again = visit(dataset)
        again.load_state_dict(batches.state_dict())
        assert np.array_equal(next(again).actions, next(batches).actions)
        other = dataset.batches(3, seed=1, offsets={"actions": range(-1, 3)})
        with pytest.raises(SamplingError, match="the state is of"):
            other.load_state_dict(batches.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"offsets": {}}, r"offsets is \{\}, not a dict of columns and ranges"),
        ({"offsets": 3}, "offsets is 3, not a dict"),
        ({"offsets": {"actions": []}}, r"the offsets of 'actions' are \[\]; give at least one"),
        ({"offsets": {"actions": 2}}, "the offsets of 'actions' are 2; give at least one"),
        ({"offsets": {"actions": [1.5]}}, r"an offset of actions is 1\.5, not a whole number"),
        ({"offsets": {"actions": [1 << 62]}}, "and none beyond"),
        ({"offsets": {"action": [0]}}, "there is no column 'action'"),
        ({"offsets": {"actions": [0]}, "length": 2}, "length is 2, but offsets say what a window"),
        ({"offsets": {"actions": [0]}, "padding": "after"}, "padding='after' is of windows of"),
        ({"offsets": {"actions": [0]}, "columns": ["actions"]}, r"columns=\['actions'\] is of"),
        ({}, "length is None, not a whole number"),
    ],
)
def test_offsets_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with (
        stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset,
        pytest.raises(SamplingError, match=message),
    ):
        dataset.sample_sequences(2, **options)


@pytest.mark.parametrize("offsets", [range(10**9), range(10**30), itertools.count()])
def test_more_offsets_than_any_window_has_are_refused_before_memory_is_taken(
    offsets: Iterable[int],
) -> None:
    with pytest.raises(SamplingError, match=r"'actions' are .*, more than the 1048576 rows"):
        OffsetOptions(offsets={"actions": offsets})  # type: ignore[arg-type]  # as it is given
