"""What a folder of a public format tells, keeps and sweeps away, whoever else writes into it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, create_dataset_from_buffers, load_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.environments.space_json import space_to_json
from minari_core.errors import (
    DatasetChangedError,
    DatasetDamagedError,
    DatasetNotFoundError,
    MetadataError,
)
from minari_core.formats.public.storage.base import PublicStorage
from minari_core.formats.registry import new_storage, open_storage
from minari_core.testing.examples import MOVE

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")
SPACE = spaces.Dict(a=spaces.Box(-9, 9, (2,), np.float32), t=spaces.Text(9))


def episode(number: int, steps: int = 2, **changes: Any) -> EpisodeBuffer:
    fields: dict[str, Any] = {
        "observations": {
            "a": np.full((steps + 1, 2), number, np.float32),
            "t": ["x"] * (steps + 1),
        },
        "actions": np.zeros(steps, int),
        "rewards": np.arange(float(steps)),
        "terminations": np.arange(steps) == steps - 1,
        "truncations": np.zeros(steps, bool),
        "infos": {"n": np.arange(steps + 1), "r": [np.zeros(row) for row in range(steps + 1)]},
        "seed": number,
        "options": {"list": [number]},
        "metadata": {"n": number},
    }
    return EpisodeBuffer(**{**fields, **changes})


@pytest.fixture(params=["hdf5", "arrow", "parquet"])
def storage(request: pytest.FixtureRequest, datasets_root: Path) -> PublicStorage:
    dataset = create_dataset_from_buffers(
        "folders-v0",
        [episode(number) for number in range(3)],
        observation_space=SPACE,
        action_space=MOVE,
        data_format=request.param,
    )
    found = get_raw_storage(load_dataset(dataset.id))
    assert isinstance(found, PublicStorage)
    return found


def reopen(storage: PublicStorage) -> PublicStorage:
    found = open_storage(storage.data_path)
    assert isinstance(found, PublicStorage)
    return found


def test_what_others_add_is_counted_and_then_taken_in(storage: PublicStorage) -> None:
    other = reopen(storage)
    assert (storage.newer_episodes(), storage.refresh()) == (0, False)
    before = storage.fingerprint()
    assert storage.episode_lengths().tolist() == [2, 2, 2]
    assert list(other.append_episodes([episode(3, 4), episode(4, 1)])) == [3, 4]
    assert (storage.newer_episodes(), storage.total_episodes) == (2, 3)
    assert storage.refresh()
    assert not storage.refresh()
    assert (storage.total_episodes, storage.total_steps) == (5, 11)
    assert storage.episode_lengths().tolist() == [2, 2, 2, 4, 1]
    assert not storage.episode_lengths().flags.writeable
    assert storage.fingerprint() != before
    assert storage.uid == other.uid != ""
    assert pickle.loads(pickle.dumps(storage)).total_steps == 11
    # Whoever adds takes in what others have added.
    assert list(other.append_episodes([episode(5)])) == [5]
    assert list(storage.append_episodes([episode(6)])) == [6]
    assert [each.seed for each in storage.read_episode_metadata(range(7))] == [*range(7)]


def test_arrays_that_are_not_copied_cannot_be_written_to(storage: PublicStorage) -> None:
    def arrays(value: Any) -> list[Any]:
        if isinstance(value, np.ndarray):
            return [value]
        parts = value.values() if isinstance(value, dict) else value
        return (
            [each for part in parts for each in arrays(part)] if not isinstance(parts, str) else []
        )

    for copy in (True, False):
        for read in storage.read_episodes([1, 0, 1], copy=copy):
            found = [read.observations["a"], read.actions, read.rewards, *arrays(read.infos)]
            assert {array.flags.writeable for array in found} == {copy}
    assert [each.id for each in storage.read_for_copying([2, 0])] == [2, 0]


def test_a_dataset_that_is_gone_or_another_is_not_called_damaged(
    storage: PublicStorage, datasets_root: Path
) -> None:
    manifest = storage.data_path / "metadata.json"
    content = json.loads(manifest.read_text())
    other = {**content, "minari_core": {**content["minari_core"], "uid": "other"}}
    fewer = {**content, "total_episodes": 2, "total_steps": 4}
    moved = {**content, "action_space": space_to_json(spaces.Discrete(5))}
    moved["minari_core"] = {**content["minari_core"], "exact": {}}
    for changed in (other, fewer, moved):
        manifest.write_text(json.dumps(changed))
        for use in (
            storage.newer_episodes,
            storage.refresh,
            lambda: list(storage.read_episodes([0])),
        ):
            with pytest.raises(DatasetChangedError):
                use()
    manifest.write_text(json.dumps(content))
    assert len(list(storage.read_episodes([0]))) == 1
    manifest.unlink()
    (storage.data_path / "main_data.hdf5").unlink(missing_ok=True)
    with pytest.raises(DatasetNotFoundError, match="is gone: its dataset was deleted, or moved"):
        list(storage.read_episodes([0]))


def test_what_killed_processes_left_is_swept_by_who_writes_next(storage: PublicStorage) -> None:
    folder = storage.data_path
    left = [folder / ".metadata.json.1", folder / ".main_data.hdf5.2", folder / ".update-3"]
    for path in left[:2]:
        path.write_bytes(b"x" * 100_000)
    left[2].mkdir()
    (left[2] / "file").write_bytes(b"x")
    (folder / ".other").write_bytes(b"x")
    storage.save()
    assert not any(path.exists() for path in left)
    assert (folder / ".other").exists()
    left[0].write_bytes(b"x")
    storage.save()
    assert left[0].exists(), "nothing was begun, so nobody takes the lock"
    storage.update_metadata({"author": "Ada"})
    assert not left[0].exists()
    size = json.loads((folder / "metadata.json").read_text())["dataset_size"]
    assert (
        size == round((storage.nbytes - len((folder / "metadata.json").read_bytes())) / 1e6, 1)
        or size < 0.2
    )


def test_metadata_that_the_files_depend_on_stays_as_it_is(storage: PublicStorage) -> None:
    for key in ("jpeg_encoding", "dataset_size", "minari_core", "total_steps"):
        with pytest.raises(MetadataError, match=f"update values for {key}"):
            storage.update_metadata({key: 1})
    storage.update_metadata({"author": "Ada", "notes": {"a": [1]}})
    assert reopen(storage).metadata["notes"] == {"a": [1]}
    assert reopen(storage).metadata["author"] == "Ada"
    storage.compact()
    assert len(list(reopen(storage).read_episodes(range(3)))) == 3


def test_nothing_is_added_to_metadata_that_is_damaged(storage: PublicStorage) -> None:
    path = storage.data_path / "metadata.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "minari_version": "0.5.1"}))
    with pytest.raises(DatasetDamagedError, match="is not what was written, so nothing is added"):
        storage.append_episodes([episode(3)])
    for key in ("total_episodes", "total_steps"):
        path.write_text(json.dumps({name: content[name] for name in content if name != key}))
        with pytest.raises(DatasetDamagedError, match=f"'{key}' is missing"):
            reopen(storage)


def test_a_new_storage_is_seen_once_it_is_saved(storage: PublicStorage, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    metadata: dict[str, Any] = {"dataset_id": "new-v0"}
    metadata["observation_space"] = space_to_json(SPACE)
    metadata["action_space"] = space_to_json(MOVE)
    new = new_storage(folder, metadata, storage.data_format)
    new.append_storage(storage, [2, 0])
    new.append_episodes([episode(7)])
    assert (new.newer_episodes(), new.refresh()) == (0, False)
    assert not (folder / "metadata.json").exists()
    assert pickle.loads(pickle.dumps(new)).total_episodes == 3
    new.save()
    saved = open_storage(folder)
    assert [each.seed for each in saved.read_episode_metadata(range(3))] == [2, 0, 7]
    assert [each.options for each in saved.read_episodes(range(3))] == [
        {"list": [number]} for number in (2, 0, 7)
    ]
    (folder.parent / "empty").mkdir()
    empty = new_storage(folder.parent / "empty", metadata, storage.data_format)
    empty.save()
    assert open_storage(folder.parent / "empty").total_episodes == 0
