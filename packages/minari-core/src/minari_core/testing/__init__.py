"""A conformance suite for storages, and what their authors test them with."""

from __future__ import annotations

from minari_core.testing.examples import SPACES, simple_episode
from minari_core.testing.storage import StorageConformance

__all__ = ["SPACES", "StorageConformance", "simple_episode"]
