"""The interface of a check, and of its findings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from minari.checks.blocks import EpisodeBlock
from minari_core.json_values import JsonObject

Severity: TypeAlias = Literal["note", "warning"]
"""A note may well be meant so; a warning is hardly meant so by anybody."""
_MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that data has, and that whoever trains on it will want to know."""

    check: str
    """The name of the check, as ``constant``."""
    severity: Severity
    """The likelihood of a mistake, in a word."""
    sentence: str
    """The finding in words, with the values."""
    column: str | None = None
    """The column that it is about, as ``observations/camera``."""
    element: int | None = None
    """The element of a row that it is about."""
    episodes: int = 0
    """Number of episodes that have it; 0 if it is about all data together."""
    examples: tuple[int, ...] = ()
    """The ids of some of them."""

    def __str__(self) -> str:
        """The name, the place and the sentence."""
        where = "" if self.column is None else f" {self.column}"
        if self.element is not None:
            where += f"[{self.element}]"
        shown = ", ".join(map(str, self.examples))
        more = ", …" if self.episodes > len(self.examples) else ""
        which = f" (episodes {shown}{more}; {self.episodes} in all)" if self.episodes else ""
        return f"{self.check}:{where} {self.sentence}{which}"

    def to_json(self) -> JsonObject:
        """Return the finding as plain JSON values."""
        return {
            "check": self.check,
            "severity": self.severity,
            "column": self.column,
            "element": self.element,
            "sentence": self.sentence,
            "episodes": self.episodes,
            "examples": list(self.examples),
        }


@dataclass(slots=True)
class Examples:
    """The ids of episodes that have something: how many, and the first ones."""

    count: int = 0
    ids: list[int] = field(default_factory=list)

    def add(self, ids: Sequence[int]) -> None:
        """Note episodes."""
        self.count += len(ids)
        self.ids.extend(ids[: max(_MOST_EXAMPLES - len(self.ids), 0)])


class Check(ABC):
    """A question to all data, asked block by block.

    A check is made for one dataset, is given each block once, and answers then.
    """

    name: ClassVar[str]
    """One word or two, joined by a hyphen."""
    sentence: ClassVar[str]
    """The fault that it looks for, as a sentence."""

    @abstractmethod
    def see(self, block: EpisodeBlock) -> None:
        """Take in the next episodes."""

    @abstractmethod
    def finish(self) -> Iterator[Finding]:
        """Say what was found."""
