"""Windows beside a slow and obvious way to read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling import SequenceBatch
from tests.core.helpers.recorded import (
    IMAGE,
    PREVIOUS,
    VECTOR,
    Recorded,
    expect_absent,
    expect_info,
    expect_previous,
    expect_row,
    expect_unknown,
    record,
    recordings,
    stored,
    views,
)

ALL = ["observations", "actions", "rewards", "next_observations", "terminations", "truncations"]


def windows(
    recorded: Recorded, indices: list[int], length: int, padding: str | None, unknown: bool
) -> list[Any]:
    """The episode and the steps of each window; a step outside the episode is padding."""
    found = []
    for index, anchor in recorded.view(indices, everything=unknown):
        _, stop = recorded.episodes[index].part_of(anchor, everything=unknown)
        first = anchor - length + 1 if padding == "before" else anchor
        if padding is not None or first + length <= stop:
            found.append((index, list(range(first, first + length))))
    return found


def expect_windows(
    batch: SequenceBatch,
    recorded: Recorded,
    wanted: list[Any],
    discount: float,
    unknown: bool,
    padding: str | None,
    final: bool = False,
    scale: float = 1.0,
) -> None:
    """Fail unless a batch has these windows."""
    assert len(batch) == len(wanted)
    assert batch.episode_ids.tolist() == [index for index, _ in wanted]
    for place, (index, steps) in enumerate(wanted):
        episode = recorded.episodes[index]
        anchor = steps[-1 if padding == "before" else 0]
        begin, stop = episode.part_of(anchor, everything=unknown)
        _, end = episode.part_of(anchor, everything=True)
        for offset, step in enumerate(steps):
            at = (place, offset)
            inside = begin <= step < stop
            nearest = min(max(step, begin), stop - 1)
            assert bool(batch.mask[at]) is inside
            assert batch.time_steps[at] == (step if inside else 0)
            marked: Any = batch.is_first
            assert marked is None or bool(marked[at]) is (step == begin)
            if not final:
                expect_row(batch.observations, at, episode.observations[nearest], "observations")
            if "previous_actions" in batch.columns:
                expect_previous(batch.columns, at, episode, nearest, begin, scale)
            expect_row(batch.actions, at, episode.actions[nearest], "actions")
            if nearest + 1 < end:
                following = episode.actions[nearest + 1]
                expect_row(batch.columns["next_actions"], at, following, "next_actions")
            else:
                expect_unknown(batch.columns["next_actions"], at, "next_actions")
            if final:
                assert batch.next_observations is None
            elif nearest + 1 > episode.known_steps:
                expect_unknown(batch.next_observations, at, "next_observations")
            else:
                following = episode.observations[nearest + 1]
                expect_row(batch.next_observations, at, following, "next_observations")
            reward = (
                episode.rewards[step] if inside else np.zeros_like(episode.rewards[0])
            ) * scale
            expect_row(batch.rewards, at, reward, "rewards")
            for name in ("terminations", "truncations"):
                flag = np.bool_(inside and getattr(episode, name)[step])
                expect_row(getattr(batch, name), at, flag, name)
            info = recorded.info(index, nearest)
            expect_info(batch.columns["infos"], at, info, "infos")
            to_go: Any = 0.0
            for ahead in range(step, end) if inside else ():
                to_go = to_go + discount ** (ahead - step) * episode.rewards[ahead] * scale
            np.testing.assert_allclose(batch.returns_to_go[at], to_go, rtol=1e-9, atol=1e-12)
        for offset, row in enumerate([*steps, steps[-1] + 1] if final else ()):
            nearest = min(max(row, begin), stop)
            if nearest > episode.known_steps:
                expect_unknown(batch.observations, (place, offset), "observations")
            else:
                wanted_row = episode.observations[nearest]
                expect_row(batch.observations, (place, offset), wanted_row, "observations")


@given(
    recordings(),
    st.data(),
    st.sampled_from([1, 2, 3, 7]),
    st.sampled_from([None, "after", "before"]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=120)
def test_windows_are_those_of_the_episodes(
    recorded: Recorded,
    data: st.DataObject,
    length: int,
    padding: Any,
    on_disk: bool,
    assembled: bool,
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    discount = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    unknown, final = data.draw(st.booleans()), data.draw(st.booleans())
    scale = data.draw(st.sampled_from([1.0, 0.25]))
    shown = [name for name in ALL if not final or name != "next_observations"]
    wanted = windows(recorded, indices, length, padding, unknown)
    options: dict[str, Any] = {
        "include_unknown_final": unknown,
        "columns": [*shown, "infos", "next_actions", *data.draw(st.sampled_from([[], PREVIOUS]))],
        "final_observation": final,
        "is_first": data.draw(st.booleans()),
        "reward_scale": scale,
        "padding": padding,
        "returns_to_go": True,
        "discount": discount,
    }
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        view = dataset[chosen]
        if not wanted:
            with pytest.raises(
                SamplingError, match=f"windows of {length} steps are|no step to sam"
            ):
                view.sample_sequences(3, length, **options)
            return
        (batch,) = view.batches(len(wanted), shuffle=False, length=length, **options)
        expect_windows(batch, recorded, wanted, discount, unknown, padding, final, scale)
        batch = view.sample_sequences(5, length, **options)
        offset = length - 1 if padding == "before" else 0
        anchors = [
            (int(index), np.flatnonzero(mask)[-1 if offset else 0], steps)
            for index, mask, steps in zip(
                batch.episode_ids, batch.mask, batch.time_steps, strict=True
            )
        ]
        drawn = [
            (index, list(range(start, start + length)))
            for index, place, steps in anchors
            for start in [int(steps[place] - place)]
        ]
        assert all(window in wanted for window in drawn)
        expect_windows(batch, recorded, drawn, discount, unknown, padding, final, scale)


def test_all_parts_but_the_next_observations_are_read_unless_others_are_named() -> None:
    with stored(record(VECTOR, VECTOR, [5, 3], 0), on_disk=False) as dataset:
        batch = dataset.sample_sequences(2, 2)
        expect_absent(batch, "next_observations", "returns_to_go")
        assert batch.observations.shape == batch.actions.shape == (2, 2, 3)
        assert batch.rewards.shape == batch.terminations.shape == batch.mask.shape == (2, 2)
        batch = dataset.sample_sequences(2, 2, columns=["actions", "infos/always"])
        expect_absent(batch, "observations", "rewards", "terminations")
        assert batch.columns["infos/always"].shape == (2, 2)


def test_returns_to_go_reach_far_behind_the_window() -> None:
    recorded = record(VECTOR, VECTOR, [20_000, 30], 0, cuts=4)
    rewards = np.array(recorded.episodes[0].rewards)
    with stored(recorded, on_disk=False, assembled=False) as dataset:
        batches = dataset.batches(
            500, length=2, returns_to_go=True, discount=0.999, columns=["rewards"], shuffle=False
        )
        batch = next(batches)
        to_go = np.zeros(len(rewards) + 1)
        for step in reversed(range(len(rewards))):
            to_go[step] = rewards[step] + 0.999 * to_go[step + 1]
        np.testing.assert_allclose(batch.returns_to_go[:, 0], to_go[:500], rtol=1e-9)


def test_windows_can_be_weighted_by_episode() -> None:
    recorded = record(VECTOR, VECTOR, [1, 4, 12, 2], 0)
    with stored(recorded, on_disk=False) as dataset:
        dataset.set_seed(2)
        drawn = 20_000
        cases: list[tuple[Any, Any, list[float]]] = [
            (None, None, [0, 2 / 12, 10 / 12, 0]),
            (None, "episodes", [0, 0.5, 0.5, 0]),
            (None, [0, 1, 3, 0], [0, 0.25, 0.75, 0]),
            ("after", "episodes", [0.25] * 4),
            ("before", [1, 0, 0, 1], [0.5, 0, 0, 0.5]),
        ]
        for padding, weights, shares in cases:
            batch = dataset.sample_sequences(
                drawn,
                3,
                weights=weights,
                padding=padding,
                columns=["rewards"],
            )
            found = np.bincount(batch.episode_ids, minlength=4) / drawn
            wanted = np.array(shares)
            assert np.all(np.abs(found - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / drawn))
        with pytest.raises(SamplingError, match=r"episode 3 of the view has weight 2\.0, but no"):
            dataset.sample_sequences(2, 3, weights=[0, 1, 1, 2])


def test_windows_of_images_are_decoded_once_for_both_sides_of_a_step() -> None:
    recorded = record(IMAGE, VECTOR, [30, 9], 1, cuts=2)
    with stored(recorded, on_disk=True, assembled=False) as dataset:
        batch = dataset.sample_sequences(
            6, 4, columns=["observations", "next_observations"], padding="after"
        )
        for place, index in enumerate(batch.episode_ids.tolist()):
            for offset in np.flatnonzero(batch.mask[place]).tolist():
                step = int(batch.time_steps[place, offset])
                rows = recorded.episodes[index].observations
                assert np.array_equal(batch.observations[place, offset], rows[step])
                assert np.array_equal(batch.next_observations[place, offset], rows[step + 1])
