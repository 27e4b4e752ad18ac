"""The writers of one append to a dataset in a public format, and of one change of its metadata."""

from __future__ import annotations

import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from minari_core.columns import Schema, StructColumn
from minari_core.episodes.episode import EpisodeData
from minari_core.formats.public.attributes import Attributes, encode_attributes
from minari_core.formats.public.files import STAGE_PREFIX
from minari_core.formats.public.limits import measure_nbytes
from minari_core.formats.public.sidecar import Sidecar, split_dict


class EpisodeWriter(ABC):
    """Write the episodes of one append; no reader sees them before `commit`."""

    holds_short_columns: ClassVar[bool] = False
    """Whether an info may have fewer rows than another."""
    largest_nbytes: int = 0
    """The memory that the arrays of the largest written episode take, in bytes."""

    def write_episode(self, number: int, episode: EpisodeData, schema: Schema) -> None:
        """Split an episode into what the format holds and a sidecar, and write both.

        Args:
            number: Its index in the dataset.
            episode: The episode.
            schema: The columns that it was read from.
        """
        sidecar = Sidecar()
        infos: dict[str, Any] = {}
        struct, extras = schema.groups["infos"], schema.groups["extras"]
        if isinstance(struct, StructColumn):
            infos = split_dict(
                episode.infos, struct, ("infos",), sidecar, shorten=self.holds_short_columns
            )
        if isinstance(extras, StructColumn):
            sidecar.add_dict(episode.extras, extras, ("extras",))
        attributes, complete = encode_attributes(episode, number)
        if not complete:
            sidecar.add_entry(episode)
        self.write(number, episode, infos, attributes, sidecar)
        flat = episode.rewards, episode.terminations, episode.truncations
        nbytes = measure_nbytes(
            (episode.observations, episode.actions, flat, infos, sidecar.arrays)
        )
        self.largest_nbytes = max(self.largest_nbytes, nbytes)

    @abstractmethod
    def write(
        self,
        number: int,
        episode: EpisodeData,
        infos: dict[str, Any],
        attributes: Attributes,
        sidecar: Sidecar,
    ) -> None:
        """Write one episode.

        Args:
            number: Its index in the dataset.
            episode: The episode; its infos, seed, options, metadata and extra columns are given
                by the other arguments.
            infos: The infos that the format holds.
            attributes: The attributes of the episode.
            sidecar: What the format cannot hold.
        """

    @abstractmethod
    def commit(self) -> None:
        """Move all that was written to where readers find it, durably."""

    @abstractmethod
    def discard(self) -> None:
        """Delete all that was written."""


class MetadataWriter(ABC):
    """Rewrite the metadata of episodes, into files that are to replace others.

    They lie in a folder of their own, each at the name of the file that it is to replace.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder.

        Args:
            folder: The folder that the data lies in.
        """
        self.stage = folder / f"{STAGE_PREFIX}{uuid.uuid4().hex}"
        """The folder of the files."""
        self.stage.mkdir()

    @abstractmethod
    def write(
        self,
        number: int,
        changed: Collection[str],
        attributes: Attributes,
        sidecar: Sidecar | None,
        *,
        as_another_program: bool,
    ) -> None:
        """Write what is said of one episode.

        Args:
            number: Its index.
            changed: The keys of its metadata whose attributes are replaced.
            attributes: Those that take their place.
            sidecar: The new sidecar; None if that stays as it is.
            as_another_program: Write attributes in the form that tells that not this project has.
        """

    @abstractmethod
    def commit(self) -> None:
        """Flush all that was written to the disk."""

    def discard(self) -> None:
        """Delete all that was written."""
        shutil.rmtree(self.stage, ignore_errors=True)


def name_temporary_file(path: Path) -> Path:
    """Return a new hidden name in the folder of a file."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")
