"""What a file of a public layout claims takes no more memory than there is reason to believe."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from gymnasium import spaces
from h5py import h5d, h5s, h5t

pytest.importorskip("resource", reason="measures the memory of forked processes")

from minari_core import EpisodeBuffer, create_dataset_from_buffers, load_dataset, verify_dataset
from minari_core.errors import DatasetDamagedError
from minari_core.formats.public.limits import Budget
from tests.campaigns.helpers.forked import Tell, ask, run_forked

pytestmark = pytest.mark.filterwarnings("ignore::minari_core.MinariWarning")

MOST_NBYTES = 420 << 20
STEPS = 4


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def stored(
    tmp_path: Path, data_format: str, *, steps: int = STEPS, side: int = 2, guarded: bool = False
) -> Path:
    """A dataset of two episodes of constant images, each with a sidecar; its ``data`` folder."""
    buffer = EpisodeBuffer(
        observations=np.full((steps + 1, side, side), 7, np.uint8),
        actions=np.zeros(steps, np.int64),
        rewards=np.ones(steps),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, bool),
        infos={"late": [None, *range(steps)], "text": ["a"] * (steps + 1)},
    )
    create_dataset_from_buffers(
        "claims-v0",
        [buffer, buffer],
        observation_space=spaces.Box(0, 255, (side, side), np.uint8),
        action_space=spaces.Discrete(2),
        data_format=data_format,
    )
    data = tmp_path / "claims-v0" / "data"
    if not guarded:
        # As if no checksums told what is wrong.
        manifest = json.loads((data / "metadata.json").read_text())
        for key in ("crc32", "described", "checksums"):
            del manifest["minari_core"][key]
        (data / "metadata.json").write_text(json.dumps(manifest))
    return data


def forge(data: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the metadata claim what the files do; little of that is believed here."""
    for name in ("_BELIEVED_NBYTES", "_LARGE_NBYTES"):
        monkeypatch.setattr(f"minari_core.formats.public.limits.{name}", 64 << 20)
    manifest = json.loads((data / "metadata.json").read_text())
    manifest["total_steps"] = 10**12
    manifest["minari_core"]["largest_episode_nbytes"] = 10**15
    (data / "metadata.json").write_text(json.dumps(manifest))
    attributes = json.loads((data / "1" / "metadata.json").read_text())
    (data / "1" / "metadata.json").write_text(json.dumps({**attributes, "total_steps": steps}))


def _ask(tell: Tell) -> None:
    dataset = load_dataset("claims-v0")
    try:
        dataset[1]
    except DatasetDamagedError as error:
        tell(str(error))
    else:
        tell("")
    tell(verify_dataset("claims-v0").ok)


def ask_in_little_memory() -> list[Any]:
    """The error of episode 1, and what `verify` says, of a process that is measured."""
    ending = run_forked(_ask, most_nbytes=None)
    assert ending.fate == "", ending.errors
    assert ending.nbytes < MOST_NBYTES, f"{ending.nbytes >> 20} MiB"
    return ending.told


def _never_written(group: Any) -> None:
    del group["rewards"]
    group.create_dataset("rewards", (10**8,), "f8", chunks=(1024,), fillvalue=1)


def _zeros(group: Any, name: str, chunks: int, **options: Any) -> None:
    """So many chunks of 16 MiB of zeros, packed."""
    rows = 1 << 21
    zeros = zlib.compress(bytes(8 * rows))
    dataset = group.create_dataset(
        name, (chunks * rows,), "f8", chunks=(rows,), compression="gzip", **options
    )
    for chunk in range(chunks):
        dataset.id.write_direct_chunk((chunk * rows,), zeros)


def _zeros_as_rewards(group: Any) -> None:
    del group["rewards"]
    _zeros(group, "rewards", 40)


def _zeros_as_infos(group: Any) -> None:
    _zeros(group, "infos/zeros", 40)


def _zeros_in_the_sidecar(group: Any) -> None:
    del group["minari_core/1"]
    _zeros(group, "minari_core/1", 40)


def _one_array_many_times(group: Any) -> None:
    group["infos/0"] = np.zeros(1 << 16)
    for number in range(1, 4000):
        group[f"infos/{number}"] = group["infos/0"]


def _one_text_many_times(group: Any) -> None:
    # All chunks but the first have references to the one text.
    text = group.create_dataset("infos/word", (1 << 16,), h5py.string_dtype(), chunks=(256,))
    text[:256] = ["x" * (1 << 17)] + [""] * 255
    mask, first = text.id.read_direct_chunk((0,))
    for start in range(0, 1 << 16, 256):
        text.id.write_direct_chunk((start,), first[:16] * 256, mask)


def _one_long_text_in_few_rows(group: Any) -> None:
    # So few that they could all be read at once.
    text = group.create_dataset("infos/word", (256,), h5py.string_dtype(), chunks=(16,))
    text[:16] = ["x" * (4 << 20)] + [""] * 15
    mask, first = text.id.read_direct_chunk((0,))
    for start in range(0, 256, 16):
        text.id.write_direct_chunk((start,), first[:16] * 16, mask)


def _one_packed_text_in_all_rows(group: Any) -> None:
    text = group.create_dataset(
        "infos/word", (256,), h5py.string_dtype(), chunks=(256,), compression="gzip"
    )
    text[:] = ["x" * (4 << 20)] + [""] * 255
    mask, chunk = text.id.read_direct_chunk((0,))
    row = zlib.decompress(chunk)[:16]
    text.id.write_direct_chunk((0,), zlib.compress(row * 256), mask)


def _one_text_in_a_table(group: Any) -> None:
    text = group.create_dataset("infos/words", (16, 16), h5py.string_dtype(), chunks=(16, 16))
    text[:] = np.array(["x" * (4 << 20)] + [""] * 255, object).reshape(16, 16)
    mask, chunk = text.id.read_direct_chunk((0, 0))
    text.id.write_direct_chunk((0, 0), chunk[:16] * 256, mask)


def _one_text_that_is_not_there(group: Any) -> None:
    # No row is stored; each is the text that rows have which are not stored.
    group.create_dataset(
        "infos/word", (256,), h5py.string_dtype(), chunks=(16,), fillvalue="x" * (4 << 20)
    )


def _texts_in_pairs(group: Any) -> None:
    kind = np.dtype([("one", h5py.string_dtype()), ("two", "f8")])
    pairs = group.create_dataset("infos/pairs", (256,), kind, chunks=(16,))
    pairs[0] = ("x" * (4 << 20), 0.0)
    mask, first = pairs.id.read_direct_chunk((0,))
    for start in range(0, 256, 16):
        pairs.id.write_direct_chunk((start,), first[:24] * 16, mask)


def _rows_of_rows(group: Any) -> None:
    kind = h5t.vlen_create(h5t.vlen_create(h5t.NATIVE_UINT8))
    h5d.create(group["infos"].id, b"rows", kind, h5s.create_simple((2,)))


def _one_text_in_an_attribute(group: Any) -> None:
    length, file = (4 << 20) + 0x1357, group.file
    # In a group of another program, whose header has no checksum.
    file.move("episode_1", "before")
    group = file.create_group("episode_1")
    for name, item in file["before"].items():
        group[name] = item
    group.attrs.update(file["before"].attrs)
    del file["before"]
    group.attrs["words"] = np.array(["x" * length] + [""] * 255, object)
    path = Path(file.filename)
    file.close()
    content = path.read_bytes()
    # The size of the text stands before it, too, in eight bytes; here its address follows.
    start = content.index(length.to_bytes(4, "little"))
    while content[start + 4 : start + 8] == bytes(4):
        start = content.index(length.to_bytes(4, "little"), start + 1)
    row = content[start : start + 16]
    path.write_bytes(content[:start] + row * 256 + content[start + 16 * 256 :])


def _packed(nbytes: int) -> bytes:
    packer = zlib.compressobj(1)
    pieces = [packer.compress(bytes(1 << 20)) for _ in range(nbytes >> 20)]
    return b"".join([*pieces, packer.flush()])


def _one_large_chunk(group: Any) -> None:
    rows = 1 << 26
    few = group.create_dataset(
        "infos/few", (4,), "f8", maxshape=(None,), chunks=(rows,), compression="gzip"
    )
    few.id.write_direct_chunk((0,), _packed(8 * rows))


def _a_chunk_of_more_than_its_shape(group: Any) -> None:
    # Older HDF5 has room for the size of a packed chunk by the size that its shape gives it.
    few = group.create_dataset(
        "infos/few", (4,), "f8", maxshape=(None,), chunks=(1 << 13,), compression="gzip"
    )
    few.id.write_direct_chunk((0,), _packed(512 << 20))


def _groups_with_many_paths(group: Any) -> None:
    above = group["infos"]
    for _ in range(40):
        below = above.create_group("a")
        above["b"] = below
        above = below


def _a_group_in_itself(group: Any) -> None:
    for name in "ab":
        group[f"infos/{name}"] = group


@pytest.mark.parametrize(
    "edit",
    [
        _never_written,
        _groups_with_many_paths,
        _a_group_in_itself,
        _one_large_chunk,
        _a_chunk_of_more_than_its_shape,
        _one_long_text_in_few_rows,
        _one_packed_text_in_all_rows,
        _one_text_in_a_table,
        _one_text_in_an_attribute,
        _one_text_that_is_not_there,
        _texts_in_pairs,
        _rows_of_rows,
        _zeros_as_rewards,
        _zeros_as_infos,
        _zeros_in_the_sidecar,
        pytest.param(_one_array_many_times, marks=pytest.mark.slow),
        pytest.param(_one_text_many_times, marks=pytest.mark.slow),
    ],
)
def test_hdf5_claims_no_more_than_there_is(tmp_path: Path, edit: Callable[[Any], None]) -> None:
    path = stored(tmp_path, "hdf5") / "main_data.hdf5"
    with h5py.File(path, "a") as file:
        edit(file["episode_1"])
    assert path.stat().st_size < 5 << 20
    error, is_ok = ask_in_little_memory()
    assert "episode 1" in error
    assert not is_ok


@pytest.mark.slow
@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("name", ["9.npy", "further.npy"])
def test_a_sidecar_claims_no_more_than_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, forged: bool
) -> None:
    path = stored(tmp_path, "arrow") / "1" / "_minari_core.npz"
    if forged:
        forge(path.parents[1], STEPS, monkeypatch)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (600 << 17,)}
        )
        for _ in range(600):
            file.write(bytes(1 << 20))
    error, is_ok = ask_in_little_memory()
    assert "episode 1" in error
    assert not is_ok


def _repeat(path: Path, batches: int, edit: Callable[[Any], Any]) -> None:
    """Write a table of many equal rows, which take next to no space."""
    table = edit(parquet.read_table(path, partitioning=None))
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(batches):
            writer.write_table(table)


def _equal_rows(table: Any) -> Any:
    return table.take(pa.array(np.zeros(1_000_000, np.int64)))


def _wide_rows(table: Any) -> Any:
    wide = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(5 << 20)), 1 << 20)
    return table.append_column("more", wide)


def _long_lists(table: Any) -> Any:
    lists = pa.ListArray.from_arrays([0, 1, 2, 3, 4, 30 << 20], pa.array(np.zeros(30 << 20)))
    return table.append_column("more", lists)


@pytest.mark.slow
@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize(
    ("batches", "edit"), [(20, _equal_rows), (20, _wide_rows), (1, _long_lists)]
)
def test_parquet_claims_no_more_than_there_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    batches: int,
    edit: Callable[[Any], Any],
    forged: bool,
) -> None:
    path = stored(tmp_path, "parquet") / "1" / "part-0.parquet"
    if forged:
        forge(path.parents[1], batches * 1_000_000 - 1, monkeypatch)
    # In a child: memory that was freed here would not count there.
    ask(lambda: _repeat(path, batches, edit))
    assert path.stat().st_size < 5 << 20
    error, is_ok = ask_in_little_memory()
    assert "episode 1" in error
    assert not is_ok


@pytest.mark.slow
def test_a_page_of_parquet_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    path = stored(tmp_path, "parquet") / "1" / "part-0.parquet"

    def add_page() -> None:
        table = parquet.read_table(path, partitioning=None)
        texts = pa.array(["x" * (280 << 20), *"abcd"])
        parquet.write_table(
            table.append_column("more", texts), path, compression="zstd", use_dictionary=False
        )

    ask(add_page)
    assert path.stat().st_size < 1 << 20
    error, is_ok = ask_in_little_memory()
    assert "episode 1" in error
    assert not is_ok


@pytest.mark.slow
def test_long_texts_that_repeat_in_parquet_take_little_memory(tmp_path: Path) -> None:
    path = stored(tmp_path, "parquet") / "1" / "part-0.parquet"
    table = parquet.read_table(path, partitioning=None)
    rows = 20_001
    numbers = pa.array(np.zeros(rows, np.int64))
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["x" * (1 << 19)])
    infos = pa.StructArray.from_arrays([texts], ["prompt"])
    table = table.take(numbers)
    index = table.schema.get_field_index("infos")
    parquet.write_table(table.set_column(index, "infos", infos), path)
    attributes = json.loads((path.parent / "metadata.json").read_text())
    attributes["total_steps"] = rows - 1
    (path.parent / "metadata.json").write_text(json.dumps(attributes))
    (path.parent / "_minari_core.npz").unlink()
    assert path.stat().st_size < 1 << 20
    error, _ = ask_in_little_memory()
    assert error == ""


@pytest.mark.parametrize("codec", ["zstd", "lz4", None])
def test_arrow_claims_no_more_than_there_is(tmp_path: Path, codec: str | None) -> None:
    path = stored(tmp_path, "arrow") / "1" / "part-0.arrow"
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    # One row more than there is data of, in memory that all rows share.
    zeros = pa.py_buffer(np.zeros(1 << 24))
    wide = pa.FixedSizeListArray.from_arrays(
        pa.Array.from_buffers(pa.float64(), 5 << 21, [None, zeros]), 1 << 21
    )
    names = [f"more{n}" for n in range(8)] if codec else ["more"]
    for name in names:
        table = table.append_column(name, wide)
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=options) as to,
    ):
        to.write_table(table)
    told = ask_in_little_memory()
    assert told == ["", True] if codec is None else "episode 1" in told[0]


@pytest.mark.parametrize("data_format", ["hdf5", "parquet"])
def test_images_take_no_more_than_there_is(tmp_path: Path, data_format: str) -> None:
    from minari_core.formats.public.jpeg import encode_jpegs

    path = stored(tmp_path, data_format)
    side, rows = 512, 3200
    manifest = json.loads((path / "metadata.json").read_text())
    box = {"type": "Box", "dtype": "uint8", "shape": [side, side], "low": 0, "high": 255}
    manifest["observation_space"] = json.dumps(box)
    manifest["minari_core"]["exact"] = {}
    (path / "metadata.json").write_text(json.dumps(manifest))
    (image,) = encode_jpegs(np.zeros((1, side, side), np.uint8), "images")
    if data_format == "hdf5":
        with h5py.File(path / "main_data.hdf5", "a") as file:
            group = file["episode_1"]
            for name in ("rewards", "terminations", "truncations", "actions", "observations"):
                del group[name]
                if name != "observations":
                    group[name] = np.zeros(rows - 1, np.int64 if name == "actions" else np.float64)
            frames = np.empty(rows, object)
            frames[:] = [np.frombuffer(image, np.uint8)] * rows
            group.create_dataset("observations", data=frames, dtype=h5py.vlen_dtype(np.uint8))
            group.attrs["total_steps"] = rows - 1
            del group["infos"], group["minari_core"]
            group.create_group("infos")
    else:
        table = parquet.read_table(path / "1" / "part-0.parquet", partitioning=None)
        table = table.take(pa.array(np.zeros(rows, np.int64)))
        index = table.schema.get_field_index("observations")
        table = table.set_column(index, "observations", pa.array([image] * rows))
        parquet.write_table(table, path / "1" / "part-0.parquet")
        (path / "1" / "metadata.json").write_text(json.dumps({"id": 1, "total_steps": rows - 1}))
        (path / "1" / "_minari_core.npz").unlink()
    error, is_ok = ask_in_little_memory()
    assert "claim" in error
    assert not is_ok


def test_an_image_is_not_larger_than_its_space(tmp_path: Path) -> None:
    from minari_core.formats.public.jpeg import decode_jpegs, encode_jpegs

    (small,) = encode_jpegs(np.zeros((1, 32, 32), np.uint8), "images")
    # The height and the width stand behind this marker.
    place = small.index(b"\xff\xc0") + 5
    large = small[:place] + bytes([0xFF, 0xFF, 0xFF, 0xFF]) + small[place + 4 :]
    for shape in ((32, 32), None):
        with pytest.raises(DatasetDamagedError, match="row 0"):
            decode_jpegs([large], shape, "images", Budget(1 << 20))
    # All together take no more than they may.
    assert decode_jpegs([small] * 4, (32, 32), "images", Budget(4 << 10)).shape == (4, 32, 32)
    with pytest.raises(DatasetDamagedError, match="claim"):
        decode_jpegs([small] * 5, (32, 32), "images", Budget(4 << 10))


def _pack_hdf5(data: Path) -> None:
    with h5py.File(data / "main_data.hdf5", "a") as file:
        for group in file.values():
            images = group["observations"][()]
            del group["observations"]
            packed = group.create_dataset(
                "observations", data=images, compression="gzip", chunks=(50, *images.shape[1:])
            )
            assert packed.id.get_storage_size() * 700 < images.nbytes


def _pack_sidecars(data: Path) -> None:
    for path in data.glob("*/_minari_core.npz"):
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)


@pytest.mark.parametrize(
    ("data_format", "pack"),
    [("hdf5", _pack_hdf5), ("parquet", _pack_sidecars), ("arrow", _pack_sidecars)],
)
def test_constant_images_that_pack_a_thousand_times_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data_format: str,
    pack: Callable[[Path], None],
) -> None:
    # So that small images need what their metadata says.
    for name in ("FREE_NBYTES", "_LARGE_NBYTES"):
        monkeypatch.setattr(f"minari_core.formats.public.limits.{name}", 1 << 16)
    pack(stored(tmp_path, data_format, steps=200, side=128))
    observations = load_dataset("claims-v0")[1].observations
    assert observations.shape == (201, 128, 128)
    assert (observations == 7).all()
    assert verify_dataset("claims-v0").ok
