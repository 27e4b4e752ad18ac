"""What early releases of the public Minari wrote, and what must not be followed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from minari_core import DatasetDamagedError, list_local_datasets, load_dataset
from minari_core.environments.env_specs import env_spec_to_json
from minari_core.environments.space_json import space_to_json


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    folder = tmp_path / "old-v0" / "data"
    folder.mkdir(parents=True)
    return folder


def write_episode(file: h5py.File, number: int, steps: int, shown: int) -> None:
    group = file.create_group(f"episode_{number}")
    group.attrs.update({"id": shown, "total_steps": steps, "seed": 7})
    group["observations"] = np.full((steps + 1, 4), shown, dtype=np.float32)
    group["actions"] = np.zeros(steps, dtype=np.int64)
    group["rewards"] = np.ones(steps)
    group["terminations"] = np.arange(steps) == steps - 1
    group["truncations"] = np.zeros(steps, dtype=bool)
    group.create_group("infos")


def write_dataset(folder: Path, total: int = 2) -> None:
    """A dataset as 0.3 wrote it: attributes of the root, and spaces that only the env knows."""
    spec = gymnasium.spec("CartPole-v1")
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        file.attrs.update(
            {
                "dataset_id": "old-v0",
                "total_episodes": total,
                "total_steps": 3 * total,
                "env_spec": env_spec_to_json(spec),
                "minari_version": "0.3.1",
                "flatten_observation": False,
                "flatten_action": False,
                "author": "Ada",
            }
        )
        write_episode(file, 0, 3, 0)


def test_the_layout_of_0_3_is_read_across_its_files(data: Path) -> None:
    write_dataset(data)
    with h5py.File(data / "main_data.hdf5", "a") as file:
        file["episode_1"] = h5py.ExternalLink("additional_data_0.hdf5", "/episode_0")
    with h5py.File(data / "additional_data_0.hdf5", "w") as file:
        write_episode(file, 0, 3, 1)
    dataset = load_dataset("old-v0")
    assert list(list_local_datasets()) == ["old-v0"]
    assert dataset.observation_space == gymnasium.make("CartPole-v1").observation_space
    assert [float(episode.observations[0, 0]) for episode in dataset] == [0.0, 1.0]
    assert [episode.seed for episode in dataset] == [7, 7]
    assert dataset.metadata["author"] == "Ada"
    assert dataset.total_steps == 6


@pytest.mark.parametrize("target", ["../secret.hdf5", "/secret.hdf5", "folder/secret.hdf5", ".."])
def test_a_link_that_leaves_the_folder_is_not_followed(data: Path, target: str) -> None:
    write_dataset(data)
    for path in (data / "../secret.hdf5", data / "folder" / "secret.hdf5"):
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            write_episode(file, 0, 3, 9)
    with h5py.File(data / "main_data.hdf5", "a") as file:
        file["episode_1"] = h5py.ExternalLink(target, "/episode_0")
    dataset = load_dataset("old-v0")
    with pytest.raises(DatasetDamagedError, match="leads out of the dataset's folder"):
        dataset[1]


def test_links_and_files_below_an_episode_are_not_followed(data: Path) -> None:
    write_dataset(data, total=1)
    secret = data.parent / "secret.bin"
    secret.write_bytes(bytes(24))
    with h5py.File(data.parent / "secret.hdf5", "w") as file:
        file["rewards"] = np.ones(3)
    for kind in ("link", "soft", "external", "virtual"):
        with h5py.File(data / "main_data.hdf5", "a") as file:
            group = file["episode_0"]
            del group["rewards"]
            if kind == "link":
                group["rewards"] = h5py.ExternalLink("../secret.hdf5", "/rewards")
            elif kind == "soft":
                group["rewards"] = h5py.SoftLink("/episode_0/actions")
            elif kind == "external":
                group.create_dataset(
                    "rewards", (3,), "<f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
                )
            else:
                layout = h5py.VirtualLayout((3,), "<f8")
                layout[:] = h5py.VirtualSource(str(data.parent / "secret.hdf5"), "rewards", (3,))
                group.create_virtual_dataset("rewards", layout)
        with pytest.raises(DatasetDamagedError, match="episode 0"):
            load_dataset("old-v0")[0]


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG")
    return np.frombuffer(buffer.getvalue(), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(7, 7, 3), (64, 64, 3), (40, 40)])
@pytest.mark.parametrize("equal_lengths", [True, False])
def test_images_that_0_5_3_wrote_as_jpeg_are_decoded_whatever_their_size(
    data: Path, shape: tuple[int, ...], equal_lengths: bool
) -> None:
    space = spaces.Box(0, 255, shape, np.uint8)
    write_dataset(data, total=1)
    images = [np.full(shape, value, dtype=np.uint8) for value in (0, 80, 160, 240)]
    frames = [jpeg(image) for image in images]
    with h5py.File(data / "main_data.hdf5", "a") as file:
        group = file["episode_0"]
        del group["observations"]
        for place in (group, group["infos"]):
            if equal_lengths:
                longest = max(len(frame) for frame in frames)
                rows = np.stack([np.pad(frame, (0, longest - len(frame))) for frame in frames])
                place.create_dataset("observations", data=rows)
            else:
                dtype = h5py.vlen_dtype(np.uint8)
                stored = place.create_dataset("observations", (4,), dtype)
                for row, frame in enumerate(frames):
                    stored[row] = frame
        file.attrs.clear()
    metadata = {
        "dataset_id": "old-v0",
        "total_episodes": 1,
        "total_steps": 3,
        "data_format": "hdf5",
        "minari_version": "0.5.3",
        "observation_space": space_to_json(space),
        "action_space": space_to_json(spaces.Discrete(2)),
    }
    (data / "metadata.json").write_text(json.dumps(metadata))
    episode = load_dataset("old-v0")[0]
    for found in (episode.observations, episode.infos["observations"]):
        assert found.shape == (4, *shape)
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - np.stack(images)).max() < 4
