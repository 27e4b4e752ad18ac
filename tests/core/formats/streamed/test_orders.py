"""Epochs of a stream: in the pool order unless told otherwise, fetched before they are read."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import MinariDataset, MinariWarning, SamplingError, open_stream
from minari_core.formats.shards.chunk_cache import CACHE_NBYTES
from minari_core.formats.streamed.arrays import StreamedImages
from minari_core.sampling.gathering.fetching import fetch_positions
from minari_core.testing import SPACES
from minari_core.testing.expectations import expect_same
from tests.core.helpers.streams import read_source, write_dataset

IMAGES = spaces.Box(0, 255, (80, 80), np.uint8)
LENGTHS = (40, 3, 1, 60)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))


def list_batches(dataset: MinariDataset, **options: Any) -> list[Any]:
    return list(dataset.batches(16, seed=3, epochs=2, **options))


# One kind of column in four, and compressed ones.
@pytest.mark.parametrize("name", [*sorted(SPACES)[::4], "large images"])
def test_the_order_of_a_stream_is_the_pool_and_gives_what_it_gives_on_the_disk(
    name: str, tmp_path: Path
) -> None:
    space = {**SPACES, "large images": IMAGES}[name]
    local = write_dataset(tmp_path / "data", space, LENGTHS)
    stream = open_stream(read_source(tmp_path / "data"))
    views: list[tuple[Any, dict[str, Any]]] = [
        (lambda dataset: dataset, {}),
        (lambda dataset: dataset[[7, 0, 3]], {"n_step": 3, "stack": 2}),
        (lambda dataset: dataset[2:], {"length": 4, "padding": "before", "returns_to_go": True}),
    ]
    for view, options in views:
        found = list_batches(view(stream), **options)
        wanted = list_batches(view(local), order="pool", **options)
        for one, other in zip(found, wanted, strict=True):
            expect_same(one.observations, other.observations, name)
            expect_same(one.actions, other.actions, name)
            assert np.array_equal(one.rewards, other.rewards)
            assert np.array_equal(one.time_steps, other.time_steps)


def test_ranks_workers_and_resumed_epochs_of_a_stream_give_what_they_give_on_the_disk(
    tmp_path: Path,
) -> None:
    local = write_dataset(tmp_path / "data", lengths=LENGTHS)
    stream = open_stream(read_source(tmp_path / "data"))
    reaching: dict[str, Any] = {
        "n_step": 5,
        "stack": 3,
        "returns_to_go": True,
        "discount": 0.9,
        "goals": "future",
        "columns": ["observations", "rewards", "next_observations", "infos/position"],
    }

    def read(dataset: MinariDataset, order: Any) -> list[Any]:
        found: list[Any] = []
        for rank in range(2):
            batches = dataset.batches(
                8, seed=1, rank=rank, world_size=2, epochs=2, order=order, **reaching
            )
            found += [next(batches) for _ in range(5)]
            again = dataset.batches(
                8, seed=1, rank=rank, world_size=2, epochs=2, order=order, **reaching
            )
            again.load_state_dict(
                {**batches.state_dict(), "identity": again.state_dict()["identity"]}
            )
            for number in range(3):
                found += again.share(number, 3)
        return found

    for one, other in zip(read(stream, None), read(local, "pool"), strict=True):
        for name in ("observations", "next_observations", "goals"):
            expect_same(getattr(one, name), getattr(other, name), name)
        assert np.array_equal(one.rewards, other.rewards)
        assert np.array_equal(one.returns_to_go, other.returns_to_go)
        assert np.array_equal(one.columns["infos/position"], other.columns["infos/position"])
        assert np.array_equal(one.episode_ids, other.episode_ids)


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (3000,), np.float32), IMAGES])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_step": 4, "stack": 3},
        {"columns": ["next_actions", "infos/position"]},
        {"columns": ["actions"], "returns_to_go": True},
    ],
)
def test_positions_that_were_fetched_are_read_without_a_request(
    space: spaces.Space[Any], options: dict[str, Any], tmp_path: Path
) -> None:
    write_dataset(tmp_path / "data", space, LENGTHS)
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    for view in (stream, stream[[5, 0, 11, 2]]):
        sampler = view.transition_sampler(**options)
        for start in range(0, len(sampler), 50):
            stop = min(start + 50, len(sampler))
            fetch_positions(view._find_columns(), sampler, start, stop)
            before = len(source.requests)
            sampler.read(np.arange(start, stop))
            assert len(source.requests) == before


def test_all_columns_of_a_batch_are_fetched_at_once_and_none_is_read_before_it_came(
    tmp_path: Path,
) -> None:
    wide = spaces.Box(-1, 1, (400,), np.float32)
    local = write_dataset(tmp_path / "data", wide, (700,))
    stream = open_stream(read_source(tmp_path / "data"))
    sampler, wanted = stream.transition_sampler(), local.transition_sampler()
    random = np.random.default_rng(0)
    misses, positions = 0, np.zeros(0, dtype=np.int64)
    for count in (1, 2, 5, 30, 300, 300):
        positions = random.integers(len(sampler), size=count)
        sampler.steps.locate(positions)  # the lengths of episodes come first
        before = stream.stream_statistics().misses
        one, other = sampler.read(positions), wanted.read(positions)
        assert np.array_equal(one.observations, other.observations)
        assert np.array_equal(one.next_observations, other.next_observations)
        assert np.array_equal(one.actions, other.actions)
        assert np.array_equal(one.rewards, other.rewards)
        assert stream.stream_statistics().misses <= before + 1
        misses = stream.stream_statistics().misses
    assert misses > 0
    assert sampler.read(positions).rewards.shape == (300,)
    assert stream.stream_statistics().misses == misses


def test_a_batch_reads_nothing_of_the_shards_that_it_has_no_row_of(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    sampler = open_stream(source).transition_sampler()
    for count, positions in enumerate(([0, 30], [40, 70], [110], range(len(sampler))), 1):
        batch = sampler.read(np.array(positions))
        wanted = local.transition_sampler().read(np.array(positions))
        assert np.array_equal(batch.next_observations, wanted.next_observations)
        assert np.array_equal(batch.episode_ids, wanted.episode_ids)
        assert len({name for name, *_ in source.requests}) == 1 + min(count, 3)


def test_images_are_decoded_once_while_their_window_is_in_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = write_dataset(tmp_path / "data", spaces.Box(0, 255, (160, 160), np.uint8), (420,))
    decoded: list[int] = []
    decode = StreamedImages.decode

    def count(self: StreamedImages, index: int, buffer: Any) -> None:
        decoded.append(index)
        decode(self, index, buffer)

    monkeypatch.setattr(StreamedImages, "decode", count)
    for _ in open_stream(read_source(tmp_path / "data")).batches(64, seed=0):
        pass
    chunks = 2 * 3 * -(-421 // 8)  # of observations and of actions
    assert local.total_steps * 160 * 160 > CACHE_NBYTES
    assert len(decoded) < 1.2 * chunks


def test_a_first_batch_does_not_need_all_of_a_stream(tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (500,), np.float64)
    local = write_dataset(tmp_path / "data", space, (4000,))
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    whole = sum(path.stat().st_size for path in (tmp_path / "data").iterdir())
    next(stream.batches(16, seed=0))
    fetched = {(name, start, stop) for name, start, stop in source.requests}
    assert sum(stop - start for _, start, stop in fetched) < whole / 3
    assert len(fetched) == len(source.requests)
    assert local.total_steps == 12_000


def test_single_batches_are_drawn_from_the_pool_as_on_the_disk(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data", lengths=LENGTHS)
    stream = open_stream(read_source(tmp_path / "data"))

    def draw(dataset: MinariDataset, order: Any) -> list[Any]:
        dataset.set_seed(5)
        found: list[Any] = []
        for size in (100, 7, 100, 300):  # through two epochs and a bit
            found.append(dataset.sample_transitions(size, order=order, goals="future"))
            found.append(dataset.sample_sequences(size, 3, order=order, padding="after"))
            offsets = {"observations": range(-1, 2)}
            found.append(dataset.sample_sequences(size, order=order, offsets=offsets))
        return found

    for one, other in zip(draw(stream, None), draw(local, "pool"), strict=True):
        expect_same(one.observations, other.observations, "observations")
        assert np.array_equal(one.episode_ids, other.episode_ids)
        assert np.array_equal(one.time_steps, other.time_steps)
        if hasattr(one, "goals"):
            expect_same(one.goals, other.goals, "goals")
    stream.set_seed(5)
    again = stream.sample_transitions(100, goals="future")
    expect_same(again.goals, draw(local, "pool")[0].goals, "goals")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.sample_transitions(10, weights="episodes")
    with pytest.raises(SamplingError, match="weights draw from all episodes"):
        stream.sample_transitions(10, weights="episodes", order="pool")
    with pytest.raises(SamplingError, match="order is 'pools'"):
        local.sample_sequences(10, 2, order="pools")  # type: ignore[call-overload]  # refused


def test_single_draws_read_a_part_of_a_stream_and_the_exact_ones_warn_once(
    tmp_path: Path,
) -> None:
    space = spaces.Box(-1, 1, (500,), np.float64)
    write_dataset(tmp_path / "data", space, (4000,))
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    whole = sum(path.stat().st_size for path in (tmp_path / "data").iterdir())
    stream.sample_transitions(16)
    assert sum(stop - start for _, start, stop in source.requests) < whole / 3
    with pytest.warns(MinariWarning, match="exact order"):
        stream.sample_transitions(16, order="exact")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.sample_transitions(16, order="exact")


def test_the_exact_order_of_a_stream_is_warned_of_once_with_bytes_and_time(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", lengths=LENGTHS)
    for options in ({"order": "exact"}, {"pool_epochs": 1, "order": "pool"}):
        stream = open_stream(read_source(tmp_path / "data"))
        with pytest.warns(
            MinariWarning, match=r"exact order .* 0\.0\d+ MB, which take about 0\.000\d+ s"
        ) as seen:
            found = list_batches(stream, **options)
        assert len(seen) == 1
        assert sum(len(batch) for batch in found) == 2 * stream.total_steps
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            list_batches(stream, order="exact")  # of each stream once
            list_batches(stream)
            list_batches(stream, shuffle=False)
