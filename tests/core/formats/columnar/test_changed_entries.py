"""What is said of stored episodes changes by a small shard, and the rows stay where they are."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import minari_core
from minari_core import EpisodeBuffer, MinariDataset
from minari_core.formats.columnar import transaction
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.testing.expectations import expect_same_episode
from tests.core.helpers.numbered import create
from tests.core.helpers.recorded import Recorded, recordings, stored

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

IMAGES = spaces.Box(0, 255, (80, 80, 3), np.uint8)


# Numbers of one key that are of two kinds become those of the wider one.
changes_of_keys = st.one_of(
    st.tuples(st.just("number"), st.integers(-(2**70), 2**70) | st.booleans() | st.text()),
    st.tuples(st.just("score"), st.floats() | st.binary()),
    st.tuples(st.just("list"), st.lists(st.none() | st.integers() | st.text(), max_size=3)),
    st.tuples(st.just("dict"), st.dictionaries(st.text(), st.integers(-9, 9), max_size=3)),
)


def image_episode(number: int) -> EpisodeBuffer:
    random = np.random.default_rng(number)
    return EpisodeBuffer(
        observations=random.integers(0, 255, (9, 80, 80, 3), np.uint8),
        actions=np.arange(8) % 2,
        rewards=np.full(8, float(number)),
        terminations=np.arange(8) == 7,
        truncations=np.zeros(8, bool),
        metadata={"number": number},
    )


@pytest.fixture
def images(datasets_root: Path) -> MinariDataset:
    """Three shards of two episodes each."""
    created = minari_core.create_dataset_from_buffers(
        "images-v0",
        [image_episode(0), image_episode(1)],
        observation_space=IMAGES,
        action_space=spaces.Discrete(2),
    )
    for first in (2, 4):
        created.update_dataset_from_buffer([image_episode(first), image_episode(first + 1)])
    return created


def shards(dataset: MinariDataset) -> dict[str, int]:
    assert dataset.spec.data_path is not None
    return {p.name: p.stat().st_size for p in Path(dataset.spec.data_path).glob("shard-*.h5")}


def change(
    dataset_id: str, *changes: Mapping[str, object], indices: list[int] | None = None
) -> None:
    minari_core.load_dataset(dataset_id).storage.update_episode_metadata(changes, indices)


def test_no_image_is_written_again_to_change_a_key(images: MinariDataset) -> None:
    before = shards(images)
    change("images-v0", {"grade": 1}, {"grade": "é"}, indices=[2, 5])
    after = shards(images)
    assert before.items() <= after.items()
    new = [size for name, size in after.items() if name not in before]
    assert len(new) == 2
    assert sum(new) < min(before.values()) / 4


def test_changing_it_over_and_over_takes_no_more_space(images: MinariDataset) -> None:
    change("images-v0", *[{"grade": -1}] * 6)
    once = len(shards(images))
    for grade in range(5):
        change("images-v0", {"grade": grade}, indices=[grade])
    assert len(shards(images)) == once
    grades = [m["grade"] for m in minari_core.load_dataset("images-v0").iterate_episode_metadata()]
    assert grades == [0, 1, 2, 3, 4, -1]


def test_readers_that_are_open_go_on(images: MinariDataset) -> None:
    unread, reading = (minari_core.load_dataset("images-v0") for _ in range(2))
    wanted = list(images)
    change("images-v0", *[{"grade": 0}] * 6)
    episodes, described = iter(reading), reading.iterate_episode_metadata()
    found, entries = [next(episodes)], [next(described)]
    change("images-v0", *[{"grade": 1}] * 6)
    change("images-v0", *[{"word": "x"}] * 6)
    found += episodes
    entries += described
    for dataset in (found, list(unread)):
        for episode, before in zip(dataset, wanted, strict=True):
            assert np.array_equal(episode.observations, before.observations)
    assert [entry["number"] for entry in entries] == list(range(6))
    assert unread.storage.refresh()
    assert unread[0].metadata == {"number": 0, "grade": 1, "word": "x"}


def test_the_dataset_stays_sound_and_what_it_was(images: MinariDataset) -> None:
    storage = minari_core.load_dataset("images-v0").storage
    uid = storage.snapshot.uid
    change("images-v0", {"grade": 1}, indices=[3])
    report = minari_core.verify_dataset("images-v0")
    assert (report.problems, report.remarks) == ((), ())
    assert (report.total_episodes, report.total_steps) == (6, 48)
    assert minari_core.load_dataset("images-v0").storage.snapshot.uid == uid


def test_damage_in_a_shard_whose_entries_were_replaced_is_found(images: MinariDataset) -> None:
    change("images-v0", *[{"grade": 1}] * 6)
    largest = max(shards(images).items(), key=lambda item: item[1])[0]
    path = Path(images.spec.data_path or "", largest)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert not minari_core.verify_dataset("images-v0").ok


def test_samples_and_statistics_are_those_of_before(images: MinariDataset) -> None:
    def seen(dataset: MinariDataset) -> list[Any]:
        dataset.set_seed(1)
        batch = dataset.sample_transitions(64)
        window = dataset.sample_sequences(4, 3)
        return [batch.observations, batch.next_observations, batch.rewards, window.actions]

    before, statistics = seen(images), images.statistics()
    path = Path(images.spec.data_path or "") / ".statistics.json"
    kept = path.stat().st_mtime_ns
    change("images-v0", *[{"grade": n} for n in range(6)])
    after = minari_core.load_dataset("images-v0")
    assert all(map(np.array_equal, seen(after), before))
    assert repr(after.statistics()) == repr(statistics)
    assert path.stat().st_mtime_ns == kept


def test_one_shard_is_sampled_as_one_after_a_change(datasets_root: Path) -> None:
    dataset = create("one-v0")
    dataset.set_seed(1)
    before = dataset.sample_transitions(8).observations
    change("one-v0", {"grade": 1}, indices=[2])
    changed = minari_core.load_dataset("one-v0")
    assert len(changed.storage.snapshot.shards) == 2
    changed.set_seed(1)
    assert np.array_equal(changed.sample_transitions(8).observations, before)


def test_views_and_filters_see_what_was_changed(images: MinariDataset) -> None:
    view = images[[5, 1, 4]]
    images.storage.update_episode_metadata([{"split": "test"}] * 2, [1, 4])
    assert [episode.metadata.get("split") for episode in view] == [None, "test", "test"]
    chosen = images.filter_episodes(metadata=lambda entry: entry.metadata.get("split") == "test")
    assert chosen.episode_indices.tolist() == [1, 4]
    assert [m.metadata.get("split") for m in view.iterate_episode_metadata()] == [
        None,
        "test",
        "test",
    ]


def test_an_object_is_pickled_after_a_change(images: MinariDataset) -> None:
    images.storage.update_episode_metadata([{"grade": 1}], [4])
    restored = pickle.loads(pickle.dumps(images))
    assert restored[4].metadata == {"number": 4, "grade": 1}


def test_changed_episodes_are_compacted_into_one_shard(images: MinariDataset) -> None:
    changes: list[dict[str, object]] = [{"a": 1}, {"a": "text"}, {"b": [1, None]}]
    change("images-v0", *changes, indices=[0, 3, 4])
    wanted = list(minari_core.load_dataset("images-v0"))
    images.compact()
    assert len(images.storage.snapshot.shards) == 1
    for found, episode in zip(images, wanted, strict=True):
        expect_same_episode(found, episode)
    assert minari_core.verify_dataset("images-v0").ok


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_values_of_kinds_that_share_no_column_are_all_kept(
    data_format: str, datasets_root: Path
) -> None:
    wanted: list[dict[Any, Any]] = [
        {"hash": b"\0\xff", "score": 1.5},
        {"hash": 7, "score": 2 + 1j},
        {"hash": "x", 5: b""},
    ]
    dataset = create("kinds-v0", data_format=data_format)
    dataset.storage.update_episode_metadata(wanted, [0, 1, 2])

    def read() -> list[dict[Any, Any]]:
        stored = minari_core.load_dataset("kinds-v0").storage.read_episode_metadata([0, 1, 2])
        return [{key: episode.metadata[key] for key in wanted[episode.id]} for episode in stored]

    assert read() == wanted
    dataset.compact()
    assert read() == wanted
    with_another_key: dict[Any, Any] = {6: 0}
    dataset.storage.update_episode_metadata([with_another_key], [0])
    wanted[0] |= with_another_key
    assert read() == wanted


def test_a_copy_shares_the_rows_and_has_its_own_metadata(images: MinariDataset) -> None:
    change("images-v0", {"grade": 1}, indices=[0])
    copy = minari_core.combine_datasets([minari_core.load_dataset("images-v0")] * 2, "copy-v0")
    assert set(shards(images)) <= set(shards(copy))
    change("copy-v0", {"grade": 2}, {"grade": 3}, indices=[0, 7])
    change("images-v0", {"grade": 4}, indices=[0])
    copy = minari_core.load_dataset("copy-v0")
    found = [episode.metadata.get("grade") for episode in copy]
    assert found == [2, None, None, None, None, None, 1, 3, None, None, None, None]
    assert minari_core.load_dataset("images-v0")[0].metadata["grade"] == 4
    assert all(minari_core.verify_dataset(name).ok for name in ("copy-v0", "images-v0"))


def test_a_part_of_changed_shards_is_linked(images: MinariDataset) -> None:
    change("images-v0", *[{"grade": n} for n in range(6)])
    part = minari_core.load_dataset("images-v0")[2:6]
    copy = minari_core.combine_datasets([part], "part-v0")
    large = {name for name, size in shards(copy).items() if size > 1 << 16}
    assert len(large) == 2
    assert large <= set(shards(images))
    assert [episode.metadata["grade"] for episode in copy] == [2, 3, 4, 5]


def test_a_column_is_widened_after_a_change(datasets_root: Path) -> None:
    def buffer(dtype: type[np.float32 | np.float64]) -> EpisodeBuffer:
        whole = image_episode(1)
        whole.observations = np.linspace(0, 7 / 9, 9, dtype=dtype)[:, None]
        return whole

    box = spaces.Box(-1, 9, (1,), np.float32)
    options: dict[str, Any] = {"observation_space": box, "action_space": spaces.Discrete(2)}
    narrow = minari_core.create_dataset_from_buffers("a-v0", [buffer(np.float32)] * 2, **options)
    narrow.storage.update_episode_metadata([{"grade": 5}], [1])
    wide = minari_core.create_dataset_from_buffers("b-v0", [buffer(np.float64)], **options)
    both = minari_core.combine_datasets([narrow, narrow, wide], "c-v0", widen=True)
    assert [episode.metadata.get("grade") for episode in both] == [None, 5, None, 5, None]
    assert both[0].observations.dtype == np.float64
    assert minari_core.verify_dataset("c-v0").ok


def test_many_entries_are_spread_over_shards(
    images: MinariDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_MOST_ENTRIES", 2)
    images.compact()
    images.storage.update_episode_metadata([{"grade": n} for n in range(6)])
    assert [shard.episodes for shard in images.storage.snapshot.shards] == [0, 2, 2, 2]
    images.storage.update_episode_metadata([{"grade": -3}], [3])
    assert [episode.metadata["grade"] for episode in images] == [0, 1, 2, -3, 4, 5]
    assert minari_core.verify_dataset("images-v0").ok
    assert minari_core.combine_datasets([images[1:]], "rest-v0").total_episodes == 5


@settings(max_examples=25)
@given(recordings(), st.data())
def test_episodes_that_lie_across_shards_are_changed_one_by_one(
    recorded: Recorded, data: st.DataObject
) -> None:
    numbers = st.integers(0, len(recorded.episodes) - 1)
    changes = data.draw(st.lists(st.tuples(numbers, changes_of_keys)))
    with stored(recorded, on_disk=True) as dataset:
        wanted = list(dataset)
        for number, (key, value) in changes:
            dataset.storage.update_episode_metadata([{key: value}], [number])
            wanted[number].metadata[key] = value
        dataset.compact()
        for found, episode in zip(dataset, wanted, strict=True):
            expect_same_episode(found, episode)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_what_several_processes_change_is_all_there(images: MinariDataset) -> None:
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                for each in range(5):
                    change("images-v0", {f"key{number}": each}, indices=[number])
                    change("images-v0", {f"all{number}": each}, indices=[5])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    loaded = minari_core.load_dataset("images-v0")
    assert [loaded[n].metadata[f"key{n}"] for n in range(4)] == [4] * 4
    assert loaded[5].metadata == {"number": 5, **{f"all{n}": 4 for n in range(4)}}
    assert minari_core.verify_dataset("images-v0").ok


def test_a_change_that_fails_leaves_no_file(images: MinariDataset) -> None:
    before = shards(images)

    def broken() -> Iterator[dict[str, object]]:
        yield {"grade": 1}
        raise KeyError("the caller's own error")

    with pytest.raises(KeyError):
        images.storage.update_episode_metadata(broken())
    with pytest.raises(minari_core.MetadataError):
        images.storage.update_episode_metadata([{"x": 1}, {"id": 5}], [5, 0])
    assert shards(images) == before


def test_another_dataset_in_its_place_is_not_changed(images: MinariDataset) -> None:
    minari_core.delete_dataset("images-v0")
    create("images-v0")
    with pytest.raises(minari_core.DatasetChangedError):
        images.storage.update_episode_metadata([{"x": 1}], [0])


def test_a_storage_that_is_being_made_can_be_changed(tmp_path: Path) -> None:
    dataset = create("made-v0")
    metadata = dict(dataset.storage._inner.metadata)
    storage = ColumnarStorage.create(tmp_path, {**metadata, "dataset_id": "other-v0"})
    storage.append_storage(dataset.storage._inner)
    storage.append_storage(dataset.storage._inner)
    total = dataset.total_episodes
    storage.update_episode_metadata([{"grade": 1}], [0])
    storage.update_episode_metadata([{"grade": 2}], [total])
    storage.update_episode_metadata([{"grade": 3}], [0])
    storage.save()
    opened = ColumnarStorage.open(tmp_path)
    grades = [e.metadata.get("grade") for e in opened.read_episode_metadata([0, total])]
    assert grades == [3, 2]
    named = {shard.file for shard in opened.snapshot.shards}
    assert {path.name for path in tmp_path.glob("shard-*.h5")} == named
