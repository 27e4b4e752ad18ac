"""List and remove what killed processes of all packages left under the datasets' root."""

from __future__ import annotations

from collections.abc import Iterable

import minari_collect.leftovers
import minari_core
import minari_hub.datasets.leftovers
from minari_core import Leftover

KINDS = (*minari_collect.leftovers.KINDS, *minari_hub.datasets.leftovers.KINDS)
"""What all packages leave in the staging area."""


def list_leftovers() -> list[Leftover]:
    """List what killed processes left under the root of the datasets, oldest first.

    Recordings, runs of `collect_dataset`, downloads, uploads, creations, deletions, replaced
    datasets, locks, and files beside data that nobody finished. What a living process has is never
    in it, on any machine that shares the folder: locks tell, and what was made by another machine,
    or has no lock, must not have changed for a day.

    Example:
        >>> for leftover in list_leftovers():
        ...     print(leftover.kind, leftover.id, leftover.nbytes, leftover.remedy)
    """
    return minari_core.list_leftovers(kinds=KINDS)


def remove_leftovers(
    ids: str | Leftover | Iterable[str | Leftover] | None = None, *, valuable: bool = False
) -> list[Leftover]:
    """Remove what killed processes left under the root of the datasets.

    Args:
        ids: The ids of what to remove, or what `list_leftovers` lists, one or several, also of what
            is valuable; everything without value if None.
        valuable: Without ``ids``, also remove what can be recovered or gone on with.

    Returns:
        What is removed.

    Raises:
        DatasetNotFoundError: Nothing that is left has one of the ids, and nothing is removed.
        DatasetBusyError: A process has taken one of them up meanwhile.
        DatasetWriteError: The file system refused.
    """
    return minari_core.remove_leftovers(ids, valuable=valuable, kinds=KINDS)
