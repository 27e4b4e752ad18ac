"""Datasets become one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    combine_datasets,
    delete_dataset,
    load_dataset,
)
from minari_core.datasets.dataset import get_raw_storage
from minari_core.errors import (
    DatasetExistsError,
    IncompatibleDatasetsError,
)
from minari_core.testing import simple_episode
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import (
    cartpole,
    create,
)

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")


def test_a_combination_has_the_episodes_of_its_parts() -> None:
    first, other = create(), create("tests/other-v0", buffer=[simple_episode(9, 2)])
    combined = combine_datasets([first[::-1], other, first[[1]]], "tests/all-v0")
    assert [episode.seed for episode in combined] == [5, 4, 3, 2, 1, 0, 9, 1]
    assert combined.combined_datasets == [first.id, other.id, first.id]
    assert combined.spec.combined_datasets == combined.combined_datasets
    wanted = [*first[::-1], *other, first[1]]
    for found, episode in zip(combined, wanted, strict=True):
        expect_same_episode(found, episode, ids=False)


def test_combining_copies_nothing_and_outlives_its_sources() -> None:
    first, other = create(), create("tests/other-v0")
    inodes = {
        path.stat().st_ino
        for dataset in (first, other)
        for path in Path(str(dataset.spec.data_path)).glob("*.h5")
    }
    combined = combine_datasets([first, other, first], new_dataset_id="tests/all-v0")
    shards = list(Path(str(combined.spec.data_path)).glob("*.h5"))
    assert {path.stat().st_ino for path in shards} == inodes
    wanted = [*first, *other, *first]
    for dataset in (first, other):
        delete_dataset(dataset.id)
    for found, episode in zip(load_dataset("tests/all-v0"), wanted, strict=True):
        expect_same_episode(found, episode, ids=False)
    delete_dataset("tests/all-v0")


def test_a_dataset_that_is_combined_may_grow_afterwards() -> None:
    first = create()
    combined = combine_datasets([first], "tests/all-v0")
    first.update_dataset_from_buffer([simple_episode(6, 2)])
    first.compact()
    combined.update_dataset_from_buffer([simple_episode(7, 2)])
    assert [episode.seed for episode in combined] == [0, 1, 2, 3, 4, 5, 7]
    assert [episode.seed for episode in first] == [0, 1, 2, 3, 4, 5, 6]


def test_what_cannot_be_combined_is_refused_by_what_differs(datasets_root: Path) -> None:
    first = create()
    moves = create("tests/moves-v0", action_space=spaces.Discrete(4))
    wider = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    seen = create("tests/seen-v0", observation_space=wider)
    for other, name in ((moves, "action_space"), (seen, "observation_space")):
        with pytest.raises(IncompatibleDatasetsError, match=name):
            combine_datasets([first, other], "tests/all-v0")
    with pytest.raises(IncompatibleDatasetsError, match="nothing"):
        combine_datasets([], "tests/all-v0")
    assert not (datasets_root / "tests" / "all-v0").exists()


def test_an_id_that_is_taken_is_refused_before_anything_is_compared() -> None:
    first = create()
    other = create("tests/other-v0", action_space=spaces.Discrete(4))
    with pytest.raises(DatasetExistsError, match="tests/numbers-v0"):
        combine_datasets([first, other], "tests/numbers-v0")


def test_datasets_to_combine_may_come_from_an_iterator() -> None:
    first, other = create(), create("tests/other-v0", buffer=[simple_episode(9, 2)])
    combined = combine_datasets(iter((first[:1], other)), "tests/all-v0")
    assert [episode.seed for episode in combined] == [0, 9]


@pytest.mark.parametrize("kind", ["a dataset", "an id", "ids", "nothing", "a number"])
def test_what_is_no_list_of_datasets_is_not_combined(kind: str, datasets_root: Path) -> None:
    given: dict[str, Any] = {
        "a dataset": create(),
        "an id": "tests/numbers-v0",
        "ids": ["tests/numbers-v0"],
        "nothing": None,
        "a number": 5,
    }
    with pytest.raises(IncompatibleDatasetsError, match="as load_dataset opens"):
        combine_datasets(given[kind], "tests/all-v0")
    assert not (datasets_root / "tests" / "all-v0").exists()


def test_a_combination_takes_the_largest_step_limit() -> None:
    limits = [gymnasium.make("CartPole-v1", max_episode_steps=n) for n in (20, 900, 300)]
    parts = [cartpole(f"tests/part-v{n}", env=env) for n, env in enumerate(limits)]
    spec = combine_datasets(parts, "tests/all-v0").env_spec
    assert spec is not None
    assert spec.max_episode_steps == 900
    assert [episode.seed for episode in load_dataset("tests/all-v0")] == [7, 7, 7]


def test_a_combination_names_all_people_and_requirements_of_its_parts() -> None:
    cards: list[dict[str, Any]] = [
        {
            "author": ["Ada", "Grace"],
            "author_email": "ada@example.org",
            "requirements": ["numpy", "torch"],
        },
        {
            "author": "Grace",
            "author_email": ["grace@example.org", "ada@example.org"],
            "requirements": ["torch", "jax"],
        },
        {"author": "Alan"},
    ]
    shared = {
        "algorithm_name": "PPO",
        "code_permalink": "https://example.org/code",
        "ref_min_score": 1.0,
        "ref_max_score": 2.0,
        "num_episodes_average_score": 1,
    }
    parts = [
        create(f"tests/part-v{n}", description=f"part {n}", **card, **shared)
        for n, card in enumerate(cards)
    ]

    combined = load_dataset(combine_datasets(parts, "tests/all-v0").id)

    assert combined.metadata["author"] == ["Ada", "Grace", "Alan"]
    assert combined.metadata["author_email"] == ["ada@example.org", "grace@example.org"]
    assert combined.metadata["requirements"] == ["numpy", "torch", "jax"]
    # What all say is said of the combination, and nothing else.
    assert {key: combined.metadata.get(key) for key in shared} == shared
    assert "description" not in combined.metadata
    named = combine_datasets(parts[2:], "tests/one-v0").metadata
    assert named["author"] == ["Alan"]
    assert not {"author_email", "requirements"} & named.keys()
    assert named["description"] == "part 2"


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_a_combination_is_stored_as_its_first_dataset_unless_it_is_said(data_format: str) -> None:
    first = create("tests/first-v0", data_format=data_format)
    other = create("tests/other-v0")

    combined = combine_datasets([first, other], "tests/combined-v0")
    said = combine_datasets([first, other], "tests/said-v0", data_format="hdf5")
    widened = combine_datasets([first, other], "tests/widened-v0", widen=True)

    assert get_raw_storage(combined).data_format == data_format
    assert get_raw_storage(said).data_format == "hdf5"
    assert get_raw_storage(widened).data_format == "columnar"
    for dataset in (combined, said, widened):
        assert [episode.seed for episode in dataset] == [0, 1, 2, 3, 4, 5] * 2
