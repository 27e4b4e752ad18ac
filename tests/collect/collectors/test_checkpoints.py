"""Extending a dataset while it is collected, read and extended by others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minari_collect import DataCollectorV0, create_dataset_from_collector_env
from minari_core.datasets.dataset import MinariDataset
from minari_core.datasets.local import load_dataset
from tests.collect.helpers.comparing import assert_same
from tests.collect.helpers.environments import Counter, Moment, Scripted, run_episode

pytestmark = pytest.mark.filterwarnings("ignore:.*is (set to )?None")

REPOSITORY = Path(__file__).parents[3]

APPENDING = """
import sys, warnings
from minari_collect import DataCollectorV0
from minari_core.datasets.local import load_dataset
from tests.collect.helpers.environments import Counter, run_episode

warnings.simplefilter("ignore")
first, checkpoints, buffer = map(int, sys.argv[1:])
collector = DataCollectorV0(Counter(), max_buffer_steps=buffer or None)
dataset = load_dataset("tests/shared-v0")
for checkpoint in range(checkpoints):
    for seed in range(first + 2 * checkpoint, first + 2 * checkpoint + 2):
        run_episode(collector, seed)
    dataset.update_dataset_from_collector_env(collector)
    print(checkpoint, flush=True)
collector.close()
"""


def assert_same_episodes(found: MinariDataset, wanted: MinariDataset) -> None:
    assert (len(found), found.total_steps) == (len(wanted), wanted.total_steps)
    for one, other in zip(found, wanted, strict=True):
        for name in ("observations", "actions", "rewards", "terminations", "truncations", "infos"):
            assert_same(getattr(one, name), getattr(other, name), name)
        assert (one.id, one.seed, one.options) == (other.id, other.seed, other.options)
        assert one.metadata == other.metadata


@pytest.mark.parametrize("every", [1, 3, 7])
@pytest.mark.parametrize("max_buffer_steps", [None, 4])
def test_checkpoints_make_the_dataset_that_one_creation_makes(
    every: int, max_buffer_steps: int | None
) -> None:
    whole = DataCollectorV0(Counter(), record_infos=True)
    parts = DataCollectorV0(Counter(), record_infos=True, max_buffer_steps=max_buffer_steps)
    dataset: MinariDataset | None = None
    for seed in range(20):
        run_episode(whole, seed, steps=1 + seed % 6)
        run_episode(parts, seed, steps=1 + seed % 6)
        if (seed + 1) % every == 0:
            if dataset is None:
                dataset = create_dataset_from_collector_env("tests/parts-v0", parts)
            else:
                dataset.update_dataset_from_collector_env(parts)
            assert parts.unsaved_episodes == 0
            assert len(dataset) == seed + 1
    assert dataset is not None
    dataset.update_dataset_from_collector_env(parts)
    expected = create_dataset_from_collector_env("tests/whole-v0", whole)

    assert_same_episodes(dataset, expected)
    assert_same_episodes(load_dataset("tests/parts-v0"), expected)
    dataset.compact()
    assert_same_episodes(dataset, expected)
    assert_same_episodes(load_dataset("tests/parts-v0"), expected)


def test_a_view_that_is_extended_gets_the_new_episodes_and_keeps_its_own() -> None:
    collector = DataCollectorV0(Counter())
    for seed in range(6):
        run_episode(collector, seed)
    dataset = create_dataset_from_collector_env("tests/parts-v0", collector)
    view = dataset[[4, 1]]
    # Others extend it meanwhile: theirs do not belong to the view.
    run_episode(collector, 6)
    load_dataset("tests/parts-v0").update_dataset_from_collector_env(collector)
    run_episode(collector, 7)
    view.update_dataset_from_collector_env(collector)

    assert [episode.seed for episode in view] == [4, 1, 7]
    assert view.episode_indices.tolist() == [4, 1, 7]
    assert view.total_steps == 15
    assert len(dataset) == 6
    assert [episode.seed for episode in load_dataset("tests/parts-v0")] == list(range(8))


def test_an_update_of_nothing_changes_nothing() -> None:
    collector = DataCollectorV0(Counter())
    run_episode(collector, 1)
    dataset = create_dataset_from_collector_env("tests/parts-v0", collector)
    manifest = Path(str(dataset.spec.data_path), "metadata.json").read_bytes()
    for _ in range(3):
        dataset.update_dataset_from_collector_env(collector)

    assert Path(str(dataset.spec.data_path), "metadata.json").read_bytes() == manifest
    assert len(dataset) == 1


def test_two_processes_extend_one_dataset_and_a_reader_sees_only_whole_checkpoints() -> None:
    collector = DataCollectorV0(Counter())
    run_episode(collector, 0)
    create_dataset_from_collector_env("tests/shared-v0", collector)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDING, *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in (("1000", "12", "0"), ("2000", "12", "4"))
    ]
    lengths = []
    try:
        while any(writer.poll() is None for writer in writers):
            dataset = load_dataset("tests/shared-v0")
            seeds = [episode.seed for episode in dataset]
            lengths.append(len(seeds))
            # A checkpoint adds two episodes of one writer, side by side.
            pairs = list(zip(seeds[1::2], seeds[2::2], strict=True))
            assert all(first is not None and second == first + 1 for first, second in pairs)
            assert all(len(episode) == 5 for episode in dataset)
    finally:
        outcomes = [writer.communicate(timeout=60) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], outcomes

    dataset = load_dataset("tests/shared-v0")
    seeds = [episode.seed for episode in dataset]
    assert sorted(map(int, filter(None, seeds))) == [*range(1000, 1024), *range(2000, 2024)]
    assert lengths == sorted(lengths)
    for episode in dataset:
        assert episode.observations.tolist() == [[episode.seed, step] for step in range(6)]


@pytest.mark.parametrize("max_buffer_steps", [None, 2])
def test_infos_may_come_in_another_order_in_each_checkpoint(max_buffer_steps: int | None) -> None:
    infos: list[dict[str, Any]] = [
        {"a": 1, "b": 2, "inner": {"c": "x", "d": "y"}},
        {"inner": {"d": "y", "c": "x"}, "b": 2, "a": 1},
    ]
    dataset: MinariDataset | None = None
    for info in infos:
        env = Scripted()
        collector = DataCollectorV0(env, record_infos=True, max_buffer_steps=max_buffer_steps)
        env.tell(*[Moment(np.zeros(3, np.float32), info=info) for _ in range(4)])
        collector.reset()
        for _ in range(3):
            collector.step(0)
        if dataset is None:
            dataset = create_dataset_from_collector_env("tests/parts-v0", collector)
        else:
            dataset.update_dataset_from_collector_env(collector)
    assert dataset is not None
    for _ in range(2):
        for episode in dataset:
            assert_same(
                episode.infos,
                {
                    "a": np.full(4, 1),
                    "b": np.full(4, 2),
                    "inner": {"c": ["x"] * 4, "d": ["y"] * 4},
                },
            )
        dataset.compact()
