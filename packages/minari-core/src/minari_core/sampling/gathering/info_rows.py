"""Find the row of an info that belongs to a step: the one that it returned, or the one before.

Infos have T+1 rows, and a step returns the row after it. In flat files, row t of an info lies
beside step t. Where it says something about the action, as D4RL's ``action_log_probs`` does, the
dataset's metadata names it under ``step_infos``, and row t is read with step t.
"""

from __future__ import annotations

from collections.abc import Mapping

from minari_core.columns.base import escape_key

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
