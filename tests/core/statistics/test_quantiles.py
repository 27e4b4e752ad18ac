"""Quantiles of rows that come in blocks, beside those that numpy computes of all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.statistics import order_statistics, quantiles
from minari_core.statistics.order_statistics import LEVELS
from minari_core.statistics.quantiles import RunningQuantiles

DTYPES = ("u1", "i1", "?", "i2", "i8", "f2", "f4", "f8")


def compute(rows: npt.NDArray[Any], *at: int) -> tuple[Any, float]:
    return add_all(RunningQuantiles(rows.dtype, rows.shape[1:], len(rows)), rows, *at).finish(())


def add_all(running: RunningQuantiles, rows: npt.NDArray[Any], *at: int) -> RunningQuantiles:
    for block in np.split(rows, at):
        running.add(block)
    return running


@pytest.mark.filterwarnings("ignore:All-NaN")
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from([(), (3,), (2, 2)]), st.integers(1, 40))
@settings(max_examples=120)
def test_quantiles_in_blocks_are_those_of_all_rows(
    data: st.DataObject, dtype: str, shape: tuple[int, ...], count: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    rows = (rng.standard_normal((count, *shape)) * 50).clip(-120, 120).astype(dtype)
    if rows.dtype.kind == "f":
        rows[rng.random(rows.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    borders = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    found, error = compute(rows, *borders)
    values = rows.astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    known = np.isfinite(values).any(axis=0)
    for level in LEVELS:
        assert found[level].shape == shape
        assert np.isnan(found[level][~known]).all()
        wanted = np.nanquantile(values[..., known] if shape else values, level, axis=0)
        if known.any():
            np.testing.assert_allclose(found[level][known].ravel(), np.ravel(wanted), rtol=1e-12)
    assert error == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [99, 101, 5000])
def test_quantiles_of_many_rows_are_those_of_numpy(dtype: str, count: int) -> None:
    rng = np.random.default_rng(count)
    # Distinct numbers, ties, those in order already, and one beyond all others at either end.
    columns = [
        rng.standard_normal(count) * 40,
        rng.integers(0, 3, count),
        np.arange(count) / count * 100,
        np.where(np.arange(count) == 7, -120, rng.random(count)),
        np.where(np.arange(count) == 7, 120, rng.random(count)),
    ]
    rows = np.stack(columns, axis=1).clip(-120, 120).astype(dtype)
    found, _ = compute(rows, count // 3)
    wanted = np.quantile(rows.astype(np.float64), LEVELS, axis=0)
    np.testing.assert_allclose([found[level] for level in LEVELS], wanted, rtol=1e-12, atol=1e-12)
    if rows.dtype.kind == "f":
        rows[:, 1:4] = np.where(rng.random((count, 3)) < 0.5, [np.nan, np.inf, -np.inf], 1)
        found, _ = compute(rows, 50)
        assert all((found[level][1:4] == 1).all() for level in LEVELS)
        np.testing.assert_allclose(found[0.5][[0, 4]], wanted[2, [0, 4]], rtol=1e-12)


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from([(), (3,), (40,)]), st.booleans())
@settings(max_examples=80)
def test_quantiles_of_what_lies_near_them_are_those_of_all_or_none(
    data: st.DataObject, dtype: str, shape: tuple[int, ...], is_tied: bool
) -> None:
    count = data.draw(st.integers(1, 600))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    rows = (rng.standard_normal((count, *shape)) * (2 if is_tied else 40)).clip(-120, 120)
    rows = (np.round(rows) if is_tied else rows).astype(dtype)
    if rows.dtype.kind == "f":
        rows[rng.random(rows.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    if data.draw(st.booleans()):
        rows.sort(axis=0)
    borders = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    wanted, _ = compute(rows, *borders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantiles, "_FEW_ROWS", 0)
        patch.setattr(quantiles, "_SEEN_ROWS", data.draw(st.sampled_from([1, 5, 50])))
        patch.setattr(order_statistics, "_DEVIATIONS", data.draw(st.sampled_from([0, 1, 4])))
        patch.setattr(order_statistics, "_FEW", data.draw(st.sampled_from([1, 30, 1000])))
        running = RunningQuantiles(rows.dtype, shape, count, lambda positions: rows[positions])
        found, error = add_all(running, rows, *borders).finish(np.split(rows, borders))
    for level in LEVELS:
        assert np.array_equal(found[level], wanted[level], equal_nan=True)
    assert error == 0


def test_of_many_rows_few_are_kept() -> None:
    rows = np.random.default_rng(0).standard_normal((100_000, 2))
    seen: list[int] = []

    def peek(positions: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        seen.append(len(np.unique(positions)))
        return rows[positions]

    running = add_all(RunningQuantiles(rows.dtype, (2,), len(rows), peek), rows, 30_000)
    found, _ = running.finish(())
    wanted = np.quantile(rows, LEVELS, axis=0)
    np.testing.assert_allclose([found[level] for level in LEVELS], wanted, rtol=1e-12)
    assert len(seen) == 1
    assert seen[0] > 8000
    assert isinstance(running._values, order_statistics.NearValues)
    assert sum(len(values) for values, _ in running._values._kept) < rows.size / 3


def test_rows_that_are_unlike_those_that_were_looked_at_are_read_again() -> None:
    rows = np.random.default_rng(0).standard_normal((100_000, 2))
    running = RunningQuantiles(rows.dtype, (2,), len(rows), lambda positions: rows[positions] + 9)
    blocks = iter(np.split(rows, [40_000]))
    found, error = add_all(running, rows).finish(blocks)
    wanted, _ = compute(rows)
    assert list(blocks) == []
    assert error == 0
    assert all(np.array_equal(found[level], wanted[level]) for level in LEVELS)


@pytest.mark.filterwarnings("error")
def test_quantiles_of_the_largest_numbers_are_finite() -> None:
    largest = np.finfo(np.float64).max
    found, _ = compute(np.array([-largest, largest]))
    assert found[0.5] == 0
    assert found[0.01] == pytest.approx(-0.98 * largest)


def test_of_more_rows_a_sample_is_taken_whose_ranks_are_no_further_off_than_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantiles, "_MOST_ROWS", 4000)
    rows = np.random.default_rng(0).permutation(40_000).reshape(-1, 2).astype(np.float32)
    found, error = compute(rows, 1000, 1001, 15_000)
    assert 0.02 < error < 0.04
    for element in range(2):
        column = np.sort(rows[:, element])
        for level in LEVELS:
            rank = np.searchsorted(column, found[level][element]) / len(column)
            assert abs(rank - level) <= error
    again, _ = compute(rows, 7)
    assert all(np.array_equal(found[level], again[level]) for level in LEVELS)


def test_rows_that_are_large_are_sampled_so_that_they_fit_into_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quantiles, "_MOST_NBYTES", 8000)
    running = RunningQuantiles(np.dtype("f8"), (10,), 10_000)
    for _ in range(10):
        running.add(np.ones((1000, 10)))
    assert isinstance(running._values, order_statistics.AllValues)
    assert running._values._kept.nbytes < 16_000
    found, error = running.finish(())
    assert 0 < error < 1
    assert (found[0.5] == 1).all()
