"""What may become of a dataset's files: flipped bits, lost pieces, and other programs' edits."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minari_core.formats.columnar.manifest import compute_snapshot_checksum
from tests.campaigns.helpers import edits


@dataclass(frozen=True)
class Mutation:
    """What was done to a dataset's folder."""

    text: str
    """In words, with the file and the place."""
    is_accident: bool
    """Whether no program would do it on purpose, so that it has to be noticed.

    An edit through a library may be what it was meant to be; then a remark of `verify` is enough,
    and where a checksum was computed anew nobody can know.
    """
    is_forged: bool = False
    """Whether the checksum was computed anew."""


def mutate(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
    """Change one thing in a dataset's ``data`` folder, or a few of one kind.

    Args:
        folder: The folder.
        chosen: What everything random follows from.
        others: Folders of other datasets, to take files from.
    """
    kinds: list[tuple[int, Callable[..., Mutation]]] = [(12, _bytes), (2, _files)]
    names = {path.suffix for path in files_of(folder)}
    if ".json" in names:
        kinds.append((4, _json))
    if ".hdf5" in names or ".h5" in names:
        kinds.append((4, _edit(edits.edit_hdf5, ".hdf5", ".h5")))
    if ".arrow" in names or ".parquet" in names:
        kinds.append((3, _edit(edits.edit_table, ".arrow", ".parquet")))
    if ".npz" in names:
        kinds.append((2, _edit(edits.edit_archive, ".npz")))
    kind = chosen.choices([each for _, each in kinds], [weight for weight, _ in kinds])[0]
    return kind(folder, chosen, others)


def files_of(folder: Path, *suffixes: str) -> list[Path]:
    """The files in a folder, in an order that does not depend on names that are drawn at random."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return sorted(path for path in files if not suffixes or path.suffix in suffixes)


# Bytes.


def _bytes(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
    path = chosen.choice(files_of(folder))
    before = path.read_bytes()
    content = bytearray(before)
    texts = []
    for _ in range(chosen.choice([1, 1, 1, 1, 2, 5])):
        texts.append(edits.change_bytes(content, chosen))
    path.write_bytes(content)
    where = path.relative_to(folder).as_posix()
    return Mutation(f"{where}: {', '.join(texts)}", is_accident=True)


def _edit(change: Callable[[Path, random.Random], str], *suffixes: str) -> Callable[..., Mutation]:
    """An edit through the library of a kind of file."""

    def edit(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
        path = chosen.choice(files_of(folder, *suffixes))
        where = path.relative_to(folder).as_posix()
        return Mutation(f"{where}: {change(path, chosen)}", is_accident=False)

    return edit


# Files.


def _files(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
    path = chosen.choice(files_of(folder))
    where = path.relative_to(folder).as_posix()
    kind = chosen.randrange(5)
    if kind == 0:
        path.unlink()
        return Mutation(f"{where} is gone", is_accident=True)
    if kind == 1:
        path.write_bytes(b"")
        return Mutation(f"{where} is empty", is_accident=True)
    if kind == 2:
        alike = [each for each in files_of(folder, path.suffix) if each != path]
        if alike:
            other = chosen.choice(alike)
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two)
            other.write_bytes(one)
            return Mutation(f"{where} and {other.relative_to(folder)} exchanged", is_accident=True)
    if kind == 3:
        path.unlink()
        path.mkdir()
        return Mutation(f"{where} is a folder", is_accident=True)
    other = chosen.choice(files_of(chosen.choice(others)))
    shutil.copyfile(other, path)
    return Mutation(f"{where} is {other.parent.parent.name}'s {other.name}", is_accident=True)


# JSON.

_ODD: list[Any] = [None, True, -1, 0, 1, 2.5, 10**9, 2**63, 10**400, 1e308, "", "x", "NaN", [], {}]
_ODD += [[[]] * 3, {"": None}, "\ud800", "../../x", "os:system", [0] * 1000, "9" * 5000]


def _json(folder: Path, chosen: random.Random, others: list[Path]) -> Mutation:
    files = files_of(folder, ".json")
    # Most of what a dataset says of itself lies there.
    path = chosen.choice([*(each for each in files if each.name == "metadata.json"), *files])
    content = json.loads(path.read_bytes())
    text = change_json(content, chosen)
    layout = content.get("columnar") if isinstance(content, dict) else None
    is_forged = False
    if isinstance(layout, dict) and chosen.random() < 0.7:
        is_forged = True
        # A checksum of what no encoder takes is nobody's concern.
        try:
            layout["crc32"] = compute_snapshot_checksum(layout)
        except (ValueError, TypeError, OverflowError, RecursionError):
            is_forged = False
    path.write_text(json.dumps(content))
    if chosen.random() < 0.03:
        path.write_text("[" * 100_000)
        text = "100,000 brackets"
    where = path.relative_to(folder).as_posix()
    return Mutation(f"{where}: {text}", is_accident=False, is_forged=is_forged)


def change_json(content: Any, chosen: random.Random) -> str:
    """Change a value somewhere in it, also in JSON that is a text in it."""
    places: list[tuple[Any, Any, str]] = []

    def collect(value: Any, where: str) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key, f"{where}/{key}"))
            if isinstance(value[key], dict | list):
                collect(value[key], f"{where}/{key}")

    collect(content, "")
    if not places:
        return "nothing"
    # Each depth is as likely, or the long lists of numbers are all that is changed.
    depth = chosen.choice(sorted({where.count("/") for *_, where in places}))
    value, key, where = chosen.choice([each for each in places if each[2].count("/") == depth])
    before = value[key]
    if isinstance(before, str) and before[:1] == "{" and chosen.random() < 0.8:
        inner = json.loads(before)
        text = change_json(inner, chosen)
        value[key] = json.dumps(inner)
        return f"{where}: {text}"
    kind = chosen.randrange(8)
    if kind == 0 and isinstance(value, dict):
        del value[key]
        return f"{where} is gone"
    if kind == 1 and isinstance(value, dict):
        value[f"{key}x"] = value.pop(key)
        return f"{where} is renamed"
    if kind in (2, 3) and isinstance(before, int | float) and not isinstance(before, bool):
        value[key] = before + chosen.choice([-1, 1, 8, 64, 4096])
    elif kind == 4 and isinstance(before, list) and before:
        value[key] = [*before, *before]
    elif kind == 5 and isinstance(before, str) and before:
        place = chosen.randrange(len(before))
        value[key] = before[:place] + chosen.choice("0Z{/é\0") + before[place + 1 :]
    else:
        value[key] = chosen.choice(_ODD)
    return f"{where} is {str(value[key])[:40]!r}, was {str(before)[:40]!r}"
