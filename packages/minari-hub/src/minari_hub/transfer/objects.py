"""Objects of a remote, and the datasets that they make up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from minari_hub.transfer.checksums import Checksum, new_hasher


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """What a remote says of one object; nothing of it is to be trusted."""

    name: str
    """Its name relative to the remote's root, parts joined by ``/``."""
    size: int
    """Its size in bytes."""
    version: str = ""
    """Text that is another one when the content is another one; ``""`` where unknown."""
    checksum: Checksum | None = None
    """The checksum of its content, where the remote keeps one."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What was attached to it when it was created."""

    def matches(self, content: bytes) -> bool:
        """Whether this is its content, as far as its size and checksum tell."""
        if len(content) != self.size:
            return False
        if self.checksum is None:
            return True
        hasher = new_hasher(self.checksum.algorithm, self.size)
        hasher.update(content)
        return hasher.hexdigest() == self.checksum.digest


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset that a remote seems to hold."""

    dataset_id: str
    """What lies in front of `MANIFEST_SUFFIX`; perhaps no valid id."""
    attached: Mapping[str, str] = field(default_factory=dict)
    """What is attached to the dataset's manifest."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file on its way to a remote."""

    path: Path
    """The file."""
    name: str
    """The name that its object gets, relative to the remote's root."""
    size: int
    """The size of the file."""
