"""The order of the rooms: imports run from a room to those below it, and never back.

A room is a folder under a package's ``src``; in a package's root each module is a room of its own.
Imports for types alone count like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"

# From the ground up. Rooms on one line do not import each other.
ORDER = {
    "minari_core": """
        _version errors lazy_names
        messages
        json_values locks arguments leaves images
        files
        random_stream cache metadata
        environments
        columns
        episodes
        storage
        ranges
        formats.shards
        formats.columnar
        formats.streamed
        formats.public
        formats.public.storage
        formats.public.hdf5 formats.public.arrow
        formats
        formats.verification
        local
        local.leftovers
        twins
        statistics
        sampling.gathering sampling.orders
        sampling.options
        sampling.steps
        sampling.transitions sampling.windows sampling.epochs
        sampling.replay
        sampling
        tables
        datasets
        datasets.flat integrations streaming mixtures
        testing torch jax
    """,
    "minari_collect": """
        _version callbacks buffers executors
        vector_buffers staging
        recording
        collectors
        workers
        runs
        evaluation
        ray leftovers
    """,
    "minari_hub": """
        _version transfer untrusted cards
        bundle
        remotes
        ranges
        datasets
        datasets.uploading
        streaming
        command_line
        testing
    """,
    "minari": """
        _version serialization supported_versions
        dataset
        data_collector.callbacks
        data_collector
        storage
        namespace utils leftovers distributions
        replay interchange
        interchange.demonstrations interchange.flat
        interchange.lerobot.files
        interchange.lerobot.reading interchange.lerobot.writing
        interchange.lerobot interchange.rlds
        checks rendering
        viewer
        command_line.show
        command_line
        cli
    """,
}
MOST_MODULES = 12
FACES = {"__init__", "__main__", "_version"}


def module_files(package: str) -> Iterator[tuple[str, Path]]:
    source = PACKAGES / package.replace("_", "-") / "src"
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def all_modules() -> dict[str, Path]:
    return {name: path for package in ORDER for name, path in module_files(package)}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in all_modules() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room_of(module: str) -> str:
    """The room of a module, without the package; the package's face is the room ``""``."""
    path = all_modules()[module]
    inside = module.split(".")[1:]
    if path.stem == "__init__" or len(inside) < 2:
        return ".".join(inside)
    return ".".join(inside[:-1])


def levels(package: str) -> dict[str, int]:
    lines = ORDER[package].split("\n")
    return {room: level for level, line in enumerate(lines) for room in line.split()}


@pytest.mark.parametrize("package", ORDER)
def test_every_room_has_its_place_in_the_order_and_a_sentence_of_purpose(package: str) -> None:
    rooms = {room_of(name) for name, _ in module_files(package)} - {"", "__main__"}
    assert rooms == set(levels(package))
    for name, path in module_files(package):
        if path.stem == "__init__":
            purpose = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert purpose, f"{name} does not say what the room is for"


@pytest.mark.parametrize("package", ORDER)
def test_no_import_runs_back_up_the_order_of_rooms(package: str) -> None:
    level = levels(package)
    back = []
    for name, path in module_files(package):
        room = room_of(name)
        if room in ("", "__main__"):  # a package's face stands above all of its rooms
            continue
        for imported in imports_of(path):
            if imported.split(".")[0] != package:
                continue
            target = room_of(imported)
            if target != room and (target == "" or level[target] >= level[room]):
                back.append(f"{name} imports {imported}")
    assert not back, "\n".join(back)


def test_no_modules_import_each_other() -> None:
    modules = all_modules()
    graph = {
        name: {target for target in imports_of(path) if target in modules and target != name}
        for name, path in modules.items()
    }
    # Take away what imports nothing that is left; what remains imports itself in a circle.
    while free := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in free:
            del graph[name]
    assert not graph, f"these import each other, or import what does: {sorted(graph)}"


@pytest.mark.parametrize("package", ORDER)
def test_no_folder_holds_more_than_twelve_modules(package: str) -> None:
    folders: dict[Path, int] = {}
    for _, path in module_files(package):
        if path.stem not in FACES:
            folders[path.parent] = folders.get(path.parent, 0) + 1
    crowded = {str(folder): count for folder, count in folders.items() if count > MOST_MODULES}
    assert not crowded


@pytest.mark.parametrize("package", ORDER)
def test_the_map_has_a_line_for_every_room_in_the_order_of_imports(package: str) -> None:
    text = (PACKAGES.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition(f"| room of `{package}` | holds |\n")[2].partition("\n\n")[0]
    cells = re.findall(r"(?m)^\| ([^|]+)", table)
    rows = [[name.replace("/", ".") for name in re.findall(r"`(\w[\w/]*)`", c)] for c in cells]
    level = levels(package)
    assert {name for row in rows for name in row} == level.keys() - FACES
    within = [[level[name] for name in row] for row in rows if row]
    for above, below in pairwise(within):
        assert max(above) <= min(below)
