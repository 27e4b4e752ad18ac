"""Combining and converting datasets whose columns have different dtypes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    combine_datasets,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import DataError, FormatError

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

BOX = spaces.Box(-(2**62), 2**62, (2,), np.float64)
DICT = spaces.Dict({"a": BOX, "b": BOX})
A_THIRD = 1 / 3


def episode(a: str, b: str, action: str, steps: int) -> EpisodeBuffer:
    def rows(dtype: Any, count: int) -> Any:
        return (np.full((count, 2), A_THIRD) + np.arange(count)[:, None]).astype(dtype)

    return EpisodeBuffer(
        observations={"a": rows(a, steps + 1), "b": rows(b, steps + 1)},
        actions=rows(action, steps),
        rewards=np.arange(steps, dtype=float),
        terminations=[False] * (steps - 1) + [True],
        truncations=[False] * steps,
    )


def made(name: str, a: str, b: str, action: str, data_format: str | None = None) -> MinariDataset:
    return create_dataset_from_buffers(
        name,
        [episode(a, b, action, steps) for steps in (2, 3)],
        observation_space=DICT,
        action_space=BOX,
        data_format=data_format,
    )


def test_datasets_of_different_dtypes_are_refused_with_every_column_that_differs() -> None:
    one, other = made("tests/a-v0", "f4", "f8", "f4"), made("tests/b-v0", "f8", "f8", "f8")
    with pytest.raises(
        DataError, match=r"observations\['a'\] is float64.*actions is float64.*widen=True"
    ):
        combine_datasets([one, other], "tests/c-v0")
    with pytest.raises(DataError) as caught:
        combine_datasets([other, one], "tests/c-v0")
    assert "observations['b']" not in str(caught.value)


@pytest.mark.parametrize("is_part", [False, True], ids=["whole", "views"])
def test_combining_can_widen(is_part: bool) -> None:
    datasets = [
        made("tests/a-v0", "f4", "f8", "i2"),
        made("tests/b-v0", "f8", "f8", "f4"),
        made("tests/c-v0", "f4", "f4", "u1"),
    ]
    chosen = [dataset[1:] for dataset in datasets] if is_part else datasets
    combined = combine_datasets([*chosen, chosen[0]], "tests/all-v0", widen=True)
    sources = [e for dataset in [*chosen, chosen[0]] for e in dataset]

    for found, source in zip(combined, sources, strict=True):
        assert found.observations["a"].dtype == found.observations["b"].dtype == np.float64
        assert found.actions.dtype == np.float32
        np.testing.assert_array_equal(found.observations["a"], source.observations["a"])
        np.testing.assert_array_equal(found.actions, source.actions)
    assert verify_dataset("tests/all-v0").ok
    assert combined.sample_transitions(4).actions.dtype == np.float32
    assert load_dataset("tests/a-v0")[0].observations["a"].dtype == np.float32
    assert verify_dataset("tests/a-v0").ok
    assert len(combined.storage.schemas()) == 1


def test_combining_that_would_change_a_number_is_refused() -> None:
    def one(value: Any, name: str) -> MinariDataset:
        given = EpisodeBuffer(
            observations=np.full((2, 2), value),
            actions=np.full((1, 2), value),
            rewards=[0.0],
            terminations=[True],
            truncations=[False],
        )
        return create_dataset_from_buffers(name, [given], observation_space=BOX, action_space=BOX)

    datasets = [one(2**60 + 1, "tests/a-v0"), one(0.5, "tests/b-v0")]
    with pytest.raises(
        DataError, match="observations of step 0 has int64 numbers that float64 does not"
    ):
        combine_datasets(datasets, "tests/c-v0", widen=True)
    combine_datasets([datasets[1]], "tests/c-v0", widen=True)


def test_widening_needs_the_columnar_format() -> None:
    dataset = made("tests/a-v0", "f4", "f4", "f4")
    with pytest.raises(FormatError, match="'hdf5' cannot be widened"):
        combine_datasets([dataset], "tests/b-v0", data_format="hdf5", widen=True)
    with pytest.raises(FormatError, match="'hdf5' cannot be widened"):
        convert_dataset(dataset, "tests/b-v0", data_format="hdf5", widen=True)


def test_converting_can_widen_what_another_program_wrote(datasets_root: Path) -> None:
    made("tests/a-v0", "f4", "f8", "f4", data_format="hdf5")
    # The public Minari does not ask whether episodes have the same dtypes.
    with h5py.File(datasets_root / "tests/a-v0/data/main_data.hdf5", "r+") as file:
        for path in ("episode_1/actions", "episode_1/observations/a"):
            rows = file[path][()]
            del file[path]
            file[path] = rows.astype(np.float64) + 1e-12
    mixed = load_dataset("tests/a-v0")
    assert [found.actions.dtype for found in mixed] == [np.float32, np.float64]
    with pytest.raises(DataError, match=r"is float64 of shape .* float32 of shape"):
        convert_dataset(mixed, "tests/b-v0")
    converted = convert_dataset(mixed, "tests/b-v0", widen=True)

    for found, source in zip(converted, mixed, strict=True):
        assert found.actions.dtype == found.observations["a"].dtype == np.float64
        np.testing.assert_array_equal(found.actions, source.actions)
        np.testing.assert_array_equal(found.observations["b"], source.observations["b"])
    assert verify_dataset("tests/b-v0").ok
