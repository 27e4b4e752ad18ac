"""The check of a public format: its files and ids, and then every episode is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minari_core.errors import DatasetBusyError, MinariError
from minari_core.formats.columnar.manifest import MANIFEST_NAME, Manifest
from minari_core.formats.public.base import PublicStorage
from minari_core.formats.verification.reading import EpisodeCheck, open_for_check
from minari_core.formats.verification.report import Findings, Progress, format_error


def check_public_dataset(
    folder: Path, manifest: Manifest, progress: Progress, findings: Findings
) -> None:
    """Check a dataset in a format of the public Minari; see `Check`."""
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


_MOST_MISSING = 100
"""How many missing episodes are told one by one."""


class _PublicEpisodeCheck(EpisodeCheck):
    """Checks the id of each episode too, and names its files."""

    def __init__(self, storage: PublicStorage, findings: Findings) -> None:
        super().__init__(storage, findings)
        self._public = storage

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
        length = int(attributes["total_steps"])
        given = attributes.get("id", number)
        if isinstance(given, np.ndarray) or given != number:
            file = self.find_attributes_file(number)
            self._findings.add(file, f"its id is {given}, not {number}", None, number)
        return length
