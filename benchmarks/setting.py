"""What every topic is given."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

from measure import PUBLIC, Work
from peer import PUBLIC_MINARI, Contender, Peer, PeerError
from report import file_system

Answer = TypeVar("Answer")


@contextmanager
def folder_to_measure_in(parent: Path | None) -> Iterator[Path]:
    """An empty folder, gone afterwards.

    Fresh processes keep their compiled modules in it, as those of an installed package are kept.

    Args:
        parent: Where to make it; on a real disk if None.
    """
    with tempfile.TemporaryDirectory(
        prefix="minari-bench-", dir=parent or _folder_on_disk()
    ) as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        yield Path(folder)


def _folder_on_disk() -> Path:
    """Where temporary files go; beside the repository if that is only memory."""
    folder = Path(tempfile.gettempdir())
    in_memory = any(f"({kind})" in file_system(folder) for kind in ("tmpfs", "ramfs"))
    beside = Path(__file__).resolve().parents[2]
    return beside if in_memory and os.access(beside, os.W_OK) else folder


@dataclass
class Setting:
    """Where to measure, how much, and against whom."""

    root: Path
    """An empty folder on a real disk."""
    quick: bool
    """Whether to take small workloads and few rounds."""
    with_peers: bool
    """Whether to compare with others."""
    complaints: list[str] = field(default_factory=list)
    """What the peer could not do."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _peers: dict[Contender, Peer | None] = field(default_factory=dict)

    @property
    def peer(self) -> Peer | None:
        """The public Minari; None if it is not there."""
        return self.against(PUBLIC_MINARI)

    def against(self, contender: Contender) -> Peer | None:
        """A peer that is running; None if it cannot be installed, which is told at the end."""
        if contender not in self._peers:
            folder = self.root / f"peer-{len(self._peers)}"
            self._peers[contender] = (
                self.attempt(lambda: Peer(contender, folder, quick=self.quick))
                if self.with_peers
                else None
            )
        return self._peers[contender]

    def close(self) -> str:
        """Stop the peers; which of them there were."""
        running = [(contender, peer) for contender, peer in self._peers.items() if peer is not None]
        for _, peer in running:
            peer.close()
        return ", ".join(contender.title for contender, _ in running) or "none"

    def take_complaints(self) -> list[str]:
        """What could not be done since this was asked last."""
        complaints, self.complaints = self.complaints, []
        return complaints

    def rounds(self, full: int) -> int:
        """How many rounds to run."""
        return 2 if self.quick else full

    @contextmanager
    def datasets(self) -> Iterator[Path]:
        """A fresh datasets root and cache of this project's, gone afterwards."""
        folder = self.root / f"datasets-{next(self._numbers)}"
        folder.mkdir()
        paths = {
            "MINARI_DATASETS_PATH": str(folder),
            "MINARI_CACHE_PATH": str(folder.with_name(f"{folder.name}-cache")),
        }
        try:
            with patch.dict(os.environ, paths):
                yield folder
        finally:
            for path in paths.values():
                shutil.rmtree(path, ignore_errors=True)

    def public(self, work: str, **arguments: object) -> dict[str, Work]:
        """A work of the peer, to run in turns with ours; nothing if it cannot do it.

        It is done once now, so it needs no other round to warm up.
        """
        peer = self.peer
        if peer is None:
            return {}
        done = self.attempt(lambda: peer.ask(work, **arguments))
        return {} if done is None else {PUBLIC: lambda: peer.seconds(work, **arguments)}

    def attempt(self, call: Callable[[], Answer]) -> Answer | None:
        """What a call of the peer gives; None if it fails, which is told at the end."""
        try:
            return call()
        except PeerError as error:
            self.complaints.append(str(error))
            return None
