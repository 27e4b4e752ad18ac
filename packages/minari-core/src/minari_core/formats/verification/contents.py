"""Remarks on the contents of a dataset: it is sound, but whoever trains on it should know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.formats.verification.report import Findings, VerificationProblem

_ELEMENTS_AT_ONCE = 1 << 18


@dataclass(slots=True)
class _Seen:
    """The first occurrence of something, and the number of occurrences."""

    file: str
    episode: int | None
    nans: int = 0
    infinities: int = 0


class ContentRemarks:
    """Collect what is remarkable, and give one remark for each column."""

    def __init__(self) -> None:
        self._nonfinite: dict[str, _Seen] = {}
        self._early: tuple[str, int, int] | None = None
        self._early_count = 0

    def note_values(
        self,
        file: str,
        column: str,
        values: npt.NDArray[Any],
        find_episode: Callable[[int], int | None],
        is_hidden: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]] | None = None,
    ) -> None:
        """Note NaN and infinities in the rows of a column; all others cost one addition each.

        Args:
            file: The file of the rows.
            column: The column.
            values: The rows.
            find_episode: Returns the episode of a row.
            is_hidden: Returns which of some rows are placeholders.
        """
        if values.dtype.kind not in "fc" or values.ndim == 0:
            return
        row_size = int(np.prod(values.shape[1:], dtype=np.int64))
        at_once = max(1, _ELEMENTS_AT_ONCE // max(1, row_size))
        for start in range(0, len(values), at_once):
            block = values[start : start + at_once]
            with np.errstate(all="ignore"):
                # A value that is not finite shows in the sum, and so does one that is very large.
                if np.isfinite(block.sum()):
                    continue
            rows = np.flatnonzero(~np.isfinite(block).reshape(len(block), -1).all(axis=1))
            if is_hidden is not None and len(rows):
                rows = rows[~is_hidden(rows + start)]
            if len(rows) == 0:
                continue
            shown = block[rows]
            seen = self._nonfinite.get(column)
            if seen is None:
                seen = self._nonfinite[column] = _Seen(file, find_episode(start + int(rows[0])))
            nans = int(np.isnan(shown).sum())
            seen.nans += nans
            seen.infinities += int((~np.isfinite(shown)).sum()) - nans

    def note_tree(self, file: str, column: str, values: Any, episode: int) -> None:
        """Note NaN and infinities in all arrays of an episode's observations or actions."""
        if isinstance(values, np.ndarray):
            self.note_values(file, column, np.ma.getdata(values), lambda _: episode)
        elif isinstance(values, Mapping):
            for key, part in values.items():
                self.note_tree(file, f"{column}/{key}", part, episode)
        elif isinstance(values, tuple):
            for index, part in enumerate(values):
                self.note_tree(file, f"{column}/_index_{index}", part, episode)
        elif isinstance(values, list):
            for part in values:
                self.note_tree(file, column, part, episode)

    def note_early_end(self, file: str, episode: int, step: int, count: int) -> None:
        """Note that an episode has ends before its last step."""
        if self._early is None:
            self._early = file, episode, step
        self._early_count += count

    def give(self, findings: Findings) -> None:
        """Add one remark for each kind and column."""
        for column, seen in self._nonfinite.items():
            message = f"{seen.nans} values are NaN and {seen.infinities} infinite; first seen here"
            findings.remarks.append(VerificationProblem(seen.file, message, column, seen.episode))
        if self._early is not None:
            file, episode, step = self._early
            message = (
                f"{self._early_count} steps end an episode that goes on, step {step} is the first; "
                "n-step returns, windows and returns-to-go end there"
            )
            findings.remarks.append(VerificationProblem(file, message, None, episode))
