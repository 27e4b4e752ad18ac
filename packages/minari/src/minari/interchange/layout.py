"""What a layout is: one way to lay episodes out in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gymnasium import spaces

from minari_core import MinariDataset
from minari_core.episodes import Episode
from minari_core.errors import DataError
from minari_core.json_values import JsonValue
from minari_core.storage.base import Storage

SOURCE_METADATA = "source_metadata"
"""The key of a dataset's metadata for what a file says of its own, and no other key is for."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a layout does not carry."""

    what: str
    """The column, the key of metadata, or whatever it is: ``infos/contact``, ``seeds``."""
    reason: str
    """Why, and where it lies instead, if it lies anywhere."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read of files in some layout."""

    episodes: Iterable[Episode]
    """The episodes, which may be read while they are taken."""
    observation_space: spaces.Space[Any]
    """The space of the observations."""
    action_space: spaces.Space[Any]
    """The space of the actions."""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the files say of the dataset, under the keys of a dataset's metadata."""
    losses: list[Loss] = field(default_factory=list)
    """What was left out; complete once all episodes have been taken."""
    storage: Storage | None = None
    """The storage of a dataset, of which the episodes are, and which is taken as it is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A way to lay episodes out in files.

    `read` and `write` have keyword-only parameters of their own, with defaults wherever nothing has
    to be guessed: the names and annotations of these are the layout's options.
    """

    name: str
    """What the layout is called after ``--as``."""
    title: str
    """What it is, for a list of all."""
    recognize: Callable[[Path], bool]
    """Whether a file or folder has this layout, told by a look at its names. One that cannot
    be read has not, whatever this raises."""
    read: Callable[..., Contents] | None = None
    """``read(path, **options)``: opens files, which are untrusted, and reads their episodes."""
    write: Callable[..., list[Loss]] | None = None
    """``write(dataset, path, **options)``: writes a file or folder that is not there yet."""
    keeps_shards: bool = False
    """Whether episodes come back in the shards, and so with the dtypes of infos, that they had."""


def check_has_steps(dataset: MinariDataset, layout: str) -> None:
    """Check that there is something to write.

    Raises:
        DataError: The dataset has no step, of whose arrays a file would say what they are.
    """
    if dataset.total_steps == 0:
        raise DataError(f"the dataset has no step, and so no shape that {layout} could write")
