"""Compare the HDF5 structure of a shard with its entry in the manifest.

This project reads by the manifest alone, other programs through HDF5. So both must agree, and the
shard must hold its own data: nothing in it may lead to another file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from minari_core.columns import ArraySpec, Schema, schema_from_json
from minari_core.errors import MinariError
from minari_core.files import may_not_read
from minari_core.formats.shards.compression import ZSTD_FILTER
from minari_core.formats.shards.entries_apart import is_of_entries
from minari_core.formats.shards.entry import ShardEntry


def find_structure_problems(
    source: Path | BytesIO, entry: ShardEntry, schema: Schema
) -> Iterator[tuple[str | None, str]]:
    """Find what is wrong with the HDF5 structure of a shard.

    Only objects that the schema names are opened, so a file cannot send this in circles.

    Args:
        source: A file, or its contents, whose checksum is the manifest's: the HDF5 library is not
            safe to be given damaged files.
        entry: The entry of the shard in the manifest.
        schema: The schema that the entry names.

    Yields:
        The HDF5 path of a column, or None for the whole file; and what is wrong with it.

    Raises:
        FileNotFoundError: There is no such file.
    """
    try:
        # A shard never changes, so it needs no lock; network file systems often have none.
        file = h5py.File(source, "r", locking=False)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:
        if may_not_read(error):
            raise
        yield None, f"HDF5 cannot open it: {error}"
        return
    with file:
        yield from _find_attribute_problems(file, entry, schema)
        specs = schema.arrays
        yield from _find_unexpected_objects(file, specs)
        for index, (spec, location) in enumerate(zip(specs, entry.arrays, strict=True)):
            if is_of_entries(spec) and _has_replaced_entries(file, entry):
                continue
            found = _find(file, spec.path)
            if isinstance(found, str):
                yield spec.path, found
                continue
            yield from ((spec.path, text) for text in _find_array_problems(found, spec, location))
            if spec.rows_per_chunk:
                table = _find(file, specs[index + 1].path)
                if not isinstance(table, str):
                    yield from (
                        (specs[index + 1].path, text) for text in _compare_chunks(found, table)
                    )


def _find_attribute_problems(
    file: h5py.File, entry: ShardEntry, schema: Schema
) -> Iterator[tuple[None, str]]:
    counts = [entry.rows, entry.steps, entry.episodes]
    try:
        noted = np.asarray(file.attrs["minari_counts"]).tolist()
        if _has_replaced_entries(file, entry):
            noted[2] = 0
        if noted != counts:
            yield (
                None,
                f"it says that it has {noted} rows, steps and episodes, its manifest {counts}",
            )
        if schema_from_json(json.loads(file.attrs["minari_schema"])) != schema:
            yield None, "it names other columns than its manifest"
    except (KeyError, OSError, TypeError, ValueError, RecursionError, MinariError) as error:
        yield None, f"what it says of itself cannot be read: {error}"


def _has_replaced_entries(file: h5py.File, entry: ShardEntry) -> bool:
    """Return whether a shard has entries that its manifest leaves out, as others replace them."""
    noted = np.asarray(file.attrs.get("minari_counts", 0))
    return entry.episodes == 0 and noted.shape == (3,) and bool(noted[2] != 0)


def _find_unexpected_objects(
    file: h5py.File, specs: Sequence[ArraySpec]
) -> Iterator[tuple[str, str]]:
    """Find what is in the file beside the groups and arrays that the schema names."""
    arrays = {spec.path for spec in specs}
    groups = {"", *(parent for path in arrays for parent in _list_parents(path))}
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        group = file if parent == "" else _find_object(file, parent)
        if not isinstance(group, h5py.Group):
            continue  # reported by whoever looks for the arrays in it
        for name in group:
            child = f"{parent}/{name}" if parent else str(name)
            if child in groups:
                waiting.append(child)
            elif child not in arrays:
                yield child, _find_foreign_link(group, name) or "it is not in the manifest"


def _list_parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def _find(file: h5py.File, path: str) -> h5py.Dataset | str:
    """Return the array at a path, or what is wrong there."""
    found = _find_object(file, path)
    if isinstance(found, str):
        return found
    return found if isinstance(found, h5py.Dataset) else "it is no array"


def _find_object(file: h5py.File, path: str) -> h5py.HLObject | str:
    """Return the object at a path that only hard links lead to, or what is wrong there."""
    found: h5py.HLObject = file
    for name in path.split("/"):
        if not isinstance(found, h5py.Group) or name not in found:
            return "it is missing"
        if foreign := _find_foreign_link(found, name):
            return foreign
        found = found[name]
    return found


def _find_foreign_link(group: h5py.Group, name: str) -> str | None:
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return f"it is an external link to {link.path!r} in {link.filename!r}"
    if isinstance(link, h5py.SoftLink):
        return f"it is a soft link to {link.path!r}"
    return None if isinstance(link, h5py.HardLink) else "it is a link of an unknown kind"


def _find_array_problems(
    found: h5py.Dataset, spec: ArraySpec, location: tuple[int, int]
) -> Iterator[str]:
    offset, rows = location
    shape = (rows, *spec.row_shape)
    if found.dtype != spec.dtype:
        yield f"HDF5 says dtype {found.dtype.str}, the manifest {spec.dtype.str}"
    if found.shape != shape:
        yield f"HDF5 says shape {found.shape}, the manifest {shape}"
    properties = found.id.get_create_plist()
    external = properties.get_external_count()
    if external:
        names = ", ".join(repr(properties.get_external(i)[0]) for i in range(external))
        yield f"its data is stored outside, in {names}"
        return
    layout = properties.get_layout()
    if spec.rows_per_chunk:
        if layout != h5py.h5d.CHUNKED:
            yield "HDF5 does not keep it in chunks, as the manifest says"
            return
        chunk = (spec.rows_per_chunk, *spec.row_shape)
        if found.chunks != chunk:
            yield f"HDF5 says chunks of {found.chunks}, the manifest {chunk}"
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        if filters != [ZSTD_FILTER]:
            yield f"HDF5 says filters {filters}, not [{ZSTD_FILTER}]"
    elif layout != h5py.h5d.CONTIGUOUS:
        yield "HDF5 does not keep it contiguous, as the manifest says"
    elif found.size and found.id.get_offset() != offset:
        yield f"HDF5 says offset {found.id.get_offset()}, the manifest {offset}"


def _compare_chunks(frames: h5py.Dataset, table: h5py.Dataset) -> Iterator[str]:
    """Compare the table of chunks, which this project reads by, with HDF5's own."""
    if frames.chunks is None or table.dtype.kind != "u" or table.ndim != 2:
        return  # reported above
    known: list[tuple[int, int, int]] = []
    frames.id.chunk_iter(
        lambda chunk: known.append((chunk.chunk_offset[0], chunk.byte_offset, chunk.size))
    )
    actual = [list(entry[1:]) for entry in sorted(known)]
    written = table[()].tolist()
    if len(actual) != len(written):
        yield f"it lists {len(written)} chunks, HDF5 {len(actual)}"
    wrong = [i for i, (one, other) in enumerate(zip(actual, written, strict=False)) if one != other]
    if wrong:
        index = wrong[0]
        yield (
            f"chunk {index} lies at offset and size {tuple(written[index])}, but HDF5 says "
            f"{tuple(actual[index])} ({len(wrong)} of {len(actual)} differ)"
        )
