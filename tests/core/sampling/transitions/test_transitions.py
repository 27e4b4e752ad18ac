"""Transitions beside a slow and obvious way to read them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import SamplingError
from minari_core.sampling import SequenceOptions, TransitionBatch, TransitionOptions
from minari_core.sampling.options.goals import Goals
from tests.core.helpers.recorded import (
    IMAGE,
    PREVIOUS,
    VECTOR,
    WITH_IMAGE,
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

GOALS_OF_THE_FUTURE: tuple[Goals, Goals] = ("future", "uniform")
PARTS = ["observations", "actions", "rewards", "next_observations", "terminations", "truncations"]


def expect_transitions(
    batch: TransitionBatch,
    recorded: Recorded,
    wanted: list[tuple[int, int]],
    *,
    n_step: int = 1,
    discount: float = 0.99,
    stack: int = 0,
    include_unknown_final: bool = False,
    columns: list[str] | None = None,
    returns_to_go: bool = False,
    reward_scale: float = 1.0,
) -> None:
    """Fail unless a batch has the transitions of some episodes and steps."""
    assert len(batch) == len(wanted)
    assert batch.episode_ids.tolist() == [index for index, _ in wanted]
    assert batch.time_steps.tolist() == [step for _, step in wanted]
    for place, (index, step) in enumerate(wanted):
        episode = recorded.episodes[index]
        begin, stop = episode.part_of(step, everything=include_unknown_final)
        assert step < stop
        last = min(step + n_step, stop) - 1
        expect_row(batch.actions, (place,), episode.actions[step], "actions")
        expect_row(batch.terminations, (place,), np.bool_(episode.terminations[last]), "terminated")
        expect_row(batch.truncations, (place,), np.bool_(episode.truncations[last]), "truncated")
        if returns_to_go:
            _, end = episode.part_of(step, everything=True)
            to_go: Any = 0.0
            for ahead in range(step, end):
                to_go = to_go + discount ** (ahead - step) * episode.rewards[ahead] * reward_scale
            np.testing.assert_allclose(batch.returns_to_go[place], to_go, rtol=1e-9, atol=1e-12)
        else:
            assert batch.returns_to_go is None
        if columns is not None and "next_actions" in columns:
            _, end = episode.part_of(step, everything=True)
            if last + 1 < end:
                following = episode.actions[last + 1]
                expect_row(batch.columns["next_actions"], (place,), following, "next actions")
            else:
                expect_unknown(batch.columns["next_actions"], (place,), "next actions")
        if columns is not None and "previous_actions" in columns:
            expect_previous(batch.columns, (place,), episode, step, begin, reward_scale)
        for name, value, row in (
            ("observations", batch.observations, step),
            ("next_observations", batch.next_observations, last + 1),
        ):
            for frame in range(max(stack, 1)):
                wanted_row = max(begin, row - (max(stack, 1) - 1 - frame))
                at = (place, frame) if stack else (place,)
                if wanted_row > episode.known_steps:
                    expect_unknown(value, at, name)
                else:
                    expect_row(value, at, episode.observations[wanted_row], name)
        if n_step == 1:
            expect_row(batch.rewards, (place,), episode.rewards[step] * reward_scale, "rewards")
            assert batch.discounts is None
        else:
            summed: Any = 0.0
            for ahead in range(step, last + 1):
                summed = summed + discount ** (ahead - step) * episode.rewards[ahead]
            summed = summed * reward_scale
            np.testing.assert_allclose(batch.rewards[place], summed, rtol=1e-12, atol=1e-12)
            counts_on = 0.0 if episode.terminations[last] else discount ** (last - step + 1)
            assert batch.discounts[place] == pytest.approx(counts_on, rel=1e-12)


@given(recordings(), st.data(), st.booleans(), st.booleans())
@settings(max_examples=120)
def test_transitions_are_those_of_the_episodes(
    recorded: Recorded, data: st.DataObject, on_disk: bool, assembled: bool
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    options: dict[str, Any] = {
        "n_step": data.draw(st.sampled_from([1, 1, 2, 3, 20])),
        "discount": data.draw(st.sampled_from([0.0, 0.5, 0.99, 1.0])),
        "stack": data.draw(st.sampled_from([0, 0, 1, 2, 4])),
        "include_unknown_final": data.draw(st.booleans()),
        "columns": data.draw(st.sampled_from([None, [*PARTS, "next_actions", *PREVIOUS]])),
        "returns_to_go": data.draw(st.booleans()),
        "reward_scale": data.draw(st.sampled_from([1.0, 0.25])),
    }
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        view = dataset[chosen]
        assert view.total_steps == len(recorded.view(indices, everything=True))
        everything = recorded.view(indices, everything=options["include_unknown_final"])
        sampler = view.transition_sampler(**options)
        assert len(sampler) == len(everything)
        if not everything:
            with pytest.raises(SamplingError, match="there is no step to sample"):
                view.sample_transitions(7, **options)
            return
        expect_transitions(
            sampler.read(np.arange(len(everything))), recorded, everything, **options
        )
        view.set_seed(data.draw(st.integers(0, 100)))
        batch = view.sample_transitions(7, **options)
        wanted = list(zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True))
        assert set(wanted) <= set(everything)
        expect_transitions(batch, recorded, wanted, **options)


@given(recordings(), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_infos_and_extras_are_those_that_the_step_returned(
    recorded: Recorded, on_disk: bool, assembled: bool
) -> None:
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        keys = sorted(
            {key for episode in recorded.episodes for row in episode.infos for key in row}
        )
        names = [f"infos/{key}" for key in keys]
        rows = [f"{which}_infos/{key}" for which in ("current", "returned") for key in keys]
        everything = recorded.view(range(len(recorded.episodes)))
        sampler = dataset.transition_sampler(columns=["infos", "extras/mean", *names, *rows])
        batch = sampler.read(np.arange(len(everything)))
        expect_absent(batch, "observations", "actions", "rewards")
        for place, (index, step) in enumerate(everything):
            episode = recorded.episodes[index]
            expect_info(batch.columns["infos"], (place,), recorded.info(index, step), "infos")
            for key, name in zip(keys, names, strict=True):
                wanted = recorded.info(index, step).get(key)
                expect_info(batch.columns[name], (place,), wanted, name)
                for which, row in (("current", step), ("returned", step + 1)):
                    column = batch.columns[f"{which}_{name}"]
                    expect_info(column, (place,), episode.infos[row].get(key), f"{which} {name}")
            expect_row(
                batch.columns["extras/mean"], (place,), episode.extras[step + 1]["mean"], "extras"
            )


@given(recordings(), st.data(), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_a_batch_is_filled_again_in_its_own_arrays(
    recorded: Recorded, data: st.DataObject, on_disk: bool, assembled: bool
) -> None:
    options: dict[str, Any] = {
        "n_step": data.draw(st.sampled_from([1, 3])),
        "stack": data.draw(st.sampled_from([0, 2])),
        "columns": [*PARTS, "infos", "extras", "next_actions"],
        "returns_to_go": True,
        "reward_scale": 2.0,
        "include_unknown_final": True,
    }
    with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
        dataset.set_seed(1)
        batch = dataset.sample_transitions(4, **options)
        before = _arrays(batch)
        again = dataset.sample_transitions(4, **options, out=batch)
        assert again is batch
        for path, array in _arrays(again).items():
            assert np.shares_memory(array, before[path]) or array.size == 0, path
        wanted = list(zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True))
        expect_transitions(batch, recorded, wanted, **options)
        for place, (index, step) in enumerate(wanted):
            wanted_info = recorded.info(index, step)
            expect_info(batch.columns["infos"], (place,), wanted_info, "infos")


def _arrays(batch: TransitionBatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                walk(f"{path}/{key}", part)
        elif isinstance(value, tuple):
            for index, part in enumerate(value):
                walk(f"{path}/{index}", part)
        elif isinstance(value, np.ndarray):
            found[path] = np.asarray(value)

    for name in (*PARTS, "discounts", "goals", "returns_to_go", "columns"):
        walk(name, getattr(batch, name))
    return found


def test_buffers_of_the_caller_are_filled_even_where_they_are_not_contiguous() -> None:
    recorded = record(VECTOR, VECTOR, [5, 1, 9], 0, cuts=3)
    for assembled in (True, False):
        with stored(recorded, on_disk=True, assembled=assembled) as dataset:
            buffer = np.zeros((4, 6))
            mine = TransitionBatch(observations=buffer[:, ::2], rewards=np.zeros(4))
            rewards = mine.rewards
            batch = dataset.sample_transitions(4, out=mine)
            wanted = list(zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True))
            expect_transitions(batch, recorded, wanted)
            assert batch.rewards is rewards
            assert np.array_equal(buffer[:, ::2], batch.observations)
            assert not buffer[:, 1::2].any()


@pytest.mark.parametrize("stack", [0, 2])
@pytest.mark.parametrize("names", [["observations"], ["observations", "next_observations"]])
def test_images_are_decoded_into_buffers_that_are_not_contiguous(
    stack: int, names: list[str]
) -> None:
    recorded = record(IMAGE, VECTOR, [9, 4, 20], 1, cuts=3)
    with stored(recorded, on_disk=True) as dataset:
        sampler = dataset.transition_sampler(columns=names, stack=stack)
        buffers = np.zeros((2, 33, *([3] if stack else []), 64, 128), np.uint8)
        used = buffers[:, :, :2, :, ::2] if stack else buffers[..., ::2]
        mine = TransitionBatch(**dict(zip(names, used, strict=False)))
        # In order, so that whole chunks are wanted, too.
        batch = sampler.read(np.arange(33), out=mine)
        for name, part in zip(names, used, strict=False):
            after = name == "next_observations"
            for place, (index, step) in enumerate(recorded.view([0, 1, 2])):
                rows = recorded.episodes[index].observations
                seen = [rows[max(step + after - back, 0)] for back in range(max(stack, 1))][::-1]
                assert np.array_equal(part[place].reshape(-1, 64, 64), seen), (name, place)
            assert np.shares_memory(getattr(batch, name), buffers)
        used[...] = 0
        assert not buffers.any()


def test_rows_of_a_column_that_a_shard_lacks_are_zero_under_the_mask() -> None:
    # Only the second episode has it, and each episode has a shard.
    recorded = record(VECTOR, VECTOR, [4, 4], 1)
    recorded.cuts = [(5, 4)]
    options: dict[str, Any] = {"columns": ["infos/late"], "weights": [1, 0]}
    with stored(recorded, on_disk=True) as dataset:
        batch = dataset.sample_transitions(8, **options)
        batch.columns["infos/late"].data[...] = 99
        batch = dataset.sample_transitions(8, **options, out=batch)
        assert batch.columns["infos/late"].mask.all()
        assert not batch.columns["infos/late"].data.any()


def test_a_batch_that_is_filled_again_keeps_nothing_that_was_not_asked_for() -> None:
    with stored(record(VECTOR, VECTOR, [5, 9], 0), on_disk=False) as dataset:
        batch = dataset.sample_transitions(4, n_step=3, goals="final", returns_to_go=True)
        batch = dataset.sample_transitions(4, columns=["actions", "infos/always"], out=batch)
        absent = ["observations", "rewards", "discounts", "goals", "returns_to_go"]
        expect_absent(batch, *absent)
        assert set(batch.columns) == {"infos/always"}
        batch = dataset.sample_transitions(4, columns=["actions"], out=batch)
        assert batch.columns == {}


def test_what_is_sampled_is_the_callers_to_change() -> None:
    recorded = record(WITH_IMAGE, VECTOR, [5, 9], 3, cuts=2)
    for assembled in (True, False):
        with stored(recorded, on_disk=True, assembled=assembled) as dataset:
            for options in ({}, {"stack": 2}, {"n_step": 2}, {"goals": "final"}):
                batch = dataset.sample_transitions(64, **options)
                for array in _arrays(batch).values():
                    array[...] = 1
            sampler = dataset.transition_sampler()
            everything = recorded.view([0, 1])
            expect_transitions(sampler.read(np.arange(14)), recorded, everything)


STRATEGIES = ["future", "uniform", "geometric", "final", "current", "random"]


@given(
    recordings(vector_rewards=False),
    st.data(),
    st.one_of(
        st.sampled_from(STRATEGIES),
        st.dictionaries(st.sampled_from(STRATEGIES), st.sampled_from([0.5, 2]), min_size=1),
    ),
    st.booleans(),
)
@settings(max_examples=80)
def test_goals_are_the_observations_that_their_episodes_and_time_steps_say(
    recorded: Recorded, data: st.DataObject, goals: Any, assembled: bool
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    names = [goals] if isinstance(goals, str) else list(goals)
    with stored(recorded, on_disk=False, assembled=assembled) as dataset:
        batch = dataset[chosen].sample_transitions(
            20, goals=goals, goal_discount=0.7, include_unknown_final=True
        )
        places = (
            batch.episode_ids,
            batch.time_steps,
            batch.goal_episode_ids,
            batch.goal_time_steps,
        )
        for place, (index, step, goal_index, goal_step) in enumerate(
            zip(*(numbers.tolist() for numbers in places if numbers is not None), strict=True)
        ):
            episode, other = recorded.episodes[index], recorded.episodes[goal_index]
            _, stop = episode.part_of(step)
            allowed = {
                "current": (goal_index, goal_step) == (index, step),
                "random": goal_index in indices and 1 <= goal_step <= len(other),
                "final": goal_index == index and goal_step == max(stop, step + 1),
            }
            later = goal_index == index and step < goal_step <= max(stop, step + 1)
            assert any(allowed.get(name, later) for name in names)
            if goal_step > other.known_steps:
                expect_unknown(batch.goals, (place,), "goals")
            else:
                expect_row(batch.goals, (place,), other.observations[goal_step], "goals")


def test_strategies_of_goals_are_drawn_by_their_weights() -> None:
    recorded = record(VECTOR, VECTOR, [1, 6, 3], 0)
    drawn = 20_000
    with stored(recorded, on_disk=False) as dataset:
        dataset.set_seed(4)
        assert dataset.sample_transitions(5).goal_time_steps is None
        batch = dataset.sample_transitions(drawn, goals={"current": 1, "random": 0, "future": 3})
        share = np.mean(batch.goal_time_steps == batch.time_steps)
        assert abs(share - 0.25) <= 5 * np.sqrt(0.25 * 0.75 / drawn)
        batch = dataset.sample_transitions(drawn, goals="random")
        found = np.zeros((3, 7))
        assert batch.goal_episode_ids is not None
        assert batch.goal_time_steps is not None
        np.add.at(found, (batch.goal_episode_ids, batch.goal_time_steps), 1 / drawn)
        wanted = np.zeros((3, 7))
        for index, length in enumerate((1, 6, 3)):
            wanted[index, 1 : length + 1] = 0.1
        assert np.all(np.abs(found - wanted) <= 5 * np.sqrt(wanted * 0.9 / drawn))


@given(
    recordings(vector_rewards=False), st.sampled_from(["future", "uniform", "geometric", "final"])
)
@settings(max_examples=40)
def test_goals_lie_behind_the_step_in_the_same_episode(recorded: Recorded, goals: Any) -> None:
    with stored(recorded, on_disk=False) as dataset:
        batch = dataset.sample_transitions(
            30, goals=goals, goal_discount=0.7, include_unknown_final=True
        )
        pairs = zip(batch.episode_ids.tolist(), batch.time_steps.tolist(), strict=True)
        for place, (index, step) in enumerate(pairs):
            episode = recorded.episodes[index]
            if step == episode.known_steps:
                expect_unknown(batch.goals, (place,), "goals")
                continue
            _, stop = episode.part_of(step)
            observations = episode.observations[: stop + 1]
            candidates = observations[-1:] if goals == "final" else observations[step + 1 :]
            assert any(_is_row(batch.goals, place, candidate) for candidate in candidates)


def _is_row(value: Any, place: int, wanted: Any) -> bool:
    try:
        expect_row(value, (place,), wanted, "goal")
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("discount", [0.0, 0.3, 0.9, 0.999])
def test_goals_are_distributed_as_their_names_say(discount: float) -> None:
    steps = 6
    recorded = record(VECTOR, VECTOR, [steps], 0)
    for step, observation in enumerate(recorded.episodes[0].observations):
        observation[:] = step
    with stored(recorded, on_disk=False) as dataset:
        dataset.set_seed(5)
        for goals in ("future", "geometric"):
            batch = dataset.sample_transitions(60_000, goals=goals, goal_discount=discount)
            ahead = (batch.goals[:, 0] - batch.time_steps).astype(int)
            for step in range(steps):
                found = np.bincount(ahead[batch.time_steps == step], minlength=steps + 1)[1:]
                powers = discount ** np.arange(steps) if goals == "geometric" else np.ones(steps)
                powers[steps - step :] = 0
                wanted = powers / powers.sum()
                deviation = np.sqrt(wanted * (1 - wanted) / found.sum())
                assert np.all(np.abs(found / found.sum() - wanted) <= 5 * deviation + 1e-12)


def test_uniform_goals_are_those_of_the_future() -> None:
    with stored(record(VECTOR, VECTOR, [9, 4], 0), on_disk=False) as dataset:
        batches = []
        for goals in GOALS_OF_THE_FUTURE:
            dataset.set_seed(5)
            batches.append(dataset.sample_transitions(50, goals=goals))
        assert np.array_equal(batches[0].goals, batches[1].goals)
    # The text of options is in the state of batches; that of the older name stays.
    assert "goals='uniform'" in repr(TransitionOptions(goals="future"))
    assert TransitionOptions(goals="future") == TransitionOptions(goals="uniform")


def test_goals_come_from_the_column_that_is_asked_for() -> None:
    recorded = record(WITH_IMAGE, VECTOR, [3, 4], 0)
    with stored(recorded, on_disk=True) as dataset:
        batch = dataset.sample_transitions(20, goals="final", goal_column="observations/speed")
        for place, index in enumerate(batch.episode_ids.tolist()):
            wanted = recorded.episodes[index].observations[-1]["speed"]
            expect_row(batch.goals, (place,), wanted, "goals")


def test_a_reward_that_is_not_finite_stays_in_its_own_episode() -> None:
    recorded = record(VECTOR, VECTOR, [2, 2], 0)
    recorded.episodes[1].rewards[0] = np.float64(np.inf)
    with stored(recorded, on_disk=False) as dataset:
        batch = dataset.transition_sampler(n_step=4).read([0, 1, 2, 3])
        assert np.isfinite(batch.rewards).tolist() == [True, True, False, True]
        window = dataset.batches(4, shuffle=False, length=4, padding="after", returns_to_go=True)
        returns = next(window).returns_to_go
        assert np.isfinite(returns[:, 0]).tolist() == [True, True, False, True]


@pytest.mark.parametrize("discount", [0.0, 0.99, 1.0])
def test_returns_to_go_of_transitions_reach_to_the_end_of_long_episodes(discount: float) -> None:
    lengths = [1, 700, 32, 33, 64, 31]
    recorded = record(VECTOR, VECTOR, lengths, 0, cuts=4)
    wanted = []
    for episode in recorded.episodes:
        to_go = [0.0]
        for reward in reversed(episode.rewards):
            to_go.append(float(reward) + discount * to_go[-1])
        wanted += to_go[:0:-1]
    with stored(recorded, on_disk=False, assembled=False) as dataset:
        for view, first in ((dataset, 0), (dataset[1:], 1)):
            (batch,) = view.batches(
                1000, shuffle=False, returns_to_go=True, discount=discount, columns=["actions"]
            )
            np.testing.assert_allclose(batch.returns_to_go, wanted[first:], rtol=1e-9, atol=1e-12)
            assert batch.rewards is None


def test_rewards_are_scaled_by_the_range_of_the_returns_of_the_view() -> None:
    recorded = record(VECTOR, VECTOR, [5, 1, 40, 9], 0)
    options: dict[str, Any] = {"shuffle": False, "reward_scale": "return_range"}
    with stored(recorded, on_disk=False) as dataset:
        for view, chosen in ((dataset, [0, 1, 2, 3]), (dataset[[2, 0]], [2, 0])):
            rewards = [recorded.episodes[index].rewards for index in chosen]
            returns = [sum(part) for part in rewards]
            scale = 1000 / (max(returns) - min(returns))
            (batch,) = view.batches(100, **options)
            np.testing.assert_allclose(batch.rewards, np.concatenate(rewards) * scale)
            (batch,) = view.batches(100, **options, length=40, padding="after", returns_to_go=True)
            starts = batch.time_steps[:, 0] == 0
            np.testing.assert_allclose(batch.returns_to_go[starts, 0], np.array(returns) * scale)
            at = batch.mask
            np.testing.assert_allclose(batch.rewards[:, 0], np.concatenate(rewards) * scale)
            assert np.all(batch.rewards[~at] == 0)
    vectors = record(VECTOR, VECTOR, [5, 4], 0, reward_shape=(2,))
    with (
        stored(vectors, on_disk=False) as dataset,
        pytest.raises(SamplingError, match=r"rewards have the shape \(2,\); give a number"),
    ):
        dataset.sample_transitions(2, reward_scale="return_range")


def test_states_of_earlier_releases_are_resumed_by_options_that_came_later() -> None:
    for options in (TransitionOptions(), SequenceOptions(length=2)):
        for name in ("reward_scale", "final_observation", "is_first", "across_episodes"):
            assert name not in repr(options)
    assert "returns_to_go" not in repr(TransitionOptions())
    assert "returns_to_go=False" in repr(SequenceOptions(length=2))
    assert "returns_to_go=True" in repr(TransitionOptions(returns_to_go=True))


def test_weights_are_the_shares_of_episodes() -> None:
    recorded = record(VECTOR, VECTOR, [1, 10, 3, 6], 0)
    drawn = 40_000
    with stored(recorded, on_disk=False) as dataset:
        dataset.set_seed(11)
        for weights, shares in (
            (None, [0.05, 0.5, 0.15, 0.3]),
            ("transitions", [0.05, 0.5, 0.15, 0.3]),
            ("episodes", [0.25] * 4),
            ([0, 3, 0, 1], [0, 0.75, 0, 0.25]),
            (np.array([1e300, 1e300, 0, 0]), [0.5, 0.5, 0, 0]),
            (np.array([1e-300, 3e-300, 0, 0]), [0.25, 0.75, 0, 0]),
        ):
            batch = dataset.sample_transitions(drawn, weights=weights, columns=["rewards"])
            found = np.bincount(batch.episode_ids, minlength=4) / drawn
            wanted = np.array(shares)
            assert np.all(np.abs(found - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / drawn))
            # Within an episode, all steps are as likely.
            steps = np.bincount(batch.time_steps[batch.episode_ids == 1], minlength=10)
            share = steps.sum() / 10
            assert np.all(np.abs(steps - share) <= 5 * np.sqrt(share))
        view = dataset[[3, 0]]
        batch = view.sample_transitions(100, weights=[0, 1])
        assert set(batch.episode_ids.tolist()) == {0}


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    recorded = record(VECTOR, VECTOR, [4, 2, 9], 0, cuts=2)
    for options in ({}, {"weights": "episodes"}, {"goals": "geometric"}, {"weights": [1, 2, 3]}):
        drawn = []
        for on_disk, assembled in ((False, True), (True, True), (True, False)):
            with stored(recorded, on_disk=on_disk, assembled=assembled) as dataset:
                dataset.set_seed(3)
                batches = [dataset.sample_transitions(8, **options) for _ in range(3)]
                drawn.append(np.concatenate([batch.observations for batch in batches]))
        assert np.array_equal(drawn[0], drawn[1])
        assert np.array_equal(drawn[0], drawn[2])
