"""What is needed of a remote for shards to travel through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias


class PartRemote(Protocol):
    """A place that keeps bytes under names; every ``minari_hub.Remote`` is one."""

    def create(self, name: str, content: bytes, metadata: Mapping[str, str], /) -> None:
        """Create an object.

        Args:
            name: Its name, parts joined by ``/``.
            content: What it holds.
            metadata: Empty here.
        """
        ...

    def read(self, name: str, start: int, stop: int, /) -> bytes:
        """Bytes ``start`` to ``stop`` of an object, or fewer where it ends before."""
        ...


OpenRemote: TypeAlias = Callable[[], PartRemote]
"""Opens a remote, in each process on its own."""
