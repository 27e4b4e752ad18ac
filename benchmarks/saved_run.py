"""The figures of a run as a file, to which further topics can be added."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from report import Figure


@dataclass
class Part:
    """What was measured of one topic."""

    figures: list[Figure] = field(default_factory=list)
    """Its figures."""
    complaints: list[str] = field(default_factory=list)
    """What could not be measured or compared."""
    seconds: float = 0.0
    """How long it took."""
    failed: bool = False
    """Whether it ended with an error."""


@dataclass
class Saved:
    """The topics that were measured, on one machine."""

    machine: dict[str, str]
    """What the figures depend on."""
    topics: dict[str, Part] = field(default_factory=dict)
    """What was measured, by topic."""

    @classmethod
    def read(cls, path: Path) -> Saved:
        content = json.loads(path.read_text(encoding="utf-8"))
        topics = {
            topic: Part(**{**part, "figures": [Figure(**figure) for figure in part["figures"]]})
            for topic, part in content["topics"].items()
        }
        return cls(content["machine"], topics)

    def write(self, path: Path) -> None:
        """Save the topics; those that a file has besides stay in it."""
        known = Saved.read(path) if path.exists() else Saved({})
        topics = {topic: asdict(part) for topic, part in {**known.topics, **self.topics}.items()}
        # Each peer once; a topic that stays may have had others.
        peers = [
            each for saved in (known, self) for each in saved.machine.get("peers", "").split(", ")
        ]
        named = dict.fromkeys(peer for peer in peers if peer not in ("", "none"))
        machine = {**self.machine, "peers": ", ".join(named) or "none"}
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps({"machine": machine, "topics": topics}), encoding="utf-8")
        os.replace(beside, path)

    def figures(self, topics: Iterable[str]) -> list[Figure]:
        """The figures of some topics, in their order."""
        return [
            figure
            for topic in topics
            if topic in self.topics
            for figure in self.topics[topic].figures
        ]

    def complaints(self) -> list[str]:
        """What could not be measured or compared, each once."""
        parts = self.topics.values()
        return list(dict.fromkeys(one for part in parts for one in part.complaints))
