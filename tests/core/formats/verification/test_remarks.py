"""What is remarkable in a columnar dataset of several shards is told with its episode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, create_dataset_from_buffers, load_dataset, verify_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.columnar.shard_folder import ShardFolder
from tests.core.helpers.many_shards import keep_shards_apart

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
SPACE = spaces.Dict(
    x=spaces.Box(-np.inf, np.inf, (2,), np.float64),
    s=spaces.Sequence(spaces.Box(-np.inf, np.inf, (1,), np.float64)),
)


def episode(steps: int, *, rows: int | None = None, **changes: Any) -> EpisodeBuffer:
    rows = steps + 1 if rows is None else rows
    fields: dict[str, Any] = {
        "observations": {"x": np.zeros((rows, 2)), "s": [(np.zeros(1),)] * rows},
        "actions": np.zeros((steps, 1)),
        "rewards": np.zeros(steps),
        "terminations": np.zeros(steps, bool),
        "truncations": np.arange(steps) == steps - 1,
    }
    return EpisodeBuffer(**{**fields, **changes})


def store(*shards: list[EpisodeBuffer]) -> list[str]:
    """A dataset of so many shards; the names of their files."""
    first, *others = shards
    create_dataset_from_buffers(
        "remarks-v0",
        first,
        observation_space=SPACE,
        action_space=spaces.Box(-np.inf, np.inf, (1,), np.float64),
    )
    storage = get_raw_storage(load_dataset("remarks-v0"))
    assert isinstance(storage, ShardFolder)
    with keep_shards_apart():
        for shard in others:
            storage.append_episodes(shard)
    return [entry.file for entry in storage.snapshot.shards]


def told() -> list[tuple[Any, ...]]:
    report = verify_dataset("remarks-v0")
    assert report.ok, report.problems
    return [(each.column, each.file, each.episode, each.message[:40]) for each in report.remarks]


def with_value(steps: int, row: int, value: float) -> Any:
    made: Any = episode(steps)
    made.observations["x"][row, 1] = value
    return made


@pytest.mark.parametrize("row", [0, 1, 2, 3])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_value_that_is_not_finite_is_of_its_episode(place: int, row: int) -> None:
    episodes = [episode(3) for _ in range(4)]
    episodes[place] = with_value(3, row, np.nan)
    actions: Any = episodes[3].actions
    actions[1] = np.inf
    files = store(episodes[:1], episodes[1:3], episodes[3:])
    shard = files[[0, 1, 1, 2][place]]
    assert told() == [
        ("observations/x", shard, place, "1 values are NaN and 0 infinite; first s"),
        ("actions", files[2], 3, "0 values are NaN and 1 infinite; first s"),
    ]


def test_a_value_inside_a_row_of_many_is_of_no_single_row() -> None:
    made: Any = episode(2)
    made.observations["s"] = [(np.zeros(1),) * 3, (), (np.full(1, np.nan),)]
    files = store([episode(2), made])
    ((column, file, number, _),) = told()
    assert (column, file, number) == ("observations/s/element", files[0], None)


def test_rewards_and_ends_are_remarked_on_with_their_shard() -> None:
    early = np.array([False, True, False, False])
    rewards = np.array([0, 0, -np.inf, 0])
    files = store([episode(4)], [episode(1), episode(4)])
    folder = Path(str(load_dataset("remarks-v0").spec.data_path))
    # As an earlier release has stored it.
    storage = get_raw_storage(load_dataset("remarks-v0"))
    assert isinstance(storage, ShardFolder)
    with keep_shards_apart():
        storage.append_episodes([episode(2), episode(4, terminations=early, rewards=rewards)])
    files = [entry.file for entry in storage.snapshot.shards]
    assert folder.exists()
    found = told()
    assert [each[:3] for each in found] == [("rewards", files[2], 4), (None, files[2], 4)]
    assert (
        verify_dataset("remarks-v0")
        .remarks[1]
        .message.startswith("1 steps end an episode that goes on, step 1 is the first")
    )
    assert storage.early_ends().tolist() == [4 + 1 + 4 + 2 + 1]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_placeholder_is_no_observation(is_known: bool) -> None:
    last: Any = episode(3, rows=3, metadata={"final_observation_known": False})
    last.observations["x"][2] = np.nan
    whole: Any = episode(3)
    whole.observations["x"][3 if is_known else 2] = np.nan
    files = store([episode(2)], [episode(1), last], [whole])
    # The placeholder of an unknown observation repeats the one before.
    assert told() == [("observations/x", files[1], 2, "4 values are NaN and 0 infinite; first s")]
