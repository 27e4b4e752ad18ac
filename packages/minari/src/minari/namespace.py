"""Namespaces under the public Minari's module path."""

from __future__ import annotations

from minari_core.dataset_id import check_namespace as validate_namespace
from minari_core.namespaces import (
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    namespace_hierarchy,
    update_namespace_metadata,
)

__all__ = [
    "create_namespace",
    "delete_namespace",
    "get_namespace_metadata",
    "list_local_namespaces",
    "namespace_hierarchy",
    "update_namespace_metadata",
    "validate_namespace",
]
