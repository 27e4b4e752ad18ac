"""Tasks whose columns fit into no dataset are refused when they come in, and nothing is lost."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_collect import collect_dataset
from minari_collect.workers.messages import derive_seeds
from minari_core import MinariDataset
from minari_core.datasets.local import load_dataset
from minari_core.errors import DataError
from tests.collect.helpers.collect_work import Counting

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is (set to )?None", "ignore:.*is recorded as it is", "ignore:.*obs returned by"
)
SEED = 5
FLOATS = np.array([0.5, 1, 2])
WHOLE = np.array([1, 2, 3])
LARGE = np.array([2**53 + 1, 2, 3])
FLAGS = np.array([True, False, True])


class Changing(Counting):
    """Its observations are of another dtype from some episode on."""

    def __init__(self, first: Any, then: Any, since: int) -> None:
        self.first = first
        self.then = then
        self.changed = {derive_seeds(SEED, episode)[0] for episode in range(since, 99)}

    def _observation(self) -> Any:
        return self.then if self.seed in self.changed else self.first


def collect(first: Any, then: Any, **arguments: Any) -> MinariDataset:
    """Collect six episodes, two in a task, of which those of the last task differ."""
    env = Changing(first, then, 4)
    with ThreadPoolExecutor(1) as executor:
        return collect_dataset(
            "tests/a-v0",
            lambda: env,
            **{
                "total_episodes": 6,
                "episodes_per_task": 2,
                "executor": executor,
                "seed": SEED,
                "data_format": "columnar",
                **arguments,
            },
        )


def outputs(root: Path) -> list[Path]:
    return sorted((root / ".staging" / "run-tests%a-v0").glob("episodes-*"))


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        (WHOLE, FLAGS, "observations is bool of shape (3,) a step, but int64 of shape (3,) in "),
        (FLOATS, LARGE, "episode 4: observations of step 0 has int64 numbers that float64 does "),
        (LARGE, FLOATS, "episode 0: observations of step 0 has int64 numbers that float64 does "),
    ],
    ids=["flags after numbers", "large numbers after floats", "floats after large numbers"],
)
def test_tasks_of_dtypes_that_no_column_holds_are_refused_when_they_come_in(
    first: Any, then: Any, reason: str, data_format: str, datasets_root: Path
) -> None:
    with pytest.raises(DataError, match=re.escape(reason)) as refused:
        collect(first, then, total_episodes=40, data_format=data_format)

    found = outputs(datasets_root)
    # No more than what was under way; with the wrong task, what came before.
    assert 3 <= len(found) <= 5
    message = str(refused.value)
    assert message.startswith("episodes 0 to 1 and episodes 4 to 5 do not fit into one dataset: ")
    assert str(found[0].parent) in message
    assert found[0].name in message
    assert found[2].name in message
    episodes = [episode for path in found for episode in load_dataset(path)]
    assert [episode.observations[0].tolist() for episode in episodes[3:5]] == [
        first.tolist(),
        then.tolist(),
    ]


def test_a_run_that_was_refused_is_resumed_without_the_wrong_task(datasets_root: Path) -> None:
    with pytest.raises(DataError, match="do not fit into one dataset"):
        collect(WHOLE, FLAGS)
    before = outputs(datasets_root)
    with pytest.raises(DataError, match="do not fit into one dataset"):
        collect(WHOLE, FLAGS, resume=["env"])
    assert outputs(datasets_root) == before

    shutil.rmtree(before[2])
    dataset = collect(WHOLE, WHOLE, resume=["env"])

    assert [episode.observations.dtype for episode in dataset] == [np.int64] * 6


def test_the_episodes_before_the_wrong_task_make_a_dataset(datasets_root: Path) -> None:
    with pytest.raises(DataError, match="total_episodes=4, it makes a dataset of"):
        collect(WHOLE, FLAGS)

    dataset = collect(WHOLE, FLAGS, resume=["env"], total_episodes=4)

    assert [episode.observations.dtype for episode in dataset] == [np.int64] * 4


def test_tasks_whose_numbers_a_wider_dtype_holds_make_one_dataset() -> None:
    with pytest.warns(UserWarning, match="from int64 to float64: tasks differ"):
        dataset = collect(WHOLE, FLOATS)
    observed = [episode.observations for episode in dataset]
    assert {values.dtype for values in observed} == {np.dtype(np.float64)}
    assert [values[0].tolist() for values in observed[3:5]] == [WHOLE.tolist(), FLOATS.tolist()]
