"""The card of one dataset: what is said of it, and its section of a README."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymnasium import spaces

from minari_core.json_values import JsonValue
from minari_hub.cards.markdown import (
    escape_paragraphs,
    escape_text,
    format_code,
    format_link,
    format_table,
)
from minari_hub.cards.spaces import list_leaves

LOAD = """```python
import minari

dataset = minari.load_dataset("{url}", download=True)
```"""
# A path begins with a point.
LOAD_FOLDER = """```python
import minari

dataset = minari.load_dataset("./")
```"""


@dataclass(frozen=True, slots=True)
class Extent:
    """The smallest, the mean and the largest of some numbers."""

    smallest: float
    """The smallest."""
    mean: float
    """The mean."""
    largest: float
    """The largest."""

    def __str__(self) -> str:
        """Return them as one phrase."""
        if self.smallest == self.largest:
            return f"{self.mean:.6g}"
        return f"{self.smallest:.6g} to {self.largest:.6g}, mean {self.mean:.6g}"


@dataclass(frozen=True, slots=True)
class Card:
    """What is shown of a dataset beside its data."""

    dataset_id: str
    """Its id."""
    url: str
    """Its address; empty for a folder that has it alone."""
    metadata: Mapping[str, JsonValue]
    """Its metadata, as it says of itself."""
    observation_space: spaces.Space[Any] | None = None
    """The space of observations, if it is known here."""
    action_space: spaces.Space[Any] | None = None
    """The space of actions, if it is known here."""
    env_id: str | None = None
    """The id of its environment, if it has one."""
    lengths: Extent | None = None
    """The steps of an episode, if they were counted."""
    returns: Extent | None = None
    """The undiscounted returns, if its metadata has them of every episode."""
    preview: Path | None = None
    """A picture of an episode."""
    files: Mapping[str, Path] = field(default_factory=dict)
    """Further files that are published beside the data, by their names."""
    notes: Sequence[str] = ()
    """What else is to be said of it, a sentence each, in Markdown."""

    @property
    def steps(self) -> int:
        """The number of all its steps."""
        steps = self.metadata.get("total_steps")
        return steps if type(steps) is int and steps >= 0 else 0

    @property
    def license(self) -> str | None:
        """The license that its metadata names; nothing is assumed."""
        return self._get_text("license") or None

    @property
    def tags(self) -> tuple[str, ...]:
        """What it can be found by."""
        tags = ["minari", "gymnasium", "offline-reinforcement-learning"]
        if self.env_id and re.fullmatch(r"[\w./-]{1,60}", self.env_id, re.ASCII):
            tags.append(self.env_id.rpartition("/")[2])
        return tuple(tags)

    @property
    def folder(self) -> str:
        """Where its files are beside the README, with a slash at the end if that is elsewhere."""
        folder = self.dataset_id.partition("/")[2] if self.url else ""
        return f"{folder}/" if folder else ""

    @property
    def configs(self) -> list[JsonValue]:
        """Its tables as the Hub's viewer takes them: a configuration each, as columns differ."""
        names = [name for name in self.files if name.endswith(".parquet")]
        # A slash may not stand in the name of a configuration, and a dot not in an id.
        before = (self.folder or self.dataset_id).rstrip("/").replace("/", ".")
        return [
            {
                "config_name": f"{before}.{name.removesuffix('.parquet')}",
                "data_files": f"{self.folder}{name}",
            }
            for name in names
        ]

    def render(self, preview: str | None) -> str:
        """Return its section of a README.

        Args:
            preview: Where the picture is, relative to the README; None if there is none.
        """
        parts = [f"## {self.dataset_id}"]
        if description := escape_paragraphs(self._get_text("description")):
            parts.append(description)
        if preview:
            parts.append(f"![An episode of {self.dataset_id}](<{preview}>)")
        parts.append(format_table(("what", "value"), self._list_facts()))
        rows = [
            (escape_text(name), format_code(text))
            for kind, space in (
                ("observation", self.observation_space),
                ("action", self.action_space),
            )
            if space is not None
            for name, text in list_leaves(kind, space)
        ]
        if rows:
            parts.append(format_table(("space", "is"), rows))
        parts += self.notes
        parts.append(LOAD.format(url=self.url) if self.url else LOAD_FOLDER)
        return "\n\n".join(parts)

    def _list_facts(self) -> Iterator[tuple[str, str]]:
        if self.env_id:
            yield "environment", format_code(self.env_id)
        episodes = self.metadata.get("total_episodes")
        if type(episodes) is int:
            yield "episodes", f"{episodes:,}"
        yield "steps", f"{self.steps:,}"
        if self.lengths is not None:
            yield "steps of an episode", str(self.lengths)
        if self.returns is not None:
            yield "return of an episode", str(self.returns)
        for key, name in (
            ("algorithm_name", "algorithm"),
            ("author", "author"),
            ("author_email", "email"),
            ("license", "license"),
            ("data_format", "format"),
        ):
            if text := self._get_text(key):
                yield name, escape_text(text)
        if link := self._get_text("code_permalink"):
            yield "code", format_link(link)

    def _get_text(self, key: str) -> str:
        value = self.metadata.get(key)
        if isinstance(value, list):
            return ", ".join(each for each in value if isinstance(each, str))
        return value if isinstance(value, str) else ""
