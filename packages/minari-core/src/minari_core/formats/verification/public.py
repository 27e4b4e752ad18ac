"""The check of a public format: its files and ids, and then every episode is read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minari_core.errors import DatasetBusyError, MinariError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.manifest import Manifest
from minari_core.formats.public.checksums import (
    EpisodeChecksums,
    count_checksums,
    find_redescribed,
    is_seal_broken,
    is_sealed,
)
from minari_core.formats.public.files import OWN_KEY, count_episodes
from minari_core.formats.public.metadata_file import list_checksums
from minari_core.formats.public.storage.base import PublicStorage
from minari_core.formats.verification.reading import EpisodeCheck, open_for_check
from minari_core.formats.verification.report import (
    Findings,
    VerificationProblem,
    format_error,
)
from minari_core.messages import Progress


def check_public_dataset(
    folder: Path, manifest: Manifest, progress: Progress, findings: Findings
) -> None:
    """Check a dataset in a format of the public Minari; see `Check`."""
    _check_manifest(manifest.metadata, findings)
    storage = open_for_check(folder, findings)
    if not isinstance(storage, PublicStorage):
        return
    try:
        storage.check_common_file()
    except DatasetBusyError:
        raise
    except MinariError as error:
        findings.add(storage.find_data_file(0), format_error(error))
        return
    _PublicEpisodeCheck(storage, findings).check_all(manifest, progress)


def _check_manifest(metadata: Mapping[str, Any], findings: Findings) -> None:
    """Compare the manifest with the checksums that it may have of itself."""
    if not is_sealed(metadata):
        return
    if is_seal_broken(metadata):
        findings.add(
            MANIFEST_NAME,
            f"its {OWN_KEY!r} part, or what the data depends on, is not what was written",
        )
        return
    kept, total = count_checksums(list_checksums(metadata)), count_episodes(metadata)
    if total < kept:
        findings.add(MANIFEST_NAME, f"its total_episodes is {total}, but {kept} were written")
    changed = find_redescribed(metadata)
    if changed:
        message = f"{', '.join(map(repr, changed))}: changed by another program"
        findings.remarks.append(VerificationProblem(MANIFEST_NAME, message))


_MOST_MISSING = 100
"""How many missing episodes are told one by one."""


class _PublicEpisodeCheck(EpisodeCheck):
    """Checks the id of each episode too, and names its files."""

    def __init__(self, storage: PublicStorage, findings: Findings) -> None:
        super().__init__(storage, findings)
        self._public = storage
        self._unguarded: list[int] = []

    def check_all(self, manifest: Manifest, progress: Progress) -> None:
        """Check every episode, and tell of those that have no checksums."""
        super().check_all(manifest, progress)
        if OWN_KEY not in manifest.metadata and self._has_sidecar():
            message = (
                f"its {OWN_KEY!r} part, which whoever wrote the episodes has put there, was left "
                "out by another program; names of infos that are missing in an episode are lost"
            )
            self._findings.remarks.append(VerificationProblem(MANIFEST_NAME, message))
        is_unread = bool(self._findings.unknown_spaces)
        if self._unguarded and (is_unread or is_sealed(manifest.metadata)):
            first, count = self._unguarded[0], len(self._unguarded)
            which = "it has" if count == 1 else f"it is the first of {count} that have"
            message = (
                f"{which} no checksums, since another program or an earlier release has written it"
            )
            file = self.find_attributes_file(first)
            if is_unread:
                message += "; without them, nothing is checked of a space of an unknown type"
                self._findings.add(file, message, None, first)
            else:
                self._findings.remarks.append(VerificationProblem(file, message, None, first))

    def _has_sidecar(self) -> bool:
        with suppress(MinariError):
            return any(map(self._public.has_sidecar, self._unguarded[:1]))
        return False

    def check(self, number: int) -> int | None:
        """Check an episode, and compare it with its checksums."""
        before = len(self._findings.problems)
        steps = super().check(number)
        kept = self._public.get_checksums(number)
        if kept is None:
            self._unguarded.append(number)
        elif len(self._findings.problems) == before:
            with self._findings.catch_errors(self.find_data_file(number)):
                self._compare(number, kept)
        return steps

    def is_vouched_for(self, number: int) -> bool:
        return self._public.get_checksums(number) is not None

    def _compare(self, number: int, kept: EpisodeChecksums) -> None:
        (found,) = self._public.compute_checksums([number])
        while found != kept:
            now = self._public.reload_checksums(number)
            if now is None or now == kept:
                break
            kept = now
            (found,) = self._public.compute_checksums([number])
        message = "its {} are not those that were written: their CRC-32 is {:08x}, not {:08x}"
        if found.contents != kept.contents:
            told = message.format("contents", found.contents, kept.contents)
            self._findings.add(self.find_data_file(number), told, None, number)
        if found.attributes == kept.attributes:
            return
        file = self.find_attributes_file(number)
        if self._public.has_rewritten_attributes(number, kept):
            told = "its metadata was changed by another program"
            self._findings.remarks.append(VerificationProblem(file, told, None, number))
        else:
            told = message.format("attributes", found.attributes, kept.attributes)
            self._findings.add(file, told, None, number)

    def choose_episodes(self) -> list[int]:
        """Return the stored episodes and some missing ones, and tell how many more are missing."""
        total = self._public.total_episodes
        stored = [number for number in self._public.list_stored_episodes() if number < total]
        present = set(stored)
        # As many candidates as there are stored ones hold at least so many missing ones.
        candidates = range(min(total, len(stored) + _MOST_MISSING))
        missing = [number for number in candidates if number not in present][:_MOST_MISSING]
        more = total - len(stored) - len(missing)
        if more:
            self._findings.add(
                MANIFEST_NAME,
                f"its total_episodes is {total}, but the data has {len(stored)} of them",
            )
        return sorted([*stored, *missing])

    def find_data_file(self, number: int) -> str:
        return self._public.find_data_file(number)

    def find_attributes_file(self, number: int) -> str:
        return self._public.find_attributes_file(number)

    def read_length(self, number: int) -> int:
        attributes = self._public.read_attributes(number)
        length = self._public.get_length(attributes)
        given = attributes.get("id", number)
        if isinstance(given, np.ndarray) or given != number:
            file = self.find_attributes_file(number)
            self._findings.add(file, f"its id is {given}, not {number}", None, number)
        return length
