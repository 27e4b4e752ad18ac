"""Comparing what HDF5 says of a shard with what its manifest says.

Reading goes by the manifest alone. Other programs read the shard through HDF5, so both must say
the same, and the shard must hold its own data: nothing in it may lead to another file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from minari_core.columns import ArraySpec, Schema, schema_from_json
from minari_core.errors import MinariError
from minari_core.formats.shards.compression import ZSTD_FILTER
from minari_core.formats.shards.entry import ShardEntry


def structure_problems(
    path: Path, entry: ShardEntry, schema: Schema
) -> Iterator[tuple[str | None, str]]:
    """What is wrong with the HDF5 structure of a shard.

    Only objects that the schema names are opened, so a file cannot send this in circles.

    Args:
        path: A file whose checksum is the manifest's: the HDF5 library is not safe to be given
            damaged files.
        entry: What the manifest says of the shard.
        schema: The schema that the entry names.

    Yields:
        The HDF5 path of a column, or None for the whole file; and what is wrong with it.
    """
    try:
        # A shard never changes, so it needs no lock; network file systems often have none.
        file = h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError) as error:
        yield None, f"HDF5 cannot open it: {error}"
        return
    with file:
        yield from _attribute_problems(file, entry, schema)
        specs = schema.arrays
        yield from _unexpected_objects(file, specs)
        for index, (spec, place) in enumerate(zip(specs, entry.arrays, strict=True)):
            found = _find(file, spec.path)
            if isinstance(found, str):
                yield spec.path, found
                continue
            yield from ((spec.path, text) for text in _array_problems(found, spec, place))
            if spec.rows_per_chunk:
                table = _find(file, specs[index + 1].path)
                if not isinstance(table, str):
                    yield from ((specs[index + 1].path, text) for text in _chunks(found, table))


def _attribute_problems(
    file: h5py.File, entry: ShardEntry, schema: Schema
) -> Iterator[tuple[None, str]]:
    counts = [entry.rows, entry.steps, entry.episodes]
    try:
        noted = np.asarray(file.attrs["minari_counts"]).tolist()
        if noted != counts:
            yield (
                None,
                f"it says that it has {noted} rows, steps and episodes, its manifest {counts}",
            )
        if schema_from_json(json.loads(file.attrs["minari_schema"])) != schema:
            yield None, "it names other columns than its manifest"
    except (KeyError, OSError, TypeError, ValueError, RecursionError, MinariError) as error:
        yield None, f"what it says of itself cannot be read: {error}"


def _unexpected_objects(file: h5py.File, specs: Sequence[ArraySpec]) -> Iterator[tuple[str, str]]:
    """What is in the file beside the groups and arrays that the schema names."""
    arrays = {spec.path for spec in specs}
    groups = {"", *(parent for path in arrays for parent in _parents(path))}
    waiting = [""]
    while waiting:
        place = waiting.pop()
        group = file if place == "" else _find_object(file, place)
        if not isinstance(group, h5py.Group):
            continue  # reported by whoever looks for the arrays in it
        for name in group:
            child = f"{place}/{name}" if place else str(name)
            if child in groups:
                waiting.append(child)
            elif child not in arrays:
                yield child, _foreign_link(group, name) or "it is not in the manifest"


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for count in range(1, len(parts)):
        yield "/".join(parts[:count])


def _find(file: h5py.File, path: str) -> h5py.Dataset | str:
    """The array at a path, or what is wrong there."""
    found = _find_object(file, path)
    if isinstance(found, str):
        return found
    return found if isinstance(found, h5py.Dataset) else "it is no array"


def _find_object(file: h5py.File, path: str) -> h5py.HLObject | str:
    """The object at a path that hard links alone lead to, or what is wrong there."""
    found: h5py.HLObject = file
    for part in path.split("/"):
        if not isinstance(found, h5py.Group) or part not in found:
            return "it is missing"
        if foreign := _foreign_link(found, part):
            return foreign
        found = found[part]
    return found


def _foreign_link(group: h5py.Group, name: str) -> str | None:
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        return f"it is an external link to {link.path!r} in {link.filename!r}"
    if isinstance(link, h5py.SoftLink):
        return f"it is a soft link to {link.path!r}"
    return None if isinstance(link, h5py.HardLink) else "it is a link of an unknown kind"


def _array_problems(found: h5py.Dataset, spec: ArraySpec, place: tuple[int, int]) -> Iterator[str]:
    offset, rows = place
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


def _chunks(frames: h5py.Dataset, table: h5py.Dataset) -> Iterator[str]:
    """Where the table of chunks, which reading goes by, differs from HDF5's own."""
    if frames.chunks is None or table.dtype.kind != "u" or table.ndim != 2:
        return  # reported above
    known: list[tuple[int, int, int]] = []
    frames.id.chunk_iter(
        lambda chunk: known.append((chunk.chunk_offset[0], chunk.byte_offset, chunk.size))
    )
    places = [list(entry[1:]) for entry in sorted(known)]
    written = table[()].tolist()
    if len(places) != len(written):
        yield f"it lists {len(written)} chunks, HDF5 {len(places)}"
    wrong = [i for i, (one, other) in enumerate(zip(places, written, strict=False)) if one != other]
    if wrong:
        index = wrong[0]
        yield (
            f"chunk {index} lies at offset and size {tuple(written[index])}, but HDF5 says "
            f"{tuple(places[index])} ({len(wrong)} of {len(places)} differ)"
        )
