"""Code that was written for the public Minari finds its names and what they did."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import minari
from minari.data_collector.callbacks.step_callback import StepDataCallback
from minari.namespace import (
    download_namespace_metadata,
    list_local_namespaces,
    list_remote_namespaces,
    upload_namespace,
)
from minari.serialization import deserialize_space, serialize_space
from minari.storage.datasets_root_dir import get_dataset_path
from minari_core.datasets.public_storage import MinariStorage

NAMES = {
    "minari": "DataCollector EpisodeData StepData MinariDataset StepDataCallback "
    "EpisodeMetadataCallback download_dataset list_remote_datasets upload_dataset delete_dataset "
    "list_local_datasets load_dataset combine_datasets create_dataset_from_buffers split_dataset "
    "get_normalized_score EpisodeBuffer",
    "minari.data_collector": "DataCollector EpisodeBuffer EpisodeMetadataCallback StepDataCallback",
    "minari.data_collector.data_collector": "DataCollector",
    "minari.data_collector.episode_buffer": "EpisodeBuffer",
    "minari.data_collector.callbacks": "EpisodeMetadataCallback StepDataCallback",
    "minari.dataset.minari_dataset": "MinariDataset MinariDatasetSpec parse_dataset_id "
    "gen_dataset_id",
    "minari.dataset.minari_storage": "MinariStorage",
    "minari.dataset.episode_data": "EpisodeData",
    "minari.dataset.step_data": "StepData",
    "minari.serialization": "serialize_space deserialize_space",
    "minari.namespace": "create_namespace list_local_namespaces get_namespace_metadata "
    "update_namespace_metadata delete_namespace namespace_hierarchy validate_namespace "
    "list_remote_namespaces NAMESPACE_METADATA_FILENAME",
    "minari.storage": "get_dataset_path",
    "minari.storage.hosting": "download_dataset list_remote_datasets upload_dataset",
    "minari.storage.local": "load_dataset list_local_datasets delete_dataset",
    "minari.storage.datasets_root_dir": "get_dataset_path",
    "minari.utils": "combine_datasets create_dataset_from_buffers split_dataset "
    "get_normalized_score RandomPolicy get_average_reference_score",
}

pytestmark = pytest.mark.filterwarnings("ignore::minari.MinariWarning")


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))


def collected(dataset_id: str, **options: Any) -> minari.MinariDataset:
    env = minari.DataCollector(gymnasium.make("CartPole-v1"), **options)
    for _ in range(3):
        env.reset()
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    dataset = env.create_dataset(dataset_id, author={"Ada", "Bob"}, author_email="a@b.c")
    env.close()
    return dataset


@pytest.mark.parametrize("module", NAMES)
def test_the_names_of_the_public_minari_are_where_they_were(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize("data_format", ["columnar", "hdf5", "arrow", "parquet"])
def test_a_storage_has_the_methods_that_it_had(data_format: str) -> None:
    dataset = collected("space/cart-v0", data_format=data_format)
    assert list_local_namespaces() == ["space"]
    storage = minari.load_dataset("space/cart-v0").storage
    assert storage.metadata["author"] == {"Ada", "Bob"}
    assert storage.metadata["author_email"] == {"a@b.c"}
    assert storage.metadata["observation_space"] == dataset.observation_space
    assert storage.data_path == get_dataset_path("space/cart-v0") / "data"
    assert storage.get_size() >= 0.0
    first, *_ = storage.get_episodes([1])
    assert first["id"] == 1
    assert np.array_equal(first["observations"], dataset[1].observations)
    said = list(storage.get_episode_metadata(range(3)))
    assert [each["total_steps"] for each in said] == [len(episode) for episode in dataset]
    assert all(isinstance(each["seed"], int) for each in said)
    assert list(storage.apply(lambda episode: episode["id"], [2, 0])) == [2, 0]
    storage.update_metadata({"description": "new", "author": {"Eve"}})
    assert minari.load_dataset("space/cart-v0").storage.metadata["author"] == {"Eve"}
    storage.update_episodes([dataset[0]])
    assert storage.total_episodes == 4
    assert len(minari.MinariDataset(storage)) == 4
    assert len(minari.MinariDataset(storage.data_path)) == 4


def test_the_environment_that_the_spaces_of_a_storage_are_taken_from_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []
    kind = type(gymnasium.make("CartPole-v1").unwrapped)
    monkeypatch.setattr(kind, "close", lambda env: closed.append(env))
    MinariStorage.new(tmp_path / "data", env_spec=gymnasium.spec("CartPole-v1"))
    assert len(closed) == 1


def test_a_storage_is_made_and_read_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = MinariStorage.new(folder, env_spec=gymnasium.spec("CartPole-v1"))
    assert made.data_format == "hdf5"
    made.update_from_storage(collected("cart-v0").storage)
    read = MinariStorage.read(folder)
    assert read.total_episodes == 3
    assert read.read_raw_metadata(folder)["data_format"] == "hdf5"
    with pytest.raises(minari.DatasetExistsError):
        MinariStorage.new(folder, env_spec=gymnasium.spec("CartPole-v1"))


def test_seeds_are_drawn_unless_that_is_turned_off() -> None:
    env = minari.DataCollector(gymnasium.make("CartPole-v1"))
    for options in (None, {"minari_autoseed": False}, {"minari_autoseed": True}):
        env.reset(options=options)
        env.step(0)
    env.reset(seed=5)
    env.step(0)
    seeds = [episode.seed for episode in env.create_dataset("cart-v0")]
    assert seeds[1] is None
    assert seeds[3] == 5
    assert seeds[0] is not None
    assert seeds[2] is not None


def test_a_seeded_episode_can_be_played_again() -> None:
    dataset = collected("cart-v0")
    env = dataset.recover_environment()
    for episode in dataset:
        observation, _ = env.reset(seed=episode.seed)
        assert np.array_equal(observation, episode.observations[0])
        for action, wanted in zip(episode.actions, episode.observations[1:], strict=True):
            assert np.array_equal(env.step(action)[0], wanted)


def test_a_collector_adds_to_a_dataset_and_views_keep_their_class() -> None:
    dataset = collected("cart-v0", data_format="hdf5")
    env = minari.DataCollector(dataset.recover_environment(), StepDataCallback)
    env.reset()
    env.step(0)
    env.add_to_dataset(dataset)
    assert len(dataset) == 4
    for made in (
        dataset,
        dataset[1:],
        dataset.filter_episodes(lambda episode: len(episode) > 1),
        minari.split_dataset(dataset, [2])[0],
        minari.combine_datasets([dataset, dataset[:1]], "both-v0"),
        minari.convert_dataset(dataset, "new-v0"),
        minari.load_dataset("cart-v0"),
    ):
        assert type(made) is minari.MinariDataset
        assert isinstance(made.storage, MinariStorage)


def test_spaces_go_to_json_and_back() -> None:
    space = spaces.Dict(x=spaces.Tuple([spaces.Discrete(3), spaces.Text(4)]))
    assert deserialize_space(serialize_space(space)) == space
    assert deserialize_space(serialize_space(space, to_string=False)) == space


def test_the_namespaces_of_a_remote_are_those_that_its_datasets_lie_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "remote").mkdir()
    monkeypatch.setenv("MINARI_REMOTE", (tmp_path / "remote").as_uri())
    for dataset_id in ("plain-v0", "one/two/deep-v0", "other/flat-v1"):
        collected(dataset_id)
        minari.upload_dataset(dataset_id)

    assert list_remote_namespaces() == ["one", "one/two", "other"]


def test_a_buffer_with_the_id_of_a_stored_episode_is_refused() -> None:
    storage = collected("cart-v0").storage
    episode = next(storage.get_episodes([0]))
    with pytest.raises(minari.DataError, match="id 0 is stored already"):
        storage.update_episodes([minari.EpisodeBuffer(**episode)])
    assert storage.total_episodes == 3

    storage.update_episodes([minari.EpisodeBuffer(**{**episode, "id": 3})])
    assert storage.total_episodes == 4


def test_what_is_said_of_namespaces_goes_to_a_remote_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "remote").mkdir()
    monkeypatch.setenv("MINARI_REMOTE", (tmp_path / "remote").as_uri())
    minari.create_namespace("one/two", "what it has in common", key=[1])
    collected("one/two/cart-v0")
    minari.upload_dataset("one/two/cart-v0")
    with pytest.warns(UserWarning, match="Upload aborted. Namespace 'one/two' is already"):
        upload_namespace("one/two", "token")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "other"))

    minari.download_dataset("one/two/cart-v0")

    described = {"description": "what it has in common", "key": [1]}
    assert list_local_namespaces() == ["one", "one/two"]
    assert minari.get_namespace_metadata("one/two") == described
    minari.update_namespace_metadata("one/two", "another")
    with pytest.warns(UserWarning, match="Skipping update for namespace"):
        download_namespace_metadata("one/two")
    assert minari.get_namespace_metadata("one/two") == {"description": "another"}
    download_namespace_metadata("one/two", overwrite=True)
    assert minari.get_namespace_metadata("one/two") == described
    with pytest.raises(ValueError, match="'none' doesn't exist in the remote"):
        download_namespace_metadata("none")
    with pytest.raises(ValueError, match="'none' does not exist locally"):
        upload_namespace("none", "token")


def test_whatever_makes_a_dataset_registers_its_namespaces() -> None:
    dataset = collected("a1/b1/cart-v0")
    episodes = list(dataset)
    minari.create_dataset_from_buffers("a2/cart-v0", episodes, "CartPole-v1")
    minari.combine_datasets([dataset], "a3/b3/cart-v0")
    minari.convert_dataset(dataset, "a4/cart-v0", data_format="hdf5")
    assert list_local_namespaces() == ["a1", "a1/b1", "a2", "a3", "a3/b3", "a4"]
    assert minari.get_namespace_metadata("a3/b3") == {}

    with pytest.raises(minari.DataError):
        minari.create_dataset_from_buffers("a5/x-v0", [{"no": 1}], "CartPole-v1")
    assert "a5" not in list_local_namespaces()


@pytest.mark.parametrize("data_format", ["hdf5", "arrow", "parquet"])
def test_no_dataset_of_a_public_format_is_made_that_its_listing_stumbles_over(
    data_format: str,
) -> None:
    dataset = collected("cart-v0")
    with pytest.raises(minari.DatasetIdError, match="single character"):
        minari.convert_dataset(dataset, "a/cart-v0", data_format=data_format)
    with pytest.warns(minari.MinariWarning, match="single character"):
        minari.convert_dataset(dataset, "a/cart-v0")
    assert len(minari.load_dataset("a/cart-v0")) == 3


def test_a_missing_dataset_is_answered_in_the_words_of_the_public_minari(tmp_path: Path) -> None:
    folder = re.escape(str(tmp_path / "root" / "a" / "b-v0"))
    words = f"Dataset a/b-v0 not found locally at {folder}. Use download=True to "
    with pytest.raises(FileNotFoundError, match=f"{words}download the dataset; list_local_"):
        minari.load_dataset("a/b-v0")
    collected("a/b-v1")
    with pytest.raises(FileNotFoundError, match=f"{words}download the dataset; .* a/b-v1$"):
        minari.load_dataset("a/b-v0")
    with pytest.raises(FileNotFoundError) as missing:
        minari.load_dataset(tmp_path / "none")
    assert "download" not in str(missing.value)
