"""The keywords that describe a new dataset: one list for every function that creates one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    DatasetDetails,
    create_dataset_from_arrays,
    create_dataset_from_buffers,
    import_flat_hdf5,
    list_local_datasets,
)

CREATORS = [create_dataset_from_buffers, create_dataset_from_arrays, import_flat_hdf5]
DETAILS = inspect.get_annotations(DatasetDetails)


@pytest.mark.parametrize("create", CREATORS)
def test_the_signature_shows_every_detail(create: Any) -> None:
    shown = inspect.signature(create).parameters

    assert [name for name in DETAILS if name not in shown] == []
    assert all(shown[name].kind is inspect.Parameter.KEYWORD_ONLY for name in DETAILS)
    assert shown["author"].default is None
    assert shown["num_episodes_average_score"].default == 100
    assert not any(each.kind is each.VAR_KEYWORD for each in shown.values())


def test_every_detail_is_documented() -> None:
    documented = inspect.getdoc(DatasetDetails) or ""
    assert [name for name in DETAILS if f"\n    {name}: " not in documented] == []


def test_an_unknown_keyword_is_a_type_error_that_names_it(
    tmp_path: Path, datasets_root: Path
) -> None:
    flags = np.array([False, True])
    unknown: dict[str, Any] = {"athor": "Ada"}
    calls: list[Callable[[], object]] = [
        lambda: create_dataset_from_buffers("tests/a-v0", [], **unknown),
        lambda: create_dataset_from_arrays(
            "tests/a-v0",
            observations=np.zeros(2),
            actions=np.zeros(2),
            rewards=np.zeros(2),
            terminals=flags,
            **unknown,
        ),
        lambda: import_flat_hdf5(tmp_path / "absent.hdf5", "tests/a-v0", **unknown),
    ]
    for create in calls:
        with pytest.raises(TypeError, match=r"unexpected keyword argument 'athor'.*\bauthor\b"):
            create()
    assert list_local_datasets() == {}


def test_details_may_be_given_as_a_dict(datasets_root: Path) -> None:
    details: DatasetDetails = {"author": ["Ada", "Bob"], "description": "two steps"}
    dataset = create_dataset_from_arrays(
        "tests/a-v0",
        observations=np.zeros((2, 1)),
        actions=np.zeros(2, np.int64),
        rewards=np.zeros(2),
        terminals=[False, True],
        action_space=spaces.Discrete(2),
        **details,
    )
    assert dataset.metadata["author"] == ["Ada", "Bob"]
    assert dataset.metadata["description"] == "two steps"
