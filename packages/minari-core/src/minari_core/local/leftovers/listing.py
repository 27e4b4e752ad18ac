"""List what killed processes left, and remove it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from minari_core.errors import (
    DatasetBusyError,
    DatasetNotFoundError,
    DatasetWriteError,
    MinariError,
)
from minari_core.local.leftovers.beside_data import find_beside_data
from minari_core.local.leftovers.leftover import Found, Leftover, StagedKind
from minari_core.local.leftovers.staged import find_replaced, find_staged
from minari_core.local.locations import datasets_root


def list_leftovers(*, kinds: Sequence[StagedKind] = ()) -> list[Leftover]:
    """List what killed processes left under the root of the datasets, oldest first.

    What a living process has is never in it, on any machine that shares the folder: locks tell,
    and what was made by another machine, or has no lock, must not have changed for a day.

    Args:
        kinds: What other packages leave in the staging area.
    """
    return [leftover for leftover, _ in _find(kinds)]


def remove_leftovers(
    ids: str | Leftover | Iterable[str | Leftover] | None = None,
    *,
    valuable: bool = False,
    kinds: Sequence[StagedKind] = (),
) -> list[Leftover]:
    """Remove what killed processes left under the root of the datasets.

    Args:
        ids: The ids of what to remove, or what `list_leftovers` lists, one or several, also of what
            is valuable; everything without value if None.
        valuable: Without ``ids``, also remove what is valuable.
        kinds: What other packages leave in the staging area.

    Returns:
        What is removed.

    Raises:
        DatasetNotFoundError: Nothing that is left has one of the ids, and nothing is removed.
        DatasetBusyError: A process has taken one of them up meanwhile.
        DatasetWriteError: The file system refused.
    """
    found = {leftover.id: (leftover, remove) for leftover, remove in _find(kinds)}
    if ids is not None:
        chosen = _list_ids(ids)
        for each in chosen:
            if each not in found:
                raise DatasetNotFoundError(
                    f"nothing that is left under {datasets_root()} has the id {each!r}, or a "
                    "living process has it; list_leftovers() shows what there is"
                )
    else:
        chosen = [each for each, (left, _) in found.items() if valuable or not left.is_valuable]
    removed = []
    for leftover, remove in map(found.__getitem__, chosen):
        try:
            remove()
        except DatasetBusyError:
            if ids is not None:
                raise
            continue
        except MinariError:
            raise
        except OSError as error:
            raise DatasetWriteError(f"{leftover.path} could not be removed: {error}") from error
        removed.append(leftover)
    return removed


def _list_ids(chosen: str | Leftover | Iterable[str | Leftover]) -> list[str]:
    several = [chosen] if isinstance(chosen, str | Leftover) else chosen
    ids = (each.id if isinstance(each, Leftover) else each for each in several)
    return list(dict.fromkeys(ids))


def _find(kinds: Sequence[StagedKind]) -> list[Found]:
    found = chain(find_staged(kinds), find_replaced(), find_beside_data())
    return sorted(found, key=lambda each: each[0].changed)
