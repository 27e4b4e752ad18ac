"""The staging area of a download, from which it resumes after its process was killed.

The folder lies hidden under the local root:

```
.staging/download-<key>/journal.json    which objects its files are of
.staging/download-<key>/manifest/…      the manifest, which is put to the files at the end
.staging/download-<key>/parts/…         partial files, and complete ones not yet checked
.staging/download-<key>/dataset/data/…  files that are complete and checked
```
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from minari_core.errors import DatasetBusyError
from minari_core.files import MANIFEST_NAME, make_folder, sync_folder
from minari_core.local.locations import DATA_FOLDER, staging_root
from minari_core.locks import FileLock
from minari_hub.transfer.objects import RemoteObject
from minari_hub.untrusted.names import check_name

DOWNLOAD_PREFIX = "download-"
"""How the names of the folders of downloads begin."""

_JOURNAL = "journal.json"
_CHECK_SECONDS = 2.0
_LONGEST_STANDSTILL = 90


class StagingArea:
    """The hidden folder of one dataset's download; who uses it holds its lock."""

    def __init__(self, dataset_id: str, folder: Path | None = None) -> None:
        """Name the folder; nothing is made.

        Args:
            dataset_id: The dataset, which has one staging area whatever remote it comes from.
            folder: Another folder than that, for the caller alone.
        """
        key = hashlib.sha256(dataset_id.encode()).hexdigest()[:24]
        self._dataset_id = dataset_id
        self._folder = folder or staging_root() / f"{DOWNLOAD_PREFIX}{key}"
        self.dataset = self._folder / "dataset"
        self.data = self.dataset / DATA_FOLDER
        self.manifest_folder = self._folder / "manifest"
        self._partial_files = self._folder / "parts"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock, so that one process at a time downloads this dataset.

        Another process that makes progress is waited for.

        Raises:
            DatasetBusyError: Another process has the lock, and nothing changes.
        """
        make_folder(self._folder.parent)
        lock = FileLock(self._folder.with_suffix(".lock"))
        standstill, before = 0.0, -1
        while not lock.acquire(_CHECK_SECONDS):
            now = self.count_bytes()
            standstill = 0.0 if now != before else standstill + _CHECK_SECONDS
            before = now
            if standstill >= _LONGEST_STANDSTILL:
                raise DatasetBusyError(
                    f"another process{lock.describe_holder()} downloads {self._dataset_id!r} and "
                    f"has received nothing for {_LONGEST_STANDSTILL} seconds; try again when it "
                    "is done"
                )
        try:
            yield
        finally:
            # With its lock, what stays is seen at once to have nobody.
            lock.release(remove=not self._folder.exists())

    def prepare(self, source: str, objects: Mapping[str, RemoteObject]) -> None:
        """Keep what is there of these very objects, discard the rest, and journal which they are.

        Args:
            source: The URL of the remote.
            objects: The objects by their names in the data folder, which are checked names.
        """
        identities = {name: _identify(found) for name, found in objects.items()}
        known = self._read_journal(source)
        current = {
            name
            for name, identity in identities.items()
            if identity is not None and known.get(name) == identity
        }
        for folder in (self._partial_files, self.data):
            for path in _list_files(folder):
                if path.relative_to(folder).as_posix() not in current:
                    path.unlink()
        self.data.mkdir(parents=True, exist_ok=True)
        for name in objects:
            for path in (self._partial_files / name, self.data / name):
                path.parent.mkdir(parents=True, exist_ok=True)
        self._write_journal(source, identities)

    def partial_path(self, name: str) -> Path:
        """Return the path at which a file is filled."""
        return self._partial_files / check_name(name)

    def partial_nbytes(self, name: str) -> int:
        """Return the bytes that an incomplete file has so far."""
        try:
            return self.partial_path(name).stat().st_size
        except FileNotFoundError:
            return 0

    def is_done(self, name: str, size: int) -> bool:
        """Return whether a file is complete and checked."""
        path = self.data / check_name(name)
        return path.is_file() and path.stat().st_size == size

    def finish(self, name: str) -> None:
        """Move a file that is complete and checked to the data."""
        os.replace(self.partial_path(name), self.data / check_name(name))

    def put_manifest(self, text: bytes) -> None:
        """Keep the manifest until all that it names is there."""
        self.manifest_folder.mkdir(parents=True, exist_ok=True)
        with open(self.manifest_folder / MANIFEST_NAME, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def complete(self) -> None:
        """Move the manifest to the data, and sync the folders so that a power cut loses nothing."""
        os.replace(self.manifest_folder / MANIFEST_NAME, self.data / MANIFEST_NAME)
        for folder, _, _ in os.walk(self.dataset):
            sync_folder(Path(folder))

    @contextmanager
    def put_journal_away(self) -> Iterator[None]:
        """Have no journal while the block exchanges the dataset, unless the block raises.

        What lies here afterwards is the dataset that was replaced, and no later download may take
        that for its own.
        """
        journal = self._folder / _JOURNAL
        content = journal.read_bytes()
        journal.unlink()
        try:
            yield
        except Exception:
            journal.write_bytes(content)
            raise

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def count_bytes(self) -> int:
        """Count the bytes of the files that are there."""
        total = 0
        for path in [*_list_files(self._partial_files), *_list_files(self.data)]:
            with suppress(OSError):
                total += path.stat().st_size
        return total

    @staticmethod
    def read_source(folder: Path) -> tuple[str, str]:
        """Return the remote's URL and the dataset's id of a folder that was left; "" for none."""
        try:
            content = json.loads((folder / _JOURNAL).read_bytes())
            return str(content["source"]), str(content.get("dataset_id", ""))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return "", ""

    def _read_journal(self, source: str) -> Mapping[str, object]:
        try:
            content = json.loads((self._folder / _JOURNAL).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict) or content.get("source") != source:
            return {}
        objects = content.get("objects")
        return objects if isinstance(objects, dict) else {}

    def _write_journal(self, source: str, identities: Mapping[str, object]) -> None:
        content = {"source": source, "dataset_id": self._dataset_id, "objects": identities}
        text = json.dumps(content)
        temporary = self._folder / f".{_JOURNAL}"
        temporary.write_text(text, encoding="utf-8")
        # A journal that is cut short is no journal: what is there is then fetched again.
        os.replace(temporary, self._folder / _JOURNAL)


def _identify(found: RemoteObject) -> list[object] | None:
    """Return what identifies an object's content; None if it may change unnoticed."""
    if not found.version and found.checksum is None:
        return None
    checksum = found.checksum
    digest = [checksum.algorithm, checksum.digest] if checksum else None
    return [found.size, found.version, digest]


def _list_files(folder: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]
