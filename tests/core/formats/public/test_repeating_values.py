"""What this project writes is read again, however well its values pack."""

from __future__ import annotations

import json
import random
import string
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from minari_core import (
    EpisodeBuffer,
    MinariDataset,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
    verify_dataset,
)
from minari_core.errors import DatasetDamagedError

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

FORMATS = ("hdf5", "arrow", "parquet")
STEPS, LENGTH = 100, 4000
ROWS = STEPS + 1
IMAGES = spaces.Box(0, 255, (32, 32, 3), np.uint8)


@pytest.fixture(autouse=True)
def _little_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of a megabyte is limited as one of many is."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for name in ("FREE_NBYTES", "_LARGE_NBYTES"):
        monkeypatch.setattr(f"minari_core.formats.public.limits.{name}", 1 << 12)


def random_texts() -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices(string.ascii_letters, k=LENGTH)) for _ in range(ROWS)]


VALUES: dict[str, Callable[[], Any]] = {
    "constant texts": lambda: ["p" * LENGTH] * ROWS,
    "constant texts beyond ascii": lambda: ["é😀" * (LENGTH // 4)] * ROWS,
    "random texts": random_texts,
    "no texts": lambda: [""] * ROWS,
    "texts that are missing": lambda: [None, *["p" * LENGTH] * STEPS],
    "texts in a dict": lambda: [{"a": {"b": "p" * LENGTH}}] * ROWS,
    "bytes": lambda: [b"p" * LENGTH] * ROWS,
    "random bytes": lambda: [text.encode() for text in random_texts()],
    "variable arrays": lambda: [np.zeros(LENGTH // 8 + row % 2) for row in range(ROWS)],
    "constant images": lambda: np.full((ROWS, 64, 64), 7, np.uint8),
    "constant numbers": lambda: np.zeros((ROWS, 4, 125)),
    "numbers that are missing": lambda: [None, *np.zeros((STEPS, LENGTH // 8))],
}


def some_episode(prompts: Any, observations: Any = None) -> EpisodeBuffer:
    if observations is None:
        observations = np.zeros((ROWS, 2), np.float32)
    return EpisodeBuffer(
        observations=observations,
        actions=np.zeros(STEPS, np.int64),
        rewards=np.zeros(STEPS),
        terminations=np.arange(STEPS) == STEPS - 1,
        truncations=np.zeros(STEPS, bool),
        infos={} if prompts is None else {"prompt": prompts},
    )


def stored(
    data_format: str,
    episodes: list[EpisodeBuffer],
    observation_space: spaces.Space[Any] | None = None,
    **details: Any,
) -> MinariDataset:
    create_dataset_from_buffers(
        "packed-v0",
        episodes,
        observation_space=observation_space or spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
        data_format=data_format,
        **details,
    )
    return load_dataset("packed-v0")


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("values", list(VALUES))
def test_infos_are_read_however_well_they_pack(values: str, data_format: str) -> None:
    made = VALUES[values]()
    dataset = stored(data_format, [some_episode(made)] * 2)
    for episode in dataset:
        read: Any = episode.infos["prompt"]
        if values == "texts in a dict":
            read = [{"a": {"b": text}} for text in read["a"]["b"]]
        for one, other in zip(read, made, strict=True):
            if other is None:
                assert one is None or np.ma.is_masked(one)
            else:
                assert np.array_equal(one, other)
    assert verify_dataset("packed-v0").ok


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("space", "value", "jpeg"),
    [
        (spaces.Text(LENGTH), "p" * LENGTH, False),
        (spaces.Text(LENGTH, charset="é"), "é" * LENGTH, False),
        (IMAGES, np.full(IMAGES.shape, 7, np.uint8), False),
        (IMAGES, np.full(IMAGES.shape, 7, np.uint8), True),
    ],
    ids=["text", "text beyond ascii", "image", "jpeg"],
)
def test_observations_are_read_however_well_they_pack(
    data_format: str, space: spaces.Space[Any], value: Any, jpeg: bool
) -> None:
    nested = spaces.Dict(a=spaces.Dict(b=space))
    observations = {
        "a": {"b": [value] * ROWS if isinstance(value, str) else np.stack([value] * ROWS)}
    }
    dataset = stored(data_format, [some_episode(None, observations)], nested, jpeg_encoding=jpeg)
    read: Any = dataset[0].observations
    assert all(np.array_equal(row, value) for row in read["a"]["b"])


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_is_added_and_converted_is_read_however_well_it_packs(data_format: str) -> None:
    dataset = stored(data_format, [some_episode(["p"] * ROWS)])
    dataset.update_dataset_from_buffer([some_episode(["p" * LENGTH] * ROWS)])
    dataset.update_dataset_from_buffer([some_episode(["p"] * ROWS)])
    dataset.storage.update_metadata({"description": "prompts"})
    columnar = convert_dataset(dataset, "columnar-v0", data_format="columnar")
    again = convert_dataset(columnar, "again-v0", data_format=data_format)
    for each in (load_dataset("packed-v0"), again):
        assert [episode.infos["prompt"][0] for episode in each] == ["p", "p" * LENGTH, "p"]


@pytest.mark.parametrize("data_format", FORMATS)
def test_an_episode_is_read_as_often_as_it_is_asked_for(data_format: str) -> None:
    dataset = stored(data_format, [some_episode(["p" * LENGTH] * ROWS)] * 2)
    indices = [0, 1] * 32 + [1] * 64
    read = dataset.storage.read_episodes(indices)
    assert [episode.id for episode in read] == indices


@pytest.mark.parametrize("values", ["bytes", "variable arrays"])
def test_a_sidecar_that_another_program_has_packed_is_read(tmp_path: Path, values: str) -> None:
    dataset = stored("arrow", [some_episode(VALUES[values]())])
    pack_sidecar(tmp_path)
    assert len(dataset[0].infos["prompt"]) == ROWS


@pytest.mark.parametrize("noted", [None, -1, "10", True, 1.5, 10])
def test_without_a_note_of_its_size_an_episode_takes_what_its_file_allows(
    tmp_path: Path, noted: object
) -> None:
    # Of texts that another program has packed in the sidecar.
    stored("arrow", [some_episode([b"p" * (4 * LENGTH)] * ROWS)])
    pack_sidecar(tmp_path)
    note_nbytes(tmp_path, noted)
    with pytest.raises(DatasetDamagedError, match=r"episode 0 .*arrays claim"):
        load_dataset("packed-v0")[0]
    # No accident changes the note unseen.
    assert not verify_dataset("packed-v0").ok


@pytest.mark.parametrize("count", [1, 2])
def test_texts_that_repeat_are_read_without_a_note_of_their_size(
    tmp_path: Path, count: int
) -> None:
    # Earlier releases noted none. All texts together are 6 MB, which nobody holds more than once.
    texts = [letter * (1 << 16) for letter in "pq"[:count]]
    chosen = [texts[row % count] for row in range(ROWS)]
    stored("parquet", [some_episode([{"a": text} for text in chosen])])
    note_nbytes(tmp_path, None)
    read = load_dataset("packed-v0")[0].infos["prompt"]["a"]
    assert read == chosen
    assert len(set(map(id, read))) == count


def note_nbytes(tmp_path: Path, noted: object) -> None:
    """Replace the note of how large the largest episode is."""
    path = tmp_path / "packed-v0" / "data" / "metadata.json"
    content = json.loads(path.read_text())
    content["minari_core"]["largest_episode_nbytes"] = noted
    path.write_text(json.dumps(content))


def pack_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "packed-v0" / "data" / "0" / "_minari_core.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
