"""Find the row of an info that belongs to a step: the one that it returned, or the one before.

Infos have T+1 rows, and a step returns the row after it. In flat files, row t of an info lies
beside step t. Where it says something about the action, as D4RL's ``action_log_probs`` does, the
dataset's metadata names it under ``step_infos``, and row t is read with step t.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from minari_core.columns.base import escape_key
from minari_core.episodes.episode import EpisodeData
from minari_core.episodes.reward_metadata import ReadMetadata
from minari_core.errors import DataError
from minari_core.messages import format_value, warn_caller
from minari_core.storage.base import Storage

STEP_INFOS = "step_infos"
"""The key of a dataset's metadata that lists the infos whose row t belongs to step t."""

D4RL_STEP_INFOS = ("action_log_probs", "action_mean", "action_log_std")
"""The infos of D4RL that belong to an observation and the action that answered it."""

_Item = TypeVar("_Item")

GROUPS = {
    "next_observations": "observations",
    "next_actions": "actions",
    "previous_actions": "actions",
    "previous_rewards": "rewards",
    "previous_terminations": "terminations",
    "previous_truncations": "truncations",
    "current_infos": "infos",
    "returned_infos": "infos",
    "current_extras": "extras",
    "returned_extras": "extras",
}
"""Names of groups that say which row is wanted, and the groups as they are stored."""


def is_of_neighbour(name: str) -> bool:
    """Return whether a column is of the step before or after, by its name."""
    group = name.partition("/")[0]
    return group == "next_actions" or group.startswith("previous_")


def read_step_infos(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Read from a dataset's metadata which infos belong to steps."""
    named = metadata.get(STEP_INFOS)
    return tuple(key for key in named if isinstance(key, str)) if isinstance(named, list) else ()


def watch_step_infos(episodes: Iterable[_Item], marked: Collection[str]) -> Iterable[_Item]:
    """Warn once of infos that belonged to steps in the dataset that an episode was read from.

    Args:
        episodes: The episodes for a dataset.
        marked: The infos that belong to steps in it.

    Returns:
        The episodes.
    """
    if isinstance(episodes, Sequence):
        if any(issubclass(kind, EpisodeData) for kind in set(map(type, episodes))):
            for _ in _watch(episodes, marked):
                pass
        return episodes
    return _watch(episodes, marked)


def _watch(episodes: Iterable[_Item], marked: Collection[str]) -> Iterator[_Item]:
    has_warned = False
    for item in episodes:
        if not has_warned and isinstance(item, EpisodeData) and type(item.metadata) is ReadMetadata:
            before = read_step_infos(item.metadata.storage.metadata)
            lost = [key for key in before if key in item.infos and key not in marked]
            if lost:
                has_warned = True
                warn_caller(
                    f"row t of the infos {', '.join(map(repr, lost))} belongs to step t in the "
                    "dataset that these episodes were read from, and will be taken for what step "
                    f"t - 1 returned; to keep it, give {STEP_INFOS}={[*marked, *lost]!r} to "
                    "create_dataset_from_buffers, or to dataset.storage.update_metadata"
                )
        yield item


def check_step_infos(named: object, infos: Collection[str] | None = None) -> list[str]:
    """Return names of infos that are to belong to steps, each once.

    Args:
        named: What a caller gives.
        infos: The infos that there are; None if that is not known yet.

    Raises:
        DataError: They are not names in a list, or there is no such info.
    """
    # The letters of a text would be names, too.
    given = list(named) if isinstance(named, Iterable) and not isinstance(named, str) else [named]
    names = [key for key in given if isinstance(key, str)]
    if isinstance(named, str) or len(names) < len(given):
        raise DataError(f"step_infos is {format_value(named)}, not a list of names of infos")
    absent = [key for key in names if infos is not None and key not in infos]
    if absent and infos is not None:
        there = ", ".join(map(repr, sorted(infos))) or "none"
        raise DataError(f"step_infos names {absent[0]!r}, which is no info; there is {there}")
    return list(dict.fromkeys(names))


def list_infos(storage: Storage) -> list[str]:
    """List the infos that any episode of a storage has, of which there is at least one."""
    # An episode shows the infos of all episodes, masked where it has none.
    (episode,) = storage.read_episodes([0], copy=False)
    return list(episode.infos)


def is_of_current_row(name: str, step_infos: tuple[str, ...]) -> bool:
    """Return whether a column is read at the row of the observation before the step.

    Args:
        name: The name of the column.
        step_infos: The infos that belong to steps.
    """
    group, _, path = name.partition("/")
    if group == "infos":
        return path.partition("/")[0] in map(escape_key, step_infos)
    return group.startswith("current_")
