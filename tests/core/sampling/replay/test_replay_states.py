"""States of replays are taken whole or refused, and numbers are in their range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minari_core import MinariDataset, SamplingError
from tests.core.helpers.recorded import VECTOR, record, stored


@pytest.fixture
def dataset() -> Iterator[MinariDataset]:
    with stored(record(VECTOR, VECTOR, [5, 1, 4], 0), on_disk=False) as created:
        yield created


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, r"^the state is of version 2, not 1$"),
        ({"episodes": 4}, r"^the state is of 4 episodes, and these are 3; refresh the dataset"),
        ({"episodes": -1}, r"^episodes of the state is -1, not at least 0$"),
        ({"identity": "x"}, r"^the state is of identity 'x', not "),
        ({"settings": {"alpha": 1.0}}, r"^the state is of settings "),
        ({"weights": np.ones(9)}, r"weights of shape \(9,\), not .* of its 3 episodes \(10 of all"),
        ({"weights": np.ones(11)}, r"weights of shape \(11,\)"),
        ({"weights": np.ones((10, 1))}, r"weights of shape \(10, 1\)"),
        ({"weights": np.arange(10.0)}, r"finite numbers above 0"),
        ({"weights": np.full(10, np.inf)}, r"finite numbers above 0"),
        ({"weights": np.full(10, np.nan)}, r"finite numbers above 0"),
    ],
)
def test_a_state_of_something_else_is_refused_and_changes_nothing(
    changes: dict[str, Any], said: str, dataset: MinariDataset
) -> None:
    replay = dataset.prioritized_replay(seed=1)
    replay.update(np.arange(10), np.arange(10.0))
    state = replay.state_dict()
    with pytest.raises(SamplingError, match=said):
        replay.load_state_dict({**state, **changes})
    assert np.array_equal(replay.state_dict()["weights"], state["weights"])
    for missing in state:
        others = {key: value for key, value in state.items() if key != missing}
        with pytest.raises(SamplingError, match=r" is no state; state_dict gives one$"):
            replay.load_state_dict(others)
    again = dataset.prioritized_replay(seed=9)
    again.load_state_dict(state)
    assert again.sample(50).positions.tolist() == replay.sample(50).positions.tolist()


def test_episodes_that_came_later_have_the_largest_priority_of_the_state(
    dataset: MinariDataset,
) -> None:
    replay = dataset[:2].prioritized_replay(seed=1, alpha=1, epsilon=1)
    assert len(replay) == 6
    replay.update(np.arange(6), [0, 1, 2, 3, 8, 5])
    state = replay.state_dict()
    assert state["weights"].tolist() == [1, 2, 3, 4, 9, 6]
    whole = dataset.prioritized_replay(seed=1, alpha=1, epsilon=1)
    whole.load_state_dict(state)
    assert whole.state_dict()["weights"].tolist() == [1, 2, 3, 4, 9, 6, 9, 9, 9, 9]
    assert len(whole) == 10
    with pytest.raises(SamplingError, match=r"weights of shape \(10,\)"):
        whole.load_state_dict({**state, "weights": np.ones(10)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epsilon": np.inf}, r"^epsilon is inf, not a finite number above 0$"),
        ({"epsilon": np.nan}, r"^epsilon is nan, not a finite number above 0$"),
        ({"epsilon": -1e-9}, r"^epsilon is -1e-09, not a finite"),
        ({"alpha": 1.1}, r"^alpha is 1\.1, not between 0 and 1$"),
    ],
)
def test_numbers_out_of_their_range_are_refused(
    options: dict[str, Any], said: str, dataset: MinariDataset
) -> None:
    with pytest.raises(SamplingError, match=said):
        dataset.prioritized_replay(**options)
    replay = dataset.prioritized_replay()
    for size in (0, 1.5):
        with pytest.raises(SamplingError, match=r"^batch_size is "):
            replay.sample(size)  # type: ignore[arg-type]  # from a caller
    with pytest.raises(SamplingError, match=r"^beta is 1\.5, not between 0 and 1$"):
        replay.sample(3, beta=1.5)
