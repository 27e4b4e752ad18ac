"""How many recordings a dataset remembers to have been committed to it."""

from __future__ import annotations

from pathlib import Path

from gymnasium import spaces

from minari_core.formats.columnar.manifest import Snapshot
from minari_core.formats.columnar.transaction import Transaction
from minari_core.formats.public.metadata_file import PublicManifest

NAMES = [f"recording-{number}" for number in range(70)]
LAST = tuple(NAMES[-64:])


def test_the_last_sixty_four_are_remembered_in_every_format(tmp_path: Path) -> None:
    snapshot = Snapshot(uid="1")
    manifest = PublicManifest({}, spaces.Discrete(2), spaces.Discrete(2), 0, 0)
    for name in NAMES:
        # A commit that is repeated is noted once.
        for _ in range(2):
            transaction = Transaction(tmp_path, snapshot, durable=False)
            transaction.note_recording(name)
            snapshot = transaction.snapshot
            manifest = manifest.note_recording(name)

    assert snapshot.recordings == LAST
    assert manifest.recordings == LAST
