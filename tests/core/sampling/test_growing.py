"""Episodes that are added while one trains are sampled when the dataset has taken them in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import minari_core
from minari_core import DatasetNotFoundError, MinariDataset, SamplingError
from minari_core.sampling import RecentShare
from tests.core.sampling.test_snapshots import buffer, created, expect_own


def add(dataset: MinariDataset, episodes: range) -> None:
    dataset.update_dataset_from_buffer([buffer(episode, 1 + episode % 4) for episode in episodes])


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
@pytest.mark.filterwarnings("ignore:.*its columns were copied:minari_core.MinariWarning")
def test_a_dataset_takes_in_what_others_have_added(data_format: str) -> None:
    dataset = created("shared", range(3))
    if data_format != "columnar":
        dataset = minari_core.convert_dataset(dataset, "tests/other-v0", data_format=data_format)
    view, begun = dataset[1:], dataset.batches(2, seed=0)
    expect_own(dataset, {0, 1, 2})
    other = minari_core.load_dataset(dataset.id)
    add(other, range(3, 7))
    assert dataset.newer_episodes() == 4
    assert dataset.refresh() == 4
    assert dataset.refresh() == dataset.newer_episodes() == 0
    expect_own(dataset, set(range(7)))
    expect_own(view, {1, 2})
    assert {int(each) for batch in begun for each in batch.rewards} == {0, 1, 2}
    add(dataset, range(7, 8))
    assert other.refresh() == 1
    other.compact()
    assert dataset.refresh() == 0
    expect_own(dataset, set(range(8)))
    with pytest.raises(SamplingError, match="refresh the dataset that it is of"):
        view.refresh()
    minari_core.delete_dataset(dataset.id)
    with pytest.raises(DatasetNotFoundError):
        dataset.refresh()


def test_new_transitions_have_the_largest_priority_and_the_others_keep_theirs() -> None:
    dataset = created("replayed", range(4))
    replay = dataset.prioritized_replay(alpha=1, seed=0)
    replay.update(np.arange(10), np.arange(10.0))
    before = replay.state_dict()["weights"]
    add(minari_core.load_dataset(dataset.id), range(4, 8))
    replay.sample(4)
    assert len(replay) == 10
    dataset.refresh()
    batch, positions, _ = replay.sample(4000)
    assert len(replay) == dataset.total_steps == 20
    assert np.array_equal(replay.state_dict()["weights"], [*before, *[9 + 1e-6] * 10])
    assert np.bincount(positions, minlength=20)[10:].min() > 200
    read = dataset.transition_sampler().read(positions)
    assert np.array_equal(batch.observations, read.observations)


@pytest.mark.parametrize("chosen", [slice(None), slice(None, None, 2)])
def test_the_state_of_a_replay_goes_on_after_the_dataset_has_grown(chosen: slice) -> None:
    dataset = created("resumed", range(4))
    view = dataset if chosen == slice(None) else dataset[chosen]
    replay = view.prioritized_replay(seed=0)
    replay.update([1, 2], [5.0, 0.0])
    state = pickle.loads(pickle.dumps(replay.state_dict()))
    add(view, range(4, 6))
    replay.sample(8)
    later = replay.state_dict()
    again = pickle.loads(pickle.dumps(view)).prioritized_replay(seed=9)
    again.load_state_dict(state)
    assert again.sample(8).positions.tolist() == replay_after(view, state)
    again.load_state_dict(later)
    assert again.sample(8).positions.tolist() == replay.sample(8).positions.tolist()
    with pytest.raises(SamplingError, match=r"of 6 episodes|of 4 episodes"):
        dataset[:2].prioritized_replay().load_state_dict(later)
    with pytest.raises(SamplingError, match="the state is of identity"):
        created("stranger", range(8)).prioritized_replay().load_state_dict(state)
    view.episode_indices = [3, 2, 1, 0, 4, 5, 5]
    with pytest.raises(SamplingError, match="no longer begins with the"):
        replay.sample(8)


def replay_after(view: MinariDataset, state: dict[str, object]) -> list[int]:
    """What a replay draws next that was at a state when the episodes were taken in."""
    replay = view.prioritized_replay(seed=5)
    replay.load_state_dict(state)
    positions: list[int] = replay.sample(8).positions.tolist()
    return positions


def test_a_share_of_what_is_drawn_is_of_the_newest_episodes() -> None:
    dataset = created("mixed", range(8))
    dataset.set_seed(0)

    def find_share(weights: RecentShare, first: int) -> float:
        drawn = dataset.sample_transitions(4000, weights=weights).episode_ids
        windows = dataset.sample_sequences(4000, 2, weights=weights).episode_ids
        (epoch,) = dataset.batches(dataset.total_steps, seed=1, weights=weights)
        assert set(epoch.episode_ids >= first) <= {True, False}
        assert abs((drawn >= first).mean() - (windows >= first).mean()) < 0.05
        return float((drawn >= first).mean())

    # There is nothing newer yet.
    assert find_share(RecentShare(0.25, since=8), 8) == 0
    add(dataset, range(8, 12))
    assert abs(find_share(RecentShare(0.25, since=8), 8) - 0.25) < 0.03
    assert abs(find_share(RecentShare(0.9, since=-2), 10) - 0.9) < 0.03
    assert find_share(RecentShare(1, since=-2), 10) == 1
    weights = RecentShare(0.5, since=8)
    drawn = dataset.sample_transitions(20_000, weights=weights).episode_ids
    # Within both parts all transitions are equally likely.
    counts = np.bincount(drawn, minlength=12) / (1 + np.arange(12) % 4)
    np.testing.assert_allclose(counts, [500] * 8 + [1000] * 4, rtol=0.2)
    batches = dataset.batches(4, seed=0, weights=weights)
    state = batches.state_dict()
    with pytest.raises(SamplingError, match="the state is of settings"):
        dataset.batches(4, seed=0, weights=RecentShare(0.4, since=8)).load_state_dict(state)
    for share, since, message in ((1.5, 0, "share is 1.5"), (0.5, 1.5, "since is 1.5")):
        with pytest.raises(SamplingError, match=message):
            RecentShare(share, since)  # type: ignore[arg-type]
