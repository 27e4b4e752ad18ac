"""Columns by other names: those of a dataset as a mixture shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import unquote

from gymnasium import spaces

from minari_core.columns import Column, Schema, StructColumn
from minari_core.columns.base import escape_key
from minari_core.errors import IncompatibleDatasetsError
from minari_core.formats.shards.reader import ShardReader
from minari_core.messages import format_value

RENAMED = ("observations", "actions", "infos")
"""The column groups whose columns may have other names."""

Names = Mapping[str, str | None]
"""Names of columns in a dataset, and those in a mixture; None for what is left out."""

Node = TypeVar("Node")
_Leaf = TypeVar("_Leaf")
_Path = tuple[str, ...]


def check_names(names: object, dataset_id: str) -> dict[str, str | None]:
    """Validate the names that a caller gives for the columns of a dataset.

    Raises:
        IncompatibleDatasetsError: They are no dict of names, or a column changes its group.
    """
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise IncompatibleDatasetsError(
            f"rename has {format_value(names)} for {dataset_id!r}, not None or a dict such as "
            "{'observations/cam': 'observations/camera'}"
        )
    for old, new in names.items():
        groups = {str(name).partition("/")[0] for name in (old, new) if name is not None}
        if not isinstance(old, str) or len(groups) > 1 or not groups <= set(RENAMED):
            raise IncompatibleDatasetsError(
                f"rename has {old!r}: {new!r} for {dataset_id!r}; give two names in one of the "
                f"groups {', '.join(RENAMED)}, or None to leave a column out"
            )
    return dict(names)


def rename_space(
    space: spaces.Space[object], names: Names, group: str, dataset_id: str
) -> spaces.Space[object]:
    """Return the space of observations or actions by other names.

    Raises:
        IncompatibleDatasetsError: There is no column of a name, or names do not go together.
    """
    if not _find_names(names, group):
        return space
    moved = _move(list_leaves(space, split_space), names, group, dataset_id)
    return _nest(moved, spaces.Dict)


def rename_schema(schema: Schema, names: Names, dataset_id: str) -> tuple[Schema, list[str]]:
    """Return a schema by other names, and where each of its columns lies in the old one.

    Raises:
        IncompatibleDatasetsError: There is no column of a name, or names do not go together.
    """
    groups: dict[str, Column] = {}
    paths: list[str] = []
    for group, column in schema.groups.items():
        groups[group] = column
        if not _find_names(names, group):
            paths.append(group)
            continue
        leaves = list_leaves(column, split_column)
        moved = _move(leaves, names, group, dataset_id)
        origins = {id(leaf): "/".join([group, *path]) for path, leaf in leaves.items()}
        paths += [origins[id(moved[path])] for path in sorted(moved)]
        groups[group] = _nest(moved, StructColumn)
    return Schema(groups), paths


def rename_shard(reader: ShardReader, names: Names, dataset_id: str) -> ShardReader:
    """Return a reader of the same shard whose columns have other names."""
    if not names:
        return reader
    schema, paths = rename_schema(reader.schema, names, dataset_id)
    return reader.rearrange(schema, [a for path in paths for a in reader.list_arrays(path)])


def split_space(space: spaces.Space[object]) -> Mapping[str, spaces.Space[object]] | None:
    """Return the spaces inside a space of dicts; None of any other."""
    return space.spaces if type(space) is spaces.Dict else None


def split_column(column: Column) -> Mapping[str, Column] | None:
    """Return the columns inside a column of dicts; None of any other."""
    return column.fields if isinstance(column, StructColumn) else None


def list_leaves(
    node: Node, split: Callable[[Node], Mapping[str, Node] | None]
) -> dict[_Path, Node]:
    """Return what dicts of dicts hold, by their escaped keys; a node that is no dict by ``()``."""
    inner = split(node)
    if inner is None:
        return {(): node}
    return {
        (escape_key(key), *path): leaf
        for key, child in inner.items()
        for path, leaf in list_leaves(child, split).items()
    }


def _find_names(names: Names, group: str) -> dict[_Path, str | None]:
    split = {tuple(old.split("/")): new for old, new in names.items()}
    return {path[1:]: new for path, new in split.items() if path[0] == group}


def _move(
    leaves: Mapping[_Path, _Leaf], names: Names, group: str, dataset_id: str
) -> dict[_Path, _Leaf]:
    """Give leaves other paths, each by the longest name that it lies at or below."""
    wanted = _find_names(names, group)
    unused = set(wanted)
    moved: dict[_Path, _Leaf] = {}
    for path, leaf in leaves.items():
        known = [path[:size] for size in range(len(path), -1, -1) if path[:size] in wanted]
        unused.difference_update(known)
        place = path
        if known:
            new = wanted[known[0]]
            if new is None:
                continue
            place = (*new.split("/")[1:], *path[len(known[0]) :])
        if place in moved:
            raise IncompatibleDatasetsError(
                f"rename gives two columns of {dataset_id!r} the name {_join(group, place)!r}"
            )
        moved[place] = leaf
    if unused:
        there = ", ".join(_join(group, path) for path in leaves)
        raise IncompatibleDatasetsError(
            f"rename has {_join(group, unused.pop())!r}, but {dataset_id!r} has {there or 'none'}"
        )
    for place in moved:
        if above := [place[:size] for size in range(len(place)) if place[:size] in moved]:
            raise IncompatibleDatasetsError(
                f"rename puts {_join(group, place)!r} of {dataset_id!r} into "
                f"{_join(group, above[0])!r}, which is a column itself; give it another name, or "
                "leave it out by None"
            )
    if not moved and group != "infos":
        raise IncompatibleDatasetsError(f"rename leaves nothing of {group} of {dataset_id!r}")
    return moved


def _nest(leaves: Mapping[_Path, Node], make: Callable[[dict[str, Node]], Node]) -> Node:
    """Return leaves in nested dicts, whose keys are in order."""
    if set(leaves) == {()}:
        return leaves[()]
    inside: dict[str, dict[_Path, Node]] = {}
    for path in sorted(leaves):
        inside.setdefault(path[0], {})[path[1:]] = leaves[path]
    # The empty key is escaped as a lone "%".
    return make(
        {
            unquote("" if name == "%" else name, errors="surrogatepass"): _nest(inner, make)
            for name, inner in inside.items()
        }
    )


def _join(group: str, path: _Path) -> str:
    return "/".join([group, *path])
