"""What is decoded without the HDF5 library is what the library reads, or is left to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from minari_core import EpisodeBuffer, MinariError, create_dataset_from_buffers, load_dataset
from minari_core.datasets.dataset import get_raw_storage
from minari_core.formats.public.hdf5.mapped_file import Hdf5Map
from minari_core.formats.public.hdf5.parts import UnusualFileError
from minari_core.testing.expectations import expect_same_episode, find_arrays

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

DTYPES = ("?", "i1", "<u2", ">i4", "<i8", "<f2", "<f4", "<f8", ">f8")


def some_tree(generator: np.random.Generator, most: int) -> dict[str, Any]:
    """Arrays of one to three dimensions by name, and dicts of them."""
    tree: dict[str, Any] = {}
    for number in range(int(generator.integers(most + 1))):
        if most > 4 and generator.random() < 0.3:
            tree[f"é{number}"] = some_tree(generator, 4)
        else:
            shape = generator.integers(1, 6, size=generator.integers(1, 4))
            dtype = DTYPES[generator.integers(len(DTYPES))]
            tree[f"{generator.integers(1000)} {number}"] = (
                generator.normal(size=shape) * 100
            ).astype(dtype)
    return tree


def write(group: Any, tree: Any, chunks: str) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            write(group.create_group(name), value, chunks)
        elif chunks == "one":
            group.create_dataset(name, data=value, chunks=value.shape)
        elif chunks == "many":
            group.create_dataset(name, data=value, chunks=tuple(-(-n // 2) for n in value.shape))
        elif chunks == "scattered":
            half = tuple(-(-n // 2) for n in value.shape)
            # Without a cache, each chunk lies behind the one that was written before.
            stored = group.create_dataset(
                name, value.shape, value.dtype, chunks=half, rdcc_nbytes=0
            )
            for row in reversed(range(len(value))):
                stored[row] = value[row]
        elif chunks == "tiny":
            group.create_dataset(
                name, data=value, chunks=(1,) * value.ndim, maxshape=(None,) * value.ndim
            )
        else:
            group.create_dataset(name, data=value)


def mapped(path: Path) -> tuple[Any, Any]:
    with h5py.File(path) as file:
        plain = Hdf5Map(mmap(file.id.get_vfd_handle(), 0, access=ACCESS_READ))
        try:
            return plain.read(file.id.links.get_info(b"episode_0").u)
        finally:
            plain.close()


def expect_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, h5py.Group):
        assert list(found) == sorted(wanted)
        for name in wanted:
            expect_same(found[name], wanted[name])
    else:
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert found.tobytes() == wanted[()].tobytes()
        assert found.flags.writeable


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("chunks", ["none", "one", "many", "scattered", "tiny"])
@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_plain_trees_are_read_as_the_library_reads_them(
    tmp_path: Path, chunks: str, track_order: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    tree = some_tree(generator, 9)
    attributes = {f"a{number}": generator.normal() for number in range(seed * 2)}
    path = tmp_path / "main.hdf5"
    with h5py.File(path, "w", track_order=True) as file:
        group = file.create_group("episode_0", track_order=track_order)
        write(group, tree, chunks)
        group.attrs.update(attributes)
    try:
        found, said = mapped(path)
    except UnusualFileError:
        # Links and attributes of a group that is not small lie elsewhere.
        assert track_order
        assert len(tree) > 8
        return
    with h5py.File(path) as file:
        expect_same(found, file["episode_0"])
        if said is None:
            assert len(attributes) > 8
        else:
            assert said == dict(file["episode_0"].attrs)


UNUSUAL: dict[str, Callable[[Any, Any], None]] = {
    "compressed": lambda group, data: group.create_dataset("x", data=data, compression="gzip"),
    "shuffled": lambda group, data: group.create_dataset("x", data=data, chunks=(4,), shuffle=True),
    "with checksums": lambda group, data: group.create_dataset(
        "x", data=data, chunks=(4,), fletcher32=True
    ),
    "of text": lambda group, _: group.create_dataset("x", data=["a", "b"]),
    "not written": lambda group, _: group.create_dataset("x", (40,), "f8", chunks=(4,)),
    "half written": lambda group, data: group.create_dataset(
        "x", (40,), "f8", chunks=(4,)
    ).__setitem__(slice(0, 12), data[:12]),
    "elsewhere": lambda group, _: group.create_dataset(
        "x", (40,), "f8", external=[("secret.bin", 0, 320)]
    ),
    "a soft link": lambda group, _: group.__setitem__("x", h5py.SoftLink("/episode_0/y")),
    "a link out": lambda group, _: group.__setitem__("x", h5py.ExternalLink("secret.hdf5", "/x")),
    "a link upwards": lambda group, _: group.__setitem__("x", group),
}


@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("track_order", [False, True])
def test_what_is_not_plain_is_left_to_the_library(
    tmp_path: Path, kind: str, track_order: bool
) -> None:
    with h5py.File(tmp_path / "main.hdf5", "w") as file:
        group = file.create_group("episode_0", track_order=track_order)
        UNUSUAL[kind](group, np.arange(40.0))
    with pytest.raises(UnusualFileError):
        mapped(tmp_path / "main.hdf5")


def test_views_of_the_file_are_read_only_and_stay_what_they_were(datasets_root: Path) -> None:
    stored_dataset(datasets_root)
    dataset = load_dataset("plain-v0")
    views = list(get_raw_storage(dataset).read_for_copying(range(len(dataset))))
    copies = list(dataset)
    dataset.update_dataset_from_buffer([copies[0]])
    for copy, view in zip(copies, views, strict=True):
        for one, other in zip(find_arrays(copy), find_arrays(view), strict=True):
            assert one.flags.writeable
            assert other.flags.writeable == (os.name != "posix")
        expect_same_episode(view, copy)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_an_episode_is_the_same_whoever_reads_it(
    datasets_root: Path, libver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored_dataset(datasets_root) / "main_data.hdf5"
    with h5py.File(path) as old, h5py.File(path.with_suffix(".new"), "w", libver=libver) as new:
        for name in old:
            old.copy(name, new)
    path.with_suffix(".new").replace(path)
    found = list(load_dataset("plain-v0"))
    monkeypatch.setattr(Hdf5Map, "read", lambda *_, **__: (_ for _ in ()).throw(UnusualFileError()))
    for one, other in zip(found, load_dataset("plain-v0"), strict=True):
        for name in ("actions", "rewards", "terminations", "truncations"):
            assert getattr(one, name).dtype == getattr(other, name).dtype
            assert np.array_equal(getattr(one, name), getattr(other, name))
        for key, value in one.observations.items():
            assert np.array_equal(value, other.observations[key])
        assert list(one.infos) == list(other.infos)
        assert np.array_equal(one.infos["late"], other.infos["late"])
        assert (one.seed, one.options, one.metadata) == (other.seed, other.options, other.metadata)


def _edit_chunks(content: bytearray, edit: Callable[[bytearray, int], None]) -> None:
    """Edit the index of chunks, given where its entries begin."""
    node = content.index(b"TREE\x01\x00")
    assert int.from_bytes(content[node + 6 : node + 8], "little") == 4
    edit(content, node + 24)


def _more_chunks_than_rows_need(content: bytearray, _: int) -> None:
    rows = content.index((8).to_bytes(8, "little") * 2)
    content[rows] = 6


def _one_chunk_twice(content: bytearray, entries: int) -> None:
    # An entry is the size, the filters, the corner in rows and in bytes, and the address.
    content[entries + 32 : entries + 64] = content[entries : entries + 32]


def _a_chunk_between_two_places(content: bytearray, entries: int) -> None:
    content[entries + 32 + 8] = 3


@pytest.mark.parametrize(
    "edit", [_more_chunks_than_rows_need, _one_chunk_twice, _a_chunk_between_two_places]
)
def test_an_index_with_a_chunk_too_many_is_left_to_the_library(
    tmp_path: Path, edit: Callable[[bytearray, int], None]
) -> None:
    path = tmp_path / "chunks.hdf5"
    with h5py.File(path, "w") as file:
        values = np.arange(8.0)
        file.create_group("episode_0").create_dataset("x", data=values, chunks=(2,), maxshape=(8,))
    assert mapped(path)[0]["x"].tolist() == list(range(8))
    content = bytearray(path.read_bytes())
    _edit_chunks(content, edit)
    path.write_bytes(content)
    with pytest.raises(UnusualFileError, match="a chunk"):
        mapped(path)


def test_damage_is_an_error_and_never_a_crash(datasets_root: Path) -> None:
    path = stored_dataset(datasets_root) / "main_data.hdf5"
    sound = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(sound)
        for place in generator.integers(len(sound), size=3):
            content[place] = generator.integers(256)
        path.write_bytes(content)
        try:
            for episode in load_dataset("plain-v0"):
                assert len(episode) == len(episode.rewards)
        except MinariError:
            continue


def stored_dataset(root: Path) -> Path:
    space = spaces.Dict(a=spaces.Box(-1, 1, (3,)), b=spaces.Discrete(4))
    space.seed(0)
    buffers = [
        EpisodeBuffer(
            observations=[space.sample() for _ in range(steps + 1)],
            actions=np.zeros((steps, 2), np.float32),
            rewards=np.arange(steps, dtype=float),
            terminations=np.arange(steps) == steps - 1,
            truncations=np.zeros(steps, bool),
            infos={"late": np.arange(steps + 1), "inner": {"x": np.ones((steps + 1, 2))}},
            seed=steps,
            options={"low": 0.5},
            metadata={"rewards_sum": 1.0},
        )
        for steps in (2, 3, 4)
    ]
    create_dataset_from_buffers(
        "plain-v0",
        buffers,
        observation_space=space,
        action_space=spaces.Box(-1, 1, (2,)),
        data_format="hdf5",
    )
    return root / "plain-v0" / "data"
