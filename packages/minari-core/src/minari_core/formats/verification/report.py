"""What verification finds: problems, collected into a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from minari_core.errors import (
    MinariError,
)
from minari_core.json_values import JsonObject

Progress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes were checked, and how many there are."""


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


def described(error: Exception) -> str:
    """An error of this project speaks for itself; of another one, its class says more."""
    return str(error) if isinstance(error, MinariError) else f"{type(error).__name__}: {error}"


class AddProblem(Protocol):
    """Takes what is wrong: the file, the message, and the column and episode it concerns."""

    def __call__(
        self, file: str, message: str, column: str | None = None, episode: int | None = None
    ) -> None:
        """Add a problem to the report."""
