"""What other programs do to one file, through the libraries of its kind; or a disk to its bytes."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np


def change_bytes(content: bytearray, chosen: random.Random) -> str:
    """Change something in bytes; gives what, in words."""
    size = len(content)
    if not size:
        content += b"\0"
        return "a byte where none was"
    # Heads and tails say how to read the rest.
    end = min(size, 600)
    place = chosen.choice(
        [chosen.randrange(size), chosen.randrange(end), size - 1 - chosen.randrange(end)]
    )
    length = min(chosen.choice([1, 2, 4, 8, 64, 512, 4096]), size - place)
    kind = chosen.randrange(10)
    if kind < 3:
        bit = chosen.randrange(8)
        content[place] ^= 1 << bit
        return f"bit {bit} of byte {place}"
    if kind == 3:
        content[place] = chosen.randrange(256)
        return f"byte {place} is {content[place]}"
    if kind == 4:
        fill = chosen.choice([0, 0xFF, None])
        some = chosen.randbytes(length) if fill is None else bytes([fill]) * length
        content[place : place + length] = some
        return f"bytes {place} to {place + length} are {'random' if fill is None else fill}"
    if kind == 5:
        del content[place:]
        return f"cut at {place}"
    if kind == 6:
        del content[place : place + length]
        return f"without bytes {place} to {place + length}"
    if kind == 7:
        content[place:place] = content[place : place + length]
        return f"bytes {place} to {place + length} twice"
    if kind == 8:
        number = chosen.choice([0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1])
        width = chosen.choice([4, 8])
        place = place // width * width
        content[place : place + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
        return f"the number {number} in {width} bytes at {place}"
    other = chosen.randrange(size)
    one, two = content[place : place + length], content[other : other + length]
    content[place : place + len(two)], content[other : other + len(one)] = two, one
    return f"{length} bytes at {place} and {other} exchanged"


def edit_hdf5(path: Path, chosen: random.Random) -> str:
    """Change an item of an HDF5 file, or an attribute of an episode."""
    import h5py

    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        return _change_hdf5(file, chosen.choice(sorted(names)), chosen) if names else "no names"


def _change_hdf5(file: Any, name: str, chosen: random.Random) -> str:
    import h5py

    item = file[name]
    kind = chosen.randrange(9)
    if kind == 0:
        del file[name]
        return f"{name} is gone"
    if kind == 1:
        file.move(name, f"{name}x")
        return f"{name} is renamed"
    if kind == 2 or (isinstance(item, h5py.Group) and kind > 4):
        episode = file[name.split("/")[0]]
        key = chosen.choice([*sorted(episode.attrs), "seed", "total_steps", "options"])
        odd = [np.inf, np.nan, -1, 2**62, 10**9, "x", b"\xff", "9" * 5000]
        value = chosen.choice([*odd, np.zeros(3), np.array([], "f8")])
        episode.attrs[key] = value
        return f"attribute {key} of {episode.name} is {value!r}"[:100]
    if kind == 3:
        del file[name]
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
        return f"{name} leads to another file"
    if kind == 4:
        del file[name]
        file[name] = h5py.SoftLink("/")
        return f"{name} leads to the root"
    before = None
    # What this project has packed, the library unpacks only where it has a plugin for that.
    with suppress(OSError):
        before = item[()] if item.dtype.kind in "biuf" else None
    length = item.shape[0] if item.shape else 1
    rest = item.shape[1:]
    del file[name]
    if kind == 5:
        # Rows that take no space: nothing was ever written to them.
        many = chosen.choice([10**6, 10**8, 10**11])
        file.create_dataset(name, (many, *rest), "f8", chunks=(1024, *rest), fillvalue=1)
        return f"{name} has {many} rows"
    if kind == 6:
        some = np.zeros((max(1, 2**25 // max(1, int(np.prod(rest)))), *rest), "u1")
        file.create_dataset(name, data=some, compression="gzip")
        return f"{name} is {some.nbytes} bytes of zeros, packed"
    if kind == 7 or before is None:
        dtype = chosen.choice(["f2", "i1", "c16", "S4", h5py.string_dtype(), "i8,f4", "V7"])
        file.create_dataset(name, (length, *rest), dtype)
        return f"{name} is empty values of {dtype}"
    file[name] = np.concatenate([before, before[:1]]) if item.shape else before
    return f"{name} has a row more"


def edit_table(path: Path, chosen: random.Random) -> str:
    """Change a column of an Arrow or Parquet file, or its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    is_parquet = path.suffix == ".parquet"
    content = pa.py_buffer(path.read_bytes())
    table = (
        pq.read_table(pa.BufferReader(content))
        if is_parquet
        else pa.ipc.open_file(content).read_all()
    )
    index = chosen.randrange(table.num_columns)
    name, rows = table.column_names[index], table.num_rows
    numbers = list(range(rows))
    columns: dict[str, Callable[[], Any]] = {
        "texts": lambda: pa.array([str(row) for row in numbers]),
        "nulls": lambda: pa.nulls(rows, table.column(index).type),
        "intervals": lambda: pa.array(
            [(row, 1, 1) for row in numbers], pa.month_day_nano_interval()
        ),
        "decimals": lambda: pa.array(numbers, pa.decimal128(38)),
        "halves": lambda: pa.array(np.ones(rows, np.float16)),
        "binary": lambda: pa.array([b"\xff\x00"] * rows),
        "lists of many lengths": lambda: pa.array([numbers[: row % 3] for row in numbers]),
        "unions": lambda: pa.UnionArray.from_sparse(
            pa.array([0] * rows, pa.int8()), [pa.array(numbers)]
        ),
        "dictionaries": lambda: pa.array(["a"] * rows).dictionary_encode(),
        "other numbers": lambda: pa.array(np.arange(rows) + 0.5),
    }
    many = 3_000_000 if is_parquet else 20_000
    tables: dict[str, Callable[[], Any]] = {
        "gone": lambda: table.remove_column(index),
        "renamed": lambda: table.rename_columns(
            [f"{each}x" if each == name else each for each in table.column_names]
        ),
        "a row less": lambda: table.slice(0, rows - 1),
        "rows in another order": lambda: table.take(pa.array(numbers[::-1])),
        "no rows": lambda: table.slice(0, 0),
        f"{many} rows": lambda: table.take(pa.array(np.zeros(many, np.int64))),
        "other words about it": lambda: table.replace_schema_metadata(
            {b"ARROW:schema": b"x", b"pandas": b"{"}
        ),
    }
    text = chosen.choice([*columns, *tables])
    try:
        if text in columns:
            changed = table.set_column(index, name, columns[text]())
        else:
            changed = tables[text]()
        if is_parquet:
            pq.write_table(changed, path)
        else:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, changed.schema) as to:
                to.write_table(changed)
    except (pa.ArrowException, OSError) as error:
        # Not every format holds every kind; what was written of it stays there.
        text += f" (which ended with {type(error).__name__})"
    return f"{name}: {text}"


def edit_archive(path: Path, chosen: random.Random) -> str:
    """Change a member of a file of numpy's arrays; the archive itself is sound."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = chosen.choice(sorted(members))
    kind = chosen.randrange(6)
    if kind == 0:
        del members[name]
        text = "gone"
    elif kind == 1:
        members[f"x{name}"] = members.pop(name)
        text = "renamed"
    elif kind == 2:
        many = chosen.choice([2**26, 2**30, 2**34])
        members[name] = _array_head("<f8", many)
        text = f"says that it has {many} numbers"
    elif kind == 3:
        members[name] = _array_head("|O", 1) + b"cos\nsystem\n"
        text = "pickled objects"
    elif kind == 4:
        members[name] = _array_head("<f8", 2**25) + bytes(2**28)
        text = "256 MiB of zeros, packed"
    else:
        content = bytearray(members[name])
        text = change_bytes(content, chosen)
        members[name] = bytes(content)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for each, member in members.items():
            file.writestr(each, member)
    return f"{name}: {text}"


def _array_head(dtype: str, rows: int) -> bytes:
    """What an array in numpy's format begins with."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({rows},), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
