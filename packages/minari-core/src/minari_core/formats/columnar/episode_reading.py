"""Read whole episodes out of one shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from minari_core.columns import StructColumn
from minari_core.episodes.episode import EpisodeData
from minari_core.errors import DatasetDamagedError
from minari_core.formats.columnar.episode_entry import decode_entry
from minari_core.formats.shards.entries_apart import ENTRIES
from minari_core.formats.shards.reader import ShardReader

EpisodeReader: TypeAlias = "Callable[[int, int, int, int, int, bool], EpisodeData]"
"""Reads an episode by its index, its first row, first step and entry in the shard, its number of
steps, and whether its last row is a placeholder."""

_EntryReader: TypeAlias = (
    "Callable[[int], tuple[int | None, dict[str, Any] | None, dict[str, Any] | None]]"
)


def bind_episodes(shard: ShardReader, entries: ShardReader, *, copy: bool) -> EpisodeReader:
    """Return a reader of the episodes that lie in a shard, for which nothing is looked up again.

    Args:
        shard: The shard of their rows and steps.
        entries: The shard of their entries, which is another one where metadata was changed.
        copy: Give fresh arrays rather than views of the shard.

    Raises:
        DatasetDamagedError: The arrays do not fit the columns; the message names the shard.
    """
    readers = shard.readers(copy=copy)
    read_observations, read_actions = readers["observations"], readers["actions"]
    read_rewards = readers["rewards"]
    read_terminations, read_truncations = readers["terminations"], readers["truncations"]
    read_infos, read_extras = readers["infos"], readers["extras"]
    read_entry = _bind_entries(entries, copy=copy)

    def read(
        number: int, row: int, step: int, entry: int, length: int, is_unknown: bool
    ) -> EpisodeData:
        end, row_end = step + length, row + length + 1
        try:
            return EpisodeData(
                number,
                read_observations(row, row_end - is_unknown),
                read_actions(step, end),
                read_rewards(step, end),
                read_terminations(step, end),
                read_truncations(step, end),
                read_infos(row, row_end),
                *read_entry(entry),
                read_extras(row, row_end),
            )
        except DatasetDamagedError as error:
            raise DatasetDamagedError(f"episode {number} in {shard.name}: {error}") from error

    return read


def _bind_entries(shard: ShardReader, *, copy: bool) -> _EntryReader:
    column = shard.schema.groups[ENTRIES]
    if isinstance(column, StructColumn) and column.fields.keys() == {"length"}:
        return lambda entry: (None, None, None)
    read: Callable[[int, int], Any] = shard.readers(copy=copy)[ENTRIES]
    return lambda entry: decode_entry(read(entry, entry + 1), 0)
