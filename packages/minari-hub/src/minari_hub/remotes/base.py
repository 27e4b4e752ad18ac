"""The interface of a `Remote`: objects under names, listed, read, downloaded and created."""

from __future__ import annotations

import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event

from minari_core.files import MANIFEST_NAME
from minari_core.local.namespaces import NAMESPACE_METADATA
from minari_hub.cards.card import Card
from minari_hub.transfer.objects import DatasetEntry, RemoteObject, Upload
from minari_hub.transfer.partial_file import PartialFile

APPLICATION_DEFAULT = "application-default"
"""The token that stands for the credentials that this machine has for a remote."""

TOKEN_VARIABLE = "MINARI_REMOTE_TOKEN"
"""The environment variable of the token that is used where none is given."""

GIVE_TOKEN = f"give token=, or set {TOKEN_VARIABLE}"
"""The advice of an error for whoever gave no credentials."""

MANIFEST_SUFFIX = f"/data/{MANIFEST_NAME}"
"""What follows a dataset's id in the name of its manifest."""

DEFAULT_REMOTES = ("hf://farama-minari", "gs://minari-remote")
"""The public remotes, which are asked when neither the call nor ``MINARI_REMOTE`` names one."""

UNFINISHED = re.compile(r"\.[0-9a-f]{32}")
"""The hidden names of files that remotes of files write before they rename them."""


def name_unfinished() -> str:
    """Return a new one of the `UNFINISHED` names."""
    return f".{uuid.uuid4().hex}"


class Remote(ABC):
    """A store of objects under names, as a bucket is.

    Names are relative to the remote's root and their parts are joined by ``/``. Every method
    may be called from several threads at once. A request that fails transiently is retried;
    what is raised after that is a `minari_core.errors.RemoteError`, and
    `minari_core.errors.RemoteAccessError` where the remote refuses.
    """

    url: str
    """Its address, without credentials."""
    lists_datasets = True
    """Whether it can tell which datasets it has."""

    @property
    def label(self) -> str:
        """The remote's name in messages; the public one has always been called so."""
        return f"the remote{' Farama server' if self.url in DEFAULT_REMOTES else ''}"

    @abstractmethod
    def find(self, prefix: str = "", *, suffix: str = "") -> Iterator[RemoteObject]:
        """List the objects whose names have a prefix and a suffix, in no order, page by page.

        Args:
            prefix: What the names begin with; it need not end at a ``/``.
            suffix: What the names end with.
        """

    def datasets(self, prefix: str = "") -> Iterator[DatasetEntry]:
        """List the datasets whose ids have a prefix.

        Args:
            prefix: What the ids begin with.
        """
        for found in self.find(prefix, suffix=MANIFEST_SUFFIX):
            yield DatasetEntry(found.name[: -len(MANIFEST_SUFFIX)], found.metadata)

    def namespaces(self) -> Iterator[str]:
        """List the namespaces that have metadata, also those without datasets; see `datasets`."""
        for found in self.find(suffix=f"/{NAMESPACE_METADATA}"):
            yield found.name.removesuffix(f"/{NAMESPACE_METADATA}")

    @abstractmethod
    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read bytes ``start`` to ``stop`` of an object, or fewer where it ends before.

        Raises:
            RemoteObjectNotFoundError: There is no such object.
        """

    @abstractmethod
    def download(self, files: Sequence[PartialFile], stop: Event) -> list[Exception | None]:
        """Download the rest of partial files, several at a time.

        Each file is given its bytes in order, from `PartialFile.position` on, as they arrive.

        Args:
            files: Files that are not complete.
            stop: Set here when the caller is interrupted; the files then refuse more.

        Returns:
            For each file, what went wrong, or None. A file that still lacks something can go on
            from where it is.
        """

    @abstractmethod
    def upload(
        self, uploads: Sequence[Upload], report: Callable[[int], None], stop: Event
    ) -> list[Exception | None]:
        """Create objects from files, several at a time; existing objects are never replaced.

        Args:
            uploads: The files.
            report: Called with numbers of bytes that were sent, from any thread.
            stop: Set here when the caller is interrupted.

        Returns:
            For each file, what went wrong, or None; for an object that exists already, a
            `minari_core.errors.RemoteObjectExistsError`.
        """

    @abstractmethod
    def create(self, name: str, content: bytes, metadata: Mapping[str, str]) -> None:
        """Create one object; of several concurrent calls, one succeeds.

        Args:
            name: Its name.
            content: What it holds.
            metadata: What to attach to it, at most 8 KiB; a remote that cannot, does not.

        Raises:
            RemoteObjectExistsError: It exists already.
        """

    def publish(
        self,
        name: str,
        manifest: bytes,
        metadata: Mapping[str, str],
        describe: Callable[[], Card],
    ) -> None:
        """Create a dataset's manifest, and whatever else this remote shows of the dataset.

        Args:
            name: The name of the manifest.
            manifest: What it holds.
            metadata: What to attach to it; see `create`.
            describe: Returns the dataset's card, for a remote that shows it.

        Raises:
            RemoteObjectExistsError: The manifest exists already.
        """
        self.create(name, manifest, metadata)
