"""Objects of a remote, datasets among them, and files on their way there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from minari_hub.transfer.checksums import Checksum, start_hasher


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """One object as a remote lists it, untrusted."""

    name: str
    """Its name relative to the remote's root, parts joined by ``/``."""
    size: int
    """Its size in bytes."""
    version: str = ""
    """Text that changes whenever the content changes; ``""`` where unknown."""
    checksum: Checksum | None = None
    """The checksum of its content, where the remote keeps one."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The metadata that was attached to it when it was created."""

    def matches(self, content: bytes) -> bool:
        """Return whether this is its content, as far as its size and checksum tell."""
        if len(content) != self.size:
            return False
        if self.checksum is None:
            return True
        hasher = start_hasher(self.checksum.algorithm, self.size)
        hasher.update(content)
        return hasher.hexdigest() == self.checksum.digest


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset as a remote lists it."""

    dataset_id: str
    """The text before `MANIFEST_SUFFIX`, perhaps no valid id."""
    attached: Mapping[str, str] = field(default_factory=dict)
    """The metadata that is attached to the dataset's manifest."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file on its way to a remote."""

    path: Path
    """The file."""
    name: str
    """The name that its object gets, relative to the remote's root."""
    size: int
    """The size of the file."""
    replaces_beginning: bool = False
    """Whether its object is there and has the beginning of the file, as a transfer leaves it that
    was cut off where objects appear before they are whole."""
