"""Whether what the episodes of a public layout hold is what the dataset says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

from minari_core.columns import FIXED_SPACES
from minari_core.errors import MinariError
from minari_core.formats.public.base import PublicStorage

AddProblem: TypeAlias = Callable[[str, str, str | None, int | None], None]
"""Takes a file, what is wrong with it, the column and the episode, if it is of one."""

# A space of one dtype may well have values of another one of the same kind.
_FAMILIES = {"b": "whole numbers", "i": "whole numbers", "u": "whole numbers", "f": "floats"}


class EpisodeCheck:
    """Reads episodes and compares them with their spaces, and with those before them."""

    def __init__(self, storage: PublicStorage, add: AddProblem) -> None:
        """Take what is checked.

        Args:
            storage: The dataset.
            add: Is told each problem.
        """
        self._storage = storage
        self._add = add
        self._dtypes: dict[str, np.dtype[Any]] = {}

    def check(self, number: int) -> int | None:
        """Check an episode.

        Args:
            number: Its index.

        Returns:
            Its steps as they are, or as it says if they cannot be read, or None.
        """
        storage = self._storage
        file = storage.description_file_of(number)
        said: int | None = None
        try:
            attributes = storage.read_attributes(number)
            said = int(attributes["total_steps"])
            given = attributes.get("id", number)
            if isinstance(given, np.ndarray) or given != number:
                self._add(file, f"its id is {given}, not {number}", None, number)
            file = storage.file_of(number)
            (episode,) = storage.read_episodes([number], copy=False)
        except Exception as error:
            text = str(error) if isinstance(error, MinariError) else repr(error)
            self._add(file, f"it cannot be read: {text}", None, number)
            return said
        if len(episode) != said:
            self._add(file, f"it has {len(episode)} steps, not {said}", None, number)
        for name in ("observations", "actions"):
            space = getattr(storage, name.removesuffix("s") + "_space")
            for column, message in self._mismatches(space, getattr(episode, name), name):
                self._add(file, message, column, number)
        return len(episode)

    def _mismatches(
        self, space: spaces.Space[Any], value: Any, where: str
    ) -> Iterator[tuple[str, str]]:
        if isinstance(space, spaces.Dict | spaces.Tuple):
            keyed: Mapping[Any, spaces.Space[Any]] = dict(
                space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
            )
            for key, part in keyed.items():
                yield from self._mismatches(part, value[key], f"{where}[{key!r}]")
        elif isinstance(space, FIXED_SPACES):
            found, wanted = value.dtype, np.dtype(space.dtype)
            if value.shape[1:] != space.shape:
                yield where, f"its rows have shape {value.shape[1:]}, but the space is {space}"
            if _FAMILIES.get(found.kind) != _FAMILIES.get(wanted.kind):
                yield where, f"it is {found}, but the space is {space}"
            elif found != self._dtypes.setdefault(where, found):
                # Neither a conversion nor a batch can hold both.
                yield where, f"it is {found}, but {self._dtypes[where]} in the episodes before"
