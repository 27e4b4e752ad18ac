"""List what killed processes left, and remove it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from minari_core.errors import (
    DatasetBusyError,
    DatasetNotFoundError,
    MinariError,
)
from minari_core.files import make_write_error
from minari_core.local.leftovers.beside_data import find_beside_data
from minari_core.local.leftovers.leftover import Found, Leftover, StagedKind
from minari_core.local.leftovers.staged import find_replaced, find_staged
from minari_core.local.locations import datasets_root


class LeftoverFinder:
    """Finds what killed processes left under the root of the datasets.

    A package that leaves more than others know of in the staging area makes one of its own, whose
    methods are its functions `list_leftovers` and `remove_leftovers`.
    """

    def __init__(self, kinds: Sequence[StagedKind] = ()) -> None:
        """Keep what is known.

        Args:
            kinds: What packages besides this one leave in the staging area.
        """
        self._kinds = kinds

    def list_leftovers(self) -> list[Leftover]:
        """List what killed processes left under the root of the datasets, oldest first.

        Recordings, runs of `collect_dataset`, downloads, uploads, creations, deletions, replaced
        datasets, locks, and files beside data that nobody finished. What a living process has is
        never in it, on any machine that shares the folder: locks tell, and what was made by another
        machine, or has no lock, must not have changed for a day. Nothing is changed by looking.

        Example:
            >>> for leftover in list_leftovers():
            ...     print(leftover.kind, leftover.id, leftover.nbytes, leftover.remedy)
        """
        return [leftover for leftover, _ in self._find()]

    def remove_leftovers(
        self,
        ids: str | Leftover | Iterable[str | Leftover] | None = None,
        *,
        valuable: bool = False,
    ) -> list[Leftover]:
        """Remove what killed processes left under the root of the datasets.

        Args:
            ids: The ids of what to remove, or what `list_leftovers` lists, one or several, also of
                what is valuable; everything without value if None.
            valuable: Without ``ids``, also remove what can be recovered or gone on with, or may
                have a living process.

        Returns:
            What is removed.

        Raises:
            DatasetNotFoundError: Nothing that is left has one of the ids, and nothing is removed.
            DatasetBusyError: A process has taken one of them up meanwhile.
            DatasetWriteError: The file system refused.
        """
        found = {leftover.id: (leftover, remove) for leftover, remove in self._find()}
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
                raise make_write_error(f"{leftover.path} could not be removed", error) from error
            removed.append(leftover)
        return removed

    def _find(self) -> list[Found]:
        found = chain(find_staged(self._kinds), find_replaced(), find_beside_data())
        return sorted(found, key=lambda each: each[0].changed)


_OWN = LeftoverFinder()
list_leftovers = _OWN.list_leftovers
remove_leftovers = _OWN.remove_leftovers


def _list_ids(chosen: str | Leftover | Iterable[str | Leftover]) -> list[str]:
    several = [chosen] if isinstance(chosen, str | Leftover) else chosen
    ids = (each.id if isinstance(each, Leftover) else each for each in several)
    return list(dict.fromkeys(ids))
