"""What of its metadata a storage gives to a copy of it."""

from __future__ import annotations

from minari_core._version import __version__
from minari_core.formats.columnar.memory import MemoryStorage
from minari_core.storage.copied_metadata import metadata_for_copy
from minari_core.testing.examples import MOVE, POSITION


def test_a_copy_is_of_this_version_and_keeps_what_describes_no_single_storage() -> None:
    said = {"dataset_id": "old-v0", "minari_version": "0.0.1", "author": ["Ada"], "own": 3}
    source = MemoryStorage(POSITION, MOVE, said)

    copied = metadata_for_copy(source)

    assert {key: copied[key] for key in ("minari_version", "author", "own")} == {
        "minari_version": __version__,
        "author": ["Ada"],
        "own": 3,
    }
    assert copied.keys() == {
        "minari_version", "author", "own", "observation_space", "action_space",
    }  # fmt: skip
