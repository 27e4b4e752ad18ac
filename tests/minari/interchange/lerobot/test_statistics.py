"""Statistics of features, against numpy over all rows."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minari.interchange.lerobot.writing.statistics import (
    Statistics,
    describe_columns,
    describe_episodes,
    describe_images,
    join_statistics,
    merge_statistics,
    to_json,
)

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
COLUMNS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(1, 12)),
    elements=st.floats(-1000, 1000, width=32),
)


def describe(columns: Any, *borders: int) -> Statistics:
    """Describe episodes between borders; one of all columns if there is none."""
    return describe_episodes(columns.copy(), np.array(borders or (0, columns.shape[1])))


def take_row(statistics: Statistics, row: int = 0) -> Statistics:
    return {name: each[row] for name, each in statistics.items()}


def expect_exact(found: Any, columns: Any) -> None:
    """Compare what is exact however rows are parted."""
    assert found["count"].tolist() == [columns.shape[1]]
    np.testing.assert_array_equal(found["min"], columns.min(axis=1))
    np.testing.assert_array_equal(found["max"], columns.max(axis=1))
    np.testing.assert_allclose(found["mean"], columns.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(found["std"], columns.std(axis=1), atol=1e-6)


@given(COLUMNS)
def test_columns_have_the_statistics_of_numpy(columns: Any) -> None:
    found = take_row(describe(columns))

    assert found.keys() == {"min", "max", "mean", "std", "count", *QUANTILES}
    expect_exact(found, columns)
    for name, part in QUANTILES.items():
        np.testing.assert_allclose(found[name], np.quantile(columns, part, axis=1), atol=1e-9)


@given(COLUMNS, st.lists(st.integers(1, 11), max_size=2))
def test_statistics_of_parts_are_merged_to_those_of_all(columns: Any, cuts: list[int]) -> None:
    borders = sorted({0, columns.shape[1], *(cut for cut in cuts if cut < columns.shape[1])})
    pieces = [columns[:, first:last] for first, last in pairwise(borders)]
    rows = [describe(piece) for piece in pieces]
    parts = [take_row(row) for row in rows]

    merged = take_row(merge_statistics(join_statistics(rows)))

    expect_exact(merged, columns)
    for name in QUANTILES:
        weighted = sum(
            part[name] * piece.shape[1] for part, piece in zip(parts, pieces, strict=True)
        )
        np.testing.assert_allclose(merged[name], weighted / columns.shape[1], atol=1e-9)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 9))
def test_episodes_are_described_together_as_each_is_alone(
    lengths: list[int], width: int, seed: int
) -> None:
    borders = np.cumsum([0, *lengths]).tolist()
    columns = np.random.default_rng(seed).normal(size=(width, borders[-1]))

    found = describe(columns, *borders)

    for number, (start, stop) in enumerate(pairwise(borders)):
        alone = describe_columns(columns[:, start:stop].copy())
        row = take_row(found, number)
        assert row.pop("count").tolist() == [lengths[number]]
        assert row.keys() == alone.keys()
        for name, each in alone.items():
            np.testing.assert_allclose(row[name], each, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 3)])
@pytest.mark.parametrize("count", [1, 3])
def test_images_have_the_statistics_of_their_channels(shape: tuple[int, ...], count: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(3, 250, (count, *shape), np.uint8)
    images //= rng.integers(1, 9, images.shape, np.uint8)

    found = take_row(describe_images(images))

    channels = images.reshape(-1, shape[2] if len(shape) == 3 else 1).T
    assert found["count"].tolist() == [count]
    wanted: dict[str, Any] = {
        "min": channels.min(axis=1),
        "max": channels.max(axis=1),
        "mean": channels.mean(axis=1),
        "std": channels.std(axis=1),
    }
    for name, part in QUANTILES.items():
        place = math.ceil(max(part * channels.shape[1], 1)) - 1
        wanted[name] = np.sort(channels, axis=1)[:, place]
    for name, values in wanted.items():
        assert found[name].shape == (len(channels), 1, 1)
        np.testing.assert_allclose(found[name].ravel(), values / 255, atol=1e-12)


@pytest.mark.parametrize(
    ("count", "wanted"), [(99, 99), (100, 100), (464, 100), (470, 100), (471, 101), (1000, 177)]
)
def test_of_many_images_some_are_looked_at_from_the_first_to_the_last(
    count: int, wanted: int
) -> None:
    images = (np.arange(count) * 255 // (count - 1)).astype(np.uint8).reshape(count, 1, 1)
    found = take_row(describe_images(images))
    assert found["count"].tolist() == [wanted]
    assert (found["min"].item(), found["max"].item()) == (0, 1)
    chosen = images.ravel()[np.round(np.linspace(0, count - 1, wanted)).astype(int)] / 255
    assert found["mean"].item() == pytest.approx(chosen.mean())


def test_counts_are_whole_in_json() -> None:
    statistics = {"action": describe(np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 3.0]]))}
    said: Any = to_json(statistics)["action"]
    assert said["count"] == [3]
    assert isinstance(said["count"][0], int)
    assert (said["min"], said["max"], said["q50"]) == ([1, 0], [4, 3], [2, 0])
