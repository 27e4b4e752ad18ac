"""The folder of a dataset in a public format: its manifest, its lock, and what took its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from minari_core.columns import Schema
from minari_core.environments.given_spaces import NONE_GIVEN, GivenSpaces
from minari_core.environments.space_json import is_same_space
from minari_core.errors import DatasetDamagedError, DatasetNotFoundError
from minari_core.files import (
    LOCK_FILES,
    MAIN_FILE,
    MANIFEST_NAME,
    lock_dataset,
    sync_folder,
    wrap_write_errors,
)
from minari_core.formats.columnar.manifest import (
    check_updatable,
    normalize_metadata,
    read_metadata,
    replace_manifest,
)
from minari_core.formats.public.checksums import EpisodeChecksums, check_seal, get_checksums
from minari_core.formats.public.files import OWN_KEY, STAGE_PREFIX
from minari_core.formats.public.metadata_file import PublicManifest, create_manifest, parse_manifest
from minari_core.formats.public.spaces import check_holdable
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage, check_not_replaced

_FIXED_KEYS = frozenset({"jpeg_encoding", "dataset_size", OWN_KEY})

_Self = TypeVar("_Self", bound="PublicFolder")
_Stamp = tuple[int, int, int, int]


class PublicFolder(Storage):
    """The part of a public format's storage that knows the manifest, and nothing of episodes.

    ``metadata.json`` counts the episodes; those beyond the last one were left by an interrupted
    append, and the next append removes them. Writing to a published dataset takes its lock.
    """

    data_format: ClassVar[str]
    holds_empty_spaces: ClassVar[bool] = False
    """Whether the format can hold spaces whose values have no elements."""

    def __init__(self, folder: Path, manifest: PublicManifest, *, published: bool) -> None:
        """Open a dataset without reading anything."""
        self._folder = folder
        self._manifest = manifest
        self._published = published
        self._lengths: npt.NDArray[np.int64] | None = None
        self._established: Schema | None = None
        self._stamp: _Stamp | None = None

    @classmethod
    def create(
        cls: type[_Self],
        folder: Path,
        metadata: Mapping[str, JsonValue],
        given_spaces: GivenSpaces = NONE_GIVEN,
    ) -> _Self:
        """Create an empty dataset in an empty folder, for one process to fill and then save.

        Raises:
            SpaceError: The format cannot hold a space; the message names it.
        """
        manifest = create_manifest(metadata, cls.data_format, given_spaces)
        cls.check_space(manifest.observation_space, "observation_space")
        cls.check_space(manifest.action_space, "action_space")
        return cls(folder, manifest, published=False)

    @classmethod
    def check_space(cls, space: spaces.Space[Any], where: str) -> None:
        """Raise unless the format can hold every value of a space; see `Storage.check_space`."""
        check_holdable(space, where, cls.data_format, holds_empty_spaces=cls.holds_empty_spaces)

    @classmethod
    def open(cls: type[_Self], folder: Path, given_spaces: GivenSpaces = NONE_GIVEN) -> _Self:
        """Open a dataset; nothing but its metadata is read.

        Raises:
            DatasetNotFoundError: The folder holds no dataset.
            DatasetDamagedError: Its metadata is malformed.
        """
        stamp = _read_stamp(folder)
        storage = cls(folder, cls.read_manifest(folder, given_spaces), published=True)
        storage._stamp = stamp
        return storage

    @classmethod
    def read_manifest(cls, folder: Path, given_spaces: GivenSpaces) -> PublicManifest:
        """Read the manifest of a dataset."""
        content = read_metadata(folder)
        manifest = parse_manifest(content, folder, given_spaces)
        for key in ("total_episodes", "total_steps"):
            if key not in content:
                raise DatasetDamagedError(f"{folder / MANIFEST_NAME}: {key!r} is missing")
        return manifest

    def __reduce__(self) -> tuple[object, ...]:
        if self._published:
            return _reopen, (type(self), self._folder, self.given_spaces)
        return _make_unsaved, (type(self), self._folder, self._manifest)

    @property
    def uid(self) -> str:
        """What tells the dataset from all others; empty if the public Minari wrote it."""
        return self._manifest.uid

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """The metadata of the dataset, as plain JSON values."""
        return self._manifest.metadata_with_counts

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """The space of the observations."""
        return self._manifest.observation_space

    @property
    def action_space(self) -> spaces.Space[Any]:
        """The space of the actions."""
        return self._manifest.action_space

    @property
    def given_spaces(self) -> GivenSpaces:
        """The spaces that stand for those whose types are unknown."""
        return self._manifest.given_spaces

    @property
    def total_episodes(self) -> int:
        """The number of episodes."""
        return self._manifest.total_episodes

    @property
    def total_steps(self) -> int:
        """The number of steps of all episodes."""
        return self._manifest.total_steps

    @property
    def data_path(self) -> Path:
        """The folder that the data lies in."""
        return self._folder

    @property
    def nbytes(self) -> int:
        """The size of the files in bytes."""
        return len(self._manifest.to_json(0)) + self._data_nbytes()

    def _data_nbytes(self) -> int:
        total = 0
        for folder, _, files in os.walk(self._folder):
            for name in files:
                if name not in (MANIFEST_NAME, *LOCK_FILES) or folder != str(self._folder):
                    with suppress(FileNotFoundError):
                        total += os.stat(os.path.join(folder, name)).st_size
        return total

    def get_checksums(self, number: int) -> EpisodeChecksums | None:
        """Return the checksums of an episode as it was written; None if there are none."""
        return get_checksums(self._manifest.checksums, number)

    def reload_checksums(self, number: int) -> EpisodeChecksums | None:
        """Return them as they are since another process may have changed its metadata."""
        self._check_not_replaced()
        return self.get_checksums(number)

    def find_file(self, name: str) -> Path:
        """Return where a file is; one that a killed process has staged may wait to be moved.

        Args:
            name: Its name relative to the data folder.
        """
        staged = self._manifest.staged
        if staged and (self._folder / staged / name).exists():
            return self._folder / staged / name
        return self._folder / name

    def _finish_staged(self) -> None:
        """Move staged files to where they belong; until then readers find them."""
        if not self._manifest.staged:
            return
        stage = self._folder / self._manifest.staged
        # An episode's sidecar, which says all, is moved before its attributes.
        for path in sorted(stage.rglob("*")):
            if path.is_file():
                target = self._folder / path.relative_to(stage)
                os.replace(path, target)
                sync_folder(target.parent)
        manifest = replace(self._manifest, staged="")
        if self._published:
            self._write_manifest(manifest)
        self._manifest = manifest
        shutil.rmtree(stage, ignore_errors=True)

    def _commit(self, manifest: PublicManifest) -> None:
        """Replace the manifest, which counts the episodes that belong to the dataset."""
        if self._published:
            self._write_manifest(manifest)
        self._manifest = manifest
        self._lengths = None

    def _write_manifest(self, manifest: PublicManifest) -> None:
        replace_manifest(self._folder, manifest.to_json(self._data_nbytes()))

    def save(self) -> None:
        """Make a new dataset complete and durable, or finish what a killed process has begun."""
        if self._published:
            if any(self._folder.glob(f"{STAGE_PREFIX}*")):
                with self._hold_lock():
                    pass
        else:
            with wrap_write_errors(self._folder):
                self._finish()
            self._write_manifest(self._manifest)

    def _finish(self) -> None:
        """Make sure that even a dataset without episodes has all its files."""

    def compact(self) -> None:
        """Do nothing: a format that stores episodes one by one has nothing to join."""

    def update_metadata(self, changes: Mapping[str, object]) -> None:
        """Replace some keys of the metadata in one step; see `Storage.update_metadata`."""
        check_updatable(self._manifest.metadata, changes, _FIXED_KEYS)
        checked = normalize_metadata(changes)
        with self._hold_lock():
            metadata = {**self._manifest.metadata, **checked}
            self._commit(replace(self._manifest, metadata=metadata))

    def fingerprint(self) -> str:
        """Return text that changes whenever the steps that are stored do."""
        manifest = self._manifest
        return f"{self._folder} {manifest.uid} {manifest.total_episodes} {manifest.total_steps}"

    def newer_episodes(self) -> int:
        """Return the number of episodes that others have added and `refresh` would load."""
        return self._read_current().total_episodes - self.total_episodes if self._published else 0

    def refresh(self) -> bool:
        """Load the episodes that other processes added, and return whether there were any.

        Raises:
            DatasetChangedError: Another dataset has taken this one's place.
        """
        if not self._published:
            return False
        current = self._read_current()
        if current == self._manifest:
            return False
        self._manifest, self._lengths = current, None
        return True

    def _read_current(self) -> PublicManifest:
        known = self._manifest
        current = self.read_manifest(self._folder, known.given_spaces)
        same_spaces = all(
            current.metadata[key] == known.metadata[key]
            if key in known.given_spaces
            else one == other or is_same_space(one, other)
            for key, one, other in (
                ("observation_space", current.observation_space, known.observation_space),
                ("action_space", current.action_space, known.action_space),
            )
        )
        check_not_replaced(
            self._folder,
            is_same=current.uid == known.uid
            and same_spaces
            and current.total_episodes >= known.total_episodes,
        )
        # Spaces of others' classes may equal none but themselves.
        return replace(
            current,
            observation_space=known.observation_space,
            action_space=known.action_space,
        )

    @contextmanager
    def _tell_if_replaced(self) -> Iterator[None]:
        """Raise that the dataset is gone, or another one, rather than what follows from that."""
        self._check_not_replaced()
        try:
            yield
        except DatasetDamagedError:
            self._check_not_replaced()
            raise
        self._check_not_replaced()

    def _check_not_replaced(self) -> None:
        if not self._published:
            return
        stamp = _read_stamp(self._folder)
        if stamp != self._stamp:
            now = self._read_current()
            self._manifest = replace(self._manifest, staged=now.staged, checksums=now.checksums)
            self._stamp = stamp

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        """Hold the dataset's lock, after loading its newest state."""
        if not self._published:
            yield
            return
        with lock_dataset(self._folder):
            self.refresh()
            # What is written next would make damage look as if it had been written.
            check_seal(read_metadata(self._folder), self._folder)
            self._finish_staged()
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove the files that killed processes have left; nobody else writes under the lock."""
        for name in (MANIFEST_NAME, MAIN_FILE):
            for path in self._folder.glob(f".{name}.*"):
                with suppress(OSError):
                    path.unlink()
        for path in self._folder.glob(f"{STAGE_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


def _read_stamp(folder: Path) -> _Stamp:
    """Return what changes whenever the metadata of a dataset is replaced.

    Raises:
        DatasetNotFoundError: There is no dataset any more.
    """
    # Before 0.5 the public Minari kept the metadata in the file of the data, and adds to that.
    for name in (MANIFEST_NAME, MAIN_FILE):
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.stat(folder / name)
            return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
    raise DatasetNotFoundError(f"{folder} is gone: its dataset was deleted, or moved")


def _reopen(kind: type[PublicFolder], folder: Path, given_spaces: GivenSpaces) -> PublicFolder:
    # A bound method would be pickled by way of its class, which some picklers follow for ever.
    return kind.open(folder, given_spaces)


def _make_unsaved(kind: type[PublicFolder], folder: Path, manifest: PublicManifest) -> PublicFolder:
    return kind(folder, manifest, published=False)
