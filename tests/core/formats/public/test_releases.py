"""What is peculiar to single releases of the public Minari, in files as they write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from gymnasium import spaces
from gymnasium.spaces import Space

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.formats.public.arrow import values
from minari_core.testing.expectations import expect_same

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

BOX = spaces.Box(-1, 1, (2,), np.float32)
IMAGE = spaces.Box(0, 255, (40, 36, 3), np.uint8)
MOVE = spaces.Discrete(3)


def make_buffer(space: Space[Any]) -> EpisodeBuffer:
    return EpisodeBuffer(
        observations=np.stack([space.sample() for _ in range(3)]),
        actions=[0, 1],
        rewards=[0.0, 1.0],
        terminations=[False, True],
        truncations=[False, False],
        infos={
            "matrix": np.arange(18.0).reshape(3, 2, 3),
            "vector": np.arange(6).reshape(3, 2),
            "said": ["a", "é", ""],
        },
    )


def create(
    data_format: str, observations: Space[Any] = BOX, actions: Space[Any] = MOVE
) -> tuple[MinariDataset, Path]:
    dataset = create_dataset_from_buffers(
        "tests/old-v0",
        [make_buffer(observations)] if actions == MOVE else [],
        observation_space=observations,
        action_space=actions,
        data_format=data_format,
    )
    return dataset, Path(str(dataset.spec.data_path))


def change_metadata(folder: Path, **changes: object) -> dict[str, Any]:
    """Change metadata, and leave of it what the public Minari writes."""
    path = folder / "metadata.json"
    metadata = {**json.loads(path.read_bytes()), **changes}
    del metadata["minari_core"]
    kept = {key: value for key, value in metadata.items() if value is not None}
    path.write_text(json.dumps(kept))
    return metadata


@pytest.mark.parametrize(
    ("data_format", "observations", "actions", "version"),
    [
        ("hdf5", BOX, MOVE, "0.5.0"),
        ("arrow", spaces.Dict(a=spaces.Tuple([BOX, spaces.Text(3)])), spaces.Discrete(2), "0.5.0"),
        ("hdf5", spaces.Dict(a=spaces.MultiBinary(2)), spaces.Discrete(2), "0.5.2"),
        ("arrow", BOX, spaces.MultiDiscrete([2, 3]), "0.5.2"),
        ("parquet", BOX, spaces.MultiBinary(3), "0.5.3"),
        ("arrow", spaces.Tuple([IMAGE]), spaces.MultiBinary(3), "0.5.4"),
        ("parquet", BOX, IMAGE, "0.5.4"),
    ],
)
def test_a_dataset_names_the_oldest_release_that_reads_it(
    data_format: str, observations: Space[Any], actions: Space[Any], version: str
) -> None:
    dataset, folder = create(data_format, observations, actions)
    metadata = json.loads((folder / "metadata.json").read_bytes())
    assert metadata["minari_version"] == dataset.minari_version == version


@pytest.mark.parametrize(("matrix", "vector"), [(b"\x02\x03", b"\x02"), (b"2,3", b"2")])
def test_shapes_of_infos_are_read_as_text_and_as_bytes(matrix: bytes, vector: bytes) -> None:
    dataset, folder = create("arrow")
    wanted = dataset[0].infos
    (path,) = folder.glob("*/part-0.arrow")
    with pa.OSFile(str(path)) as file:
        table = pa.ipc.open_file(file).read_all()
    infos = pa.concat_arrays(table.column("infos").chunks)
    shapes = {"matrix": {b"shape": matrix}, "vector": {b"shape": vector}}
    fields = [field.with_metadata(shapes.get(field.name)) for field in infos.type]
    arrays = [infos.field(index) for index in range(len(fields))]
    number = table.schema.get_field_index("infos")
    table = table.set_column(number, "infos", pa.StructArray.from_arrays(arrays, fields=fields))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    change_metadata(folder)
    found = load_dataset(dataset.id)[0].infos
    for key in ("matrix", "vector", "said"):
        expect_same(found[key], wanted[key])


def test_a_shape_that_is_neither_is_damage() -> None:
    with pytest.raises(OSError, match=r"infos\['x'\] has rows of 6 numbers, and b'2,4' as"):
        values._parse_shape(b"2,4", 6, "infos['x']")


def test_only_vectors_are_written_without_a_shape_which_0_5_0_misreads() -> None:
    _, folder = create("arrow")
    (path,) = folder.glob("*/part-0.arrow")
    with pa.OSFile(str(path)) as file:
        infos = pa.ipc.open_file(file).read_all().schema.field("infos").type
    metadata = {field.name: field.metadata for field in infos}
    assert metadata["matrix"] == {b"shape": b"2,3"}
    assert metadata["vector"] is None


def test_text_among_the_infos_of_0_5_3_is_no_image() -> None:
    dataset, folder = create("hdf5")
    change_metadata(folder, minari_version="0.5.3")
    assert load_dataset(dataset.id)[0].infos["said"] == ["a", "é", ""]
    assert verify_dataset(dataset.id).problems == ()


@pytest.mark.parametrize(("version", "jpeg"), [("0.5.2", False), ("0.5.3", True)])
def test_images_that_are_added_are_stored_as_those_of_the_release(version: str, jpeg: bool) -> None:
    dataset, folder = create("hdf5", IMAGE)
    change_metadata(folder, minari_version=version, jpeg_encoding=None)
    dataset = load_dataset(dataset.id)
    buffer = make_buffer(IMAGE)
    dataset.update_dataset_from_buffer([buffer])
    found = load_dataset(dataset.id)[1].observations
    assert np.array_equal(found, np.asarray(buffer.observations)) is not jpeg


def test_a_dataset_of_before_0_5_has_no_manifest_and_is_verified() -> None:
    dataset, folder = create("hdf5")
    metadata = change_metadata(folder)
    (folder / "metadata.json").unlink()
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for key in ("dataset_id", "total_episodes", "total_steps", "observation_space"):
            file.attrs[key] = metadata[key]
        file.attrs["action_space"] = metadata["action_space"]
    report = verify_dataset(dataset.id)
    assert report.problems == ()
    assert (report.total_episodes, report.total_steps, report.data_format) == (1, 2, "hdf5")
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
    assert [problem.episode for problem in verify_dataset(dataset.id).problems] == [0]
