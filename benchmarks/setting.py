"""What every topic is given."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from measure import PUBLIC, Work
from peer import Peer, PeerError

Answer = TypeVar("Answer")


@dataclass
class Setting:
    """Where to measure, how much, and against whom."""

    root: Path
    """An empty folder on a real disk."""
    quick: bool
    """Whether to take small workloads and few rounds."""
    peer: Peer | None
    """The public Minari; None if it is not there."""
    complaints: list[str] = field(default_factory=list)
    """What the peer could not do."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def rounds(self, full: int) -> int:
        """How many rounds to run."""
        return 2 if self.quick else full

    @contextmanager
    def datasets(self) -> Iterator[Path]:
        """A fresh datasets root of this project's, gone afterwards."""
        folder = self.root / f"datasets-{next(self._numbers)}"
        folder.mkdir()
        before = os.environ.get("MINARI_DATASETS_PATH")
        os.environ["MINARI_DATASETS_PATH"] = str(folder)
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["MINARI_DATASETS_PATH"]
            else:
                os.environ["MINARI_DATASETS_PATH"] = before
            shutil.rmtree(folder, ignore_errors=True)

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
