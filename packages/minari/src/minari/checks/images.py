"""Checks of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minari.checks.blocks import EpisodeBlock
from minari.checks.finding import Check, Examples, Finding

_SMALLEST = 8
_SHARE = 0.01


class PlainImageCheck(Check):
    """Images in which all pixels have one colour."""

    name = "plain-image"
    sentence = "Images have one colour all over."

    def __init__(self) -> None:
        """Start with nothing."""
        self._found: dict[str, Examples] = {}
        self._counts: dict[str, tuple[int, int]] = {}

    def see(self, block: EpisodeBlock) -> None:
        """Compare the pixels of each image with its first one."""
        for path, column in block.columns.items():
            rows, shape = column.rows, column.rows.shape[1:]
            is_image = (
                path.startswith("observations")
                and rows.dtype == np.uint8
                and len(shape) in (2, 3)
                and min(shape[:2]) >= _SMALLEST
            )
            if not is_image:
                continue
            flags = np.zeros(len(rows), dtype=bool)
            # Few images pass the look at one row of pixels.
            line = rows[:, shape[0] // 2]
            for index in np.flatnonzero((line == line[:, :1]).reshape(len(rows), -1).all(axis=1)):
                flags[index] = bool((rows[index] == rows[index, :1, :1]).all())
            plain, seen = self._counts.get(path, (0, 0))
            self._counts[path] = plain + int(flags.sum()), seen + len(rows)
            self._found.setdefault(path, Examples()).add(block.find_episodes(flags, column.counts))

    def finish(self) -> Iterator[Finding]:
        """Say which columns have them; single ones, as between two levels, are usual."""
        for path, examples in self._found.items():
            plain, seen = self._counts[path]
            if plain:
                yield Finding(
                    check=self.name,
                    severity="warning" if plain > _SHARE * seen else "note",
                    column=path,
                    sentence=f"has one colour all over in {plain:,} of {seen:,} images",
                    episodes=examples.count,
                    examples=tuple(examples.ids),
                )
