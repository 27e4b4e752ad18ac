"""Conformance suites for storages and sources of ranges, and what their authors test them with."""

from __future__ import annotations

from minari_core.testing.examples import SPACES, simple_episode
from minari_core.testing.ranges import MemorySource, RangeSourceConformance
from minari_core.testing.storage import StorageConformance

__all__ = [
    "SPACES",
    "MemorySource",
    "RangeSourceConformance",
    "StorageConformance",
    "simple_episode",
]
