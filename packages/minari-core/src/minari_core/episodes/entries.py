"""Many episodes at once, and the encoding of their entries: length, seed, options, metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias, overload

import numpy as np

from minari_core.columns import Array, Column, FixedColumn, JsonColumn, MaskedColumn, StructColumn
from minari_core.columns.untyped import encode_dynamic, freeze
from minari_core.episodes.blocks import Encoded, JoinedBlocks, join_short
from minari_core.episodes.episode import EpisodeBuffer, EpisodeData
from minari_core.episodes.reward_metadata import ReadMetadata
from minari_core.errors import DataError

Episode: TypeAlias = EpisodeBuffer | EpisodeData

_LENGTH_DTYPE = np.dtype("<i8")
_SEED_DTYPE = np.dtype("<u8")
_DICTS = ("infos", "extras", "options", "metadata")


class EpisodeTable(Sequence[Episode]):
    """Episodes in memory, of which each field is listed and looked at once for all.

    Whoever prepares, counts and encodes them shares what was found.
    """

    __slots__ = ("_episodes", "_joined", "_lists")

    def __init__(self, episodes: Sequence[Episode]) -> None:
        """Take the episodes; they are not validated."""
        self._episodes = episodes
        self._lists: dict[str, list[Any]] = {}
        self._joined: dict[str, JoinedBlocks | None] = {}

    @overload
    def __getitem__(self, index: int) -> Episode: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Episode]: ...

    def __getitem__(self, index: int | slice) -> Episode | Sequence[Episode]:
        """One episode, or some."""
        return self._episodes[index]

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self._episodes)

    def __iter__(self) -> Iterator[Episode]:
        """All episodes."""
        return iter(self._episodes)

    def are_known(self) -> bool:
        """Return whether there are episodes, and each is of a type that has all fields."""
        kinds = set(map(type, self._episodes))
        return bool(kinds) and kinds <= {EpisodeBuffer, EpisodeData}

    def list_field(self, name: str) -> list[Any]:
        """Return a field of each episode."""
        if name not in self._lists:
            self._lists[name] = list(map(attrgetter(name), self._episodes))
        return self._lists[name]

    def join_field(self, name: str) -> JoinedBlocks | None:
        """Join the arrays of a field; see `join_short`."""
        if name not in self._joined:
            self._joined[name] = join_short(self.list_field(name))
        return self._joined[name]


def encode_entries(
    lengths: Sequence[int],
    seeds: Sequence[int | None],
    options: Sequence[Mapping[str, object] | None],
    metadata: Sequence[Mapping[str, object] | None],
    dropped: dict[str, str] | None = None,
) -> Encoded:
    """Encode the entries of episodes: length, seed, options, metadata.

    Args:
        lengths: The number of steps of each episode.
        seeds: Their seeds.
        options: Their options.
        metadata: Their metadata.
        dropped: Gets the name of each key that lost a value, with the reason; if None, all of what
            was stored already must be kept.

    Raises:
        DataError: Options, or metadata that must be kept, have a value that cannot be stored.
    """
    lost: dict[str, str] = {} if dropped is None else dropped
    fields: dict[str, Column] = {"length": FixedColumn(_LENGTH_DTYPE)}
    arrays: list[Array] = [np.array(lengths, dtype=_LENGTH_DTYPE)]
    if seeds.count(None) < len(seeds):
        fields["seed"] = MaskedColumn(FixedColumn(_SEED_DTYPE))
        present = np.array([seed is not None for seed in seeds])
        arrays += [present, np.array([seed or 0 for seed in seeds], dtype=_SEED_DTYPE)]
    if options.count(None) < len(options):
        column = MaskedColumn(JsonColumn())
        fields["options"] = column
        arrays += column.encode(options, "options")
    encoded = encode_dynamic(
        [freeze(dict(values)) if values else None for values in metadata],
        "metadata",
        lost,
        lists_are_json=True,
    )
    if lost and dropped is None:
        raise DataError(f"metadata cannot be stored together: {'; '.join(lost.values())}")
    if encoded is not None:
        fields["metadata"] = encoded[0]
        arrays += encoded[1]
    return StructColumn(fields), [[array] for array in arrays]


def check_seed(seed: int | None) -> None:
    """Raise unless a seed fits the 64 bits that an episode's entry has for it.

    Raises:
        DataError: It is not a whole number, is negative, or 2**64 or more.
    """
    if seed is None:
        return
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer):
        raise DataError(f"seed {seed!r} is a {type(seed).__name__}, not a whole number")
    if not 0 <= seed < 2**64:
        raise DataError(f"seed {seed} is not between 0 and 2**64 - 1, so it cannot be recorded")


def count_steps(episodes: EpisodeTable) -> list[int]:
    """Validate episodes, and return the number of steps of each.

    A set of all types is quicker to make than a check of each episode, and is all that nearly
    every batch needs.
    """
    dicts_or_none = {dict, ReadMetadata, type(None)}
    if episodes.are_known() and all(
        set(map(type, episodes.list_field(name))) <= dicts_or_none for name in _DICTS
    ):
        seeds = [seed for seed in episodes.list_field("seed") if seed is not None]
        rewards = episodes.list_field("rewards")
        if set(map(type, seeds)) <= {int} and set(map(type, rewards)) <= {np.ndarray, list}:
            joined = episodes.join_field("rewards")
            lengths = joined.counts if joined else [len(episode) for episode in episodes]
            if min(lengths) > 0 and (not seeds or (min(seeds) >= 0 and max(seeds) < 2**64)):
                return lengths
    return [_check_episode(episode, index) for index, episode in enumerate(episodes)]


def _check_episode(episode: Episode, index: int) -> int:
    if not isinstance(episode, EpisodeBuffer | EpisodeData):
        raise DataError(
            f"episode {index} is a {type(episode).__name__}, not an EpisodeBuffer, an EpisodeData "
            "or a dict"
        )
    try:
        length = len(episode)
    except TypeError as error:
        raise DataError(
            f"episode {index}: rewards {episode.rewards!r} is no array or list"
        ) from error
    if length == 0:
        raise DataError(f"episode {index} has no steps; an episode has at least one")
    try:
        check_seed(episode.seed)
    except DataError as error:
        raise DataError(f"episode {index}: {error}") from error
    for name in _DICTS:
        value = getattr(episode, name)
        if value is not None and not isinstance(value, Mapping):
            hint = ", each key with its rows" if name in ("infos", "extras") else ""
            raise DataError(
                f"episode {index}: {name} is a {type(value).__name__}, not a dict{hint}"
            )
    return length
