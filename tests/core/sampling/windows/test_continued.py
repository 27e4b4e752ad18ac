"""Windows that go on into the next episode, beside a slow and obvious way to read them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling import SequenceBatch
from tests.core.helpers.recorded import (
    PREVIOUS,
    VECTOR,
    Recorded,
    expect_info,
    expect_previous,
    expect_row,
    record,
    recordings,
    stored,
    views,
)

COLUMNS = ["observations", "actions", "rewards", "terminations", "truncations", "infos", *PREVIOUS]
Row = tuple[int, int, int, int]


def list_rows(recorded: Recorded, indices: list[int], unknown: bool) -> list[Row]:
    """The episode and row of each observation, and the part of the episode that it is in."""
    rows: list[Row] = []
    for index in indices:
        episode, begin = recorded.episodes[index], 0
        while begin < len(episode):
            _, end = episode.part_of(begin, everything=True)
            _, stop = episode.part_of(begin, everything=unknown)
            _, known = episode.part_of(begin)
            if stop > begin:
                rows += [(index, row, begin, stop) for row in range(begin, known + 1)]
            begin = end
    return rows


def expect_rows(
    batch: SequenceBatch, recorded: Recorded, windows: list[list[Row]], scale: float
) -> None:
    """Fail unless a batch has these windows."""
    assert len(batch) == len(windows)
    for place, window in enumerate(windows):
        for offset, (index, row, begin, stop) in enumerate(window):
            at, episode = (place, offset), recorded.episodes[index]
            _, known = episode.part_of(begin)
            _, end = episode.part_of(begin, everything=True)
            assert (batch.episode_ids[at], batch.time_steps[at]) == (index, row)
            assert bool(batch.is_first[at]) is (row == begin)
            assert bool(batch.is_last[at]) is (row == known)
            assert bool(batch.mask[at]) is (row < stop)
            expect_row(batch.observations, at, episode.observations[row], "observations")
            expect_info(batch.columns["infos"], at, episode.infos[row], "infos")
            expect_previous(batch.columns, at, episode, row, begin, scale)
            has_step = row < stop
            expect_row(batch.actions, at, episode.actions[min(row, end - 1)], "actions")
            reward = episode.rewards[row] * scale if has_step else np.zeros_like(episode.rewards[0])
            expect_row(batch.rewards, at, reward, "rewards")
            for name in ("terminations", "truncations"):
                flag = np.bool_(has_step and getattr(episode, name)[row])
                expect_row(getattr(batch, name), at, flag, name)
            to_go: Any = np.zeros_like(episode.rewards[0])
            for ahead in range(row, end) if has_step else ():
                to_go = to_go + 0.5 ** (ahead - row) * episode.rewards[ahead] * scale
            np.testing.assert_allclose(batch.returns_to_go[at], to_go, rtol=1e-9, atol=1e-12)


@given(recordings(), st.data(), st.sampled_from([1, 2, 5, 13]), st.booleans(), st.booleans())
@settings(max_examples=80)
def test_windows_go_on_from_episode_to_episode(
    recorded: Recorded, data: st.DataObject, length: int, on_disk: bool, assembled: bool
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    unknown, scale = data.draw(st.booleans()), data.draw(st.sampled_from([1.0, 0.25]))
    rows = list_rows(recorded, indices, unknown)
    windows = [rows[at : at + length] for at in range(len(rows) - length + 1)]
    options: dict[str, Any] = {
        "include_unknown_final": unknown,
        "columns": COLUMNS,
        "returns_to_go": True,
        "discount": 0.5,
        "across_episodes": True,
        "reward_scale": scale,
    }
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        view = dataset[chosen]
        if not windows:
            with pytest.raises(SamplingError, match=r"longer than all episodes|no step to sample"):
                view.sample_sequences(3, length, **options)
            return
        (batch,) = view.batches(len(windows), shuffle=False, length=length, **options)
        expect_rows(batch, recorded, windows, scale)
        batch = view.sample_sequences(5, length, **options)
        shown = batch.episode_ids, batch.time_steps, batch.is_first
        drawn = list(np.stack(shown, axis=-1).tolist())
        told = [[[i, row, row == begin] for i, row, begin, _ in window] for window in windows]
        found = [windows[told.index(window)] for window in drawn]
        expect_rows(batch, recorded, found, scale)


def test_weights_draw_the_windows_that_begin_in_an_episode() -> None:
    with stored(record(VECTOR, VECTOR, [4, 3, 6], 0, cuts=2), on_disk=True) as dataset:
        batch = dataset.sample_sequences(40, 5, across_episodes=True, weights=[0, 1, 0])
        assert set(batch.episode_ids[:, 0].tolist()) == {1}
        assert 2 in batch.episode_ids
        batches = dataset.batches(3, length=5, across_episodes=True, seed=1)
        before = next(batches)
        assert len(before) == 3
        state = json.loads(json.dumps(batches.state_dict()))
        again = dataset.batches(3, length=5, across_episodes=True, seed=1)
        again.load_state_dict(state)
        for one, other in zip(again, batches, strict=True):
            np.testing.assert_array_equal(one.observations, other.observations)
        with pytest.raises(SamplingError, match="the state is of"):
            dataset.batches(3, length=5, seed=1).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "after"}, "have no padding"),
        ({"final_observation": True}, "have no padding, and the final observation"),
        ({"columns": ["next_observations"]}, "'next_observations', which lies one row later"),
        ({"columns": ["next_actions"]}, "'next_actions', which lies one row later"),
        ({"length": 99}, "longer than all episodes together, which have 5"),
    ],
)
def test_what_makes_no_sense_across_episodes_is_refused(
    options: dict[str, Any], message: str
) -> None:
    given_options: dict[str, Any] = {"length": 2, "across_episodes": True, **options}
    with (
        stored(record(VECTOR, VECTOR, [4], 0), on_disk=False) as dataset,
        pytest.raises(SamplingError, match=message),
    ):
        dataset.sample_sequences(3, **given_options)


def test_next_observations_beside_the_final_one_and_offsets_of_previous_steps_are_refused() -> None:
    with stored(record(VECTOR, VECTOR, [4], 0), on_disk=False) as dataset:
        with pytest.raises(SamplingError, match="'next_observations', which lies one row later"):
            dataset.sample_sequences(3, 2, final_observation=True, columns=["next_observations"])
        with pytest.raises(SamplingError, match="give 'actions' the offset -1"):
            dataset.sample_sequences(3, offsets={"previous_actions": [0]})
