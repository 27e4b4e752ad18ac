"""Namespaces under the public Minari's module path."""

from __future__ import annotations

from minari.storage.datasets_root_dir import get_dataset_path
from minari_core import (
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    update_namespace_metadata,
)
from minari_core.local.dataset_id import check_namespace
from minari_core.local.namespaces import NAMESPACE_METADATA as NAMESPACE_METADATA_FILENAME
from minari_core.local.namespaces import namespace_hierarchy
from minari_hub import (
    download_namespace_metadata,
    list_remote_namespaces,
    upload_namespace,
)

__all__ = [
    "NAMESPACE_METADATA_FILENAME",
    "create_namespace",
    "delete_namespace",
    "download_namespace_metadata",
    "get_dataset_path",
    "get_namespace_metadata",
    "list_local_namespaces",
    "list_remote_namespaces",
    "namespace_hierarchy",
    "update_namespace_metadata",
    "upload_namespace",
    "validate_namespace",
]


def validate_namespace(namespace: str | None) -> None:
    """Raise unless a namespace is a relative path of plain names, such as ``D4RL/door``.

    Raises:
        DatasetIdError: It is malformed.
        TypeError: It is None.
    """
    if namespace is None:
        raise TypeError("Namespace cannot be None")
    check_namespace(namespace)
