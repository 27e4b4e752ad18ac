"""Track where a space lies inside another one, and bound how large the whole may grow.

A few bytes of JSON can name a space that fills the memory, or one so deep that Gymnasium's own
methods no longer end. Both reading and writing count against the same limits, so that whatever
was written can be read.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

from minari_core.errors import SpaceError
from minari_core.messages import format_value

_MOST_ELEMENTS = 2**28
_MOST_SPACES = 100_000
_DEEPEST = 100
# A stacked Sequence and a Graph keep a copy of what is inside them, so nesting them doubles.
_DEEPEST_COPIES = 8
_LONGEST_KEY = 60


@dataclass(slots=True)
class _Budget:
    """The numbers of elements and subspaces that a space may still have, however it is nested."""

    elements: int = _MOST_ELEMENTS
    spaces: int = _MOST_SPACES
    subclasses: dict[str, type] = field(default_factory=dict)
    """The spaces of classes of others that are written as one of Gymnasium's, by their paths."""


@dataclass(frozen=True, slots=True)
class SpacePath:
    """The path to a subspace, with the budget that the whole space shares."""

    name: str
    """Such as ``observation["camera"]``."""
    depth: int
    """Number of spaces that it lies in."""
    copies: int
    """Number of those that keep a copy of it."""
    budget: _Budget

    @classmethod
    def root(cls, name: str) -> SpacePath:
        """Return the path of the outermost space, with an unspent budget."""
        return cls(name, 0, 0, _Budget())

    def key(self, key: str) -> SpacePath:
        """Return the path of the subspace of a key."""
        quoted = json.dumps(key)
        if len(quoted) > _LONGEST_KEY:
            quoted = f'{quoted[:_LONGEST_KEY]}…"'
        return self._descend(f"[{quoted}]", copied=False)

    def index(self, index: int) -> SpacePath:
        """Return the path of the subspace of an index."""
        return self._descend(f"[{index}]", copied=False)

    def attribute(self, name: str, *, copied: bool) -> SpacePath:
        """Return the path of the subspace that a Sequence or a Graph is made of."""
        return self._descend(f".{name}", copied=copied)

    def _descend(self, step: str, *, copied: bool) -> SpacePath:
        if self.depth + 1 >= _DEEPEST or self.copies + copied > _DEEPEST_COPIES:
            raise SpaceError(
                f"{self.name}: nested too deep: at most {_DEEPEST} spaces lie within each other, "
                f"of which {_DEEPEST_COPIES} are Graphs or stacked Sequences"
            )
        return SpacePath(f"{self.name}{step}", self.depth + 1, self.copies + copied, self.budget)

    def spend_space(self) -> None:
        """Count one space, with its copies."""
        self.budget.spaces -= 2**self.copies
        if self.budget.spaces < 0:
            raise SpaceError(f"{self.name}: more than {_MOST_SPACES} spaces in one")

    def spend_elements(self, shape: tuple[int, ...]) -> None:
        """Count an array of bounds, with its copies, before it is made."""
        self.budget.elements -= math.prod(shape) * 2**self.copies
        if self.budget.elements < 0:
            raise SpaceError(
                f"{self.name}: a space of shape {format_value(shape)}: all arrays of a space "
                f"together may have {_MOST_ELEMENTS} elements"
            )
