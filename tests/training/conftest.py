"""The order of the tests that use frameworks."""

from __future__ import annotations

import pytest

USERS_OF_JAX = ("test_jax_batches.py", "test_document.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """JAX starts threads, after which a process must not fork: what uses JAX comes last."""
    items.sort(key=lambda item: item.path.name in USERS_OF_JAX)
