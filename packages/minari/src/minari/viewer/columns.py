"""The columns of an episode: their kinds, and their values as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minari_core.images import is_image
from minari_core.json_values import JsonObject
from minari_core.leaves import Keys

_MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class EpisodeColumn:
    """One leaf of what was recorded, such as ``observations/camera``."""

    path: str
    """Its name on the page."""
    role: str
    """The column group it is in."""
    keys: Keys
    """The keys and indices that lead to it."""
    kind: str
    """``numbers``, ``image`` or ``text``."""
    shape: tuple[int, ...]
    """The shape of one row."""
    dtype: str
    """The dtype of numbers and images."""
    rows: int
    """T, or T + 1."""

    @property
    def dims(self) -> int:
        """The elements of a row of numbers; 0 for other kinds."""
        return int(np.prod(self.shape)) if self.kind == "numbers" else 0

    def to_json(self) -> JsonObject:
        """Return it as plain JSON values."""
        return {
            "path": self.path,
            "role": self.role,
            "kind": self.kind,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "rows": self.rows,
            "dims": self.dims,
        }


def choose_kind(leaf: npt.NDArray[Any]) -> str:
    """Tell images from numbers, and numbers from text."""
    # A missing row has no picture, but a place among values.
    if is_image(leaf) and not isinstance(leaf, np.ma.MaskedArray):
        return "image"
    return "numbers" if leaf.dtype.kind in "biuf" else "text"


def to_texts(value: object, kind: str, most: int | None = None) -> list[str]:
    """Return a row of a column as texts, one for each of at most so many numbers, else one."""
    if kind != "numbers":
        return [to_text(value)]
    elements: npt.NDArray[Any] = np.ma.asarray(value).reshape(-1)[:most]
    return ["missing" if each is np.ma.masked else str(each) for each in elements]


def to_text(value: object) -> str:
    """Return a value as text of at most 2,000 characters."""
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
