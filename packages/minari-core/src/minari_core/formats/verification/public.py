"""The check of a public format: its files and ids, and then every episode is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minari_core.errors import MinariError
from minari_core.formats.columnar.manifest import Manifest
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
    except MinariError as error:
        findings.add(storage.find_data_file(0), format_error(error))
        return
    _PublicEpisodeCheck(storage, findings).check_all(manifest, progress)


class _PublicEpisodeCheck(EpisodeCheck):
    """Checks the id of each episode too, and names its files."""

    def __init__(self, storage: PublicStorage, findings: Findings) -> None:
        super().__init__(storage, findings)
        self._public = storage

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
