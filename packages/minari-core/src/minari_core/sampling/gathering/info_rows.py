"""Find the row of an info that belongs to a step: the one that it returned, or the one before.

Infos have T+1 rows, and a step returns the row after it. In flat files, row t of an info lies
beside step t. Where it says something about the action, as D4RL's ``action_log_probs`` does, the
dataset's metadata names it under ``step_infos``, and row t is read with step t.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from minari_core.columns.base import escape_key
from minari_core.errors import DataError
from minari_core.messages import format_value
from minari_core.storage.base import Storage

STEP_INFOS = "step_infos"
"""The key of a dataset's metadata that lists the infos whose row t belongs to step t."""

D4RL_STEP_INFOS = ("action_log_probs", "action_mean", "action_log_std")
"""The infos of D4RL that belong to an observation and the action that answered it."""

GROUPS = {
    "next_observations": "observations",
    "current_infos": "infos",
    "returned_infos": "infos",
    "current_extras": "extras",
    "returned_extras": "extras",
}
"""Names of groups that say which row is wanted, and the groups as they are stored."""


def read_step_infos(metadata: Mapping[str, object]) -> tuple[str, ...]:
    """Read from a dataset's metadata which infos belong to steps."""
    named = metadata.get(STEP_INFOS)
    return tuple(key for key in named if isinstance(key, str)) if isinstance(named, list) else ()


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
