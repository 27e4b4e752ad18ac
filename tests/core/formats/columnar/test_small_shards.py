"""Checkpoints join the small shards of a dataset, which stays what it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minari_core
from minari_core import DatasetWriteError, EpisodeBuffer, MinariDataset, verify_dataset
from minari_core.formats.columnar.manifest import read_manifest

SPACE = spaces.Dict({"x": spaces.Box(-9, 9, (2,), np.float64), "word": spaces.Text(9)})


def episode(number: int) -> EpisodeBuffer:
    """An episode whose length, infos, seed and metadata follow from its number."""
    steps = number % 4 + 1
    return EpisodeBuffer(
        seed=number if number % 3 else None,
        options={"level": number} if number % 5 == 0 else None,
        observations=[
            {"x": np.full(2, number + step / 8), "word": "w" * (number % 7)}
            for step in range(steps + 1)
        ],
        actions=np.full(steps, number % 2),
        rewards=np.full(steps, float(number)),
        terminations=[False] * (steps - 1) + [True],
        truncations=[False] * steps,
        infos={"count": np.arange(steps + 1) * number},
        metadata={"number": number} | ({"even": "yes"} if number % 2 == 0 else {}),
    )


def make(name: str, episodes: Iterator[EpisodeBuffer] | list[EpisodeBuffer]) -> MinariDataset:
    return minari_core.create_dataset_from_buffers(
        name, list(episodes), observation_space=SPACE, action_space=spaces.Discrete(2), author="a"
    )


def checkpointed(count: int, name: str = "small-v0") -> MinariDataset:
    """A dataset of as many checkpoints, of one episode each."""
    dataset = make(name, [episode(0)])
    for number in range(1, count):
        dataset.update_dataset_from_buffer([episode(number)])
    return dataset


def files(dataset: MinariDataset) -> list[str]:
    """The shards that its manifest lists, which are all that there are."""
    folder = Path(str(dataset.spec.data_path))
    listed = [shard.file for shard in read_manifest(folder).snapshot.shards]
    assert sorted(listed) == sorted(path.name for path in folder.glob("shard-*.h5"))
    return listed


def contents(dataset: MinariDataset) -> list[object]:
    return [
        (
            data.id,
            data.seed,
            data.options,
            data.metadata,
            {key: np.asarray(value).tolist() for key, value in data.observations.items()},
            data.actions.tolist(),
            data.rewards.tolist(),
            data.terminations.tolist(),
            {key: np.asarray(value).tolist() for key, value in data.infos.items()},
        )
        for data in dataset
    ]


def test_many_checkpoints_leave_few_shards_and_the_dataset_of_one() -> None:
    dataset = checkpointed(70)
    assert len(files(dataset)) <= 9
    once = make("once-v0", [episode(number) for number in range(70)])
    assert contents(dataset) == contents(once)
    assert contents(minari_core.load_dataset("small-v0")) == contents(once)
    assert verify_dataset("small-v0").ok
    for each in (dataset, once):
        each.set_seed(1)
    drawn, expected = (each.sample_transitions(64) for each in (dataset, once))
    assert np.array_equal(drawn.rewards, expected.rewards)
    assert np.array_equal(drawn.observations["x"], expected.observations["x"])
    orders = [
        [batch.rewards.tolist() for batch in each.batches(32, seed=5, epochs=1)]
        for each in (dataset, once)
    ]
    assert orders[0] == orders[1]


def test_readers_that_are_open_go_on() -> None:
    writer = checkpointed(7)
    reader, sampled, fresh = (minari_core.load_dataset("small-v0") for _ in range(3))
    reading = iter(reader)
    read = [float(next(reading).rewards[0]) for _ in range(2)]
    before = sampled.sample_transitions(20)
    for number in range(7, 40):
        writer.update_dataset_from_buffer([episode(number)])
        if number % 10 == 0:
            read.append(float(next(reading).rewards[0]))
    assert read + [float(data.rewards[0]) for data in reading] == list(range(7))
    assert len(before) == len(sampled.sample_transitions(20))
    assert set(fresh.sample_transitions(200).rewards.tolist()) == set(range(7))
    assert [entry["number"] for entry in fresh.iterate_episode_metadata()] == list(range(7))
    assert fresh.newer_episodes() == 33


def test_views_and_two_that_add_at_once_keep_their_episodes() -> None:
    one = checkpointed(4)
    other = minari_core.load_dataset("small-v0")
    view = one[[2, 0]]
    for number in range(4, 60, 2):
        one.update_dataset_from_buffer([episode(number)])
        other.update_dataset_from_buffer([episode(number + 1)])
        view.update_dataset_from_buffer([episode(100)])
    assert [data.rewards[0] for data in view][:3] == [2, 0, 100]
    assert len(view) == 30
    everything = [data.rewards[0] for data in minari_core.load_dataset("small-v0")]
    assert sorted(everything) == sorted([*range(60), *[100] * 28])


def test_shards_that_other_datasets_share_stay_with_them() -> None:
    dataset = checkpointed(7)
    shared = files(dataset)
    both = minari_core.combine_datasets([dataset, dataset], "both-v0")
    for number in range(7, 20):
        dataset.update_dataset_from_buffer([episode(number)])
        both.update_dataset_from_buffer([episode(number)])
    assert not set(shared) & set(files(dataset))
    for each in ("small-v0", "both-v0"):
        assert verify_dataset(each).ok
    assert [data.rewards[0] for data in both] == [*range(7), *range(7), *range(7, 20)]
    part = minari_core.combine_datasets([dataset], "part-v0")
    minari_core.delete_dataset("small-v0")
    assert [data.rewards[0] for data in part] == list(range(20))


def test_what_is_said_of_episodes_is_joined_with_their_steps() -> None:
    dataset = checkpointed(6)
    dataset.storage.update_episode_metadata([{"grade": 1}, {"grade": 2}], [5, 2])
    for number in range(6, 30):
        dataset.update_dataset_from_buffer([episode(number)])
    assert len(files(dataset)) <= 8
    graded = {data.id: data.metadata.get("grade") for data in minari_core.load_dataset("small-v0")}
    assert {id: grade for id, grade in graded.items() if grade} == {2: 2, 5: 1}
    assert verify_dataset("small-v0").ok


def test_large_shards_are_never_written_again() -> None:
    steps = 400_000  # more than 16 MiB
    large = EpisodeBuffer(
        observations={"x": np.zeros((steps + 1, 2)), "word": [""] * (steps + 1)},
        actions=np.zeros(steps, np.int64),
        rewards=np.ones(steps) * 0.5,
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
        infos={"count": np.arange(steps + 1)},
    )
    dataset = checkpointed(5)
    dataset.update_dataset_from_buffer([large])
    # The small ones before it are behind one border now.
    small, large_file = files(dataset)
    for number in range(6, 30):
        dataset.update_dataset_from_buffer([episode(number)])
    assert files(dataset)[:2] == [small, large_file]
    assert [data.rewards[0] for data in dataset] == [*range(5), 0.5, *range(6, 30)]


def test_nothing_that_looks_sound_is_made_of_a_damaged_shard() -> None:
    dataset = checkpointed(5)
    folder = Path(str(dataset.spec.data_path))
    damaged = files(dataset)[2]
    content = bytearray((folder / damaged).read_bytes())
    content[-1] ^= 1
    (folder / damaged).write_bytes(content)
    dataset = minari_core.load_dataset("small-v0")
    for number in range(5, 40):
        dataset.update_dataset_from_buffer([episode(number)])
    assert damaged in files(dataset)
    report = verify_dataset("small-v0")
    assert [problem.file for problem in report.problems if "CRC" in problem.message] == [damaged]
    assert dataset.total_episodes == 40
    assert len(files(dataset)) <= 26


def test_a_disk_that_has_room_for_the_episodes_alone_takes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = checkpointed(7)

    def fail(*arguments: object) -> object:
        raise DatasetWriteError("no space left on device")

    with monkeypatch.context() as full:
        full.setattr("minari_core.formats.columnar.transaction.join_shards", fail)
        dataset.update_dataset_from_buffer([episode(7)])
    assert len(files(dataset)) == 8
    again = minari_core.load_dataset("small-v0")
    again.update_dataset_from_buffer([episode(8)])
    assert len(files(again)) == 1
    assert [data.rewards[0] for data in again] == list(range(9))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")
def test_few_files_are_open_at_once() -> None:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, limit[1]))
    try:
        dataset = checkpointed(40)
        parts = [minari_core.combine_datasets([dataset], f"part{n}-v0") for n in range(2)]
        assert len(minari_core.combine_datasets(parts, "all-v0")) == 80
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def with_keys(number: int, keys: int) -> EpisodeBuffer:
    """An episode with some of these infos, by the bits of a number."""
    steps = number % 3 + 1
    rows = range(steps + 1)
    late = {"late": np.ones(steps + 1)} if keys & 1 else {}
    known: list[tuple[str, object]] = [
        ("scalar", np.arange(steps + 1) + number),
        ("vector", np.ones((steps + 1, 3), np.float32) * number),
        ("word", ["word" * (row % 2) for row in rows]),
        ("some", [None if row % 2 else row * 0.5 for row in rows]),
        ("ragged", [np.arange(row) for row in rows]),
        ("deep", {"flag": np.ones(steps + 1, bool)} | late),
        ("empty", np.zeros((steps + 1, 0))),
    ]
    return EpisodeBuffer(
        observations=np.full((steps + 1, 2), float(number)),
        actions=np.zeros(steps, np.int64),
        rewards=np.full(steps, float(number)),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
        infos={key: value for bit, (key, value) in enumerate(known) if keys >> bit & 1},
    )


def plain(value: object) -> object:
    """A value with its types, dtypes and masks, to be compared."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ma.MaskedArray):
        return "masked", str(value.dtype), value.filled(0).tolist(), value.mask.tolist()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tolist()
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(inner) for inner in value]
    return value


@settings(
    max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(keys=st.lists(st.integers(0, 127), min_size=8, max_size=12))
def test_infos_that_come_and_go_are_joined_and_read_as_before(keys: list[int]) -> None:
    space = spaces.Box(-999, 999, (2,), np.float64)
    datasets: list[MinariDataset] = []
    for name, choose in (("joined", None), ("apart", lambda sizes, added: [])):
        with pytest.MonkeyPatch.context() as patch:
            if choose is not None:
                patch.setattr("minari_core.formats.columnar.transaction.choose_joins", choose)
            episodes = [with_keys(number, bits) for number, bits in enumerate(keys)]
            created = minari_core.create_dataset_from_buffers(
                f"{name}-v0",
                episodes[:1],
                observation_space=space,
                action_space=spaces.Discrete(2),
                author="a",
            )
            for each in episodes[1:]:
                created.update_dataset_from_buffer([each])
        datasets.append(minari_core.load_dataset(f"{name}-v0"))
    try:
        joined, apart = datasets
        assert len(files(apart)) == len(keys)
        assert [plain(data.infos) for data in joined] == [plain(data.infos) for data in apart]
        if any(keys):
            for dataset in datasets:
                dataset.set_seed(1)
            drawn = [dataset.sample_transitions(40, columns=["infos"]) for dataset in datasets]
            assert plain(drawn[0].columns) == plain(drawn[1].columns)
        assert verify_dataset("joined-v0").ok
        if not any(bits & 64 for bits in keys):
            assert len(files(joined)) < len(keys)
            joined.compact()
            assert len(files(joined)) == 1
            assert [plain(data.infos) for data in joined] == [plain(data.infos) for data in apart]
    finally:
        for dataset in datasets:
            minari_core.delete_dataset(dataset.spec.dataset_id)
