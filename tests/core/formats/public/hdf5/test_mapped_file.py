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
    "not written in one block": lambda group, _: group.create_dataset("x", (40,), "f8"),
    "in its header": lambda group, data: write_compactly(group, data),
    "as large as the file many times": lambda group, data: link_often(group, np.zeros(4000), 9),
    "of another kind": lambda group, _: group.__setitem__("x", np.dtype("f8")),
    "without values": lambda group, _: group.create_dataset("x", data=h5py.Empty("f8")),
    "of numbers in pairs": lambda group, _: group.create_dataset("x", (2,), [("a", "f8")]),
    "of few large chunks": lambda group, _: group.create_dataset(
        "x", (4,), "f8", chunks=(2,), maxshape=(None,)
    ),
}


def write_compactly(group: Any, data: Any) -> None:
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(data.shape)
    stored = h5py.h5d.create(group.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, options)
    stored.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def link_often(group: Any, data: Any, count: int) -> None:
    group["0"] = data
    for number in range(1, count):
        group[str(number)] = group["0"]


@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("libver", [("earliest", "latest"), ("v108", "v108")])
def test_headers_of_either_version_are_read_with_their_attributes(
    tmp_path: Path, libver: Any, track_order: bool
) -> None:
    attributes: dict[str, Any] = {
        "n": np.int64(1),
        "r": np.arange(3, dtype=">i2"),
        "t": np.eye(2),
        "f": np.True_,
    }
    options = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    # Which a header notes, if it is not as usual.
    options.set_attr_phase_change(7, 5)
    if track_order:
        options.set_link_creation_order(h5py.h5p.CRT_ORDER_TRACKED)
        options.set_attr_creation_order(h5py.h5p.CRT_ORDER_TRACKED)
    path = tmp_path / "main.hdf5"
    with h5py.File(path, "w", libver=libver) as file:
        group = h5py.Group(h5py.h5g.create(file.id, b"episode_0", gcpl=options))
        group["b"] = np.arange(6.0).reshape(2, 3)
        group.create_dataset("a", data=np.arange(5), chunks=(2,), maxshape=(None,))
        group.create_group("inner")["c"] = np.int8(3)
        # So many that they go on in another block of the header.
        for name, value in attributes.items():
            group.attrs[name] = value
        group["inner"].attrs["words"] = "none of the group's"
    tree, said = mapped(path)
    with h5py.File(path) as file:
        expect_same(tree, file["episode_0"])
    assert list(said) == list(attributes) if track_order else sorted(said) == sorted(attributes)
    for name, value in attributes.items():
        assert said[name].dtype == value.dtype
        assert said[name].tolist() == value.tolist()
    with h5py.File(path, "a") as file:
        file["episode_0"].attrs["words"] = "text"
        file["episode_0"].attrs["z"] = 5
    tree, said = mapped(path)
    assert said is None
    assert list(tree) == ["a", "b", "inner"]


def test_arrays_in_one_piece_are_views_and_others_copies(tmp_path: Path) -> None:
    path = tmp_path / "main.hdf5"
    values = np.arange(24.0).reshape(6, 4)
    with h5py.File(path, "w") as file:
        group = file.create_group("episode_0")
        group["block"] = values
        group.create_dataset("one", data=values, chunks=(6, 4))
        group.create_dataset("rows", data=values, chunks=(2, 4))
        group.create_dataset("columns", data=values, chunks=(6, 2))
        group.create_dataset("odd", data=values, chunks=(4, 3))
    for copy in (True, False):
        with h5py.File(path) as file:
            plain = Hdf5Map(mmap(file.id.get_vfd_handle(), 0, access=ACCESS_READ))
            tree, _ = plain.read(file.id.links.get_info(b"episode_0").u, copy=copy)
        found: Any = tree
        assert all(np.array_equal(array, values) for array in found.values())
        writeable = {name for name, array in found.items() if array.flags.writeable}
        assert writeable == (set(found) if copy else {"columns", "odd"})
        del tree, found
        plain.close()


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
