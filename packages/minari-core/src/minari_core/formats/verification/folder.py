"""Whether a local dataset is what was written: every file, every array, every count."""

from __future__ import annotations

import os
from pathlib import Path

from minari_core.environments.env_specs import env_spec_from_json
from minari_core.environments.space_json import space_from_json
from minari_core.errors import FormatError, MinariError
from minari_core.files import LOCK_NAME
from minari_core.formats.columnar.dataset_folder import ColumnarStorage
from minari_core.formats.columnar.manifest import MANIFEST_NAME, Manifest, read_manifest
from minari_core.formats.public.files import MAIN_FILE
from minari_core.formats.registry import open_storage
from minari_core.formats.verification.report import (
    Progress,
    VerificationProblem,
    VerificationReport,
    described,
)

_LEFTOVERS = "shard-*.h5"


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
            from minari_core.formats.verification.columnar import ColumnarCheck

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
        sizes = {shard.file: shard.nbytes for shard in manifest.snapshot.shards}
        if not sizes:
            sizes = _file_sizes(self._folder)
        return VerificationReport(
            dataset_id=self._id,
            data_path=str(self._folder),
            data_format=str(manifest.metadata.get("data_format", "")),
            files=len(sizes),
            total_episodes=manifest.snapshot.total_episodes or _total(manifest, "total_episodes"),
            total_steps=manifest.snapshot.total_steps or _total(manifest, "total_steps"),
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
        named = {shard.file for shard in manifest.snapshot.shards}
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
        from minari_core.formats.public.base import PublicStorage
        from minari_core.formats.verification.public import EpisodeCheck

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
