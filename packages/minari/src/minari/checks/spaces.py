"""Checks of actions and observations against their spaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from minari.checks.blocks import EpisodeBlock
from minari.checks.finding import Check, Examples, Finding
from minari_core.leaves import Keys, join_path


class SpaceCheck(Check):
    """Values outside the bounds of their space."""

    name = "outside-space"
    sentence = "An observation or action is outside its space."

    def __init__(self, observations: spaces.Space[Any], actions: spaces.Space[Any]) -> None:
        """Find the spaces of the leaves.

        Args:
            observations: The space of the observations.
            actions: The space of the actions.
        """
        self._spaces = {
            join_path(group, keys): space
            for group, whole in (("observations", observations), ("actions", actions))
            for keys, space in _find_leaf_spaces(whole, ())
        }
        self._found: dict[str, Examples] = {}

    def see(self, block: EpisodeBlock) -> None:
        """Compare rows with the bounds of their space."""
        for path, column in block.columns.items():
            space = self._spaces.get(path)
            if space is None or column.low is None:
                continue
            low, high = _find_bounds(space)
            # NaN is within all bounds here: another check tells it.
            if column.is_finite and np.all(column.low >= low) and np.all(column.high <= high):
                continue
            flags = np.asarray((column.rows < low) | (column.rows > high))
            if flags.any():
                examples = self._found.setdefault(path, Examples())
                examples.add(block.find_episodes(flags, column.counts))

    def finish(self) -> Iterator[Finding]:
        """Say which columns have such values."""
        for path, examples in self._found.items():
            yield Finding(
                check=self.name,
                severity="warning",
                column=path,
                sentence=f"has values outside {self._spaces[path]}",
                episodes=examples.count,
                examples=tuple(examples.ids),
            )


def _find_leaf_spaces(
    space: spaces.Space[Any], keys: Keys
) -> Iterator[tuple[Keys, spaces.Space[Any]]]:
    """Find the spaces whose values lie in arrays and have bounds."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _find_leaf_spaces(inner, (*keys, key))
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _find_leaf_spaces(inner, (*keys, index))
    elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete):
        yield keys, space


def _find_bounds(space: spaces.Space[Any]) -> tuple[Any, Any]:
    """Return the smallest and the largest value, for each element."""
    if isinstance(space, spaces.Box):
        return space.low, space.high
    if isinstance(space, spaces.MultiDiscrete):
        # Gymnasium before 1.0 has no start.
        start = getattr(space, "start", 0)
        return start, start + space.nvec - 1
    discrete: Any = space
    return discrete.start, discrete.start + discrete.n - 1
