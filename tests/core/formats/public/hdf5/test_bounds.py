"""How much of a file is read before its claims are checked: exactly as much as it may hold."""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5f, h5p, h5s, h5t
from hypothesis import given, settings
from hypothesis import strategies as st

from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.hdf5.claims import (
    BoundedReader,
    _list_chunks,
    bound_episode,
    check_chunks,
    check_heap,
    map_file,
    read_row_lengths,
    survey_heaps,
)
from minari_core.formats.public.hdf5.writable_file import _Disk
from minari_core.formats.public.limits import (
    FREE_NBYTES,
    MOST_PACKED,
    Budget,
    check_limit,
    limit_chunk_nbytes,
    limit_nbytes,
    limit_unsaid_nbytes,
)

MIB = 1 << 20


def heap(items: list[tuple[int, int]], *, size: int | None = None) -> bytes:
    """A heap of HDF5: of each part its index, 0 if it is free, and its size."""
    parts = b""
    for index, nbytes in items:
        head = index.to_bytes(2, "little") + bytes(6) + nbytes.to_bytes(8, "little")
        parts += head + bytes(-(-nbytes // 8) * 8 if index else max(nbytes - 16, 0))
    whole = 16 + len(parts) if size is None else size
    return b"GCOL\x01\0\0\0" + whole.to_bytes(8, "little") + parts


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), max_size=5),
    st.integers(0, 40),
    st.sampled_from(["end", "free", "nothing"]),
)
def test_a_heap_is_walked_through_until_it_ends_or_would_not(
    items: list[tuple[int, int]], before: int, last: str
) -> None:
    content: Any = bytes(before)
    if last == "nothing":
        content += heap([*items, (0, 0), (1, 5)])
        with pytest.raises(DatasetDamagedError, match=f"heap at byte {before} has a free part"):
            check_heap(content, before)
        with pytest.raises(DatasetDamagedError):
            survey_heaps(content)
        # What lies behind the end of the heap is none of its parts.
        short = content[:before] + heap([*items, (0, 0)], size=len(heap(items)))
        check_heap(short, before)
        check_heap(content[: before + len(heap(items)) + 15], before)
        return
    content += heap([*items, (0, 24)] if last == "free" else items)
    check_heap(content, before)
    assert survey_heaps(content) == len(content) - before
    assert survey_heaps(content[:-1]) == 0
    check_heap(content[1:], before)


def test_the_largest_heap_is_found_wherever_it_lies() -> None:
    small, large = heap([(1, 8)]), heap([(1, 80)])
    for content in (small + large, large + small, b"xx" + small + b"GCOL\x02" + large + bytes(9)):
        assert survey_heaps(content) == len(large)  # type: ignore[arg-type]
    assert survey_heaps(b"GCOL\x00") == 0  # type: ignore[arg-type]


def test_limits_are_those_that_sizes_of_files_allow() -> None:
    assert limit_nbytes(0, 0) == FREE_NBYTES == 64 * MIB
    assert limit_nbytes(100, 0) == FREE_NBYTES + 200
    assert limit_nbytes(10**15, 7) == (512 * MIB + 700) + FREE_NBYTES
    # As well packed as it gets, up to 256 MiB; beyond that, as well as is usual.
    assert limit_nbytes(0, MIB // 8) == MOST_PACKED * MIB // 8
    assert limit_nbytes(0, 5 * MIB) == 256 * MIB
    assert limit_nbytes(0, 20 * MIB) == 400 * MIB
    assert limit_unsaid_nbytes(0) == FREE_NBYTES
    assert limit_unsaid_nbytes(1000) == FREE_NBYTES + 1_100_000
    assert limit_unsaid_nbytes(MIB) == FREE_NBYTES + 256 * MIB + 100 * MIB
    assert limit_chunk_nbytes(5) == FREE_NBYTES
    assert limit_chunk_nbytes(65 * MIB) == 65 * MIB


def test_a_budget_is_spent_to_its_last_byte_and_no_further() -> None:
    check_limit(5, 5)
    budget = Budget(10)
    budget.take(4)
    budget.add(Budget(1))
    assert budget.left == 7
    with pytest.raises(DatasetDamagedError, match="its arrays claim 8 bytes, more than the 7"):
        budget.take(8)
    budget.take(7)
    assert budget.left == 0
    budget.take(0)


def create(path: Path, *, shape: Any, chunk: Any, filters: str, dtype: str = "<f8") -> None:
    with h5py.File(path, "w") as file:
        options = h5p.create(h5p.DATASET_CREATE)
        options.set_chunk(chunk)
        for name in filters.split():
            if name == "gzip":
                options.set_deflate(1)
            elif name == "sum":
                options.set_fletcher32()
            elif name == "shuffle":
                options.set_shuffle()
            else:
                options.set_filter(h5py.h5z.FILTER_LZF, 0, ())
        space = h5s.create_simple(shape, (h5s.UNLIMITED,) * len(shape))
        h5d.create(file.id, b"x", h5t.py_create(np.dtype(dtype)), space, options)


MOST = 65536 + 65536 // 64 + 1024


@pytest.mark.parametrize("filters", ["gzip", "shuffle gzip", "gzip sum", "gzip gzip", "gzip lzf"])
def test_a_chunk_unpacks_to_its_shape_and_little_more(tmp_path: Path, filters: str) -> None:
    path = tmp_path / "one.hdf5"
    create(path, shape=(8192,), chunk=(8192,), filters=filters)

    def check(content: bytes, mask: int = 0) -> None:
        with h5py.File(path, "a") as file:
            file["x"].id.write_direct_chunk((0,), content, mask)
        with h5py.File(path) as file:
            check_chunks(file["x"].id, file["x"].id.get_create_plist())

    def pack(nbytes: int) -> bytes:
        content = zlib.compress(bytes(nbytes))
        if filters == "gzip gzip":
            content = zlib.compress(content)
        return content + b"sum!" * (filters == "gzip sum")

    check(pack(65536))
    check(pack(MOST))
    if filters == "gzip lzf":
        # What is packed in another way besides is not looked into.
        check(pack(MOST + 1))
        return
    with pytest.raises(DatasetDamagedError, match=f"unpacks to more than the {MOST} bytes"):
        check(pack(MOST + 1))
    with pytest.raises(DatasetDamagedError, match="a packed chunk is damaged"):
        check(b"nothing of this kind")
    # Its filters were left out when it was written.
    check(pack(MOST + 1), 0b11)


def test_a_chunk_has_the_size_of_its_array_or_what_any_file_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari_core.formats.public.limits.FREE_NBYTES", 800)
    for shape, chunk, filters, is_fine in [
        ((1,), (100,), "gzip", True),
        ((1,), (101,), "gzip", False),
        ((1,), (101,), "", True),
        ((101,), (101,), "gzip", True),
        ((4, 30), (3, 40), "gzip", True),
        ((4, 30), (3, 41), "gzip", False),
        ((1,), (101,), "lzf", False),
    ]:
        path = tmp_path / "one.hdf5"
        path.unlink(missing_ok=True)
        create(path, shape=shape, chunk=chunk, filters=filters)
        with h5py.File(path) as file:
            dataset = file["x"].id
            if is_fine:
                check_chunks(dataset, dataset.get_create_plist())
            else:
                with pytest.raises(DatasetDamagedError, match=f"chunks may have {800}|bytes; chun"):
                    check_chunks(dataset, dataset.get_create_plist())


class Older:
    """A dataset as older releases of HDF5 give it, which list no chunks."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name == "chunk_iter":
            raise AttributeError(name)
        return getattr(self._dataset, name)


def test_chunks_are_listed_by_older_releases_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        stored = file.create_dataset("x", (10, 7), "i4", chunks=(4, 3))
        stored[0:4, 0:3], stored[9, 6] = 1, 2
        options = stored.id.get_create_plist()
        newer = [(each.chunk_offset, each.byte_offset) for each in _list_chunks(stored.id, options)]
        older = [
            (each.chunk_offset, each.byte_offset)
            for each in _list_chunks(Older(stored.id), options)
        ]
    assert sorted(newer) == sorted(older)
    assert [corner for corner, _ in sorted(older)] == [(0, 0), (8, 6)]


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, True),
        ({"chunks": (2,)}, True),
        ({"chunks": (2,), "compression": "gzip"}, False),
        ({"fillvalue": "x"}, False),
    ],
)
def test_lengths_of_texts_are_known_where_they_lie_unpacked(
    tmp_path: Path, options: dict[str, Any], known: bool
) -> None:
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=["ab", "", "cde"], dtype=h5py.string_dtype(), **options)
        file.create_dataset("none", (3,), h5py.string_dtype(), **options)
    with h5py.File(path) as file:
        content = map_file(file.id)
        assert content is not None
        lengths = read_row_lengths(file["x"].id, content)
        assert (lengths is not None) == known
        reader = BoundedReader(len(content), lambda: content, Budget(10**6), Budget(5))
        if known:
            assert lengths is not None
            assert lengths[:3].tolist() == [2, 0, 3]
            assert lengths.sum() == 5
            # Rows that are not there have no length.
            nothing = read_row_lengths(file["none"].id, content)
            assert nothing is not None
            assert nothing.tolist() == []
            reader.check(file["x"].id)
        else:
            with pytest.raises(DatasetDamagedError, match="rows of variable length are packed"):
                BoundedReader(len(content), lambda: content, Budget(10**6), Budget(5)).check(
                    file["x"].id
                )
            return
        with pytest.raises(DatasetDamagedError):
            reader.check(file["x"].id)


def test_a_file_is_mapped_unless_it_counts_addresses_in_another_way(tmp_path: Path) -> None:
    for block, sizes, is_mapped in [(0, (8, 8), True), (512, (8, 8), False), (0, (4, 8), False)]:
        path = tmp_path / f"{block}{sizes[0]}.hdf5"
        options = h5p.create(h5p.FILE_CREATE)
        options.set_userblock(block)
        options.set_sizes(*sizes)
        h5f.create(str(path).encode(), h5f.ACC_TRUNC, options).close()
        with h5py.File(path) as file:
            assert (map_file(file.id) is not None) == is_mapped


def test_attributes_claim_no_more_than_their_file_has(tmp_path: Path) -> None:
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["number"] = 5
        file.attrs["row"] = np.arange(3)
        file.attrs["texts"] = ["abc", "d"]
        file.attrs["nothing"] = h5py.Empty("f8")
        kind = [("a", h5py.string_dtype()), ("b", "f8")]
        file.attrs.create("pairs", np.array([("x", 1.0), ("y", 2.0)], kind))
    with h5py.File(path) as file:
        content = map_file(file.id)
        assert content is not None

        def read(name: str, heap: int = 10**6, nbytes: int = len(content)) -> Any:
            reader = BoundedReader(nbytes, lambda: content, Budget(10**6), Budget(heap))
            return reader.read_attribute(h5py.h5a.open(file.id, name.encode()))

        assert read("number") == 5
        assert read("row").tolist() == [0, 1, 2]
        assert read("texts").tolist() == [b"abc", b"d"] or read("texts").tolist() == ["abc", "d"]
        assert read("nothing") is None
        with pytest.raises(DatasetDamagedError, match="values of variable length are of type"):
            read("pairs")
        # All that lies in the largest heap could be in each.
        largest = survey_heaps(content)
        free = "minari_core.formats.public.hdf5.claims.FREE_NBYTES"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(free, 0)
            assert len(read("texts", heap=2 * largest)) == 2
            with pytest.raises(DatasetDamagedError, match=f"claim {2 * largest} bytes"):
                read("texts", heap=2 * largest - 1)
            patch.setattr("minari_core.formats.public.hdf5.claims._SMALL_NBYTES", 24)
            assert read("row", nbytes=0).tolist() == [0, 1, 2]
            patch.setattr("minari_core.formats.public.hdf5.claims._SMALL_NBYTES", 23)
            assert read("row", nbytes=1).tolist() == [0, 1, 2]
            with pytest.raises(DatasetDamagedError, match="claim 24 bytes, more than the 23"):
                read("row", nbytes=0)


def test_a_dataset_claims_what_is_stored_of_it_and_well_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minari_core.formats.public.hdf5.claims._SMALL_NBYTES", 800)
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        file.create_dataset("few", (100,), "f8", chunks=(100,))
        file.create_dataset("more", (101,), "f8", chunks=(101,))
        file["stored"] = np.arange(101.0)
        file["filled"] = np.zeros(101)
        reader = bound_episode(file.id)
        assert reader.read_array(file["few"].id).tolist() == [0] * 100
        with pytest.raises(DatasetDamagedError, match="claims 808 bytes; 0 are in the file"):
            reader.read_array(file["more"].id)
        assert reader.read_array(file["stored"].id).tolist() == [*range(101)]
        short = BoundedReader(807, lambda: None, Budget(10**6), Budget(0))
        with pytest.raises(DatasetDamagedError, match="claims 808 bytes; 808 are in the file"):
            short.read_array(file["stored"].id)
        exact = BoundedReader(808, lambda: None, Budget(808), Budget(0))
        exact.check(file["stored"].id)
        assert len(exact.read_array(file["stored"].id)) == 101
        with pytest.raises(DatasetDamagedError, match="claim 808 bytes, more than the 0"):
            exact.read_array(file["stored"].id)


class Full:
    """A file on a disk with room for so many more bytes, of which a write takes a few at a time."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "full")
        taken = int(self._file.write(data[: min(len(data), self._room, 3)]))
        self._room -= taken
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 30), st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("append"), st.integers(0, 0), st.binary(min_size=1, max_size=12)),
    st.tuples(st.just("read"), st.integers(0, 40), st.integers(0, 20)),
    st.tuples(st.just("grow"), st.integers(0, 9), st.just(None)),
)


@given(st.lists(OPERATIONS, max_size=12), st.integers(0, 60))
@settings(max_examples=150)
def test_what_a_disk_refuses_is_read_back_as_if_it_had_taken_it(
    operations: list[tuple[str, int, Any]], room: int
) -> None:
    twin = bytearray()
    with tempfile.TemporaryDirectory() as folder:
        disk = _Disk(Path(folder, "file"), is_new=True)
        file: Any = Full(disk._file, room)
        disk._file = file
        for kind, place, given_value in operations:
            if kind in ("write", "append"):
                start = place if kind == "write" else len(twin)
                found = disk.seek(place) if kind == "write" else disk.seek(0, os.SEEK_END)
                assert found == disk.tell() == start
                assert disk.write(memoryview(given_value)) == len(given_value)
                twin.extend(bytes(max(0, start + len(given_value) - len(twin))))
                twin[start : start + len(given_value)] = given_value
                assert disk.tell() == start + len(given_value)
            elif kind == "read":
                disk.seek(place)
                there = twin[place : place + given_value]
                assert disk.read(given_value) == there + bytes(given_value - len(there))
                assert disk.tell() == place + given_value
            else:
                assert disk.truncate(len(twin) + place) == len(twin) + place
                twin.extend(bytes(place))
        assert disk.seek(0, os.SEEK_END) == len(twin)
        written = [len(value) for kind, _, value in operations if kind in ("write", "append")]
        assert (disk.refusal is not None) == (sum(written) > room)
        disk.close()
        if disk.refusal is None:
            assert Path(folder, "file").read_bytes() == twin
