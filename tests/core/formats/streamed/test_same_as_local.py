"""A stream gives what the same dataset gives on the disk, to the bit."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import MinariDataset, open_stream
from minari_core.ranges.blocks import BLOCK_NBYTES
from minari_core.testing import SPACES
from minari_core.testing.expectations import expect_same
from tests.core.helpers.streams import read_source, write_dataset

IMAGES = spaces.Box(0, 255, (80, 80), np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_CACHE_PATH", str(tmp_path / "cache"))


def values_of(batch: Any) -> Iterator[tuple[str, object]]:
    for field in fields(batch):
        if "origin" not in field.name:
            yield field.name, getattr(batch, field.name)


def expect_same_values(found: Any, wanted: Any, where: str) -> None:
    for (name, value), (_, other) in zip(values_of(found), values_of(wanted), strict=True):
        expect_same(value, other, f"{where}: {name}")


@pytest.mark.parametrize(
    ("name", "cache_nbytes"),
    [(name, 10**9) for name in SPACES] + [("large images", 0), ("sequence of text", 0)],
)
def test_episodes_and_batches_of_every_kind_of_space(
    name: str, cache_nbytes: int, tmp_path: Path
) -> None:
    local = write_dataset(tmp_path / "data", {**SPACES, "large images": IMAGES}[name])
    stream = open_stream(read_source(tmp_path / "data"), cache_nbytes=cache_nbytes)

    local.set_seed(1)
    stream.set_seed(1)
    for _ in range(2):
        drawn = local.sample_transitions(64, order="pool")
        expect_same_values(stream.sample_transitions(64), drawn, name)
    for found, wanted in zip(stream, local, strict=True):
        expect_same_values(found, wanted, name)
    assert stream.metadata == local.metadata
    assert list(stream.iterate_episode_metadata()) == list(local.iterate_episode_metadata())


def test_rows_that_lie_in_many_blocks_are_fetched_whole(tmp_path: Path) -> None:
    row_nbytes = 5 * BLOCK_NBYTES // 2
    local = write_dataset(tmp_path / "data", spaces.Box(0, 255, (row_nbytes,), np.uint8), (1, 2))
    stream = open_stream(read_source(tmp_path / "data"))
    sampler = stream.transition_sampler(columns=["observations", "next_observations"])
    for position in (8, 0, 4):
        found = sampler.read(np.array([position]))
        wanted = local.transition_sampler().read(np.array([position]))
        expect_same(found.observations, wanted.observations, "observations")
        expect_same(found.next_observations, wanted.next_observations, "next_observations")


def test_windows_views_epochs_and_infos(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data", lengths=(9, 4, 20))
    stream = open_stream(read_source(tmp_path / "data"))

    def use(dataset: MinariDataset) -> Iterator[Any]:
        view = dataset.filter_episodes(lambda episode: episode.total_steps > 5)
        for some in (dataset, view, dataset[2:], dataset[[5, 1]]):
            some.set_seed(7)
            yield some.sample_sequences(16, 4, order="pool")
            yield some.sample_sequences(16, 4, weights="episodes")
            yield some.sample_transitions(
                16,
                order="pool",
                columns=["observations", "rewards", "infos/position", "infos/some", "infos/text"],
                n_step=3,
            )
            yield from some.batches(8, order="pool")
        yield from dataset.iterate_episodes([3, 1, 8])

    for number, (found, wanted) in enumerate(zip(use(stream), use(local), strict=True)):
        expect_same_values(found, wanted, f"value {number}")
    assert stream.statistics().keys() == local.statistics().keys()
    np.testing.assert_array_equal(
        stream.statistics()["observations"].mean, local.statistics()["observations"].mean
    )


def test_a_pickled_stream_reads_the_same_and_asks_for_no_manifest(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    stream = open_stream(source)
    list(stream)

    copy = pickle.loads(pickle.dumps(stream))

    for found, wanted in zip(copy, local, strict=True):
        expect_same_values(found, wanted, "copy")
    assert copy.stream_statistics().requests == 0, "what is in the cache was asked for again"


def test_what_was_read_is_in_the_cache_of_the_next_stream(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data")
    source = read_source(tmp_path / "data")
    first = open_stream(source)
    list(first)
    asked = first.stream_statistics()
    assert asked.requests > 0
    assert asked.nbytes > 0
    source.requests.clear()

    second = open_stream(source)
    list(second)

    assert source.requests == []
    assert second.stream_statistics().nbytes == 0
    assert second.stream_statistics().hits > 0


def test_a_filter_by_metadata_reads_no_step(tmp_path: Path) -> None:
    local = write_dataset(tmp_path / "data", lengths=(9000, 2))
    source = read_source(tmp_path / "data")
    stream = open_stream(source)

    wanted = local.filter_episodes(metadata=lambda entry: entry.total_steps > 5)
    found = stream.filter_episodes(metadata=lambda entry: entry.total_steps > 5)

    assert found.episode_indices.tolist() == wanted.episode_indices.tolist()
    assert stream.stream_statistics().nbytes < 3 * (1 << 18) + 3
