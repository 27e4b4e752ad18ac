"""The report of a verification, and the problems that it consists of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from minari_core.errors import DatasetBusyError, DatasetChangedError, MinariError
from minari_core.files import make_read_error, may_not_read
from minari_core.formats.columnar.manifest import Manifest
from minari_core.json_values import JsonObject
from minari_core.messages import Progress


@dataclass(frozen=True, slots=True)
class VerificationProblem:
    """One thing that is wrong with a dataset."""

    file: str
    """The file in the dataset's folder."""
    message: str
    """A description of the problem, with the values."""
    column: str | None = None
    """The HDF5 path of the array, or the key of the space, that it concerns, if it concerns one."""
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
    """The result of `verify_dataset`."""

    dataset_id: str
    """The dataset."""
    data_path: str
    """The folder that was looked at."""
    data_format: str
    """The data format, or ``""`` if the metadata names none."""
    files: int
    """The expected number of data files."""
    total_episodes: int
    """The expected number of episodes."""
    total_steps: int
    """The expected number of steps."""
    nbytes: int
    """The expected size of the data files in bytes."""
    problems: tuple[VerificationProblem, ...]
    """Everything that is wrong; empty for a sound dataset."""
    remarks: tuple[VerificationProblem, ...]
    """Findings that are no damage: files that are not part of the dataset, NaN and infinities,
    episodes that go on after an end, spaces whose type is unknown here and, in the public Minari's
    formats, episodes without checksums and metadata that another program has changed."""

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


class Findings:
    """The problems and remarks that a verification has collected so far.

    The keys of the spaces whose types are unknown are in ``unknown_spaces``: no values are read
    that only they would say how to read.
    """

    def __init__(self) -> None:
        self.problems: list[VerificationProblem] = []
        self.remarks: list[VerificationProblem] = []
        self.unknown_spaces: set[str] = set()

    def add(
        self, file: str, message: str, column: str | None = None, episode: int | None = None
    ) -> None:
        """Add a problem."""
        self.problems.append(VerificationProblem(file, message, column, episode))

    @contextmanager
    def catch_errors(self, file: str, column: str | None = None) -> Iterator[None]:
        """Turn an error of the block into a problem, so that the rest is checked too."""
        try:
            yield
        except (DatasetBusyError, DatasetChangedError):
            raise
        except Exception as error:
            raise_if_busy(file, error)
            self.add(file, format_error(error), column)


class Check(Protocol):
    """Verify the data of a dataset; its metadata has been checked before."""

    def __call__(
        self, folder: Path, manifest: Manifest, progress: Progress, findings: Findings
    ) -> None:
        """Verify a dataset.

        Args:
            folder: Its ``data`` folder.
            manifest: Its manifest.
            progress: Called with the number of bytes checked so far, and of all bytes.
            findings: Collects what is found.

        Raises:
            DatasetBusyError: Another program holds an HDF5 file open for writing.
            DatasetChangedError: Another process rewrote the dataset meanwhile.
            FormatError: The dataset is of a version that is unknown here.
        """


def raise_if_busy(file: str, error: Exception) -> None:
    """Raise if an error says only that nothing can be opened now.

    Raises:
        DatasetBusyError: It does.
    """
    if may_not_read(error):
        found = make_read_error(file, error)
        if isinstance(found, DatasetBusyError):
            raise found from error


def format_error(error: Exception) -> str:
    """Return the message of an error, after the name of its class unless it is this project's."""
    return str(error) if isinstance(error, MinariError) else f"{type(error).__name__}: {error}"
