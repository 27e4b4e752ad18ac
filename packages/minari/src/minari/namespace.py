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
from minari_core.local.dataset_id import check_namespace as validate_namespace
from minari_core.local.dataset_id import parse_dataset_id
from minari_core.local.namespaces import NAMESPACE_METADATA as NAMESPACE_METADATA_FILENAME
from minari_core.local.namespaces import namespace_hierarchy
from minari_hub import (
    download_namespace_metadata,
    list_remote_datasets,
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


def list_remote_namespaces() -> list[str]:
    """List the names of all namespaces that datasets of the remote lie in, sorted.

    Raises:
        RemoteError: The remote cannot be reached.
    """
    namespaces = {parse_dataset_id(dataset_id).namespace for dataset_id in list_remote_datasets()}
    return sorted({name for each in namespaces if each for name in namespace_hierarchy(each)})
