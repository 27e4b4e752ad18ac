"""Namespaces: the folders that group datasets, and their metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from minari_core.errors import (
    DatasetDamagedError,
    DatasetIdError,
    NamespaceError,
)
from minari_core.files import (
    make_folder,
    make_write_error,
    name_damage,
    replace_file,
    wrap_write_errors,
)
from minari_core.formats.columnar.manifest import normalize_metadata
from minari_core.json_values import JsonObject, JsonValue
from minari_core.local.dataset_id import check_namespace
from minari_core.local.folders import walk_folders
from minari_core.local.locations import DATA_FOLDER, datasets_root
from minari_core.messages import warn_caller

NAMESPACE_METADATA = "namespace_metadata.json"


def create_namespace(namespace: str, description: str | None = None, **metadata: Any) -> None:
    """Create a local namespace and its parent namespaces.

    Args:
        namespace: Names joined by ``/``, as in ``D4RL/door``.
        description: What its datasets have in common.
        **metadata: Further metadata, as JSON values.

    Raises:
        DatasetIdError: The name is malformed.
        NamespaceError: The namespace exists.
        MetadataError: A value is not JSON.
        DatasetWriteError: The file system refused.
    """
    folder = _locate(namespace)
    if (folder / NAMESPACE_METADATA).exists():
        raise NamespaceError(f"Namespace {namespace!r} already exists.")
    if (folder / DATA_FOLDER).exists():
        raise NamespaceError(f"namespace {namespace!r} cannot be created: it is a dataset")
    if description is not None:
        metadata["description"] = description
    write_namespace_metadata(namespace, normalize_metadata(metadata))


def update_namespace_metadata(
    namespace: str, description: str | None = None, **metadata: Any
) -> None:
    """Replace the metadata of a namespace.

    Args:
        namespace: Its name.
        description: What its datasets have in common.
        **metadata: Further metadata, as JSON values.

    Raises:
        DatasetIdError: The name is malformed.
        NamespaceError: There is no such namespace.
        MetadataError: A value is not JSON.
        DatasetWriteError: The file system refused.
    """
    folder = _find_existing(namespace)
    _write(folder, normalize_metadata({**metadata, "description": description}))


def get_namespace_metadata(namespace: str) -> dict[str, JsonValue]:
    """Return the metadata of a namespace.

    Raises:
        DatasetIdError: The name is malformed.
        NamespaceError: There is no such namespace.
        DatasetDamagedError: Its file is not a JSON object.
    """
    path = _find_existing(namespace) / NAMESPACE_METADATA
    with name_damage(str(path)):
        content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise DatasetDamagedError(f"{path} is not a JSON object")
    return content


def write_namespace_metadata(namespace: str, content: JsonObject) -> None:
    """Create or replace the metadata of a namespace; its parents are created, too.

    Raises:
        DatasetIdError: The name is malformed.
        DatasetWriteError: The file system refused.
    """
    for parent in namespace_hierarchy(namespace)[:-1]:
        if not (_locate(parent) / NAMESPACE_METADATA).exists():
            _write(_locate(parent), {})
    _write(_locate(namespace), content)


def list_local_namespaces() -> list[str]:
    """Return the names of all local namespaces, sorted."""
    root = datasets_root()
    names = [name for name, _ in walk_folders(root)]
    return sorted(
        name for name in names if os.path.isfile(os.path.join(root, name, NAMESPACE_METADATA))
    )


def delete_namespace(namespace: str) -> None:
    """Delete an empty namespace; warn if there is none.

    Raises:
        DatasetIdError: The name is malformed.
        NamespaceError: It is not empty.
        DatasetWriteError: The file system refused.
    """
    folder = _locate(namespace)
    if not (folder / NAMESPACE_METADATA).exists():
        warn_caller(f"Namespace {namespace!r} does not exist.")
        return
    inside = sorted(entry.name for entry in os.scandir(folder) if entry.name != NAMESPACE_METADATA)
    if inside:
        raise NamespaceError(
            f"Namespace {namespace!r} is not empty. All datasets must be deleted first, and what "
            f"else it has: {', '.join(inside[:5])}"
        )
    try:
        (folder / NAMESPACE_METADATA).unlink()
        folder.rmdir()
    except OSError as error:
        raise make_write_error(f"{folder} could not be deleted", error) from error


@contextmanager
def make_namespaces(
    namespace: str, described: Mapping[str, JsonObject] = MappingProxyType({})
) -> Iterator[None]:
    """Create a namespace and its parents where they are not yet, for a dataset that is made.

    Those that were created here are removed again if the block fails, unless others use them.

    Args:
        namespace: Its name, or ``""``.
        described: The metadata of each, by its name.

    Raises:
        OSError: The file system refused.
    """
    created: list[Path] = []
    try:
        for name in namespace_hierarchy(namespace) if namespace else ():
            folder = _locate(name)
            if not folder.is_dir():
                created += make_folder(folder)
            if not (folder / NAMESPACE_METADATA).exists():
                text = json.dumps(described.get(name, {}))
                replace_file(folder / NAMESPACE_METADATA, text.encode("ascii"))
        yield
    except BaseException:
        for folder in reversed(created):
            with suppress(OSError):
                if os.listdir(folder) == [NAMESPACE_METADATA]:
                    (folder / NAMESPACE_METADATA).unlink()
                folder.rmdir()
        raise


def namespace_hierarchy(namespace: str | None) -> list[str]:
    """Return the parents of a namespace, outermost first, and the namespace itself.

    None, as of an id without a namespace, has none.

    Example:
        >>> namespace_hierarchy("D4RL/door")
        ['D4RL', 'D4RL/door']
    """
    if namespace is None:
        return []
    check_namespace(namespace)
    parts = namespace.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _locate(namespace: str) -> Path:
    if not isinstance(namespace, str):
        raise DatasetIdError(f"namespace {namespace!r} is a {type(namespace).__name__}, not text")
    check_namespace(namespace)
    return datasets_root() / namespace


def _find_existing(namespace: str) -> Path:
    folder = _locate(namespace)
    if not (folder / NAMESPACE_METADATA).exists():
        raise NamespaceError(
            f"Namespace {namespace} does not exist locally, under {datasets_root()}; "
            "list_local_namespaces() shows which there are"
        )
    return folder


def _write(folder: Path, content: dict[str, JsonValue]) -> None:
    with wrap_write_errors(folder):
        make_folder(folder)
        replace_file(folder / NAMESPACE_METADATA, json.dumps(content).encode("ascii"))
