"""Whether a local dataset is what was written: every file, every array, every count."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from minari_core.columnar_storage import ColumnarStorage
from minari_core.columns import JsonObject
from minari_core.dataset_id import chosen_id
from minari_core.dataset_lock import LOCK_NAME
from minari_core.errors import (
    DatasetNotFoundError,
    FormatError,
    MinariError,
)
from minari_core.formats import MAIN_FILE, open_storage
from minari_core.gymnasium_compat import env_spec_from_json
from minari_core.local_folders import has_data_folder
from minari_core.locations import DATA_FOLDER, dataset_folder, datasets_root
from minari_core.manifest import MANIFEST_NAME, Manifest, read_manifest
from minari_core.space_json import space_from_json

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes were checked, and how many there are."""

_LEFTOVERS = "shard-*.h5"


@dataclass(frozen=True, slots=True)
class VerificationProblem:
    """One thing that is wrong with a dataset."""

    file: str
    """The file in the dataset's folder."""
    message: str
    """What is wrong, with the values."""
    column: str | None = None
    """The HDF5 path of the array that it concerns, if it concerns one."""
    episode: int | None = None
    """The index of the episode that it concerns, if it concerns one alone."""

    def __str__(self) -> str:
        """File, column, what is wrong, and the episode."""
        where = self.file if self.column is None else f"{self.file}: {self.column}"
        episode = "" if self.episode is None else f" (episode {self.episode})"
        return f"{where}: {self.message}{episode}"

    def to_json(self) -> JsonObject:
        """The problem as plain JSON values."""
        return {
            "file": self.file,
            "column": self.column,
            "episode": self.episode,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """What `verify_dataset` found."""

    dataset_id: str
    """The dataset."""
    data_path: str
    """The folder that was looked at."""
    data_format: str
    """How the data is stored, or ``""`` if the metadata does not say."""
    files: int
    """How many files with data there should be."""
    total_episodes: int
    """How many episodes there should be."""
    total_steps: int
    """How many steps there should be."""
    nbytes: int
    """How many bytes there should be in the files with data."""
    problems: tuple[VerificationProblem, ...]
    """Everything that is wrong; empty for a sound dataset."""
    remarks: tuple[VerificationProblem, ...]
    """What does no harm, but is no part of the dataset: files that no manifest names."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> JsonObject:
        """The report as plain JSON values."""
        return {
            "dataset_id": self.dataset_id,
            "ok": self.ok,
            "data_path": self.data_path,
            "data_format": self.data_format,
            "files": self.files,
            "total_episodes": self.total_episodes,
            "total_steps": self.total_steps,
            "nbytes": self.nbytes,
            "problems": [problem.to_json() for problem in self.problems],
            "remarks": [remark.to_json() for remark in self.remarks],
        }


def verify_dataset(
    dataset_name: str | None = None,
    *,
    dataset_id: str | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Check everything about a local dataset; nothing that it names is run or imported.

    Of a columnar dataset: each shard's size and checksum, what HDF5 and the manifest say of each
    array, that no link leads out of the shard, row counts, offsets, that texts and images can be
    decoded, lengths of episodes, totals and spaces. Of any other format: that every episode can
    be read, its id, its length, the kind of its numbers and the shape of its rows as the spaces
    have them, and the totals.

    Damage never raises: all of it is in the report.

    Args:
        dataset_name: The dataset's id.
        dataset_id: Another name of ``dataset_name``.
        progress: Called with the bytes checked so far, and with all bytes, as it goes on.

    Raises:
        DatasetIdError: The id is malformed.
        DatasetNotFoundError: There is no such dataset.
        DatasetChangedError: Another process rewrote the dataset meanwhile; verify it again.
        FormatError: The dataset is of a format, or a version of it, that is unknown here, so
            nothing can be said about it.

    Example:
        >>> report = verify_dataset("D4RL/door/human-v2")  # doctest: +SKIP
        >>> report.ok, [str(problem) for problem in report.problems]  # doctest: +SKIP
        (True, [])
    """
    wanted = chosen_id(dataset_name, dataset_id)
    folder = dataset_folder(wanted)
    if not has_data_folder(folder):
        raise DatasetNotFoundError(
            f"there is no dataset {wanted!r} under {datasets_root()}; list_local_datasets() "
            "shows which there are"
        )
    verification = _Verification(wanted, folder / DATA_FOLDER, progress or _silent)
    return verification.run()


def _silent(done: int, total: int) -> None:
    """Progress that nobody asked for."""


def described(error: Exception) -> str:
    """An error of this project speaks for itself; of another one, its class says more."""
    return str(error) if isinstance(error, MinariError) else f"{type(error).__name__}: {error}"


class _Verification:
    """The verification of one dataset, and what it has found so far."""

    def __init__(self, dataset_id: str, folder: Path, progress: Progress) -> None:
        self._id = dataset_id
        self._folder = folder
        self._progress = progress
        self._problems: list[VerificationProblem] = []
        self._remarks: list[VerificationProblem] = []

    def run(self) -> VerificationReport:
        manifest = Manifest({})
        try:
            manifest = read_manifest(self._folder, lambda words: self._add(MANIFEST_NAME, words))
        except FormatError:
            raise
        except Exception as error:
            self._add(MANIFEST_NAME, described(error))
            return self._report(manifest)
        self._check_metadata(manifest)
        if manifest.metadata.get("data_format") == ColumnarStorage.data_format:
            # It opens HDF5 files, and HDF5 takes long to import.
            from minari_core.columnar_verification import ColumnarCheck

            ColumnarCheck(self._folder, manifest, self._progress, self._add).run()
            self._look_for_foreign_files(manifest)
        else:
            self._check_by_reading(manifest)
        return self._report(manifest)

    def _add(
        self, file: str, message: str, column: str | None = None, episode: int | None = None
    ) -> None:
        self._problems.append(VerificationProblem(file, message, column, episode))

    def _report(self, manifest: Manifest) -> VerificationReport:
        sizes = {shard.file: shard.nbytes for shard in manifest.layout.shards}
        if not sizes:
            sizes = _file_sizes(self._folder)
        return VerificationReport(
            dataset_id=self._id,
            data_path=str(self._folder),
            data_format=str(manifest.metadata.get("data_format", "")),
            files=len(sizes),
            total_episodes=manifest.layout.total_episodes or _total(manifest, "total_episodes"),
            total_steps=manifest.layout.total_steps or _total(manifest, "total_steps"),
            nbytes=sum(sizes.values()),
            problems=tuple(self._problems),
            remarks=tuple(self._remarks),
        )

    def _check_metadata(self, manifest: Manifest) -> None:
        metadata = manifest.metadata
        if metadata.get("dataset_id") != self._id:
            self._add(MANIFEST_NAME, f"its dataset_id is {metadata.get('dataset_id')!r}")
        for key, optional, read in (
            ("observation_space", False, space_from_json),
            ("action_space", False, space_from_json),
            ("env_spec", True, env_spec_from_json),
            ("eval_env_spec", True, env_spec_from_json),
        ):
            text = metadata.get(key)
            if text is None and optional:
                continue
            if not isinstance(text, str):
                self._add(MANIFEST_NAME, f"its {key} is {text!r}, not text")
                continue
            try:
                read(text)
            except Exception as error:
                self._add(MANIFEST_NAME, f"its {key} cannot be read: {described(error)}")

    def _look_for_foreign_files(self, manifest: Manifest) -> None:
        named = {shard.file for shard in manifest.layout.shards}
        named |= {MANIFEST_NAME, LOCK_NAME, MAIN_FILE}
        for path in sorted(self._folder.iterdir()):
            if path.name in named or path.name.startswith(f".{MANIFEST_NAME}."):
                continue
            kind = "was left by a process that died, or is being added just now"
            if not path.match(_LEFTOVERS):
                kind = "is no part of the dataset"
            self._remarks.append(VerificationProblem(path.name, f"no manifest names it: it {kind}"))

    def _check_by_reading(self, manifest: Manifest) -> None:
        """Read all episodes of a format that keeps no checksums."""
        from minari_core.public_formats.folder import PublicStorage
        from minari_core.public_formats.verification import EpisodeCheck

        try:
            storage = open_storage(self._folder)
        except FormatError:
            raise
        except Exception as error:
            self._add(MANIFEST_NAME, f"the data cannot be opened: {described(error)}")
            return
        if not isinstance(storage, PublicStorage):
            raise FormatError(f"data format {storage.data_format!r} cannot be verified")
        total = storage.total_episodes
        try:
            storage.check_common_file()
        except MinariError as error:
            self._add(storage.file_of(0), described(error))
            return
        check = EpisodeCheck(storage, self._add)
        nbytes = storage.nbytes
        steps: list[int | None] = []
        for episode in range(total):
            steps.append(check.check(episode))
            self._progress(nbytes * (episode + 1) // total, nbytes)
        known = [count for count in steps if count is not None]
        if len(known) == total and sum(known) != _total(manifest, "total_steps"):
            self._add(
                MANIFEST_NAME,
                f"its total_steps is {_total(manifest, 'total_steps')}, but the data has "
                f"{sum(known)}",
            )


def _file_sizes(folder: Path) -> dict[str, int]:
    """The sizes of the files with data in a folder, as far as they may be looked at."""
    sizes: dict[str, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name != MANIFEST_NAME and os.path.isfile(path):
                sizes[path] = os.path.getsize(path)
    return sizes


def _total(manifest: Manifest, key: str) -> int:
    total = manifest.metadata.get(key, 0)
    return total if isinstance(total, int) else 0
