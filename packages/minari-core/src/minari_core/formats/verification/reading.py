"""The check of a format that keeps no checksums: every episode is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from minari_core.columns import has_fixed_values
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetBusyError, FormatError
from minari_core.files import MANIFEST_NAME
from minari_core.formats.columnar.manifest import Manifest
from minari_core.formats.registry import open_storage
from minari_core.formats.verification.contents import ContentRemarks
from minari_core.formats.verification.report import Findings, format_error
from minari_core.messages import Progress
from minari_core.storage.base import Storage

# It lets a dataset be opened whose own space is unknown; no value is read by it.
_STAND_IN = spaces.Discrete(1)
# A space of one dtype may have values of another dtype of the same kind.
_KINDS = {"b": "integers", "i": "integers", "u": "integers", "f": "floats"}


def check_by_reading(
    folder: Path, manifest: Manifest, progress: Progress, findings: Findings
) -> None:
    """Read every episode through its `Storage`; see `Check`."""
    storage = open_for_check(folder, findings)
    if storage is not None:
        EpisodeCheck(storage, findings).check_all(manifest, progress)


def open_for_check(folder: Path, findings: Findings) -> Storage | None:
    """Open the storage of a dataset; None, and a problem, if it cannot be opened."""
    try:
        return open_storage(folder, dict.fromkeys(findings.unknown_spaces, _STAND_IN))
    except (FormatError, DatasetBusyError):
        raise
    except Exception as error:
        findings.add(MANIFEST_NAME, f"the data cannot be opened: {format_error(error)}")
        return None


class EpisodeCheck:
    """Read episodes, and compare each with its spaces and with the episodes before it."""

    def __init__(self, storage: Storage, findings: Findings) -> None:
        self._storage = storage
        self._findings = findings
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._remarks = ContentRemarks()

    def find_data_file(self, number: int) -> str:
        """Return the file that holds an episode, relative to the data folder."""
        return "."

    def find_attributes_file(self, number: int) -> str:
        """Return the file that holds the length of an episode, relative to the data folder."""
        return self.find_data_file(number)

    def read_length(self, number: int) -> int:
        """Return the number of steps that the dataset records for an episode."""
        return int(self._storage.episode_lengths()[number])

    def is_vouched_for(self, number: int) -> bool:
        """Whether what is stored of an episode is compared with a checksum besides."""
        return False

    def choose_episodes(self) -> Iterable[int]:
        """Return the indices of the episodes to check, in order."""
        return range(self._storage.total_episodes)

    def check_all(self, manifest: Manifest, progress: Progress) -> None:
        """Check every episode, and their number of steps against the manifest."""
        total, nbytes = self._storage.total_episodes, self._storage.nbytes
        steps: list[int | None] = []
        for number in self.choose_episodes():
            steps.append(self.check(number))
            progress(nbytes * (number + 1) // total, nbytes)
        self._remarks.give(self._findings)
        known = [count for count in steps if count is not None]
        stated = manifest.metadata.get("total_steps", 0)
        if len(known) == total and sum(known) != stated:
            self._findings.add(
                MANIFEST_NAME, f"its total_steps is {stated}, but the data has {sum(known)}"
            )

    def check(self, number: int) -> int | None:
        """Check an episode against its spaces and its recorded length, if the spaces are known.

        Returns:
            Its number of steps; the recorded one if it cannot be read, or None.
        """
        stated: int | None = None
        file = self.find_attributes_file(number)
        try:
            stated = self.read_length(number)
            if self._findings.unknown_spaces:
                return stated
            file = self.find_data_file(number)
            (episode,) = self._storage.read_episodes([number], copy=False)
        except DatasetBusyError:
            raise
        except Exception as error:
            self._findings.add(file, f"it cannot be read: {format_error(error)}", None, number)
            return stated
        if len(episode) != stated:
            message = f"it has {len(episode)} steps, not {stated}"
            self._findings.add(file, message, None, number)
        for name, space in (
            ("observations", self._storage.observation_space),
            ("actions", self._storage.action_space),
        ):
            value, is_vouched_for = getattr(episode, name), self.is_vouched_for(number)
            for column, message in self._find_mismatches(space, value, name, is_vouched_for):
                self._findings.add(file, message, column, number)
        for name, values in (("infos", episode.infos), ("extras", episode.extras)):
            for column, message in self._find_unfit_rows(values, len(episode) + 1, name):
                self._findings.add(file, message, column, number)
        self._remark(file, episode, number)
        return len(episode)

    def _remark(self, file: str, episode: EpisodeData, number: int) -> None:
        for name in ("observations", "actions", "rewards"):
            self._remarks.note_tree(file, name, getattr(episode, name), number)
        ended = np.flatnonzero(episode.terminations[:-1] | episode.truncations[:-1])
        if len(ended):
            self._remarks.note_early_end(file, number, int(ended[0]), len(ended))

    def _find_unfit_rows(self, value: Any, rows: int, where: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from self._find_unfit_rows(inner, rows, f"{where}[{key!r}]")
        elif isinstance(value, np.ndarray) and value.ndim == 0:
            yield where, "it is one value, and no column of rows"
        elif isinstance(value, np.ndarray | list) and len(value) != rows:
            yield where, f"it has {len(value)} rows, not {rows}"

    def _find_mismatches(
        self, space: spaces.Space[Any], value: Any, where: str, is_vouched_for: bool
    ) -> Iterator[tuple[str, str]]:
        if isinstance(space, spaces.Dict | spaces.Tuple):
            keyed: Mapping[Any, spaces.Space[Any]] = dict(
                space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
            )
            for key, subspace in keyed.items():
                inner = f"{where}[{key!r}]"
                yield from self._find_mismatches(subspace, value[key], inner, is_vouched_for)
        elif has_fixed_values(space):
            found, wanted = value.dtype, np.dtype(space.dtype)
            if value.shape[1:] != space.shape:
                yield where, f"its rows have shape {value.shape[1:]}, but the space is {space}"
            # What a checksum vouches for was recorded so.
            if not is_vouched_for and _KINDS.get(found.kind) != _KINDS.get(wanted.kind):
                yield where, f"it is {found}, but the space is {space}"
            elif found != self._dtypes.setdefault(where, found):
                # Neither a conversion nor a batch can hold both.
                yield where, f"it is {found}, but {self._dtypes[where]} in the episodes before"
