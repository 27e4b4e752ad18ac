"""Values of any space are normalized leaf by leaf, and back, also by a normalizer of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import create_dataset_from_buffers
from minari_core.errors import DatasetWriteError, SamplingError
from minari_core.sampling import ColumnStatistics, Normalizer


def describe(values: Any) -> ColumnStatistics:
    rows = np.asarray(values, np.float64)
    return ColumnStatistics(
        mean=np.asarray(rows.mean(axis=0)),
        std=np.asarray(rows.std(axis=0)),
        min=np.asarray(rows.min(axis=0)),
        max=np.asarray(rows.max(axis=0)),
        count=len(rows),
        nonfinite=np.zeros(rows.shape[1:], np.int64),
    )


RNG = np.random.default_rng(1)
VALUES: dict[str, Any] = {
    "at": RNG.normal(3, 2, (20, 3)).astype(np.float32),
    "a/b": (RNG.integers(0, 9, 20), RNG.normal(-5, 0.1, (20, 2, 2))),
    "text": ["word"] * 20,
    "empty": np.zeros((20, 0)),
}
STATISTICS = {
    "observations/at": describe(VALUES["at"]),
    "observations/a%2Fb/_index_0": describe(VALUES["a/b"][0]),
    "observations/a%2Fb/_index_1": describe(VALUES["a/b"][1]),
    "observations/empty": describe(VALUES["empty"]),
    "observations_of_others": describe(np.zeros((4, 9))),
    "actions": describe([1.0, 3.0]),
}


def test_each_leaf_of_dicts_and_tuples_is_normalized_by_its_own_statistics() -> None:
    normalizer = Normalizer(STATISTICS)

    normal = normalizer.normalize(VALUES)

    for leaf in (normal["at"], *normal["a/b"]):
        np.testing.assert_allclose(leaf.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(leaf.std(axis=0), 1, atol=1e-6)
    assert normal["text"] == VALUES["text"]
    back = normalizer.denormalize(normal)
    np.testing.assert_allclose(back["at"], VALUES["at"], rtol=1e-6)
    np.testing.assert_allclose(back["a/b"][1], VALUES["a/b"][1])
    single = normalizer.normalize({"at": VALUES["at"][4], "a/b": (3, VALUES["a/b"][1][4])})
    assert np.array_equal(single["at"], normal["at"][4])


@pytest.mark.filterwarnings("ignore:.*is (set to )?None")
def test_batches_of_a_dataset_are_normalized_by_its_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    count = len(VALUES["text"])
    dataset = create_dataset_from_buffers(
        "tests/nested-v0",
        [
            {
                "observations": VALUES,
                "actions": np.zeros(count - 1, np.int64),
                "rewards": np.zeros(count - 1),
                "terminations": np.arange(count - 1) == count - 2,
                "truncations": np.zeros(count - 1, bool),
            }
        ],
        observation_space=spaces.Dict(
            {
                "at": spaces.Box(-99, 99, (3,), np.float32),
                "a/b": spaces.Tuple([spaces.Discrete(9), spaces.Box(-99, 99, (2, 2), np.float64)]),
                "text": spaces.Text(9),
                "empty": spaces.Box(0, 1, (0,), np.float64),
            }
        ),
        action_space=spaces.Discrete(2),
    )
    batch = dataset.sample_transitions(8).observations

    normal = Normalizer(dataset.statistics()).normalize(batch)

    expected = Normalizer(STATISTICS).normalize(batch)
    np.testing.assert_allclose(normal["at"], expected["at"])
    np.testing.assert_allclose(normal["a/b"][0], expected["a/b"][0])
    np.testing.assert_allclose(normal["a/b"][1], expected["a/b"][1])
    assert list(normal["text"]) == ["word"] * 8


def test_a_column_and_a_leaf_are_chosen_by_name() -> None:
    assert Normalizer(STATISTICS, column="actions").normalize([1.0, 2.0]).tolist() == [-1, 0]
    leaf = Normalizer(STATISTICS, column="observations/at").normalize(VALUES["at"])
    assert np.array_equal(leaf, Normalizer(STATISTICS).normalize(VALUES)["at"])


def test_results_are_rounded_to_a_dtype_and_keep_their_mask() -> None:
    values = np.ma.MaskedArray([1.0, 3.0, 9.0], [False, False, True])

    normal = Normalizer(STATISTICS["actions"]).normalize(values, np.float32)

    assert normal.dtype == np.float32
    assert normal.tolist() == [-1, 1, None]


def test_a_saved_normalizer_normalizes_to_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "normalizer.json"
    unknown = describe(np.full((3, 2), np.nan))
    normalizer = Normalizer({**STATISTICS, "observations/unknown": unknown})
    normalizer.save(path)
    normalizer.save(path)
    values = {**VALUES, "unknown": np.ones((20, 2))}

    loaded = Normalizer.load(path)

    json.loads(path.read_text("ascii"))
    np.testing.assert_equal(loaded.normalize(values), normalizer.normalize(values))
    assert [each.name for each in tmp_path.iterdir()] == ["normalizer.json"]


def test_values_that_do_not_fit_the_statistics_are_refused() -> None:
    normalizer = Normalizer(STATISTICS)
    with pytest.raises(SamplingError, match=r"values/at have shape \(4, 1\)"):
        normalizer.normalize({"at": np.zeros((4, 1))})
    with pytest.raises(SamplingError, match=r"values/at have shape \(\)"):
        normalizer.denormalize({"at": 2.0})
    with pytest.raises(SamplingError, match="no statistics of values/other, only of"):
        normalizer.normalize({"other": np.zeros(4)})
    with pytest.raises(SamplingError, match="no statistics of values/at"):
        Normalizer(STATISTICS["actions"]).normalize({"at": np.zeros(4)})
    with pytest.raises(SamplingError, match="no statistics of 'rewards'"):
        Normalizer(STATISTICS, column="rewards")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"normalizer":2,"leaves":{}}',
        '{"normalizer":1,"leaves":[]}',
        '{"normalizer":1,"leaves":{"":{"mean":0.5}}}',
        '{"normalizer":1,"leaves":{"":{"mean":"a","scale":"b"}}}',
        '{"normalizer":1,"leaves":{"":{"mean":0.5,"scale":[1.0,2.0]}}}',
        '{"normalizer":1,"leaves":{"":{"mean":0.5,"scale":0.0}}}',
        "é",
    ],
)
def test_a_file_that_is_no_normalizer_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SamplingError, match=r"other\.json is no normalizer"):
        Normalizer.load(path)


def test_files_that_are_not_there_are_errors_of_the_library(tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match="FileNotFoundError"):
        Normalizer.load(tmp_path / "missing.json")
    with pytest.raises(DatasetWriteError, match="missing"):
        Normalizer(STATISTICS).save(tmp_path / "missing" / "normalizer.json")
