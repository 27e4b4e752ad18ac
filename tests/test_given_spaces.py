"""Spaces that are given to `load_dataset` for types that nothing here reads."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Space

import minari
from minari.serialization import deserialize_space, serialize_space
from minari_core import (
    MinariDataset,
    combine_datasets,
    convert_dataset,
    create_dataset_from_buffers,
    load_dataset,
)
from minari_core.environments import own_spaces
from minari_core.errors import IncompatibleDatasetsError, SpaceError, UnknownSpaceError
from minari_core.messages import MinariWarning
from minari_core.testing import simple_episode

FORMATS = ("columnar", "hdf5", "arrow", "parquet")
MOVE = spaces.Discrete(3)
BOX = spaces.Box(-9, 9, (2,), np.float64)
ROWS: dict[str, Any] = {
    "observations": np.zeros((4, 2)),
    "actions": np.zeros(3, np.int64),
    "rewards": np.zeros(3),
    "terminations": np.arange(3) == 2,
    "truncations": np.zeros(3, np.bool_),
}


class Simplex(Space[Any]):
    """A space whose reader is gone when a dataset of it is loaded."""

    def __init__(self, n: int = 3) -> None:
        super().__init__((2,), np.float64)
        self.n = n

    def contains(self, x: Any) -> bool:
        return True

    def sample(self, *_: Any, **__: Any) -> Any:
        return np.zeros(2)


@contextmanager
def registered() -> Iterator[None]:
    @serialize_space.register(Simplex)
    def write(space: Simplex, to_string: bool = True) -> Any:
        fields = {"type": "Simplex", "n": space.n}
        return json.dumps(fields) if to_string else fields

    @deserialize_space.register("Simplex")
    def read(fields: dict[str, Any]) -> Simplex:
        return Simplex(fields["n"])

    try:
        yield
    finally:
        own_spaces.register_space_writer(Simplex, own_spaces.write_own_space.dispatch(object))
        own_spaces._readers.clear()


def create(
    name: str, data_format: str = "columnar", space: Space[Any] | None = None, rows: Any = None
) -> str:
    with registered(), warnings.catch_warnings():
        warnings.simplefilter("ignore", MinariWarning)
        create_dataset_from_buffers(
            name,
            [simple_episode(number, 3) for number in range(2)] if rows is None else [rows],
            observation_space=space or Simplex(),
            action_space=MOVE,
            data_format=data_format,
        )
    return name


def describe(dataset: MinariDataset) -> Any:
    """Read the space that the metadata of a dataset on the disk says."""
    content = json.loads((Path(str(dataset.storage.data_path)) / "metadata.json").read_bytes())
    return json.loads(content["observation_space"])


def test_a_given_space_is_that_of_one_dataset_alone() -> None:
    first = load_dataset(create("given/a-v0"), observation_space=BOX)
    create("given/b-v0")
    with pytest.raises(UnknownSpaceError, match="unknown type 'Simplex'"):
        _ = load_dataset("given/b-v0").observation_space
    with pytest.raises(UnknownSpaceError, match="unknown type 'Simplex'"):
        _ = load_dataset("given/a-v0").observation_space
    wider = spaces.Box(-10, 10, (2,), np.float64)
    assert load_dataset("given/a-v0", observation_space=wider).observation_space is wider
    assert first.observation_space is BOX


@pytest.mark.parametrize(
    ("source_format", "data_format"),
    [("columnar", "columnar"), *zip(FORMATS, (*FORMATS[1:], "columnar"), strict=True)],
)
def test_a_copy_keeps_the_description_that_a_given_space_stands_for(
    source_format: str, data_format: str
) -> None:
    dataset = load_dataset(create("given/a-v0", source_format), observation_space=BOX)
    copy = convert_dataset(dataset, "given/c-v0", data_format=data_format)
    assert describe(copy) == {"type": "Simplex", "n": 3}
    assert copy.observation_space is BOX
    assert np.array_equal(copy[1].observations, dataset[1].observations)
    with registered():
        assert isinstance(load_dataset("given/c-v0").observation_space, Simplex)


@pytest.mark.parametrize("data_format", FORMATS)
def test_combined_datasets_keep_the_description_that_a_given_space_stands_for(
    data_format: str,
) -> None:
    pair = [
        load_dataset(create(f"given/{name}-v0", data_format), observation_space=BOX)
        for name in "ab"
    ]
    combined = combine_datasets(pair, "given/c-v0", data_format=data_format)
    assert describe(combined) == {"type": "Simplex", "n": 3}
    assert combined.observation_space is BOX
    assert combined.total_episodes == 4


def test_unknown_spaces_differ_though_the_same_space_is_given_for_both() -> None:
    create("given/b-v0", space=Simplex(4))
    pair = [
        load_dataset(name, observation_space=BOX) for name in (create("given/a-v0"), "given/b-v0")
    ]
    with pytest.raises(IncompatibleDatasetsError, match=r'"n": ?3.*"n": ?4'):
        combine_datasets(pair, "given/c-v0")
    with pytest.raises(IncompatibleDatasetsError, match=r'"n": ?4.*does not fit.*"n": ?3'):
        pair[0].storage.update_from_storage(pair[1].storage)
    plain = load_dataset(create("given/box-v0", space=BOX))
    with pytest.raises(IncompatibleDatasetsError, match="Simplex"):
        combine_datasets([pair[0], plain], "given/c-v0")


@pytest.mark.parametrize("data_format", FORMATS)
def test_what_is_added_to_a_dataset_leaves_the_description_that_a_given_space_stands_for(
    data_format: str,
) -> None:
    inner = spaces.Dict(place=Simplex(), box=spaces.Box(0, np.inf, (2,), np.float64))
    rows = {**ROWS, "observations": {"place": np.zeros((4, 2)), "box": np.ones((4, 2))}}
    create("given/nested-v0", data_format, inner, rows)
    given = spaces.Dict(place=BOX, box=BOX)
    dataset = load_dataset("given/nested-v0", observation_space=given)
    metadata = Path(str(dataset.storage.data_path)) / "metadata.json"
    before = json.loads(metadata.read_bytes())
    dataset.update_dataset_from_buffer([rows])
    dataset.storage.update_metadata({"description": "more"})
    after = json.loads(metadata.read_bytes())
    assert after["total_episodes"] == 2
    assert after["observation_space"] == before["observation_space"]
    assert after.get("minari_core", {}).get("exact") == before.get("minari_core", {}).get("exact")
    with registered():
        assert load_dataset("given/nested-v0").observation_space["box"] == inner["box"]  # type: ignore[index]  # a Dict


@pytest.mark.parametrize("data_format", ["columnar", "hdf5"])
def test_a_given_space_travels_with_the_pickle_of_its_dataset(
    data_format: str, tmp_path: Path
) -> None:
    dataset = load_dataset(create("given/a-v0", data_format), observation_space=BOX)
    pickled = tmp_path / "dataset.pickle"
    pickled.write_bytes(pickle.dumps(dataset))
    program = (
        "import pickle, sys\n"
        "dataset = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(dataset.observation_space, dataset[1].observations.shape)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(pickled)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == f"{BOX} (4, 2)"


def test_a_given_space_is_compared_with_the_exact_one_that_was_written() -> None:
    whole = spaces.Box(-np.inf, np.inf, (2,), np.int64)
    rows = {**ROWS, "observations": np.zeros((4, 2), np.int64)}
    create("given/exact-v0", "hdf5", whole, rows)
    # The public Minari's text cannot say that there is no bound.
    assert load_dataset("given/exact-v0", observation_space=whole).observation_space == whole
    with pytest.raises(SpaceError, match="leave observation_space out"):
        load_dataset("given/exact-v0", observation_space=BOX)


def test_a_stream_takes_given_spaces_as_a_local_dataset_does() -> None:
    local = load_dataset(create("given/a-v0"), observation_space=BOX)
    url = Path(str(local.storage.data_path)).parent.as_uri()
    with pytest.raises(UnknownSpaceError, match="unknown type 'Simplex'"):
        _ = minari.load_dataset(url, stream=True).observation_space
    stream = minari.load_dataset(url, stream=True, observation_space=BOX, action_space=MOVE)
    for dataset in (stream, pickle.loads(pickle.dumps(stream))):
        assert dataset.observation_space == BOX
        assert dataset.action_space == MOVE
        assert np.array_equal(dataset[1].observations, local[1].observations)
    with pytest.raises(SpaceError, match="leave action_space out"):
        minari.load_dataset(url, stream=True, action_space=BOX)
