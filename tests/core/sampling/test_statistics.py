"""Statistics of columns, where they are kept, and what normalises by them."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import minari_core
from minari_core import EpisodeBuffer, MinariDataset, SamplingError
from minari_core.formats.columnar.manifest import STATISTICS_NAME
from minari_core.sampling import ColumnStatistics, Normalizer, statistics
from minari_core.statistics import order_statistics, quantiles
from tests.core.helpers.recorded import (
    DESCRIBED,
    IMAGE,
    NESTED,
    VECTOR,
    WITH_IMAGE,
    Recorded,
    record,
    recordings,
    stored,
    views,
)


def leaves(rows: list[Any], path: str) -> dict[str, list[Any]]:
    """The values of each numeric leaf of some rows; those that are missing are left out."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        if isinstance(row, dict | tuple):
            items = row.items() if isinstance(row, dict) else enumerate(row)
            for key, part in items:
                name = f"_index_{key}" if isinstance(key, int) else key.replace("/", "%2F")
                for inner, values in leaves([part], f"{path}/{name}").items():
                    found.setdefault(inner, []).extend(values)
        elif isinstance(row, int | float | np.ndarray | np.generic):
            found.setdefault(path, []).append(row)
    return found


def expect_statistics(found: dict[str, ColumnStatistics], wanted: dict[str, list[Any]]) -> None:
    for path, some in found.items():
        values = np.array(wanted[path], dtype=np.float64)
        assert some.count == len(values)
        assert some.mean.shape == some.std.shape == some.min.shape == values.shape[1:]
        np.testing.assert_allclose(some.mean, values.mean(axis=0), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(some.std, values.std(axis=0), rtol=1e-7, atol=1e-9)
        assert np.array_equal(some.min, values.min(axis=0))
        assert np.array_equal(some.max, values.max(axis=0))
        assert some.rank_error == 0
        for level, quantile in some.quantiles.items():
            wanted_quantile = np.quantile(values, level, axis=0)
            np.testing.assert_allclose(quantile, wanted_quantile, rtol=1e-12, atol=1e-12)
        assert list(some.quantiles) == [0.01, 0.1, 0.5, 0.9, 0.99]


@given(recordings(), st.data(), st.booleans(), st.booleans(), st.sampled_from([1, 7, 1 << 18]))
@settings(max_examples=80)
def test_statistics_are_those_of_all_rows(
    recorded: Recorded, data: st.DataObject, on_disk: bool, assembled: bool, at_once: int
) -> None:
    chosen, indices = data.draw(views(len(recorded.episodes)))
    names = ("observations", "actions", "rewards", "infos", "extras")
    wanted: dict[str, list[Any]] = {}
    for name in names:
        rows = []
        for index in indices:
            episode = recorded.episodes[index]
            is_hidden = name == "observations" and not episode.knows_final
            rows += getattr(episode, name)[: -1 if is_hidden else None]
        wanted |= leaves(rows, name)
    with (
        stored(recorded, on_disk=on_disk, assembled=assembled) as dataset,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(statistics, "_ELEMENTS_AT_ONCE", at_once)
        found = dataset[chosen].statistics(names)
    # What changes its shape or its type is no column of numbers.
    open_ones = {"infos/changing", "infos/mixed", "infos/sometimes", "infos/image"}
    text = {path for path in wanted if path not in found}
    assert all(path in open_ones or _is_no_column(recorded, path) for path in text), text
    expect_statistics(found, wanted)


@pytest.mark.parametrize("is_misleading", [False, True])
def test_statistics_of_many_rows_are_those_of_all_rows(
    is_misleading: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = record(NESTED, VECTOR, [30, 1, 25], 3)
    monkeypatch.setattr(quantiles, "_FEW_ROWS", 0)
    monkeypatch.setattr(quantiles, "_SEEN_ROWS", 20)
    monkeypatch.setattr(statistics, "_ELEMENTS_AT_ONCE", 50)
    if is_misleading:
        monkeypatch.setattr(order_statistics, "_DEVIATIONS", -100)
    asked: list[Any] = []
    finish = order_statistics.NearValues.finish

    def watched(values: Any) -> Any:
        asked.append(finish(values))
        return asked[-1]

    monkeypatch.setattr(order_statistics.NearValues, "finish", watched)
    names = ("observations", "actions", "rewards")
    wanted: dict[str, list[Any]] = {}
    for name in names:
        rows = [row for episode in recorded.episodes for row in getattr(episode, name)]
        wanted |= leaves(rows, name)
    with stored(recorded, on_disk=True) as dataset:
        expect_statistics(dataset.statistics(names), wanted)
    assert asked
    assert any(told is None for told in asked) is is_misleading


def _is_no_column(recorded: Recorded, path: str) -> bool:
    part = path.partition("/")[0]
    space = getattr(recorded, f"{part[:-1]}_space", None)
    return isinstance(space, spaces.Text | spaces.Sequence | spaces.Tuple)


def test_statistics_have_the_paths_of_the_leaves() -> None:
    with stored(record(NESTED, WITH_IMAGE, [3, 2], 0), on_disk=True) as dataset:
        assert set(dataset.statistics()) == {
            "observations/achieved%2Fgoal",
            "observations/parts/_index_0",
            "observations/parts/_index_2",
            "actions/camera",
            "actions/speed",
            "rewards",
        }
        found = dataset.statistics(["actions/speed", "observations/parts"])
        assert set(found) == {
            "actions/speed",
            "observations/parts/_index_0",
            "observations/parts/_index_2",
        }


def test_statistics_of_large_numbers_keep_their_digits() -> None:
    recorded = record(VECTOR, VECTOR, [500, 1], 0)
    for episode in recorded.episodes:
        for row in episode.observations:
            row += 1e8
    with stored(recorded, on_disk=False) as dataset, pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_ELEMENTS_AT_ONCE", 30)
        values = np.array([row for episode in recorded.episodes for row in episode.observations])
        found = dataset.statistics(["observations"])["observations"]
        np.testing.assert_allclose(found.std, values.std(axis=0), rtol=1e-6)


@given(
    st.lists(st.floats(-1, 1, width=64), min_size=1, max_size=9),
    st.integers(-1060, 1020),
    st.lists(st.integers(-60, 3), min_size=9, max_size=9),
    st.sampled_from([1, 2, 100]),
)
@settings(max_examples=60)
def test_finite_numbers_have_finite_statistics_however_large_or_small(
    numbers: list[float], exponent: int, shifts: list[int], at_once: int
) -> None:
    values = np.ldexp(numbers, [exponent + shift for shift in shifts[: len(numbers)]])
    running = statistics._Running()
    for start in range(0, len(values), at_once):
        running.add(np.stack([values, np.ones(len(values))], axis=1)[start : start + at_once])
    found = running.finish()
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction(0)) / len(exact)
    variance = sum(((value - mean) ** 2 for value in exact), Fraction(0)) / len(exact)
    # Rounding is relative to the largest value; the least of all numbers is 2**-1074.
    slack = Fraction(max(map(abs, exact))) / 10**6 + Fraction(1, 2**1073)
    assert np.isfinite([found.mean, found.std]).all()
    assert abs(Fraction(float(found.mean[0])) - mean) <= slack
    assert (Fraction(float(found.std[0])) - slack) ** 2 <= variance or found.std[0] <= slack
    assert variance <= (Fraction(float(found.std[0])) + slack) ** 2
    assert (found.min[0], found.max[0]) == (values.min(), values.max())
    assert (found.mean[1], found.std[1], found.nonfinite[0]) == (1, 0, 0)


def test_statistics_at_the_ends_of_float64_leave_out_what_is_not_finite() -> None:
    largest = np.finfo(np.float64).max
    running = statistics._Running()
    for row in ([largest, 0.0, 1e-200], [np.inf, 0.0, np.nan], [-largest, 1e-320, 3e-200]):
        running.add(np.array([row, row]))
    found = running.finish()
    assert found.mean.tolist()[0] == 0
    assert found.std[0] == largest
    assert found.mean[1] == pytest.approx(1e-320 / 3, rel=0.01)
    assert found.mean[2] == pytest.approx(2e-200)
    assert found.std[2] == pytest.approx(1e-200)
    assert found.nonfinite.tolist() == [2, 0, 2]
    for value in (largest, -largest):
        running = statistics._Running()
        for _ in range(7):
            running.add(np.full((3,), value))
        assert running.finish().mean == value
        assert running.finish().std == 0


def test_statistics_of_images_never_hold_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record(IMAGE, VECTOR, [40], 1)
    monkeypatch.setattr(statistics, "_ELEMENTS_AT_ONCE", 64 * 64 * 10)
    sizes = []
    add = statistics._Running.add

    def watched(running: Any, rows: Any) -> None:
        sizes.append(len(rows))
        add(running, rows)

    monkeypatch.setattr(statistics._Running, "add", watched)
    with stored(recorded, on_disk=True) as dataset:
        dataset.statistics(["observations"])
    assert sizes == [10, 10, 10, 10, 1]


def _buffer(steps: int, value: float) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=np.full((steps + 1, 2), value),
        actions=np.zeros(steps, np.int64),
        rewards=np.arange(steps, dtype=np.float64),
        terminations=np.zeros(steps, bool),
        truncations=np.zeros(steps, bool),
    )


@pytest.fixture
def dataset() -> MinariDataset:
    return minari_core.create_dataset_from_buffers(
        "tests/statistics-v0",
        [_buffer(3, 1.0), _buffer(5, 2.0)],
        observation_space=spaces.Box(-9, 9, (2,), np.float64),
        action_space=spaces.Discrete(2),
        **DESCRIBED,  # type: ignore[arg-type]  # each is text
    )


def _cache_of(dataset: MinariDataset) -> Path:
    folder = dataset.storage.data_path
    assert folder is not None
    return folder / STATISTICS_NAME


def _reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A list that grows with each pass over data."""
    passes: list[tuple[str, ...]] = []
    compute = statistics.compute_statistics

    def watched(storage: Any, episodes: Any, columns: Any) -> Any:
        passes.append(tuple(columns))
        return compute(storage, episodes, columns)

    monkeypatch.setattr(statistics, "compute_statistics", watched)
    return passes


def test_statistics_are_kept_beside_the_dataset(
    dataset: MinariDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = _reads(monkeypatch)
    first = dataset.statistics(["observations"])
    assert passes == [("observations",)]
    assert _cache_of(dataset).is_file()
    again = minari_core.load_dataset("tests/statistics-v0").statistics(["observations", "rewards"])
    assert passes == [("observations",), ("rewards",)]
    for name in ("mean", "std", "min", "max"):
        one, other = getattr(first["observations"], name), getattr(again["observations"], name)
        assert one.tobytes() == other.tobytes()
        assert one.dtype == other.dtype == np.float64
    assert first["observations"].count == again["observations"].count == 10
    assert first["observations"].rank_error == again["observations"].rank_error
    for level, quantile in first["observations"].quantiles.items():
        assert again["observations"].quantiles[level].tobytes() == quantile.tobytes()
    assert again["rewards"].mean == pytest.approx(13 / 8)


def test_statistics_that_are_kept_are_never_those_of_other_data(dataset: MinariDataset) -> None:
    old = minari_core.load_dataset("tests/statistics-v0")
    assert dataset.statistics(["observations"])["observations"].max.tolist() == [2, 2]
    dataset.update_dataset_from_buffer([_buffer(2, 7.0)])
    assert dataset.statistics(["observations"])["observations"].max.tolist() == [7, 7]
    # Who has not heard of the new episode keeps to what it has, and spoils nothing for others.
    assert old.statistics(["observations"])["observations"].max.tolist() == [2, 2]
    newest = minari_core.load_dataset("tests/statistics-v0")
    assert newest.statistics(["observations"])["observations"].max.tolist() == [7, 7]


def test_statistics_of_views_are_not_kept(dataset: MinariDataset) -> None:
    assert dataset[:1].statistics(["observations"])["observations"].max.tolist() == [1, 1]
    assert dataset[[1, 0]].statistics(["observations"])["observations"].count == 10
    assert not _cache_of(dataset).exists()
    assert dataset[[1, 1]].statistics(["rewards"])["rewards"].count == 10


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"fingerprint": 1}', b'{"fingerprint": "x"}']
)
def test_a_file_of_statistics_that_is_damaged_is_written_anew(
    dataset: MinariDataset, content: bytes
) -> None:
    _cache_of(dataset).write_bytes(content)
    assert dataset.statistics(["rewards"])["rewards"].count == 8
    kept = _cache_of(dataset).read_bytes()
    assert kept != content
    _cache_of(dataset).write_bytes(kept.replace(b'"mean": "', b'"mean": "['))
    assert dataset.statistics(["rewards"])["rewards"].mean == pytest.approx(13 / 8)


def test_a_dataset_whose_folder_cannot_be_written_to_has_statistics(
    dataset: MinariDataset,
) -> None:
    # A folder in its place cannot be replaced by a file, not even by root.
    _cache_of(dataset).mkdir()
    (_cache_of(dataset) / "occupied").touch()
    for _ in range(2):
        assert dataset.statistics(["rewards"])["rewards"].count == 8
    folder = _cache_of(dataset).parent
    assert [
        path.name for path in folder.iterdir() if path.name.startswith(f".{STATISTICS_NAME}")
    ] == []


def test_statistics_of_nothing_are_refused(dataset: MinariDataset) -> None:
    with pytest.raises(SamplingError, match="without episodes"):
        dataset[:0].statistics()
    with pytest.raises(SamplingError, match="no column 'observations/x'; observations has no col"):
        dataset.statistics(["observations/x"])
    with pytest.raises(SamplingError, match="columns is 'rewards', not a list of names"):
        dataset.statistics("rewards")
    with pytest.raises(SamplingError, match="next_observations have no statistics"):
        dataset.statistics(["next_observations"])


@given(st.integers(0, 2**32), st.sampled_from([(), (3,), (2, 2)]))
@settings(max_examples=40)
def test_denormalizing_undoes_normalizing(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((50, *shape)) * 10.0 ** rng.integers(-3, 4) + rng.integers(-9, 9)
    some = ColumnStatistics(
        values.mean(axis=0),
        values.std(axis=0),
        values.min(axis=0),
        values.max(axis=0),
        50,
        np.zeros(shape, np.int64),
    )
    normalizer = Normalizer(some)
    normal = normalizer.normalize(values)
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normal.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(normalizer.denormalize(normal), values, rtol=1e-9, atol=1e-9)
    assert normalizer.normalize(values[0]).shape == shape


def test_a_column_that_never_changes_is_normalized_without_division_by_zero() -> None:
    always = np.array([2.0, 2.0])
    some = ColumnStatistics(always, np.zeros(2), always, always, 3, np.zeros(2, np.int64))
    assert Normalizer(some).normalize([2.0, 2.0]).tolist() == [0, 0]


NONFINITE = st.sampled_from([np.nan, np.inf, -np.inf])


@given(
    rows=st.lists(
        st.tuples(*[st.one_of(NONFINITE, st.floats(-1e6, 1e6))] * 3), min_size=1, max_size=40
    ),
    at_once=st.sampled_from([3, 9, 1 << 18]),
)
def test_values_that_are_not_finite_are_counted_and_left_out(
    rows: list[tuple[float, float, float]], at_once: int
) -> None:
    values = np.array(rows)
    running = statistics._Running()
    for start in range(0, len(values), at_once):
        running.add(values[start : start + at_once])
    found = running.finish()
    assert found.count == len(values)
    assert found.nonfinite.tolist() == (~np.isfinite(values)).sum(axis=0).tolist()
    for element in range(3):
        finite = values[np.isfinite(values[:, element]), element]
        if len(finite) == 0:
            assert all(np.isnan(getattr(found, name)[element]) for name in ("mean", "std", "min"))
            continue
        np.testing.assert_allclose(found.mean[element], finite.mean(), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(found.std[element], finite.std(), rtol=1e-6, atol=1e-4)
        assert (found.min[element], found.max[element]) == (finite.min(), finite.max())


def test_statistics_say_once_which_column_has_values_that_are_not_finite(
    datasets_root: Path,
) -> None:
    rewards = np.ones(10)
    rewards[3] = np.nan
    buffer = EpisodeBuffer(
        observations=np.zeros((11, 1)),
        actions=np.zeros((10, 1)),
        rewards=rewards,
        terminations=np.arange(10) == 9,
        truncations=np.zeros(10, bool),
    )
    space = spaces.Box(-1, 1, (1,), np.float64)
    with pytest.warns(minari_core.MinariWarning):
        dataset = minari_core.create_dataset_from_buffers(
            "tests/nan-v0", [buffer], observation_space=space, action_space=space
        )
    for _ in range(2):  # computed, then from the cache
        with pytest.warns(minari_core.MinariWarning, match="rewards has 1 values") as warned:
            found = dataset.statistics()
        assert len(warned) == 1
        assert found["rewards"].mean == 1
        assert found["rewards"].nonfinite == 1


def test_a_cache_of_an_earlier_release_is_not_believed(datasets_root: Path) -> None:
    space = spaces.Box(-1, 1, (1,), np.float64)
    buffer = EpisodeBuffer(
        observations=np.zeros((2, 1)),
        actions=np.zeros((1, 1)),
        rewards=np.ones(1),
        terminations=np.ones(1, bool),
        truncations=np.zeros(1, bool),
    )
    with pytest.warns(minari_core.MinariWarning):
        dataset = minari_core.create_dataset_from_buffers(
            "tests/cache-v0", [buffer], observation_space=space, action_space=space
        )
    dataset.statistics()
    path = datasets_root / "tests" / "cache-v0" / "data" / STATISTICS_NAME
    content = json.loads(path.read_text())
    assert content.pop("version") > 1
    content["columns"]["rewards"]["rewards"]["mean"] = "5.0"
    path.write_text(json.dumps(content))
    assert dataset.statistics()["rewards"].mean == 1
