"""Mixtures beside a slow and obvious way to read them: the episodes of all, one after another."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core import (
    DatasetMixture,
    DatasetWriteError,
    IncompatibleDatasetsError,
    SamplingError,
    mix_datasets,
)
from tests.core.helpers.recorded import VECTOR, Recorded, record, some_space, stored
from tests.core.sampling.transitions.test_transitions import PARTS, expect_transitions
from tests.core.sampling.windows.test_offsets import expect_windows as expect_offsets
from tests.core.sampling.windows.test_sequences import expect_windows, windows

LENGTHS = st.lists(st.sampled_from([1, 2, 3, 5, 12]), min_size=1, max_size=4)


@st.composite
def several(draw: st.DrawFn) -> list[Recorded]:
    """Recordings with the same spaces, and infos that differ."""
    observation_space, action_space = draw(some_space), draw(some_space)
    shape = draw(st.sampled_from([(), (2,)]))
    recordings = [
        record(
            observation_space,
            action_space,
            draw(LENGTHS),
            draw(st.integers(0, 2**32 - 1)),
            reward_shape=shape,
            cuts=draw(st.integers(0, 3)),
            unknown=draw(st.sampled_from([0.0, 0.5])),
            early=draw(st.sampled_from([0.0, 0.3])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    for info in [info for one in recordings for e in one.episodes for info in e.infos]:
        # These have other dtypes and shapes from recording to recording.
        info.pop("mixed", None)
        info.pop("changing", None)
    return recordings


def join(recordings: list[Recorded]) -> Recorded:
    """The episodes of all as those of one."""
    return replace(recordings[0], episodes=[e for one in recordings for e in one.episodes])


@contextlib.contextmanager
def mixed(
    recordings: list[Recorded], weights: list[float] | None = None, **how: Any
) -> Iterator[DatasetMixture]:
    with contextlib.ExitStack() as stack:
        datasets = [stack.enter_context(stored(one, **how)) for one in recordings]
        yield mix_datasets(datasets, weights)


@given(several(), st.data(), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_a_mixture_has_the_transitions_of_all_datasets(
    recordings: list[Recorded], data: st.DataObject, on_disk: bool, assembled: bool
) -> None:
    joined = join(recordings)
    options: dict[str, Any] = {
        "n_step": data.draw(st.sampled_from([1, 1, 3])),
        "stack": data.draw(st.sampled_from([0, 0, 2])),
        "include_unknown_final": data.draw(st.booleans()),
        "columns": data.draw(st.sampled_from([None, [*PARTS, "next_actions"]])),
        "returns_to_go": data.draw(st.booleans()),
    }
    datasets = [number for number, one in enumerate(recordings) for _ in one.episodes]
    everything = joined.view(
        range(len(joined.episodes)), everything=options["include_unknown_final"]
    )
    with mixed(recordings, on_disk=on_disk, assembled=assembled) as mixture:
        assert mixture.total_episodes == len(joined.episodes)
        assert mixture.dataset_indices.tolist() == datasets
        sampler = mixture.transition_sampler(**options)
        assert len(sampler) == len(everything)
        if not everything:
            return
        batch = sampler.read(np.arange(len(everything)))
        expect_transitions(batch, joined, everything, **options)
        assert batch.dataset_indices is not None
        assert batch.dataset_indices.tolist() == [datasets[index] for index, _ in everything]


@given(several(), st.sampled_from([1, 2, 5]), st.sampled_from([None, "after", "before"]))
@settings(max_examples=40)
def test_a_mixture_has_the_windows_of_all_datasets(
    recordings: list[Recorded], length: int, padding: Any
) -> None:
    joined = join(recordings)
    episodes = list(range(len(joined.episodes)))
    wanted = windows(joined, episodes, length, padding, False)
    columns = [*PARTS, "infos", "next_actions"]
    datasets = [number for number, one in enumerate(recordings) for _ in one.episodes]
    with mixed(recordings, on_disk=True) as mixture:
        if not wanted:
            return
        (batch,) = mixture.batches(
            len(wanted),
            length=length,
            padding=padding,
            columns=columns,
            returns_to_go=True,
            shuffle=False,
        )
        expect_windows(batch, joined, wanted, 1.0, False, padding)
        of_windows: Any = batch.dataset_indices
        assert of_windows.tolist() == [datasets[index] for index, _ in wanted]
        offsets = {"observations": range(-1, 2), "actions": range(4)}
        everything = joined.view(episodes)
        options: dict[str, Any] = {
            "offsets": offsets,
            "include_unknown_final": False,
            "returns_to_go": True,
            "reward_scale": 0.5,
        }
        (around,) = mixture.batches(len(everything), shuffle=False, discount=0.5, **options)
        expect_offsets(around, joined, everything, options)
        of_windows = around.dataset_indices
        assert of_windows.tolist() == [datasets[index] for index, _ in everything]


def recordings_of(*lengths: list[int], **options: Any) -> list[Recorded]:
    return [record(VECTOR, VECTOR, some, seed, **options) for seed, some in enumerate(lengths)]


def test_weights_are_the_shares_of_the_datasets_in_batches_and_epochs() -> None:
    recordings = recordings_of([30, 20], [2], [10] * 4)
    with mixed(recordings, [0.5, 0.3, 0.2], on_disk=False) as mixture:
        mixture.set_seed(0)
        drawn: list[Any] = [mixture.sample_transitions(4000).dataset_indices]
        drawn += [batch.dataset_indices for batch in mixture.batches(7, seed=1, epochs=50)]
        drawn += [mixture.sample_sequences(4000, 2).dataset_indices]
        epochs = np.concatenate(drawn[1:-1])
        assert len(epochs) == 50 * mixture.total_steps
        for indices in (drawn[0], epochs, drawn[-1]):
            shares = np.bincount(indices, minlength=3) / len(indices)
            np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.03)
        uniform: Any = mixture.sample_transitions(4000, weights="transitions").dataset_indices
        np.testing.assert_allclose(
            np.bincount(uniform) / 4000, np.array([50, 2, 40]) / 92, atol=0.03
        )
        view = mixture[:3]
        of_view: Any = view.sample_transitions(4000).dataset_indices
        shares = np.bincount(of_view) / 4000
        np.testing.assert_allclose(shares, [5 / 8, 3 / 8], atol=0.03)
        with pytest.raises(SamplingError, match=r"has weight 0\.3, but no window fits"):
            mixture.sample_sequences(4, 3)


def list_visited(batches: Any) -> list[tuple[int, int]]:
    return [
        (int(episode), int(step))
        for batch in batches
        for episode, step in zip(batch.episode_ids, batch.time_steps, strict=True)
    ]


@pytest.mark.parametrize("weights", [None, [0.5, 0.5]])
def test_an_epoch_resumes_at_every_batch_and_ranks_and_workers_share_it(weights: Any) -> None:
    with mixed(recordings_of([7, 4], [9, 1, 3]), weights, on_disk=True) as mixture:
        whole = list_visited(mixture.batches(3, seed=5))
        assert len(whole) == mixture.total_steps
        assert weights is not None or len(set(whole)) == len(whole)
        state: dict[str, Any] = {}
        for done in range(8):
            batches = mixture.batches(3, seed=5)
            before = [next(batches) for _ in range(done)]
            state = json.loads(json.dumps(batches.state_dict()))
            resumed = pickle.loads(pickle.dumps(mixture)).batches(3, seed=5)
            resumed.load_state_dict(state)
            assert list_visited(before) + list_visited(resumed) == whole
        ranks = [mixture.batches(3, seed=5, rank=rank, world_size=2) for rank in range(2)]
        assert sorted(visit for rank in ranks for visit in list_visited(rank)) == sorted(whole)
        shares = [list(mixture.batches(3, seed=5).share(number, 2)) for number in range(2)]
        turns = [batch for pair in zip(*shares, strict=True) for batch in pair]
        assert list_visited(turns) == whole
        with pytest.raises(SamplingError, match="the state is of"):
            mix_datasets(mixture.datasets, [1, 2]).batches(3, seed=5).load_state_dict(state)


def test_goals_and_priorities_and_statistics_are_those_of_all_datasets() -> None:
    recordings = recordings_of([5, 3], [8])
    with mixed(recordings, on_disk=True) as mixture:
        batch = mixture.sample_transitions(40, goals="random")
        assert batch.goal_episode_ids is not None
        assert batch.goal_time_steps is not None
        joined = join(recordings)
        for place, (episode, row) in enumerate(
            zip(batch.goal_episode_ids, batch.goal_time_steps, strict=True)
        ):
            goal = joined.episodes[int(episode)].observations[int(row)]
            np.testing.assert_array_equal(batch.goals[place], goal)
        replay = mixture.prioritized_replay(seed=0)
        replay.update(np.arange(16), np.where(np.arange(16) < 8, 0.0, 1.0))
        transitions = replay.sample(20).transitions
        assert transitions.dataset_indices is not None
        assert transitions.dataset_indices.tolist() == [1] * 20
        rows = np.concatenate([e.observations for e in joined.episodes])
        found = mixture.statistics(["observations"])["observations"]
        np.testing.assert_allclose(found.mean, rows.mean(axis=0))


def test_views_are_mixed_and_episodes_are_read_as_they_are() -> None:
    recordings = recordings_of([5, 3, 2], [8, 1])
    with mixed(recordings, on_disk=True) as mixture:
        first, second = mixture.datasets
        part = mix_datasets([first[[2, 0]], second])
        assert part.dataset_indices.tolist() == [0, 0, 1, 1]
        lengths = [len(episode) for episode in part]
        assert lengths == [2, 5, 8, 1]
        assert part[3].rewards[0] == recordings[1].episodes[1].rewards[0]
        assert {int(i) for i in part.sample_transitions(99).episode_ids} <= {2, 0, 3, 4}


def test_columns_have_the_names_that_the_mixture_gives_them() -> None:
    image = spaces.Box(0, 255, (64, 64), np.uint8)
    one = record(spaces.Dict({"camera": image, "a/b": VECTOR}), VECTOR, [3, 4], 0, cuts=2)
    other = record(
        spaces.Dict({"inner": spaces.Dict({"cam": image}), "depth": image, "z": VECTOR}),
        VECTOR,
        [2, 5],
        1,
        cuts=1,
    )
    alone = record(VECTOR, VECTOR, [6], 2)
    with contextlib.ExitStack() as stack:
        datasets = [stack.enter_context(stored(r, on_disk=True)) for r in (one, other, alone)]
        rename: Any = [
            None,
            {
                "observations/inner/cam": "observations/camera",
                "observations/depth": None,
                "observations/z": "observations/a%2Fb",
                "infos/always": "infos/sure",
            },
        ]
        mixture = mix_datasets(datasets[:2], rename=rename)
        assert set(mixture[0].observations) == set(mixture[2].observations) == {"camera", "a/b"}
        (batch,) = mixture.batches(99, shuffle=False)
        rows = [e.observations[t] for e in one.episodes for t in range(len(e))]
        rows += [
            {"camera": row["inner"]["cam"], "a/b": row["z"]}
            for e in other.episodes
            for row in e.observations[: len(e)]
        ]
        for key in ("camera", "a/b"):
            np.testing.assert_array_equal(batch.observations[key], np.stack([r[key] for r in rows]))
        (known,) = mixture.batches(99, shuffle=False, columns=["infos/sure"])
        assert known.columns["infos/sure"].mask.tolist() == [True] * 7 + [False] * 7
        assert mixture[2].observations["a/b"][0].tolist() == rows[7]["a/b"].tolist()
        flat = mix_datasets(
            [datasets[2], datasets[0]],
            rename=[None, {"observations/camera": None, "observations/a%2Fb": "observations"}],
        )
        (batch,) = flat.batches(99, shuffle=False)
        assert batch.observations.shape == (13, 3)
        nested = mix_datasets(
            [datasets[0], datasets[2]],
            rename=[{"observations/camera": None}, {"observations": "observations/a%2Fb"}],
        )
        (batch,) = nested.batches(99, shuffle=False)
        np.testing.assert_array_equal(
            batch.observations["a/b"][7:], np.stack(alone.episodes[0].observations[:-1])
        )


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ([{"observations/x": None}, None], "rename has 'observations/x', but .* has observations"),
        ([{"observations": None}, None], "rename leaves nothing of observations"),
        ([{"observations": "actions"}, None], "give two names in one of the groups"),
        ([{"rewards": "rewards"}, None], "give two names in one of the groups"),
        ([{"infos/always": "infos/word"}, None], "two columns .* the name 'infos/word'"),
        ([{"infos/always": "infos/word/x"}, None], "into 'infos/word', which is a column itself"),
        ([{"observations": "observations/x"}, None], r"observations differ: .* has None"),
        ([None], "give a list with a dict, or None, for each of the 2 datasets"),
        (["observations", None], "not None or a dict"),
    ],
)
def test_names_that_do_not_go_together_are_refused(rename: Any, message: str) -> None:
    recordings = recordings_of([3], [4])
    for one in recordings:
        for episode in one.episodes:
            for info in episode.infos:
                info["word"] = "up"
    with (
        mixed(recordings, on_disk=False) as mixture,
        pytest.raises(IncompatibleDatasetsError, match=message),
    ):
        mix_datasets(mixture.datasets, rename=rename)


def test_what_differs_is_named() -> None:
    single = spaces.Box(-5, 5, (3,), np.float32)
    recordings = [
        record(VECTOR, VECTOR, [3], 0),
        record(single, VECTOR, [3], 1),
        record(VECTOR, VECTOR, [3], 2, reward_shape=(2,)),
        record(VECTOR, VECTOR, [3], 3),
        record(VECTOR, VECTOR, [3], 3),
    ]
    for episode in recordings[3].episodes:
        for info in episode.infos:
            info["always"] = np.zeros(2)
    recordings[4].step_infos = ["always"]
    with contextlib.ExitStack() as stack:
        datasets = [stack.enter_context(stored(one, on_disk=True)) for one in recordings]
        first, other, vectors, arrays, marked = datasets
        with pytest.raises(IncompatibleDatasetsError, match=r"observations differ: .*float64"):
            mix_datasets([first, other])
        with pytest.raises(IncompatibleDatasetsError, match=r"rewards differ: .*\(\).*\(2,\)"):
            mix_datasets([first, vectors])
        with pytest.raises(IncompatibleDatasetsError, match=r"'always'.* belongs to steps in"):
            mix_datasets([first, marked])
        mixture = mix_datasets([first, arrays])
        mixture.sample_transitions(2)
        with pytest.raises(IncompatibleDatasetsError, match=r"infos/always differ: .*\(2,\)"):
            mixture.sample_transitions(2, columns=["infos/always"])
        for given, message in (
            ([], "there is nothing to mix"),
            (first, "is no list of datasets"),
            ([first, 3], "is no dataset"),
        ):
            with pytest.raises(IncompatibleDatasetsError, match=message):
                mix_datasets(given)  # type: ignore[arg-type]  # what a caller may do wrong
        for weights in ([1], [0, 0], [-1, 2], [np.inf, 1], ["a", "b"], [np.nan, 1]):
            with pytest.raises(SamplingError, match="weights"):
                mix_datasets([first, arrays], weights)  # type: ignore[arg-type]  # as above
        with pytest.raises(SamplingError, match=r"has weight 1\.0, but no episodes"):
            mix_datasets([first, first[:0]], [1, 1])
        weighted = mix_datasets([first, arrays], [1, 3])
        with pytest.raises(SamplingError, match=r"weights of its own, \(1\.0, 3\.0\)"):
            mix_datasets([weighted[1:], first])
        with pytest.raises(SamplingError, match="a view or mixture has the episodes"):
            mixture.refresh()
        with pytest.raises(DatasetWriteError, match="a mixture only reads"):
            mixture.update_dataset_from_buffer([first[0]])
