"""Checks of whole episodes: how they end, and which are there twice."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minari.checks.blocks import EpisodeBlock
from minari.checks.finding import Check, Examples, Finding
from minari.checks.keys import EpisodeKeys
from minari_core import EpisodeData
from minari_core.leaves import find_leaves


class EndCheck(Check):
    """Episodes that neither terminate nor are truncated, or go on longer than they may."""

    name = "end"
    sentence = "An episode does not end, or ends later than the environment allows."

    def __init__(self, most_steps: int | None) -> None:
        """Look for both.

        Args:
            most_steps: The limit of the environment; None if it has none.
        """
        self._most_steps = most_steps
        self._endless, self._long = Examples(), Examples()

    def see(self, block: EpisodeBlock) -> None:
        """Look at the last flags, and at the lengths."""
        endless = [
            episode.id
            for episode in block.episodes
            if not (episode.terminations[-1] or episode.truncations[-1])
        ]
        self._endless.add(endless)
        if self._most_steps is not None:
            self._long.add(block.ids[block.lengths > self._most_steps].tolist())

    def finish(self) -> Iterator[Finding]:
        """Say which episodes there are of both."""
        for name, examples, sentence in (
            ("no-end", self._endless, "neither terminate nor are truncated"),
            ("too-long", self._long, f"have more than the environment's {self._most_steps} steps"),
        ):
            if examples.count:
                yield Finding(
                    check=name,
                    severity="warning",
                    sentence=f"episodes {sentence}",
                    episodes=examples.count,
                    examples=tuple(examples.ids),
                )


class SeedCheck(Check):
    """Seeds that several episodes were reset with."""

    name = "seed-twice"
    sentence = "Two episodes were reset with the same seed and options."

    def __init__(self) -> None:
        """Start with nothing."""
        self._keys = EpisodeKeys()

    def see(self, block: EpisodeBlock) -> None:
        """Keep the seeds."""
        for episode in block.episodes:
            if episode.seed is not None:
                # The hash of a text has 64 bits that nobody foresees; that of a number has fewer.
                self._keys.add(hash(f"{episode.seed} {episode.options!r}"), episode.id)

    def finish(self) -> Iterator[Finding]:
        """Say which episodes share a seed."""
        shared = sorted(each for ids in self._keys.group() for each in ids)
        if shared:
            examples = Examples()
            examples.add(shared)
            yield Finding(
                check=self.name,
                severity="warning",
                sentence="episodes begin with the same seed and options as others",
                episodes=examples.count,
                examples=tuple(examples.ids),
            )


Read = Callable[[int], EpisodeData]


class DuplicateEpisodeCheck(Check):
    """Episodes that are equal to others, step by step."""

    name = "same-episode"
    sentence = "Two episodes have the same observations, actions and rewards."

    def __init__(
        self,
        read: Read,
        others: EpisodeKeys | None = None,
        read_other: Read | None = None,
    ) -> None:
        """Look for them.

        Args:
            read: Reads an episode by its id.
            others: The keys of the episodes of another dataset; None to compare the episodes with
                each other.
            read_other: Reads one of these.
        """
        self._read = read
        self._others = others
        self._read_other = read_other or read
        self.keys = EpisodeKeys()
        """The keys of the episodes."""

    def see(self, block: EpisodeBlock) -> None:
        """Keep a number of each episode that equal ones share."""
        for episode in block.episodes:
            self.keys.add(_summarize(episode), episode.id)

    def finish(self) -> Iterator[Finding]:
        """Say which are equal; where all values are discrete, that happens by chance."""
        examples = Examples()
        is_discrete = True
        if self._others is None:
            pairs = [(ids[1:], ids[0]) for ids in self.keys.group()]
        else:
            pairs = [(ids, there[0]) for ids, there in self.keys.match(self._others)]
        for rest, candidate in pairs:
            first = self._read_other(candidate)
            same = [each for each in rest if _is_same(first, self._read(each))]
            examples.add(same)
            is_discrete = is_discrete and (not same or _is_discrete(first))
        if examples.count:
            where = "earlier ones" if self._others is None else "episodes of the other dataset"
            yield Finding(
                check=self.name,
                severity="note" if is_discrete else "warning",
                sentence=f"episodes are equal to {where}",
                episodes=examples.count,
                examples=tuple(examples.ids),
            )


def _arrays(episode: EpisodeData) -> Iterator[Any]:
    for group in (episode.observations, episode.actions, episode.rewards):
        for _, leaf in find_leaves(group):
            yield leaf


def _summarize(episode: EpisodeData) -> int:
    """Compute a number of the ends of an episode, and of its rewards and actions."""
    number = len(episode)
    for leaf in _arrays(episode):
        if isinstance(leaf, np.ndarray):
            # Rows of an image are many bytes; the ends tell most episodes apart.
            rows = leaf if leaf[:1].nbytes <= 64 else leaf[[0, -1]]
            number = zlib.crc32(np.ascontiguousarray(rows).data.cast("B"), number)
    return number


def _is_same(one: EpisodeData, other: EpisodeData) -> bool:
    pairs = zip(_arrays(one), _arrays(other), strict=True)
    return len(one) == len(other) and all(_is_equal(*pair) for pair in pairs)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        same: bool = np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        return same
    return repr(one) == repr(other)


def _is_discrete(episode: EpisodeData) -> bool:
    arrays: list[npt.NDArray[Any]] = [
        leaf
        for group in (episode.observations, episode.actions)
        for _, leaf in find_leaves(group)
        if isinstance(leaf, np.ndarray)
    ]
    return all(leaf.dtype.kind in "iub" and leaf.ndim <= 2 for leaf in arrays)
